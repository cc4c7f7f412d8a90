#include "media/convert.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "media/av.h"
#include "media/image_copy.h"
#include "media/planar.h"

namespace avstore::media {
namespace {

bool is_rgb(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  return (desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

bool is_gray(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  return desc->nb_components <= 2 && (desc->flags & AV_PIX_FMT_FLAG_PAL) == 0;
}

bool is_yuv(AVPixelFormat format) {
  return !is_rgb(format) && !is_gray(format);
}

// Whether plane 0 of the source, as it is, is the gray image wanted.
bool has_gray_plane(const ImageView& image, AVPixelFormat from, AVPixelFormat to) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(from);
  return to == AV_PIX_FMT_GRAY8 && is_yuv(from) && image.color.full_range &&
         (desc->flags & AV_PIX_FMT_FLAG_PLANAR) != 0 && desc->comp[0].depth == 8 &&
         desc->comp[0].step == 1;
}

Image gray_plane(const Image& image) {
  ImageView view;
  view.format = pixel::gray8;
  view.width = image.width();
  view.height = image.height();
  view.planes[0] = image.data(0);
  view.strides[0] = image.stride(0);
  return {view, std::make_shared<Image>(image)};
}

// libswscale leaves the chroma of these as it finds it when it has gray to convert.
bool has_interleaved_chroma(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  return is_yuv(format) && desc->comp[0].depth == 8 && desc->comp[0].plane == 0 &&
         desc->comp[1].plane == 1 && desc->comp[2].plane == 1;
}

void fill_with_neutral_chroma(AVFrame& frame) {
  constexpr int kNeutral = 128;
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const int rows = AV_CEIL_RSHIFT(frame.height, desc->log2_chroma_h);
  const int columns = AV_CEIL_RSHIFT(frame.width, desc->log2_chroma_w);
  for (int y = 0; y < rows; ++y) {
    std::memset(frame.data[1] + static_cast<std::ptrdiff_t>(y) * frame.linesize[1], kNeutral,
                static_cast<std::size_t>(columns) * static_cast<std::size_t>(desc->comp[1].step));
  }
}

// Four channels of 16 bit: those that libswscale takes through YUV, which loses bits.
struct FourDeep {
  AVPixelFormat format;
  bool blue_first, big_endian;
};
const FourDeep* find_four_deep(AVPixelFormat format) {
  static constexpr std::array<FourDeep, 4> kAll{{{AV_PIX_FMT_RGBA64LE, false, false},
                                                 {AV_PIX_FMT_RGBA64BE, false, true},
                                                 {AV_PIX_FMT_BGRA64LE, true, false},
                                                 {AV_PIX_FMT_BGRA64BE, true, true}}};
  const auto* const found = std::find_if(
      kAll.begin(), kAll.end(), [format](const FourDeep& one) { return one.format == format; });
  return found == kAll.end() ? nullptr : found;
}

Image reorder(const Image& image, const FourDeep& from, const FourDeep& to) {
  constexpr std::size_t kPixel = 8;
  const ImageView& view = image.view();
  const std::size_t row_bytes = kPixel * static_cast<std::size_t>(view.width);
  const auto pixels = std::make_shared<std::vector<std::uint8_t>>(
      row_bytes * static_cast<std::size_t>(view.height));
  for (int y = 0; y < view.height; ++y) {
    const std::uint8_t* in = view.planes[0] + y * view.strides[0];
    std::uint8_t* out = pixels->data() + static_cast<std::size_t>(y) * row_bytes;
    for (std::size_t i = 0; i < row_bytes; ++i) {
      const std::size_t channel = i % kPixel / 2;
      const bool swapped = from.blue_first != to.blue_first && channel % 2 == 0 && channel < 3;
      const std::size_t other = swapped ? i + 4 - 4 * channel : i;
      out[i] = in[from.big_endian == to.big_endian ? other : other ^ 1U];
    }
  }
  ImageView made = view;
  made.format = from_av(to.format);
  made.planes[0] = pixels->data();
  made.strides[0] = static_cast<std::ptrdiff_t>(row_bytes);
  return {made, pixels};
}

int sws_matrix(const Colorimetry& color) {
  const int space = av_color_space_from_name(color.matrix.c_str());
  switch (space) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return SWS_CS_ITU601;
  }
}

// What a context was made for; another kind of image needs another context.
struct Kind {
  AVPixelFormat from = AV_PIX_FMT_NONE;
  AVPixelFormat to = AV_PIX_FMT_NONE;
  int width = 0;
  int height = 0;
  Colorimetry source;
  Colorimetry target;
  bool operator==(const Kind&) const = default;
};

// Where chroma is halved, libswscale makes each sample of two pixels, and takes the second from
// behind the row if there is none.
bool reads_past_rows(const Kind& kind) {
  const AVPixFmtDescriptor* from = av_pix_fmt_desc_get(kind.from);
  const AVPixFmtDescriptor* to = av_pix_fmt_desc_get(kind.to);
  const bool packed = (from->flags & AV_PIX_FMT_FLAG_PLANAR) == 0;
  return is_rgb(kind.from) && packed && is_yuv(kind.to) && to->log2_chroma_w > 0 &&
         kind.width % 2 != 0;
}

// The same image with its last column once more behind it.
Image with_longer_rows(const Image& image) {
  const ImageView& view = image.view();
  const int bits = av_get_padded_bits_per_pixel(av_pix_fmt_desc_get(to_av(view.format)));
  const std::size_t pixel = static_cast<std::size_t>(bits) / 8;
  const std::size_t row = pixel * static_cast<std::size_t>(view.width);
  const std::size_t stride = row + pixel;
  auto rows = std::make_shared<std::vector<std::uint8_t>>(
      stride * static_cast<std::size_t>(view.height) + AV_INPUT_BUFFER_PADDING_SIZE);
  for (int y = 0; y < view.height; ++y) {
    const std::uint8_t* from = view.planes[0] + y * view.strides[0];
    std::uint8_t* to = rows->data() + static_cast<std::size_t>(y) * stride;
    std::copy_n(from, row, to);
    std::copy_n(from + row - pixel, pixel, to + row);
  }
  ImageView longer = view;
  longer.planes[0] = rows->data();
  longer.strides[0] = static_cast<std::ptrdiff_t>(stride);
  return {longer, std::move(rows)};
}

std::string describe(const Kind& kind) {
  return "conversion of " + std::string(from_av(kind.from).name()) + " to " +
         std::string(from_av(kind.to).name());
}

// Plain unscaled conversion, the same that OpenCV's reader asks for, so that pixels agree with
// those the reference implementation reads.
constexpr int kFlags = SWS_BICUBIC;
// libjpeg weights the two nearest samples of chroma 3 to 1. This comes closest: bilinear filters of
// libswscale take one of two neighbouring rows, or their mean.
constexpr int kSmoothFlags = SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND;

Sws make_context(const Kind& kind, int threads) {
  Sws context(sws_alloc_context());
  if (!context) {
    throw std::bad_alloc();
  }
  const auto set = [&](const char* name, std::int64_t value) {
    check(av_opt_set_int(context.get(), name, value, 0), describe(kind), name);
  };
  set("srcw", kind.width);
  set("srch", kind.height);
  set("src_format", without_yuvj(kind.from));
  set("dstw", kind.width);
  set("dsth", kind.height);
  set("dst_format", without_yuvj(kind.to));
  if (kind.source.smooth_chroma && is_rgb(kind.to)) {
    set("sws_flags", kSmoothFlags);
  } else {
    set("sws_flags", kFlags);
  }
  set("threads", threads);
  const bool source_full = !is_yuv(kind.from) || kind.source.full_range;
  const bool target_full = !is_yuv(kind.to) || kind.target.full_range;
  set("src_range", source_full ? 1 : 0);
  set("dst_range", target_full ? 1 : 0);
  const int code = sws_init_context(context.get(), nullptr, nullptr);
  if (code < 0) {
    throw Error(ErrorKind::unsupported, describe(kind) + ": " + error_text(code));
  }
  // Not all conversions have a use for the matrix; the return value only says so.
  static_cast<void>(sws_setColorspaceDetails(
      context.get(), sws_getCoefficients(sws_matrix(kind.source)), source_full ? 1 : 0,
      sws_getCoefficients(sws_matrix(kind.target)), target_full ? 1 : 0, 0, 1 << 16, 1 << 16));
  return context;
}

}  // namespace

class Converter::Impl {
 public:
  explicit Impl(int threads) : threads_(threads) {}

  Image convert(const Image& image, PixelFormat format, const Colorimetry* target_color) {
    const ImageView& view = image.view();
    const AVPixelFormat from = to_av(view.format);
    const AVPixelFormat to = to_av(format);
    if (format == view.format && (target_color == nullptr || *target_color == view.color)) {
      return image;
    }
    if (from == AV_PIX_FMT_NONE || to == AV_PIX_FMT_NONE) {
      throw Error(ErrorKind::unsupported, "no conversion from " + std::string(view.format.name()) +
                                              " to " + std::string(format.name()));
    }
    if (has_gray_plane(view, from, to)) {
      return gray_plane(image);
    }
    if (find_four_deep(from) != nullptr && find_four_deep(to) != nullptr) {
      return reorder(image, *find_four_deep(from), *find_four_deep(to));
    }
    if (sws_isSupportedInput(from) == 0 && planar_form(view.format)) {
      return convert(make_planar(image), format, target_color);
    }
    Kind kind{from, to, view.width, view.height, view.color, {}};
    kind.target = target_color != nullptr ? *target_color : default_target(view, from, to);
    prepare(kind);
    return run(image);
  }

  Image copy(const Image& image) {
    const std::size_t size = packed_size(image.view());
    if (!copies_ || copy_size_ != size) {
      copies_.reset(av_buffer_pool_init(size, nullptr));
      copy_size_ = size;
    }
    AVBufferRef* const buffer = copies_ ? av_buffer_pool_get(copies_.get()) : nullptr;
    if (buffer == nullptr) {
      throw std::bad_alloc();
    }
    std::shared_ptr<AVBufferRef> memory(buffer, [](AVBufferRef* used) { av_buffer_unref(&used); });
    std::uint8_t* const pixels = memory->data;
    return copy_into(image.view(), pixels, std::move(memory));
  }

 private:
  static Colorimetry default_target(const ImageView& view, AVPixelFormat from, AVPixelFormat to) {
    if (!is_yuv(to)) {
      return {};
    }
    Colorimetry target = is_yuv(from) ? view.color : Colorimetry{"smpte170m", is_gray(from)};
    target.full_range = target.full_range || is_full_range_yuvj(to);
    return target;
  }

  void prepare(const Kind& kind) {
    if (context_ && kind == kind_) {
      return;
    }
    if (sws_isSupportedInput(kind.from) == 0 || sws_isSupportedOutput(kind.to) == 0) {
      throw Error(ErrorKind::unsupported, describe(kind) + ": libswscale has none");
    }
    context_ = make_context(kind, threads_);
    kind_ = kind;
    const int size = check(av_image_get_buffer_size(kind.to, kind.width, kind.height, kAlignment),
                           describe(kind), "cannot size the result");
    pool_.reset(av_buffer_pool_init(static_cast<std::size_t>(size) + kSlack, nullptr));
    if (!pool_) {
      throw std::bad_alloc();
    }
  }

  AvFrame make_target() {
    AvFrame target = make_frame();
    target->format = kind_.to;
    target->width = kind_.width;
    target->height = kind_.height;
    target->buf[0] = av_buffer_pool_get(pool_.get());
    if (target->buf[0] == nullptr) {
      throw std::bad_alloc();
    }
    check(av_image_fill_arrays(target->data, target->linesize, target->buf[0]->data, kind_.to,
                               kind_.width, kind_.height, kAlignment),
          describe(kind_), "cannot lay out the result");
    if (is_yuv(kind_.to)) {
      target->color_range = kind_.target.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
      const int matrix = av_color_space_from_name(kind_.target.matrix.c_str());
      target->colorspace = matrix < 0 ? AVCOL_SPC_UNSPECIFIED : static_cast<AVColorSpace>(matrix);
    }
    return target;
  }

  Image run(const Image& image) {
    const Image whole = reads_past_rows(kind_) ? with_longer_rows(image) : image;
    const AvFrame source = wrap(whole.view(), std::make_shared<Image>(whole));
    AvFrame target = make_target();
    check(sws_scale_frame(context_.get(), target.get(), source.get()), describe(kind_), "failed");
    if (is_gray(kind_.from) && has_interleaved_chroma(kind_.to)) {
      fill_with_neutral_chroma(*target);
    }
    return to_image(std::move(target));
  }

  // Rows on cache-line boundaries, and room behind the last for SIMD loops that overrun.
  static constexpr int kAlignment = 64;
  static constexpr std::size_t kSlack = 64;

  int threads_;
  Kind kind_;
  Sws context_;
  BufferPool pool_;
  BufferPool copies_;
  std::size_t copy_size_ = 0;  // of each of them
};

Converter::Converter(int threads) : impl_(std::make_unique<Impl>(threads)) {}
Converter::~Converter() = default;
Converter::Converter(Converter&&) noexcept = default;
Converter& Converter::operator=(Converter&&) noexcept = default;

Image Converter::convert(const Image& image, PixelFormat format) {
  return impl_->convert(image, format, nullptr);
}

Image Converter::copy(const Image& image) {
  return impl_->copy(image);
}

Image Converter::convert(const Image& image, PixelFormat format, const Colorimetry& target_color) {
  return impl_->convert(image, format, &target_color);
}

}  // namespace avstore::media
