#include "media/muxer.h"

#include "media/av.h"

namespace avstore::media {
namespace {

struct OutputDeleter {
  void operator()(AVFormatContext* context) const {
    if (context->pb != nullptr) {
      avio_closep(&context->pb);
    }
    avformat_free_context(context);
  }
};
using OutputContext = std::unique_ptr<AVFormatContext, OutputDeleter>;

}  // namespace

class Muxer::Impl {
 public:
  Impl(const std::filesystem::path& file, const AVCodecParameters* codec,
       const MuxerOptions& options)
      : where_(file.string()) {
    AVFormatContext* raw = nullptr;
    check(avformat_alloc_output_context2(&raw, nullptr, options.muxer.c_str(), where_.c_str()),
          where_, "no muxer '" + options.muxer + "'");
    file_.reset(raw);
    add_stream(codec, options);
    check(avio_open(&raw->pb, where_.c_str(), AVIO_FLAG_WRITE), where_, "cannot write");
    write_header(options);
  }

  Rational time_base() const { return from_av(stream_->time_base); }

  void write(AVPacket* packet) {
    packet->stream_index = stream_->index;
    check(av_write_frame(file_.get(), packet), where_, "cannot write a packet");
    check_output();
  }

  void flush() {
    // Not all muxers have something of their own to flush.
    check(av_write_frame(file_.get(), nullptr), where_, "cannot flush");
    if (fragmented_mp4_) {
      // Else the next fragment would begin where the last packet's duration ends, whatever its DTS
      // is.
      check(av_opt_set(file_->priv_data, "movflags", "+frag_discont", 0), where_,
            "cannot begin a fragment");
    }
    avio_flush(file_->pb);
    check_output();
  }

  void finish() {
    check(av_write_trailer(file_.get()), where_, "cannot finish the file");
    avio_flush(file_->pb);
    check_output();
    check(avio_closep(&file_->pb), where_, "cannot close the file");
  }

 private:
  void add_stream(const AVCodecParameters* codec, const MuxerOptions& options) {
    stream_ = avformat_new_stream(file_.get(), nullptr);
    if (stream_ == nullptr) {
      throw std::bad_alloc();
    }
    check(avcodec_parameters_copy(stream_->codecpar, codec), where_, "cannot set up the stream");
    stream_->codecpar->codec_tag = tag_for(*codec);
    stream_->time_base = to_av(options.time_base);
    stream_->avg_frame_rate = to_av(options.frame_rate);
    stream_->r_frame_rate = stream_->avg_frame_rate;
    if (codec->sample_aspect_ratio.num > 0) {
      stream_->sample_aspect_ratio = codec->sample_aspect_ratio;
    }
  }

  // "hvc1" is what Apple's players insist on; libavformat's own first choice is "hev1".
  unsigned tag_for(const AVCodecParameters& codec) const {
    const bool mp4 = std::string_view(file_->oformat->name) == "mp4";
    return mp4 && codec.codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
  }

  void write_header(const MuxerOptions& options) {
    Dictionary dictionary;
    if (options.muxer == "mp4" && options.fragmented) {
      dictionary.set("movflags", "frag_custom+empty_moov+default_base_moof");
      fragmented_mp4_ = true;
    }
    if (options.fragmented) {
      // Timestamps start at 0 by the caller's care and must stay as they are given.
      dictionary.set("avoid_negative_ts", "disabled");
    }
    check(avformat_write_header(file_.get(), dictionary.address()), where_,
          "cannot write the header");
    dictionary.require_all_used(where_);
  }

  // AVIO keeps an error to itself until asked.
  void check_output() const { check(file_->pb->error, where_, "cannot write"); }

  std::string where_;
  OutputContext file_;
  AVStream* stream_ = nullptr;  // owned by file_
  bool fragmented_mp4_ = false;
};

Muxer::Muxer(const std::filesystem::path& file, const AVCodecParameters* codec,
             const MuxerOptions& options)
    : impl_(std::make_unique<Impl>(file, codec, options)) {}
Muxer::Muxer(Muxer&&) noexcept = default;
Muxer& Muxer::operator=(Muxer&&) noexcept = default;
Muxer::~Muxer() = default;

bool Muxer::takes(const std::string& muxer, const AVCodecParameters* codec) {
  AVFormatContext* raw = nullptr;
  if (avformat_alloc_output_context2(&raw, nullptr, muxer.c_str(), nullptr) < 0) {
    return false;
  }
  const std::unique_ptr<AVFormatContext, void (*)(AVFormatContext*)> context(
      raw, [](AVFormatContext* made) {
        std::uint8_t* bytes = nullptr;
        avio_close_dyn_buf(made->pb, &bytes);
        av_free(bytes);
        made->pb = nullptr;
        avformat_free_context(made);
      });
  check(avio_open_dyn_buf(&raw->pb), muxer, "cannot write into memory");
  AVStream* stream = avformat_new_stream(raw, nullptr);
  if (stream == nullptr) {
    throw std::bad_alloc();
  }
  check(avcodec_parameters_copy(stream->codecpar, codec), muxer, "cannot set up the stream");
  stream->codecpar->codec_tag = 0;
  stream->time_base = {1, 1000};
  return avformat_write_header(raw, nullptr) >= 0;
}

Rational Muxer::time_base() const {
  return impl_->time_base();
}
void Muxer::write(Packet& packet) {
  impl_->write(packet.get());
}
void Muxer::flush() {
  impl_->flush();
}
void Muxer::finish() {
  impl_->finish();
}

}  // namespace avstore::media
