// Images: views on pixels somebody else owns, and images that share the ownership of theirs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/types.h"

namespace avstore {

// How pixels lie in memory. A value holds a name: one of the constants below, or any other name of
// a libav pixel format ("yuv444p10le"), which is what a decoder's own planes may come in.
class PixelFormat {
 public:
  constexpr PixelFormat() = default;

  // The format of that name, in libav's spelling or one of the constants'.
  // Throws Error(invalid_argument) for an unknown one.
  static PixelFormat from_name(std::string_view name);

  constexpr std::string_view name() const { return name_; }
  constexpr bool empty() const { return name_.empty(); }
  constexpr bool operator==(const PixelFormat&) const = default;

  // For the constants below only: `name` must live for the whole program.
  constexpr explicit PixelFormat(std::string_view name) : name_(name) {}

 private:
  std::string_view name_;
};

namespace pixel {
inline constexpr PixelFormat gray8{"gray8"};      // one byte a pixel
inline constexpr PixelFormat gray16{"gray16"};    // 16 bit, little-endian
inline constexpr PixelFormat bgr24{"bgr24"};      // packed B, G, R bytes
inline constexpr PixelFormat rgb24{"rgb24"};      // packed R, G, B bytes
inline constexpr PixelFormat bgra{"bgra"};        // packed B, G, R, A bytes
inline constexpr PixelFormat bgr48{"bgr48le"};    // packed B, G, R of 16 bit, little-endian
inline constexpr PixelFormat bgra64{"bgra64le"};  // packed B, G, R, A of 16 bit, little-endian
inline constexpr PixelFormat yuv420p{"yuv420p"};  // planes Y, U, V; chroma halved both ways
inline constexpr PixelFormat nv12{"nv12"};        // plane Y, plane of U and V interleaved
inline constexpr PixelFormat array{"array"};      // any NumPy array, see ArrayType
}  // namespace pixel

// Element type and shape of an image that is a plain array (PixelFormat "array").
struct ArrayType {
  std::string dtype;                // NumPy type string of numbers, such as "<f8" or "|u1"
  std::vector<std::int64_t> shape;  // [rows, columns] or [rows, columns, channels]
  bool operator==(const ArrayType&) const = default;
};

// The YUV matrix and range that a YUV image was made with, in libav's names.
struct Colorimetry {
  std::string matrix;  // "smpte170m", "bt709", ...; empty if the file does not say
  bool full_range = false;
  // Chroma is interpolated between its samples when this becomes RGB, as readers of JPEG files do;
  // else each sample is used as it is for all its pixels, as readers of video do.
  bool smooth_chroma = false;
  bool operator==(const Colorimetry&) const = default;
};

// Pixels that somebody else owns: valid only as long as they are.
struct ImageView {
  PixelFormat format;
  int width = 0;   // pixels
  int height = 0;  // pixels
  std::array<const std::uint8_t*, 4> planes{};
  std::array<std::ptrdiff_t, 4> strides{};  // bytes from a row to the next, per plane
  Colorimetry color;                        // of YUV formats only
  ArrayType array;                          // of "array" only: C order, no padding within a row
};

// Pixels with their owner. Copying shares the pixels, which never change once the image is handed
// out; the last copy frees them. Safe to use from any thread.
class Image {
 public:
  Image() = default;
  // `owner` keeps what `view` points at alive.
  Image(ImageView view, std::shared_ptr<const void> owner)
      : view_(std::move(view)), owner_(std::move(owner)) {}

  const ImageView& view() const { return view_; }
  PixelFormat format() const { return view_.format; }
  int width() const { return view_.width; }
  int height() const { return view_.height; }
  const std::uint8_t* data(int plane = 0) const { return view_.planes[static_cast<size_t>(plane)]; }
  std::ptrdiff_t stride(int plane = 0) const { return view_.strides[static_cast<size_t>(plane)]; }
  bool empty() const { return view_.planes[0] == nullptr; }

 private:
  ImageView view_;
  std::shared_ptr<const void> owner_;
};

// A view of packed pixels (one plane: gray8, gray16, bgr24, rgb24, bgra) at `data`, `stride` bytes
// from row to row; 0 stands for rows without padding.
// Throws Error(invalid_argument) for planar formats.
ImageView packed_view(PixelFormat format, int width, int height, const void* data,
                      std::ptrdiff_t stride = 0);

// A view of one image lying in a single buffer, planes one after another without padding, the way
// `ffmpeg -f rawvideo` lays them out. `data` must hold packed_size() bytes.
ImageView contiguous_view(PixelFormat format, int width, int height, const void* data);

// Bytes of such a buffer. Throws Error(invalid_argument) for a size that no image has, and for an
// array of other elements than numbers (NumPy's kinds b, i, u, f and c) or of another shape.
std::size_t packed_size(PixelFormat format, int width, int height);
std::size_t packed_size(const ImageView& image);

// The image's planes one after another, without padding between rows or planes.
std::vector<std::uint8_t> pack(const ImageView& image);

// An image of its own with the same pixels.
Image copy(const ImageView& image);

// The same image in another pixel format, with pixels of its own. YUV is converted by its matrix
// and range as stated in `color`; unstated means BT.601, limited range. Gray is full range. Throws
// Error(unsupported) where no conversion exists (to or from "array").
Image convert(const ImageView& image, PixelFormat format);

// Lower-case hexadecimal MD5 of pack(image).
std::string md5(const ImageView& image);

// Write an image file; the format follows from the file's extension (png, tif, jpg, bmp, ppm, pgm,
// npy). An existing file is replaced.
void write_image(const std::string& path, const ImageView& image);

// Whether write_image() would leave bits out: pixels of more than 8 bit a channel in a kind of file
// that has 8 (jpg, bmp). `path` counts by its extension only.
bool loses_depth(const std::string& path, PixelFormat format);

// Read an image file of those kinds. Throws Error(corrupt) for a damaged one.
Image read_image(const std::string& path);

// A frame read from a store: its pixels and its names.
struct Frame {
  FrameInfo info;
  Image image;
};

}  // namespace avstore
