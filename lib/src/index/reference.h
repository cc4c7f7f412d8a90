// Databases that the reference implementation made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace avstore::index {

// What such a database says of a frame.
struct ReferenceFrame {
  std::int64_t chunk = 0;
  std::int64_t frame_number = 0;
  double frame_time = 0;  // NaN if it has none
};

// All frames by chunk, each chunk's in order. Throws Error: not_found (no file, or no table of that
// kind), corrupt, io; and what `visit` throws.
void for_each_reference_frame(const std::filesystem::path& path,
                              const std::function<void(const ReferenceFrame&)>& visit);

}  // namespace avstore::index
