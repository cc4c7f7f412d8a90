#include "bench/bare_libav.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

namespace avstore::bench {
namespace {

int require(int code, const char* what) {
  if (code < 0) {
    std::fprintf(stderr, "bare libav loop: %s failed (%d)\n", what, code);
    std::exit(1);
  }
  return code;
}

// Decoder and converter over one file, everything plain.
class Input {
 public:
  Input(const std::string& file, int threads, int thread_type) {
    require(avformat_open_input(&file_, file.c_str(), nullptr, nullptr), "open");
    require(avformat_find_stream_info(file_, nullptr), "stream info");
    stream_ = file_->streams[require(
        av_find_best_stream(file_, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0), "find stream")];
    const AVCodec* codec = avcodec_find_decoder(stream_->codecpar->codec_id);
    decoder_ = avcodec_alloc_context3(codec);
    require(avcodec_parameters_to_context(decoder_, stream_->codecpar), "parameters");
    decoder_->thread_count = threads;
    decoder_->thread_type = thread_type;
    require(avcodec_open2(decoder_, codec, nullptr), "open decoder");
    sws_ =
        sws_getContext(decoder_->width, decoder_->height, decoder_->pix_fmt, decoder_->width,
                       decoder_->height, AV_PIX_FMT_BGR24, SWS_BICUBIC, nullptr, nullptr, nullptr);
    bgr_.resize(static_cast<std::size_t>(decoder_->width * decoder_->height * 3));
  }
  ~Input() {
    av_frame_free(&frame_);
    av_packet_free(&packet_);
    sws_freeContext(sws_);
    avcodec_free_context(&decoder_);
    avformat_close_input(&file_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  void seek(std::int64_t pts) {
    require(av_seek_frame(file_, stream_->index, pts, AVSEEK_FLAG_BACKWARD), "seek");
    avcodec_flush_buffers(decoder_);
    ended_ = false;
  }

  // The next frame; null at the end. With `last`, nothing is read after the packet of that PTS.
  AVFrame* next(std::optional<std::int64_t> last = {}) {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_, frame_);
      if (code == 0) {
        return frame_;
      }
      if (ended_) {
        return nullptr;
      }
      ended_ = !read(last);
    }
  }

  void convert() {
    std::uint8_t* planes[] = {bgr_.data()};
    const int strides[] = {decoder_->width * 3};
    sws_scale(sws_, frame_->data, frame_->linesize, 0, frame_->height, planes, strides);
  }

  std::int64_t ticks(int frame) const {
    return av_rescale_q(frame, av_inv_q(stream_->avg_frame_rate), stream_->time_base);
  }

 private:
  bool read(std::optional<std::int64_t> last) {
    if (last_sent_ && last && *last_sent_ == *last) {
      avcodec_send_packet(decoder_, nullptr);
      last_sent_.reset();
      return false;
    }
    do {
      av_packet_unref(packet_);
      if (av_read_frame(file_, packet_) < 0) {
        avcodec_send_packet(decoder_, nullptr);
        return false;
      }
    } while (packet_->stream_index != stream_->index);
    last_sent_ = packet_->pts;
    require(avcodec_send_packet(decoder_, packet_), "decode");
    return true;
  }

  AVFormatContext* file_ = nullptr;
  AVStream* stream_ = nullptr;
  AVCodecContext* decoder_ = nullptr;
  SwsContext* sws_ = nullptr;
  AVFrame* frame_ = av_frame_alloc();
  AVPacket* packet_ = av_packet_alloc();
  std::vector<std::uint8_t> bgr_;
  std::optional<std::int64_t> last_sent_;
  bool ended_ = false;
};

}  // namespace

int bare_decode(const std::string& file, int threads) {
  Input input(file, threads, FF_THREAD_FRAME | FF_THREAD_SLICE);
  int count = 0;
  while (input.next() != nullptr) {
    input.convert();
    ++count;
  }
  return count;
}

void bare_random(const std::string& file, const std::vector<int>& frames, bool slice_threads,
                 int threads) {
  Input input(file, threads, slice_threads ? FF_THREAD_SLICE : FF_THREAD_FRAME);
  for (const int frame : frames) {
    const std::int64_t pts = input.ticks(frame);
    input.seek(pts);
    const AVFrame* found = nullptr;
    do {
      found = input.next(pts);
    } while (found != nullptr && found->pts < pts);
    if (found == nullptr || found->pts != pts) {
      std::fprintf(stderr, "bare libav loop: frame %d not found\n", frame);
      std::exit(1);
    }
    input.convert();
  }
}

BareEncoder::BareEncoder(const std::string& file, const BareVideo& video) : video_(video) {
  av_log_set_level(AV_LOG_ERROR);
  require(avformat_alloc_output_context2(&output_, nullptr, "mp4", file.c_str()), "output");
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  encoder_ = avcodec_alloc_context3(codec);
  encoder_->width = video.width;
  encoder_->height = video.height;
  encoder_->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder_->time_base = {1, video.fps};
  encoder_->framerate = {video.fps, 1};
  encoder_->gop_size = video.gop;
  encoder_->keyint_min = video.gop;
  encoder_->max_b_frames = 0;
  encoder_->thread_count = video.threads;
  encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* dictionary = nullptr;
  for (const auto& [key, value] : video.options) {
    av_dict_set(&dictionary, key.c_str(), value.c_str(), 0);
  }
  require(avcodec_open2(encoder_, codec, &dictionary), "open encoder");
  av_dict_free(&dictionary);
  AVStream* stream = avformat_new_stream(output_, nullptr);
  require(avcodec_parameters_from_context(stream->codecpar, encoder_), "parameters");
  stream->time_base = encoder_->time_base;
  require(avio_open(&output_->pb, file.c_str(), AVIO_FLAG_WRITE), "open file");
  AVDictionary* flags = nullptr;
  av_dict_set(&flags, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
  require(avformat_write_header(output_, &flags), "header");
  av_dict_free(&flags);
  sws_ = sws_getContext(video.width, video.height, AV_PIX_FMT_BGR24, video.width, video.height,
                        AV_PIX_FMT_YUV420P, SWS_BICUBIC, nullptr, nullptr, nullptr);
  packet_ = av_packet_alloc();
}

BareEncoder::~BareEncoder() {
  avio_closep(&output_->pb);
  av_packet_free(&packet_);
  sws_freeContext(sws_);
  avcodec_free_context(&encoder_);
  avformat_free_context(output_);
}

void BareEncoder::drain() {
  while (avcodec_receive_packet(encoder_, packet_) == 0) {
    av_packet_rescale_ts(packet_, encoder_->time_base, output_->streams[0]->time_base);
    require(av_write_frame(output_, packet_), "write");
  }
}

void BareEncoder::encode(const std::vector<std::vector<std::uint8_t>>& frames, int count) {
  const int width = video_.width;
  const int height = video_.height;
  for (int i = 0; i < count; ++i, ++encoded_) {
    AVFrame* frame = av_frame_alloc();
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = width;
    frame->height = height;
    require(av_frame_get_buffer(frame, 0), "frame");
    const std::uint8_t* pixels = frames[static_cast<std::size_t>(encoded_) % frames.size()].data();
    if (video_.gray) {
      av_image_copy_plane(frame->data[0], frame->linesize[0], pixels, width, width, height);
      std::memset(frame->data[1], 128, static_cast<std::size_t>(frame->linesize[1]) * height / 2);
      std::memset(frame->data[2], 128, static_cast<std::size_t>(frame->linesize[2]) * height / 2);
    } else {
      const int stride = width * 3;
      sws_scale(sws_, &pixels, &stride, 0, height, frame->data, frame->linesize);
    }
    frame->pts = encoded_;
    require(avcodec_send_frame(encoder_, frame), "encode");
    av_frame_free(&frame);
    drain();
  }
}

void BareEncoder::finish() {
  require(avcodec_send_frame(encoder_, nullptr), "finish");
  drain();
  require(av_write_trailer(output_), "trailer");
}

}  // namespace avstore::bench
