#include "media/decoder.h"

#include <algorithm>
#include <thread>

#include "media/av.h"
#include "media/headers_in_force.h"
#include "media/log.h"

namespace avstore::media {

namespace {

// Measured by tests/bench: one is slower than none, three are no faster.
constexpr int kWaitingFrames = 2;

// Not the end of reading: the frames around one that can't be decoded are still wanted. A linear
// decode by ffmpeg goes on in the same way.
bool is_the_files_fault(int code) {
  return code == AVERROR_INVALIDDATA || code == AVERROR_PATCHWELCOME;
}

// Some decoders of older versions take every frame for one, so it must be an I-frame as well.
bool is_keyframe(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  const bool key = (frame.flags & AV_FRAME_FLAG_KEY) != 0;
#else
  const bool key = frame.key_frame != 0;
#endif
  return key && frame.pict_type == AV_PICTURE_TYPE_I;
}

// Whether only B-frames, to which no other refers, come out before a frame that was decoded before.
bool presents_references_in_order(AVCodecID codec) {
  return codec == AV_CODEC_ID_MPEG1VIDEO || codec == AV_CODEC_ID_MPEG2VIDEO ||
         codec == AV_CODEC_ID_MPEG4 || codec == AV_CODEC_ID_WMV3 || codec == AV_CODEC_ID_VC1;
}

}  // namespace

class Decoder::Impl {
 public:
  Impl(const Demuxer& demuxer, const DecoderOptions& options)
      : where_(demuxer.url()),
        parameters_(clone(demuxer.parameters())),
        time_base_(demuxer.stream().time_base),
        options_(options),
        headers_(*parameters_) {
    open();
  }

  void send(const Packet& packet) {
    headers_.take(packet);
    send(packet.get());
  }
  void send_end() { send(nullptr); }

  std::optional<DecodedFrame> receive() {
    for (;;) {
      AvFrame frame = make_frame();
      const int code = avcodec_receive_frame(context_.get(), frame.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) {
        return std::nullopt;
      }
      if (is_the_files_fault(code)) {
        ++packets_undecodable_;
        continue;
      }
      check(code, where_, "cannot decode");
      ++frames_decoded_;
      const int may_follow = frames_that_may_follow(*frame);
      DecodedFrame decoded = describe(std::move(frame));
      decoded.may_follow = may_follow;
      decoded.damaged = decoded.damaged || failed_checksum();
      return decoded;
    }
  }

  // libav's own flush keeps the headers that came with packets.
  void flush() {
    if (headers_.changed()) {
      open();
      headers_ = HeadersInForce(*parameters_);
    } else {
      avcodec_flush_buffers(context_.get());
    }
  }
  std::int64_t frames_decoded() const { return frames_decoded_; }
  std::int64_t packets_undecodable() const { return packets_undecodable_; }

 private:
  void open() {
    const AVCodec* codec = avcodec_find_decoder(parameters_->codec_id);
    if (codec == nullptr) {
      throw Error(ErrorKind::unsupported,
                  where_ + ": no decoder for codec " + avcodec_get_name(parameters_->codec_id));
    }
    context_.reset(avcodec_alloc_context3(codec));
    if (!context_) {
      throw std::bad_alloc();
    }
    check(avcodec_parameters_to_context(context_.get(), parameters_.get()), where_,
          "cannot set up the decoder");
    context_->pkt_timebase = to_av(time_base_);
    set_threads();
    check(avcodec_open2(context_.get(), codec, nullptr), where_, "cannot open the decoder");
  }

  void send(const AVPacket* packet) {
    clear_log();
    const int code = avcodec_send_packet(context_.get(), packet);
    if (is_the_files_fault(code)) {
      ++packets_undecodable_;
    } else if (code < 0 && code != AVERROR_EOF) {
      check(code, where_, "cannot decode");
    }
  }

  void set_threads() {
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    context_->thread_count = options_.threads > 0 ? options_.threads : std::max(1, cores);
    if (options_.threading == Threading::frame && context_->thread_count > 1) {
      // Each frame waits for rows of the one before it, and whoever asks for the frames converts
      // them meanwhile: with more frames under way than threads can run, none of them idles.
      context_->thread_count += kWaitingFrames;
    }
    context_->thread_type = options_.threading == Threading::frame
                                ? FF_THREAD_FRAME | FF_THREAD_SLICE
                                : FF_THREAD_SLICE;
    // dav1d does its own frame threading; this flag is how it is told not to hold frames back. To
    // other decoders it means something else: no reordering.
    if (context_->codec_id == AV_CODEC_ID_AV1 && options_.threading == Threading::slice) {
      context_->flags |= AV_CODEC_FLAG_LOW_DELAY;
    }
  }

  // FFV1 keeps a checksum of each slice, and its decoder only logs that one does not fit. With
  // threads for frames it does so where we do not hear it.
  bool failed_checksum() const {
    return context_->codec_id == AV_CODEC_ID_FFV1 && was_logged("CRC mismatch");
  }

  int frames_that_may_follow(const AVFrame& frame) {
    // The decoder says what holds for the packets it gets, and has frames of earlier ones inside.
    most_b_frames_ = std::max(most_b_frames_, context_->has_b_frames);
    const bool in_order =
        presents_references_in_order(context_->codec_id) && frame.pict_type != AV_PICTURE_TYPE_B;
    return is_keyframe(frame) || in_order ? 0 : most_b_frames_;
  }

  static DecodedFrame describe(AvFrame frame) {
    DecodedFrame decoded;
    if (frame->pts != AV_NOPTS_VALUE) {
      decoded.pts = frame->pts;
    }
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
    decoded.interlaced = (frame->flags & AV_FRAME_FLAG_INTERLACED) != 0;
#else
    decoded.interlaced = frame->interlaced_frame != 0;
#endif
    decoded.damaged = frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0;
    if (frame->sample_aspect_ratio.num > 0 && frame->sample_aspect_ratio.den > 0) {
      decoded.sample_aspect_ratio = av_q2d(frame->sample_aspect_ratio);
    }
    decoded.image = to_image(std::move(frame));
    return decoded;
  }

  std::string where_;
  CodecParametersPtr parameters_;
  Rational time_base_;
  DecoderOptions options_;
  HeadersInForce headers_;
  CodecContext context_;
  int most_b_frames_ = 0;  // held back for reordering
  std::int64_t frames_decoded_ = 0;
  std::int64_t packets_undecodable_ = 0;
};

Decoder::Decoder(const Demuxer& demuxer, const DecoderOptions& options)
    : impl_(std::make_unique<Impl>(demuxer, options)) {}
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

void Decoder::send(const Packet& packet) {
  impl_->send(packet);
}
void Decoder::send_end() {
  impl_->send_end();
}
std::optional<DecodedFrame> Decoder::receive() {
  return impl_->receive();
}
void Decoder::flush() {
  impl_->flush();
}
std::int64_t Decoder::frames_decoded() const {
  return impl_->frames_decoded();
}
std::int64_t Decoder::packets_undecodable() const {
  return impl_->packets_undecodable();
}

}  // namespace avstore::media
