// What is to be done to complete a store whose writer failed or was killed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "imgstore/extra_data.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "tools/found_packets.h"

namespace avstore::tools {

// What is to be done where store::has_replaced().
inline constexpr const char* kBringsBack = "the store that was to be replaced is brought back";

// A chunk that was not finished. Frames go by their place in it.
struct OpenChunk {
  index::ChunkRow row;             // as the database has it
  std::vector<std::int64_t> kept;  // frames that can be read, ascending
  // Video: how much of the file has rows, and how long it is.
  std::int64_t bytes_kept = 0;
  std::int64_t bytes = 0;
  // Video whose bytes are not all there as they were written.
  std::optional<UnfinishedVideo> damaged{};
  // Frames that are kept and may be wrong, from `first` to `last`: their bytes are not as they were
  // written, or those of a frame before them, from which they are decoded.
  struct Damage {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  std::vector<Damage> damage{};
  std::string dropped_numbers{};  // frame_number of the dropped frames, such as "7 to 9, 12"
  // Video: what comes before the first frame is not as it was written, on which all frames depend.
  bool is_header_damaged = false;
  // There is no such file or folder. The frames keep their rows: they may come back.
  bool is_gone = false;

  std::int64_t frames_kept() const { return static_cast<std::int64_t>(kept.size()); }
  std::int64_t frames_dropped() const { return row.frame_count - frames_kept(); }
  bool keeps(std::int64_t frame) const {
    return std::binary_search(kept.begin(), kept.end(), frame);
  }
  // Of a frame that is kept, once the others are gone.
  std::int64_t new_place(std::int64_t frame) const {
    return std::lower_bound(kept.begin(), kept.end(), frame) - kept.begin();
  }
};

// A chunk whose records of extra data only the database has, or whose file is to be written anew:
// it has some of frames that are not kept, or frames move.
struct UnwrittenExtra {
  std::int64_t chunk = 0;
  std::vector<imgstore::ExtraRecord> records;
};

struct RepairPlan {
  // Why nothing is to be done about the store; else empty.
  std::string refusal;
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

// Calls `visit` with the row of each frame that is not kept.
void for_each_dropped(const OpenChunk& chunk, const index::Index& index,
                      const std::function<void(const index::FrameRow&)>& visit);

// A record of extra data with the index that its frame will have; none if that is not kept. Records
// of frames before the chunk stay as they are.
std::optional<imgstore::ExtraRecord> moved_with_frame(const imgstore::ExtraRecord& record,
                                                      const OpenChunk& chunk);

// Of the first frames of a chunk.
std::vector<std::int64_t> pts_of(const index::Index& index, const index::ChunkRow& row,
                                 std::int64_t frames);

}  // namespace avstore::tools
