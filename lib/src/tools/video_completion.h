// Finishing a video file that its writer did not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/types.h"
#include "media/scan.h"
#include "tools/found_packets.h"

namespace avstore::tools {

// How the new file is made.
struct CompletedVideo {
  std::filesystem::path file;
  std::string muxer;  // libav's name
  Rational time_base;
  Rational frame_rate;  // nominal; 0/1: what the old file states
};

// Copies packets of the first `bytes` of `from` into a new file: those of the frames with these
// PTS, in presentation order, and of what they need. Their timestamps stay. Returns what the new
// file holds. Throws Error: corrupt (not all of the frames are there), io.
media::Scan complete_video(const std::filesystem::path& from, std::int64_t bytes,
                           const CompletedVideo& to, const std::vector<std::int64_t>& pts);

// Whether a demuxer finds a packet for each of these frames in the first `bytes` of a file.
// Throws Error: io, not_found.
bool has_frames(const std::filesystem::path& file, std::int64_t bytes,
                const std::vector<std::int64_t>& pts);

// The frames of a damaged file, by place in the chunk, that can be read: their packets are found,
// and a decoder that is given these packets alone makes pictures of them. Decodes the whole file.
// Throws Error: corrupt (it can be read, but no new file made of it), io, not_found.
std::vector<std::int64_t> readable_frames(const UnfinishedVideo& video);

// Copies the packets of frames that readable_frames() gave into a new file. Their PTS may all be
// less than they were. Returns what that holds. Throws Error: corrupt (the new file cannot hold
// them so), io.
media::Scan complete_damaged_video(const UnfinishedVideo& video,
                                   const std::vector<std::int64_t>& frames,
                                   const CompletedVideo& to);

}  // namespace avstore::tools
