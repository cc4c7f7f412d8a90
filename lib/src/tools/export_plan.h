// What of a store can be exported by copying packets, and what must be encoded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/types.h"
#include "media/demuxer.h"
#include "store/store_index.h"

namespace avstore::tools {

// Consecutive frames that are copied from one chunk, or encoded.
struct ExportSegment {
  bool copied = false;
  IndexRange frames;       // frame_index
  std::int64_t chunk = 0;  // of what is copied
};

struct ExportPlan {
  std::vector<ExportSegment> segments;
  // The frame_index of each packet, in the order in which they are written and decoded. Frames that
  // are encoded come in their own order.
  std::vector<std::int64_t> order;
};

// The muxer of an exported video, by the ending of its name; empty if it is no such name.
std::string video_muxer(const std::filesystem::path& file);

// `range` lies within the store. Throws Error as media::Demuxer does.
ExportPlan plan_export(Reader& reader, IndexRange range);

// Nothing is copied.
ExportPlan encode_all(IndexRange range);

// The packets of a chunk of the store.
media::Demuxer open_packets(Reader& reader, const store::IndexedChunk& chunk);

}  // namespace avstore::tools
