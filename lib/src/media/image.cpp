// avstore/image.h: geometry, packing, conversion and hashes of images.
#include "avstore/image.h"

#include <array>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "media/av.h"
#include "media/convert.h"
#include "media/image_copy.h"
#include "media/pixel_checksum.h"

namespace avstore {
namespace {

using media::check;

struct PlaneSize {
  std::size_t row_bytes = 0;
  std::size_t rows = 0;
};

std::string describe(PixelFormat format, int width, int height) {
  return std::string(format.name()) + " image of " + std::to_string(width) + "x" +
         std::to_string(height);
}

const AVPixFmtDescriptor& descriptor(PixelFormat format) {
  const AVPixFmtDescriptor* found = av_pix_fmt_desc_get(media::to_av(format));
  if (found == nullptr || (found->flags & AV_PIX_FMT_FLAG_HWACCEL) != 0) {
    throw Error(ErrorKind::invalid_argument,
                "pixel format '" + std::string(format.name()) + "' has no planes in memory");
  }
  return *found;
}

void require_size(PixelFormat format, int width, int height) {
  if (width <= 0 || height <= 0 ||
      av_image_check_size(static_cast<unsigned>(width), static_cast<unsigned>(height), 0, nullptr) <
          0) {
    throw Error(ErrorKind::invalid_argument,
                describe(format, width, height) + ": not a possible size");
  }
}

// Bytes of a row and number of rows of each plane; a palette counts as a plane of one row.
std::array<PlaneSize, 4> plane_sizes(PixelFormat format, int width, int height) {
  require_size(format, width, height);
  const AVPixFmtDescriptor& desc = descriptor(format);
  const AVPixelFormat av = media::to_av(format);
  std::array<PlaneSize, 4> sizes;
  const int planes = av_pix_fmt_count_planes(av);
  for (int plane = 0; plane < planes; ++plane) {
    const int row_bytes = check(av_image_get_linesize(av, width, plane),
                                describe(format, width, height), "cannot size a row");
    const bool chroma = plane == 1 || plane == 2;
    const int rows = chroma ? AV_CEIL_RSHIFT(height, desc.log2_chroma_h) : height;
    sizes[static_cast<std::size_t>(plane)] = {static_cast<std::size_t>(row_bytes),
                                              static_cast<std::size_t>(rows)};
  }
  if ((desc.flags & AV_PIX_FMT_FLAG_PAL) != 0) {
    sizes[1] = {AVPALETTE_SIZE, 1};
  }
  return sizes;
}

// Bytes of an element. NumPy has other types than numbers, but no image can be read back from them.
std::size_t element_bytes(const std::string& dtype) {
  constexpr std::array<std::pair<std::string_view, std::size_t>, 16> kNumbers{{{"b1", 1},
                                                                               {"i1", 1},
                                                                               {"i2", 2},
                                                                               {"i4", 4},
                                                                               {"i8", 8},
                                                                               {"u1", 1},
                                                                               {"u2", 2},
                                                                               {"u4", 4},
                                                                               {"u8", 8},
                                                                               {"f2", 2},
                                                                               {"f4", 4},
                                                                               {"f8", 8},
                                                                               {"f16", 16},
                                                                               {"c8", 8},
                                                                               {"c16", 16},
                                                                               {"c32", 32}}};
  const bool has_order = !dtype.empty() && std::string_view("<>|=").find(dtype[0]) != dtype.npos;
  const std::string_view number = std::string_view(dtype).substr(has_order ? 1 : 0);
  for (const auto& [name, bytes] : kNumbers) {
    if (name == number) {
      return bytes;
    }
  }
  throw Error(ErrorKind::invalid_argument,
              "an array of type '" + dtype + "' is no image: its elements are no numbers");
}

// Of [rows, columns] or [rows, columns, channels].
std::size_t array_row_bytes(const ImageView& image) {
  const std::vector<std::int64_t>& shape = image.array.shape;
  std::size_t bytes = element_bytes(image.array.dtype);
  bool fits = (shape.size() == 2 || shape.size() == 3) && shape[0] == image.height &&
              shape[1] == image.width && image.height > 0;
  for (std::size_t i = 1; fits && i < shape.size(); ++i) {
    fits =
        shape[i] > 0 && !__builtin_mul_overflow(bytes, static_cast<std::size_t>(shape[i]), &bytes);
  }
  constexpr std::size_t kMost = std::numeric_limits<std::ptrdiff_t>::max();
  if (!fits || bytes > kMost / static_cast<std::size_t>(image.height)) {
    throw Error(ErrorKind::invalid_argument,
                describe(image.format, image.width, image.height) +
                    ": an array of another shape, or of none that an image can have");
  }
  return bytes;
}

std::array<PlaneSize, 4> plane_sizes(const ImageView& image) {
  if (image.format != pixel::array) {
    return plane_sizes(image.format, image.width, image.height);
  }
  return {PlaneSize{array_row_bytes(image), static_cast<std::size_t>(image.height)}};
}

std::size_t total(const std::array<PlaneSize, 4>& sizes) {
  std::size_t bytes = 0;
  for (const PlaneSize& size : sizes) {
    bytes += size.row_bytes * size.rows;
  }
  return bytes;
}

// Calls `take` with each row of each plane in order.
template <typename Take>
void for_each_row(const ImageView& image, const Take& take) {
  const auto sizes = plane_sizes(image);
  for (std::size_t plane = 0; plane < sizes.size(); ++plane) {
    const std::uint8_t* row = image.planes[plane];
    for (std::size_t y = 0; y < sizes[plane].rows; ++y, row += image.strides[plane]) {
      take(row, sizes[plane].row_bytes);
    }
  }
}

void pack_into(const ImageView& image, std::uint8_t* out) {
  for_each_row(image, [&out](const std::uint8_t* row, std::size_t size) {
    std::memcpy(out, row, size);
    out += size;
  });
}

}  // namespace

namespace media {

Image copy_into(const ImageView& image, std::uint8_t* memory, std::shared_ptr<const void> owner) {
  pack_into(image, memory);
  ImageView view = image;
  const auto sizes = plane_sizes(image);
  const std::uint8_t* next = memory;
  for (std::size_t plane = 0; plane < sizes.size(); ++plane) {
    const bool present = sizes[plane].rows != 0;
    view.planes[plane] = present ? next : nullptr;
    view.strides[plane] = static_cast<std::ptrdiff_t>(sizes[plane].row_bytes);
    next += sizes[plane].row_bytes * sizes[plane].rows;
  }
  return {view, std::move(owner)};
}

}  // namespace media

PixelFormat PixelFormat::from_name(std::string_view name) {
  if (name == pixel::array.name()) {
    return pixel::array;
  }
  const AVPixelFormat av = av_get_pix_fmt(std::string(name).c_str());
  if (av == AV_PIX_FMT_NONE) {
    throw Error(ErrorKind::invalid_argument,
                "unknown pixel format '" + std::string(name) +
                    "'; common ones are gray8, gray16, bgr24, rgb24, bgra, yuv420p, nv12");
  }
  return media::from_av(av);
}

ImageView packed_view(PixelFormat format, int width, int height, const void* data,
                      std::ptrdiff_t stride) {
  const auto sizes = plane_sizes(format, width, height);
  if (sizes[1].rows != 0) {
    throw Error(ErrorKind::invalid_argument,
                describe(format, width, height) + ": has several planes");
  }
  ImageView view;
  view.format = format;
  view.width = width;
  view.height = height;
  view.planes[0] = static_cast<const std::uint8_t*>(data);
  view.strides[0] = stride != 0 ? stride : static_cast<std::ptrdiff_t>(sizes[0].row_bytes);
  return view;
}

ImageView contiguous_view(PixelFormat format, int width, int height, const void* data) {
  const auto sizes = plane_sizes(format, width, height);
  ImageView view;
  view.format = format;
  view.width = width;
  view.height = height;
  const auto* next = static_cast<const std::uint8_t*>(data);
  for (std::size_t plane = 0; plane < sizes.size() && sizes[plane].rows != 0; ++plane) {
    view.planes[plane] = next;
    view.strides[plane] = static_cast<std::ptrdiff_t>(sizes[plane].row_bytes);
    next += sizes[plane].row_bytes * sizes[plane].rows;
  }
  return view;
}

std::size_t packed_size(PixelFormat format, int width, int height) {
  return total(plane_sizes(format, width, height));
}

std::size_t packed_size(const ImageView& image) {
  return total(plane_sizes(image));
}

std::vector<std::uint8_t> pack(const ImageView& image) {
  std::vector<std::uint8_t> bytes(packed_size(image));
  pack_into(image, bytes.data());
  return bytes;
}

Image copy(const ImageView& image) {
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(packed_size(image));
  std::uint8_t* const memory = bytes->data();
  return media::copy_into(image, memory, std::move(bytes));
}

Image convert(const ImageView& image, PixelFormat format) {
  Image converted = media::Converter(1).convert(Image(image, nullptr), format);
  // Nobody says how long the pixels given stay.
  return converted.data() == image.planes[0] ? copy(converted.view()) : converted;
}

std::string md5(const ImageView& image) {
  const std::unique_ptr<AVMD5, void (*)(AVMD5*)> context(av_md5_alloc(),
                                                         [](AVMD5* md5) { av_free(md5); });
  if (!context) {
    throw std::bad_alloc();
  }
  av_md5_init(context.get());
  for_each_row(image, [&context](const std::uint8_t* row, std::size_t size) {
    av_md5_update(context.get(), row, size);
  });
  std::array<std::uint8_t, 16> digest{};
  av_md5_final(context.get(), digest.data());
  std::string hex;
  for (const std::uint8_t byte : digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace avstore

namespace avstore::media {

std::uint32_t pixel_checksum(const ImageView& image) {
  AVAdler sum = 1;
  for_each_row(image, [&sum](const std::uint8_t* row, std::size_t size) {
    sum = av_adler32_update(sum, row, size);
  });
  return static_cast<std::uint32_t>(sum);
}

}  // namespace avstore::media
