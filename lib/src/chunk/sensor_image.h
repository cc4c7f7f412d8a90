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
// The same, or one of OpenCV's other colour spaces, of which stores can be made all the same.
bool is_encoding(const std::string& encoding);

// The sensor's data in `image`, as decode_sensor() takes them: `image` itself, or the same bytes
// where its pixel format lies in memory as the encoding has it (rgb24 and cv_rgb, nv12 and
// cv_yuv_nv12). Throws Error(invalid_argument) for an image that cannot be of this encoding;
// messages begin with `where`.
Image as_sensor_data(const Image& image, const std::string& encoding, const std::string& where);
// Whether a pixel format names an order of channels that the encoding contradicts (bgr24, cv_rgb).
bool contradicts(PixelFormat format, const std::string& encoding);
// Whether images of a store's format have the channels that data of that encoding need.
bool holds_sensor_data(const std::string& format, const std::string& encoding);
// The data of a black picture, of the kind of `data`.
Image black_sensor_data(const ImageView& data, const std::string& encoding);

// Rows of the picture in `stored_rows` rows of stored data: fewer where planes of halved chroma
// follow the luma.
std::int64_t picture_rows(const std::string& encoding, std::int64_t stored_rows);

// The picture in `stored`, as a packed image of gray8, gray16, bgr24, bgra, bgr48 or bgra64 or an
// array of 8-bit channels, whatever those stand for really. [rows, columns, 3] in B, G, R: bgr24,
// or bgr48 from a mosaic or channels of 16 bit.
// Throws Error: unsupported (an encoding that is not known), corrupt (pixels or a size that cannot
// be of this encoding); messages begin with `where`.
Image decode_sensor(const Image& stored, const std::string& encoding, const std::string& where);

}  // namespace avstore::chunk
