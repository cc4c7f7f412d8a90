// What the benchmark compares against: the shortest loops on libav* that do the same work.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace avstore::bench {

// Decode a file from its beginning and convert each frame to bgr24. Returns the number of frames.
int bare_decode(const std::string& file, int threads);

// For each frame wanted: seek to the keyframe before it, decode up to it, convert it to bgr24.
// Frames are evenly spaced from PTS 0. `slice_threads`: the decoder's threads share a frame; else
// frames, and what is inside is drained to get the last one out.
void bare_random(const std::string& file, const std::vector<int>& frames, bool slice_threads,
                 int threads);

// Convert and encode frames, bgr24 or (`gray`) as the luma of yuv420p, with libx264 and these
// options, into a fragmented MP4.
void bare_encode(const std::string& file, const std::vector<std::vector<std::uint8_t>>& frames,
                 int count, int width, int height, int fps, int gop, int threads,
                 const std::map<std::string, std::string>& options, bool gray = false);

}  // namespace avstore::bench
