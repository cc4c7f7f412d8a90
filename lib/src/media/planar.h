// YUV formats that hold the same samples, and differ in how these lie in memory.
#pragma once

#include <optional>

#include "avstore/image.h"

namespace avstore::media {

// Of a YUV format, the one with all channels in planes of their own, in this machine's byte order:
// itself, or the one of the same subsampling, depth and channels. None if there is no such one.
std::optional<PixelFormat> planar_form(PixelFormat format);

// The samples as they are in that form.
Image make_planar(const Image& image);

}  // namespace avstore::media
