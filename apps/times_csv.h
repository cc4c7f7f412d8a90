// Numbers and times of frames in a table of comma-separated values.
#pragma once

#include <avstore/tools.h>

#include <filesystem>
#include <vector>

namespace avstore::cli {

// Reads a file with a line for each frame. A first line that names the columns may put frame_number
// and frame_time anywhere among others, as `avstore frames` does; without one they are the only
// two, in this order. Throws Error: not_found, io, invalid_argument (with the line's number).
std::vector<FrameNames> read_times_csv(const std::filesystem::path& file);

}  // namespace avstore::cli
