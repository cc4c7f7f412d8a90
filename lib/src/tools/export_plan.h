// What of a store can be exported by copying packets, and what must be encoded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "avstore/reader.h"
#include "avstore/types.h"

namespace avstore::tools {

// Consecutive frames that are copied from one chunk, or encoded.
struct ExportSegment {
  bool copied = false;
  IndexRange frames;  // frame_index
  std::int64_t chunk = 0;
  std::filesystem::path file;  // of the chunk
  int stream = 0;
};

struct ExportPlan {
  std::vector<ExportSegment> segments;
  // By how many packets decoding runs ahead of presentation, at the most.
  std::int64_t delay = 0;
};

// `range` lies within the store. PTS that had to be read are kept in the store with `save_index`.
// Throws Error as media::Demuxer does.
ExportPlan plan_export(const std::filesystem::path& store, Reader& reader, IndexRange range,
                       bool save_index);

}  // namespace avstore::tools
