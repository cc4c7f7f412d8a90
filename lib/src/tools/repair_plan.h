// What is to be done to complete a store whose writer failed or was killed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "imgstore/extra_data.h"
#include "imgstore/metadata.h"
#include "index/index.h"

namespace avstore::tools {

// What is to be done where store::has_replaced().
inline constexpr const char* kBringsBack = "the store that was to be replaced is brought back";

// A chunk that was not finished.
struct OpenChunk {
  index::ChunkRow row;           // as the database has it
  std::int64_t frames_kept = 0;  // the first ones: all with a row, but those the file has not got
  // Video: how much of the file they are in, and how long it is.
  std::int64_t bytes_kept = 0;
  std::int64_t bytes = 0;
  // Video: frames before the end whose bytes are not as they were written, from `first` to `last`.
  struct Damage {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  std::vector<Damage> damage{};
  // Video: what comes before the first frame is not as it was written, on which all frames depend.
  bool is_header_damaged = false;
  // Behind damage no frame can be read: what was there is kept aside, with the rest of the file.
  bool is_cut_at_damage = false;
  // There is no such file or folder. The frames keep their rows: they may come back.
  bool is_gone = false;

  std::int64_t frames_dropped() const { return row.frame_count - frames_kept; }
};

// A chunk whose records of extra data only the database has, or whose file has some of frames that
// are not kept.
struct UnwrittenExtra {
  std::int64_t chunk = 0;
  std::vector<imgstore::ExtraRecord> records;
};

struct RepairPlan {
  std::vector<OpenChunk> open;  // the last chunk, or none
  // Closed chunks that have no npz and no yaml which can be read, and what they have that cannot,
  // relative to the store: it is copied aside.
  std::vector<index::ChunkRow> without_index;
  std::vector<std::filesystem::path> damaged_index;
  std::vector<UnwrittenExtra> extra;
  std::vector<imgstore::ExtraRecord> unlisted_extra;  // only the last chunk's file has them
  // Records of extra data of frames that have no row, and whether there is anything of such frames.
  std::vector<imgstore::ExtraRecord> orphaned_extra;
  bool has_orphans = false;
  // Relative to the store: chunks and images that have no row, put aside; and what is no more than
  // half a file that was to take another's place, removed.
  std::vector<std::filesystem::path> without_row;
  std::vector<std::filesystem::path> temporary;
  bool has_lock = false;           // a .lock of a dead writer
  bool has_replaced_left = false;  // files of a store that this one has replaced

  bool changes_files() const {
    return !open.empty() || !without_index.empty() || !extra.empty() || !unlisted_extra.empty() ||
           has_orphans;
  }
  bool is_empty() const {
    return !changes_files() && without_row.empty() && temporary.empty() && !has_lock &&
           !has_replaced_left;
  }
  // Whether all frames with a row will be there, as they were written.
  bool is_whole() const {
    return std::all_of(open.begin(), open.end(), [](const OpenChunk& chunk) {
      return !chunk.is_header_damaged && chunk.damage.empty() && chunk.frames_dropped() == 0 &&
             (!chunk.is_gone || chunk.row.frame_count == 0);
    });
  }
  // A line for each thing to be done.
  std::vector<std::string> steps() const;
};

// Changes nothing. `index` is the store's; `writer_died` says that .lock is a dead writer's.
RepairPlan plan_repair(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                       const index::Index& index, bool writer_died);

// Of the first frames of a chunk.
std::vector<std::int64_t> pts_of(const index::Index& index, const index::ChunkRow& row,
                                 std::int64_t frames);

}  // namespace avstore::tools
