// Gray JPEG files, which libavcodec's encoder does not write.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace avstore::media {

// A JPEG file with the luma alone of one with chroma: the same quantized coefficients, so that what
// is decoded is the luma of the other bit for bit. `jpeg` is baseline with the usual Huffman tables
// (libavcodec's option huffman=default), luma first, no restart markers.
// Source: ITU-T T.81, B.2 (segments), F.1.2 (entropy coding), A.2 (order of blocks).
// Throws Error(unsupported) for other files; `where` is for messages.
std::vector<std::uint8_t> luma_alone(std::span<const std::uint8_t> jpeg, const std::string& where);

}  // namespace avstore::media
