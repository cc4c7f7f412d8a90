#include "media/muxer.h"

#include <exception>

#include "media/av.h"

namespace avstore::media {
namespace {

struct OutputContextDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
using OutputContext = std::unique_ptr<AVFormatContext, OutputContextDeleter>;

struct AvioDeleter {
  void operator()(AVIOContext* context) const {
    av_freep(&context->buffer);
    avio_context_free(&context);
  }
};
using AvioContext = std::unique_ptr<AVIOContext, AvioDeleter>;

#if LIBAVFORMAT_VERSION_MAJOR >= 61
using WrittenByte = const std::uint8_t;
#else
using WrittenByte = std::uint8_t;
#endif

// What libavformat writes goes into a CheckedFile. An error that the file throws waits here for
// check(): it must not pass through C.
class FileOutput {
 public:
  explicit FileOutput(const std::filesystem::path& path) : file_(path) {
    constexpr int kBufferSize = 1 << 16;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferSize));
    context_.reset(buffer == nullptr ? nullptr
                                     : avio_alloc_context(buffer, kBufferSize, 1, this, nullptr,
                                                          &FileOutput::write, &FileOutput::seek));
    if (!context_) {
      av_free(buffer);
      throw std::bad_alloc();
    }
  }

  AVIOContext* context() { return context_.get(); }
  base::CheckedFile& file() { return file_; }

  // Throws what writing threw.
  void check() {
    if (error_) {
      std::rethrow_exception(error_);
    }
  }

 private:
  static int write(void* self, WrittenByte* bytes, int size) {
    auto& output = *static_cast<FileOutput*>(self);
    try {
      output.file_.write(output.position_, {bytes, static_cast<std::size_t>(size)});
    } catch (...) {
      if (!output.error_) {
        output.error_ = std::current_exception();
      }
      return AVERROR(EIO);
    }
    output.position_ += size;
    return size;
  }

  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& output = *static_cast<FileOutput*>(self);
    if (whence == AVSEEK_SIZE) {
      return output.file_.size();
    }
    const std::int64_t from = whence == SEEK_CUR   ? output.position_
                              : whence == SEEK_END ? output.file_.size()
                                                   : 0;
    output.position_ = from + offset;
    return output.position_;
  }

  base::CheckedFile file_;
  std::int64_t position_ = 0;
  std::exception_ptr error_;
  AvioContext context_;
};

// The tag that the source has, if the muxer knows the codec by it, or by no other: some codecs'
// decoders go by it. "hvc1" is what Apple's players insist on; libavformat's own first choice is
// "hev1".
unsigned tag_for(const AVOutputFormat& format, const AVCodecParameters& codec) {
  if (std::string_view(format.name) == "mp4" && codec.codec_id == AV_CODEC_ID_HEVC) {
    return MKTAG('h', 'v', 'c', '1');
  }
  unsigned own = 0;
  const bool keep = codec.codec_tag != 0 && format.codec_tag != nullptr &&
                    (av_codec_get_id(format.codec_tag, codec.codec_tag) == codec.codec_id ||
                     av_codec_get_tag2(format.codec_tag, codec.codec_id, &own) == 0);
  return keep ? codec.codec_tag : 0;
}

}  // namespace

class Muxer::Impl {
 public:
  Impl(const std::filesystem::path& file, const AVCodecParameters* codec,
       const MuxerOptions& options)
      : where_(file.string()), output_(file) {
    AVFormatContext* raw = nullptr;
    check(avformat_alloc_output_context2(&raw, nullptr, options.muxer.c_str(), where_.c_str()),
          where_, "no muxer '" + options.muxer + "'");
    context_.reset(raw);
    raw->pb = output_.context();
    raw->flags |= AVFMT_FLAG_CUSTOM_IO;
    add_stream(codec, options);
    write_header(options);
  }

  Rational time_base() const { return from_av(stream_->time_base); }

  void write(AVPacket* packet) {
    packet->stream_index = stream_->index;
    check_written(av_write_frame(context_.get(), packet), "cannot write a packet");
  }

  void flush() {
    // Not all muxers have something of their own to flush.
    check_written(av_write_frame(context_.get(), nullptr), "cannot flush");
    if (fragmented_mp4_) {
      // Else the next fragment would begin where the last packet's duration ends, whatever its DTS
      // is.
      check(av_opt_set(context_->priv_data, "movflags", "+frag_discont", 0), where_,
            "cannot begin a fragment");
    }
    flush_output();
  }

  void finish() {
    check_written(av_write_trailer(context_.get()), "cannot finish the file");
    flush_output();
  }

  base::CheckedFile& file() { return output_.file(); }

 private:
  void add_stream(const AVCodecParameters* codec, const MuxerOptions& options) {
    stream_ = avformat_new_stream(context_.get(), nullptr);
    if (stream_ == nullptr) {
      throw std::bad_alloc();
    }
    check(avcodec_parameters_copy(stream_->codecpar, codec), where_, "cannot set up the stream");
    stream_->codecpar->codec_tag = tag_for(*context_->oformat, *codec);
    stream_->time_base = to_av(options.time_base);
    stream_->avg_frame_rate = to_av(options.frame_rate);
    stream_->r_frame_rate = stream_->avg_frame_rate;
    if (codec->sample_aspect_ratio.num > 0) {
      stream_->sample_aspect_ratio = codec->sample_aspect_ratio;
    }
  }

  void write_header(const MuxerOptions& options) {
    Dictionary dictionary;
    if (options.muxer == "mp4" && options.fragmented) {
      dictionary.set("movflags", "frag_custom+empty_moov+default_base_moof");
      fragmented_mp4_ = true;
    }
    if (options.muxer == "mp4" && options.keeps_time_base) {
      dictionary.set("video_track_timescale", std::to_string(options.time_base.den));
    }
    if (options.fragmented) {
      // Timestamps start at 0 by the caller's care and must stay as they are given.
      dictionary.set("avoid_negative_ts", "disabled");
    }
    check_written(avformat_write_header(context_.get(), dictionary.address()),
                  "cannot write the header");
    flush_output();
    dictionary.require_all_used(where_);
  }

  // What the muxer says of a file that cannot be written is no more than that; the file knows why.
  // AVIO keeps an error to itself until asked.
  void check_written(int code, const char* what) {
    output_.check();
    check(code, where_, what);
    check(output_.context()->error, where_, what);
  }

  void flush_output() {
    avio_flush(output_.context());
    check_written(0, "cannot write");
    output_.file().end_piece();
  }

  std::string where_;
  FileOutput output_;
  OutputContext context_;
  AVStream* stream_ = nullptr;  // owned by context_
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
  stream->codecpar->codec_tag = tag_for(*raw->oformat, *codec);
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
base::CheckedFile& Muxer::file() {
  return impl_->file();
}
const base::CheckedFile& Muxer::file() const {
  return impl_->file();
}

// ---- MuxerTrial ----

class MuxerTrial::Impl {
 public:
  Impl(const std::string& muxer, const AVCodecParameters* codec, Rational time_base) {
    AVFormatContext* raw = nullptr;
    check(avformat_alloc_output_context2(&raw, nullptr, muxer.c_str(), nullptr), muxer,
          "no such muxer");
    context_.reset(raw);
    constexpr int kBufferSize = 1 << 16;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferSize));
    output_.reset(buffer == nullptr ? nullptr
                                    : avio_alloc_context(buffer, kBufferSize, 1, this, nullptr,
                                                         &Impl::write, &Impl::seek));
    if (!output_) {
      av_free(buffer);
      throw std::bad_alloc();
    }
    raw->pb = output_.get();
    raw->flags |= AVFMT_FLAG_CUSTOM_IO;
    AVStream* stream = avformat_new_stream(raw, nullptr);
    if (stream == nullptr) {
      throw std::bad_alloc();
    }
    check(avcodec_parameters_copy(stream->codecpar, codec), muxer, "cannot set up the stream");
    stream->codecpar->codec_tag = tag_for(*raw->oformat, *codec);
    stream->time_base = to_av(time_base);
    check(avformat_write_header(raw, nullptr), muxer, "cannot write the header");
  }

  bool takes(AVPacket* packet) {
    packet->stream_index = 0;
    return av_write_frame(context_.get(), packet) >= 0;
  }

 private:
  static int write(void* /*self*/, WrittenByte* /*bytes*/, int size) { return size; }
  static std::int64_t seek(void* /*self*/, std::int64_t offset, int whence) {
    return whence == AVSEEK_SIZE ? 0 : offset;
  }

  AvioContext output_;  // outlives what writes into it
  OutputContext context_;
};

MuxerTrial::MuxerTrial(const std::string& muxer, const AVCodecParameters* codec, Rational time_base)
    : impl_(std::make_unique<Impl>(muxer, codec, time_base)) {}
MuxerTrial::MuxerTrial(MuxerTrial&&) noexcept = default;
MuxerTrial& MuxerTrial::operator=(MuxerTrial&&) noexcept = default;
MuxerTrial::~MuxerTrial() = default;

bool MuxerTrial::takes(Packet packet) {
  return impl_->takes(packet.get());
}

}  // namespace avstore::media
