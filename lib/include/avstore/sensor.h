// Pictures from a sensor's raw data that lie in memory; Reader does the same for stores.
#pragma once

#include <string>

#include "avstore/image.h"

namespace avstore {

// The picture in `data`, with pixels of its own: bgr24, or bgr48le from 16 bit, the same as
// OpenCV's cvtColor makes. `data` and `encoding` ("cv_bayerbg") are as WriterOptions::encoding
// says. Throws Error: invalid_argument for an image that cannot be of that encoding; unsupported
// for an encoding that is not known.
Image decode_sensor(const ImageView& data, const std::string& encoding);

}  // namespace avstore
