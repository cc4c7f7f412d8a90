// What a file's first video stream holds, by bare loops on libavformat and libavcodec that share
// nothing with the library: an oracle like the ffmpeg and ffprobe programs, without the time that
// these take to start. linear_decode_test compares it with them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace avstore::test {

// A frame as decoded from beginning to end, by one thread.
struct DecodedFrame {
  std::string pixels;  // the planes one after another, rows without padding
  std::string pixel_format;
  char picture_type = '?';  // 'I', 'P' or 'B'
};

// Decoding continues behind damage, and ends where the file cannot be read any further. There are
// no frames if the file cannot be opened or has no video.
std::vector<DecodedFrame> decoded_frames(const std::filesystem::path& file);

// The pixels of all frames.
std::string raw_frames(const std::filesystem::path& file);

// The MD5 of each frame's pixels.
std::vector<std::string> frame_md5s(const std::filesystem::path& file);

struct PacketFacts {
  std::int64_t pts;    // INT64_MIN if there is none
  double pts_seconds;  // NaN if there is none
  double dts_seconds;
  bool is_keyframe;
};

// In file order. None if the file cannot be opened or has no video.
std::vector<PacketFacts> packets_of(const std::filesystem::path& file);

}  // namespace avstore::test
