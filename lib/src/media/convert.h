// Conversion between pixel formats through libswscale.
#pragma once

#include <memory>

#include "avstore/image.h"

namespace avstore::media {

// Converts images; keeps contexts and buffers between calls for images of the same kind. For one
// thread at a time. Images it made may outlive it.
class Converter {
 public:
  explicit Converter(int threads);  // how many threads share the work on one image
  ~Converter();
  Converter(Converter&&) noexcept;
  Converter& operator=(Converter&&) noexcept;

  // The image in another pixel format, or itself if it has that already. Where the pixels wanted
  // are a plane of the source (gray from full-range YUV), they are shared and not copied.
  // `target_color` is the colorimetry of a YUV result; by default that of the source if it is YUV,
  // else BT.601 limited range.
  // Throws Error(unsupported) where libswscale has no such conversion.
  Image convert(const Image& image, PixelFormat format);
  Image convert(const Image& image, PixelFormat format, const Colorimetry& target_color);

  // The same image in memory of its own, without padding.
  Image copy(const Image& image);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
