// Pictures for the benchmarks to encode.
#pragma once

#include <cstdint>
#include <vector>

namespace avstore::bench {

// Smooth noise that moves by a few pixels from frame to frame, as a camera's picture does: packed
// frames of `channels` (1 to 3) bytes a pixel.
std::vector<std::vector<std::uint8_t>> moving_texture(int count, int width, int height,
                                                      int channels);

}  // namespace avstore::bench
