// A chunk whose video file is there already: what a scan of it gives, as rows of the database.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "imgstore/chunk_index.h"
#include "index/index.h"
#include "media/scan.h"

namespace avstore::store {

// Where such a chunk lies.
struct ChunkPlace {
  std::int64_t chunk = 0;
  std::filesystem::path store;
  std::string path;  // relative to the store
  std::int64_t first_frame_index = 0;
};

// Append chunk, frames, keyframes and checksums, for which the file is read; nothing is committed.
// `names` has as many entries as the scan has frames.
void append_scanned_chunk(index::Index& index, const ChunkPlace& place, const media::Scan& scan,
                          const imgstore::ChunkIndex& names);

}  // namespace avstore::store
