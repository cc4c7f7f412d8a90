// Finishing a video file that its writer did not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/types.h"
#include "media/scan.h"

namespace avstore::tools {

// Copies packets of the first `bytes` of `from` into a new file: those of the frames with these
// PTS, in presentation order, and of what they need. Their timestamps stay. Returns what the new
// file holds. Throws Error: corrupt (not all of the frames are there), io.
media::Scan complete_video(const std::filesystem::path& from, std::int64_t bytes,
                           const std::filesystem::path& to, const std::string& muxer,
                           Rational time_base, const std::vector<std::int64_t>& pts);

// Whether a demuxer finds a packet for each of these frames in the first `bytes` of a file. One
// that counts time otherwise takes it for what it is not. Throws Error: io, not_found.
bool has_frames(const std::filesystem::path& file, std::int64_t bytes, Rational time_base,
                const std::vector<std::int64_t>& pts);

}  // namespace avstore::tools
