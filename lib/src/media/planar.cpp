#include "media/planar.h"

#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <vector>

#include "media/av.h"

namespace avstore::media {
namespace {

bool is_yuv(const AVPixFmtDescriptor& desc) {
  constexpr std::uint64_t kOthers = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL |
                                    AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BITSTREAM |
                                    AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
  return desc.nb_components >= 3 && (desc.flags & kOthers) == 0 &&
         !std::string_view(desc.name).starts_with("xyz");
}

bool is_big_endian(const AVPixFmtDescriptor& desc) {
  return (desc.flags & AV_PIX_FMT_FLAG_BE) != 0;
}

bool is_wide(const AVComponentDescriptor& channel) {
  return channel.depth > 8;
}

bool is_planar(const AVPixFmtDescriptor& desc) {
  if (is_wide(desc.comp[0]) && is_big_endian(desc) != (std::endian::native == std::endian::big)) {
    return false;
  }
  for (int i = 0; i < desc.nb_components; ++i) {
    const AVComponentDescriptor& channel = desc.comp[i];
    if (channel.plane != i || channel.shift != 0 || channel.offset != 0 ||
        channel.step != (is_wide(channel) ? 2 : 1)) {
      return false;
    }
  }
  return true;
}

bool hold_the_same(const AVPixFmtDescriptor& a, const AVPixFmtDescriptor& b) {
  if (a.nb_components != b.nb_components || a.log2_chroma_w != b.log2_chroma_w ||
      a.log2_chroma_h != b.log2_chroma_h) {
    return false;
  }
  for (int i = 0; i < a.nb_components; ++i) {
    if (a.comp[i].depth != b.comp[i].depth) {
      return false;
    }
  }
  return true;
}

// Bytes from the beginning of a row to a sample.
std::size_t place_of(AVPixelFormat format, const AVComponentDescriptor& channel, int index, int x) {
  if (format == AV_PIX_FMT_UYYVYY411 && index == 0) {
    // Not evenly spaced: the descriptor cannot say that.
    constexpr std::array<std::size_t, 4> kLuma{1, 2, 4, 5};
    return static_cast<std::size_t>(x) / 4 * 6 + kLuma[static_cast<std::size_t>(x) % 4];
  }
  return static_cast<std::size_t>(channel.offset) +
         static_cast<std::size_t>(x) * static_cast<std::size_t>(channel.step);
}

unsigned wide_sample(const std::uint8_t* at, bool big_endian, const AVComponentDescriptor& from) {
  const unsigned value = big_endian ? static_cast<unsigned>(at[0] << 8 | at[1])
                                    : static_cast<unsigned>(at[1] << 8 | at[0]);
  return value >> from.shift & ((1U << from.depth) - 1);
}

void copy_row(const std::uint8_t* row, AVPixelFormat format, int index, int width,
              std::uint8_t* to) {
  const AVPixFmtDescriptor& desc = *av_pix_fmt_desc_get(format);
  const AVComponentDescriptor& channel = desc.comp[index];
  for (int x = 0; x < width; ++x) {
    const std::uint8_t* at = row + place_of(format, channel, index, x);
    if (is_wide(channel)) {
      const auto sample = static_cast<std::uint16_t>(wide_sample(at, is_big_endian(desc), channel));
      std::memcpy(to + static_cast<std::ptrdiff_t>(2) * x, &sample, sizeof sample);
    } else {
      to[x] = *at;
    }
  }
}

}  // namespace

std::optional<PixelFormat> planar_form(PixelFormat format) {
  const AVPixelFormat from = without_yuvj(to_av(format));
  const AVPixFmtDescriptor* wanted = av_pix_fmt_desc_get(from);
  if (wanted == nullptr || !is_yuv(*wanted)) {
    return std::nullopt;
  }
  if (is_planar(*wanted)) {
    return from_av(from);
  }
  const AVPixFmtDescriptor* other = nullptr;
  while ((other = av_pix_fmt_desc_next(other)) != nullptr) {
    const AVPixelFormat found = av_pix_fmt_desc_get_id(other);
    if (is_yuv(*other) && is_planar(*other) && hold_the_same(*wanted, *other) &&
        !is_full_range_yuvj(found)) {
      return from_av(found);
    }
  }
  return std::nullopt;
}

Image make_planar(const Image& image) {
  const PixelFormat format = planar_form(image.format()).value();
  const ImageView& view = image.view();
  const AVPixelFormat from = to_av(view.format);
  const AVPixFmtDescriptor& desc = *av_pix_fmt_desc_get(from);
  auto memory = std::make_shared<std::vector<std::uint8_t>>(
      packed_size(format, view.width, view.height) + AV_INPUT_BUFFER_PADDING_SIZE);
  ImageView made = contiguous_view(format, view.width, view.height, memory->data());
  made.color = view.color;
  std::uint8_t* to = memory->data();
  for (int i = 0; i < desc.nb_components; ++i) {
    const bool chroma = i == 1 || i == 2;
    const int width = chroma ? AV_CEIL_RSHIFT(view.width, desc.log2_chroma_w) : view.width;
    const int height = chroma ? AV_CEIL_RSHIFT(view.height, desc.log2_chroma_h) : view.height;
    const auto plane = static_cast<std::size_t>(desc.comp[i].plane);
    for (int y = 0; y < height; ++y, to += made.strides[static_cast<std::size_t>(i)]) {
      copy_row(view.planes[plane] + y * view.strides[plane], from, i, width, to);
    }
  }
  return {made, std::move(memory)};
}

}  // namespace avstore::media
