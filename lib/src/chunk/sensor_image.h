// Pictures from raw sensor data: Bayer mosaics, YUV as cameras send it, other orders of channels.
// Source: https://docs.opencv.org/4.6.0/de/d25/imgproc_color_conversions.html; pixels equal those
// of OpenCV's cvtColor, which the format's other readers use.
#pragma once

#include <cstdint>
#include <string>

#include "avstore/image.h"

namespace avstore::chunk {

// Whether decode_sensor() knows that encoding, a name in metadata.yaml such as "cv_bayerbg".
bool knows_encoding(const std::string& encoding);

// Rows of the picture in `stored_rows` rows of stored data: fewer where planes of halved chroma
// follow the luma.
std::int64_t picture_rows(const std::string& encoding, std::int64_t stored_rows);

// The picture in `stored`, as a packed image of gray8, gray16, bgr24 or bgra or an array of 8-bit
// channels, whatever those stand for really. [rows, columns, 3] in B, G, R: bgr24, or bgr48le from
// a mosaic of 16 bit.
// Throws Error: unsupported (an encoding that is not known), corrupt (pixels or a size that cannot
// be of this encoding); messages begin with `where`.
Image decode_sensor(const Image& stored, const std::string& encoding, const std::string& where);

}  // namespace avstore::chunk
