// Single images in the formats that libavcodec knows.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "avstore/image.h"

namespace avstore::media {

// Whether that extension (with the dot, any case) is one of .png .tif .tiff .jpg .jpeg .bmp .ppm
// .pgm
bool is_still_extension(const std::string& extension);

// Whether such files hold 16 bit a channel. True for an extension that is not known.
bool still_keeps_depth(const std::string& extension);

// The bytes of an image file. 16 bit a channel is kept where the format can hold it; else colour
// becomes 8 bit, and gray, which is measured more often than looked at, is refused. .ppm makes
// colour and .pgm gray of everything. `options` are libav options of the encoder. Throws
// Error(unsupported) if the format cannot hold such pixels; `where` is for messages.
std::vector<std::uint8_t> encode_still(const ImageView& image, const std::string& extension,
                                       const std::map<std::string, std::string>& options,
                                       const std::string& where);

// The most bytes that an image file can have: what libavcodec takes as one packet.
inline constexpr std::uint64_t kLongestStill = (std::uint64_t{1} << 31) - 66;

// The image in an image file, in the decoder's own pixel format.
// Throws Error: corrupt, unsupported (also: longer than kLongestStill).
Image decode_still(std::span<const std::uint8_t> bytes, const std::string& extension,
                   const std::string& where);

}  // namespace avstore::media
