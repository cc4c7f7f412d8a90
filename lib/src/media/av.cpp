#include "media/av.h"

#include <array>
#include <new>
#include <utility>

namespace avstore::media {
namespace {

// Names that this library spells in its own way, see avstore/image.h.
constexpr std::array<std::pair<AVPixelFormat, PixelFormat>, 2> kOwnNames{{
    {AV_PIX_FMT_GRAY8, pixel::gray8},
    {AV_PIX_FMT_GRAY16LE, pixel::gray16},
}};

ErrorKind kind_of(int code) {
  switch (code) {
    case AVERROR(ENOENT):
      return ErrorKind::not_found;
    case AVERROR(EINVAL):
    case AVERROR_OPTION_NOT_FOUND:
      return ErrorKind::invalid_argument;
    case AVERROR_INVALIDDATA:
    case AVERROR_EOF:
    case AVERROR_BUG:
      return ErrorKind::corrupt;
    case AVERROR_PATCHWELCOME:
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_ENCODER_NOT_FOUND:
    case AVERROR_MUXER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR(ENOSYS):
      return ErrorKind::unsupported;
    default:
      return ErrorKind::io;
  }
}

// libav's own numbers are four letters, and so far beyond any of the system.
int system_error(int code) {
  constexpr int kMostSystemError = 4095;
  const int number = AVUNERROR(code);
  return number <= kMostSystemError ? number : 0;
}

}  // namespace

std::string error_text(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

int check(int code, const std::string& where, const std::string& what) {
  if (code < 0) {
    throw Error(kind_of(code), where + ": " + what + ": " + error_text(code), system_error(code));
  }
  return code;
}

AvFrame make_frame() {
  AvFrame frame(av_frame_alloc());
  if (!frame) {
    throw std::bad_alloc();
  }
  return frame;
}

AvPacket make_packet() {
  AvPacket packet(av_packet_alloc());
  if (!packet) {
    throw std::bad_alloc();
  }
  return packet;
}

CodecParametersPtr clone(const AVCodecParameters* parameters) {
  CodecParametersPtr copy(avcodec_parameters_alloc());
  if (!copy) {
    throw std::bad_alloc();
  }
  check(avcodec_parameters_copy(copy.get(), parameters), "codec parameters", "cannot copy");
  return copy;
}

Dictionary::Dictionary(const std::map<std::string, std::string>& entries) {
  for (const auto& [key, value] : entries) {
    set(key, value);
  }
}

void Dictionary::set(const std::string& key, const std::string& value) {
  check(av_dict_set(&dictionary_, key.c_str(), value.c_str(), 0), key, "cannot note an option");
}

void OpenedAs::require_same(const AVCodecContext& context, const std::string& where) const {
  if (context.width != width_ || context.height != height_ || context.pix_fmt != format_ ||
      av_cmp_q(context.time_base, time_base_) != 0) {
    throw Error(ErrorKind::invalid_argument,
                where +
                    ": an option changes size, pixel format or time base of what is encoded "
                    "(video_size, pixel_format, time_base); these are the frames' own");
  }
}

void Dictionary::require_all_used(const std::string& where) const {
  const AVDictionaryEntry* left = av_dict_get(dictionary_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
  if (left != nullptr) {
    throw Error(ErrorKind::invalid_argument,
                where + ": unknown option '" + std::string(left->key) + "'");
  }
}

int to_int(std::int64_t number, std::string_view what) {
  if (!std::in_range<int>(number)) {
    throw Error(ErrorKind::unsupported, std::string(what) + ": " + std::to_string(number) +
                                            " is more than FFmpeg can count");
  }
  return static_cast<int>(number);
}

AVRational to_av(Rational r) {
  constexpr std::string_view kWhat = "a part of a frame rate or time base";
  return {to_int(r.num, kWhat), to_int(r.den, kWhat)};
}

AVPixelFormat to_av(PixelFormat format) {
  for (const auto& [av, own] : kOwnNames) {
    if (own == format) {
      return av;
    }
  }
  return format.empty() ? AV_PIX_FMT_NONE : av_get_pix_fmt(std::string(format.name()).c_str());
}

PixelFormat from_av(AVPixelFormat format) {
  for (const auto& [av, own] : kOwnNames) {
    if (av == format) {
      return own;
    }
  }
  const char* name = av_get_pix_fmt_name(format);
  return name == nullptr ? PixelFormat() : PixelFormat(std::string_view(name));
}

bool is_full_range_yuvj(AVPixelFormat format) {
  return without_yuvj(format) != format;
}

AVPixelFormat without_yuvj(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      return format;
  }
}

AvFrame wrap(const ImageView& view, std::shared_ptr<const void> owner) {
  AvFrame frame = make_frame();
  frame->format = to_av(view.format);
  frame->width = view.width;
  frame->height = view.height;
  for (std::size_t plane = 0; plane < view.planes.size(); ++plane) {
    frame->data[plane] = const_cast<std::uint8_t*>(view.planes[plane]);
    frame->linesize[plane] = to_int(view.strides[plane], "bytes from an image's row to the next");
  }
  frame->color_range = view.color.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_UNSPECIFIED;
  const int matrix = av_color_space_from_name(view.color.matrix.c_str());
  frame->colorspace = matrix < 0 ? AVCOL_SPC_UNSPECIFIED : static_cast<AVColorSpace>(matrix);
  if (owner) {
    auto kept = std::make_unique<std::shared_ptr<const void>>(std::move(owner));
    frame->buf[0] = av_buffer_create(
        frame->data[0], 1,
        [](void* opaque, std::uint8_t*) {
          std::unique_ptr<std::shared_ptr<const void>>(
              static_cast<std::shared_ptr<const void>*>(opaque))
              .reset();
        },
        kept.get(), AV_BUFFER_FLAG_READONLY);
    if (frame->buf[0] == nullptr) {
      throw std::bad_alloc();
    }
    static_cast<void>(kept.release());
  }
  return frame;
}

bool encoder_takes(const AVCodec& encoder, AVPixelFormat format) {
  const AVPixelFormat* formats = nullptr;  // libavcodec's, ended by AV_PIX_FMT_NONE
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(61, 13, 100)
  const void* config = nullptr;
  if (avcodec_get_supported_config(nullptr, &encoder, AV_CODEC_CONFIG_PIX_FORMAT, 0, &config,
                                   nullptr) >= 0) {
    formats = static_cast<const AVPixelFormat*>(config);
  }
#else
  formats = encoder.pix_fmts;
#endif
  for (; formats != nullptr && *formats != AV_PIX_FMT_NONE; ++formats) {
    if (*formats == format) {
      return true;
    }
  }
  return false;
}

Image to_image(AvFrame frame) {
  check(av_frame_apply_cropping(frame.get(), AV_FRAME_CROP_UNALIGNED), "decoded frame",
        "cannot crop");
  const auto format = static_cast<AVPixelFormat>(frame->format);
  ImageView view;
  view.format = from_av(format);
  view.width = frame->width;
  view.height = frame->height;
  for (std::size_t plane = 0; plane < view.planes.size(); ++plane) {
    view.planes[plane] = frame->data[plane];
    view.strides[plane] = frame->linesize[plane];
  }
  view.color.full_range = frame->color_range == AVCOL_RANGE_JPEG || is_full_range_yuvj(format);
  if (frame->colorspace != AVCOL_SPC_UNSPECIFIED && frame->colorspace != AVCOL_SPC_RGB) {
    const char* matrix = av_color_space_name(frame->colorspace);
    view.color.matrix = matrix == nullptr ? "" : matrix;
  }
  return {view, std::shared_ptr<const void>(frame.release(), [](const void* p) {
            FrameDeleter()(static_cast<AVFrame*>(const_cast<void*>(p)));
          })};
}

}  // namespace avstore::media
