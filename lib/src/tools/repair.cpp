// avstore repair: a store whose writer failed or was killed is completed.
//
// What has no row is copied aside first, and so are index files that cannot be read. Then all files
// that change are made anew beside the store's and put in place together (store/staged_change.h).
// What is left to be moved or removed after that the next repair would find again.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "base/files.h"
#include "base/own_files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/extra_data.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/codec_table.h"
#include "store/aside.h"
#include "store/chunk_checksums.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/replaced_store.h"
#include "store/staged_change.h"
#include "store/store_index.h"
#include "tools/repair_plan.h"
#include "tools/video_completion.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

class Repair {
 public:
  Repair(const fs::path& store, const RepairOptions& options)
      : folder_(imgstore::store_folder(store)),
        metadata_(imgstore::read_metadata(folder_)),
        options_(options) {}

  RepairResult run() {
    require_not_in_use();
    if (options_.dry_run) {
      const index::Index index = open_index(false);
      const tools::RepairPlan planned = plan(index);
      result_.steps = planned.steps();
      result_.is_whole = planned.is_whole();
      result_.frames = index.frame_count();
      return std::move(result_);
    }
    if (needs_nothing()) {
      return std::move(result_);
    }
    store::RecordingLock recording(folder_);
    work();
    recording.remove();
    return std::move(result_);
  }

 private:
  void require_not_in_use() {
    writer_died_ = store::recording_state(folder_).recording == store::Recording::left;
    if (!writer_died_) {
      store::require_closed(folder_);
    }
  }

  tools::RepairPlan plan(const index::Index& index) const {
    return tools::plan_repair(folder_, metadata_, index, writer_died_);
  }

  index::Index open_index(bool save) const {
    const auto warn = [this](const std::string& text) {
      if (options_.notice) {
        options_.notice(text);
      }
    };
    store::OpenedIndex opened = store::open_index(folder_, metadata_, save, warn);
    if (!opened.left_alone.empty()) {
      throw Error(ErrorKind::corrupt, opened.left_alone);
    }
    return std::move(opened.index);
  }

  // So that nothing is written into a store that is complete, not even for a moment.
  bool needs_nothing() {
    const index::Index index = open_index(true);
    result_.frames = index.frame_count();
    result_.steps = plan(index).steps();
    return result_.steps.empty();
  }

  void work() {
    {
      const base::FileLock lock(folder_);
      store::finish_staged_change(folder_);
    }
    index::Index index = open_index(true);
    const tools::RepairPlan planned = plan(index);
    result_.is_whole = planned.is_whole();
    for (const tools::OpenChunk& chunk : planned.open) {
      put_rest_aside(chunk);
      put_names_aside(chunk, index);
    }
    for (const fs::path& path : planned.damaged_index) {
      copy_aside(path, 0, path);
    }
    if (!planned.orphaned_extra.empty()) {
      put_extra_aside(planned.orphaned_extra);
    }
    if (planned.changes_files()) {
      const base::FileLock lock(folder_);
      store::StagedChange staged(folder_);
      stage(planned, index, staged);
      staged.commit();
    }
    for (const fs::path& path : planned.without_row) {
      store::put_aside(folder_, path);
      result_.put_aside = folder_ / store::kAsideFolder;
    }
    for (const fs::path& path : planned.temporary) {
      base::remove(base::own_path(folder_, path));
    }
    if (planned.has_replaced_left) {
      store::remove_replaced(folder_);
    }
  }

  // ---- what has no row ----

  void put_rest_aside(const tools::OpenChunk& chunk) {
    if (chunk.bytes <= chunk.bytes_kept || chunk.frames_kept == 0) {
      return;
    }
    if (chunk.is_cut_at_damage) {
      // All of it: what comes behind the damage may be read again with the file's header.
      copy_aside(chunk.row.path, 0, chunk.row.path);
      return;
    }
    copy_aside(chunk.row.path, chunk.bytes_kept,
               chunk.row.path + ".from-" + std::to_string(chunk.bytes_kept));
  }

  // What is in a file from `offset` on. Both names are relative: to the store, and to what is kept.
  void copy_aside(const fs::path& relative, std::int64_t offset, const fs::path& name) {
    const fs::path file = base::own_path(folder_, relative);
    const fs::path copy = store::place_aside(folder_, name);
    result_.put_aside = folder_ / store::kAsideFolder;
    const std::int64_t size = base::file_size(file) - offset;
    if (base::is_own_file(copy) && base::file_size(copy) == size &&
        base::crc32_of_file(copy, 0, size) == base::crc32_of_file(file, offset, size)) {
      return;  // by a repair that was killed
    }
    base::copy_end_of_file(file, offset, store::free_name(copy));
  }

  void put_extra_aside(const std::vector<imgstore::ExtraRecord>& records) {
    put_text_aside("extra.json", imgstore::extra_json_text(records));
  }

  // Of the frames whose rows are dropped. Nothing else has them.
  void put_names_aside(const tools::OpenChunk& chunk, const index::Index& index) {
    if (chunk.frames_dropped() == 0) {
      return;
    }
    std::string text = "frame_index,frame_number,frame_time,frame_idx,pts\n";
    const std::int64_t first = chunk.row.first_frame_index;
    index.for_each({first + chunk.frames_kept, first + chunk.row.frame_count},
                   [&text](const index::FrameRow& frame) {
                     text += fmt::format("{},{},{},{},{}\n", frame.frame_index, frame.frame_number,
                                         frame.frame_time, frame.frame_idx,
                                         frame.pts ? std::to_string(*frame.pts) : "");
                     return true;
                   });
    put_text_aside(chunk.row.path + ".dropped.csv", text);
  }

  // A repair that was killed may have done so before.
  void put_text_aside(const fs::path& name, const std::string& text) {
    const fs::path file = store::place_aside(folder_, name);
    result_.put_aside = folder_ / store::kAsideFolder;
    if (!base::is_own_file(file) || base::read_text(file) != text) {
      base::write_file_atomically(store::free_name(file), text);
    }
  }

  // ---- what changes ----

  void stage(const tools::RepairPlan& plan, index::Index& index,
             const store::StagedChange& staged) {
    const fs::path database = staged.place(store::kIndexFile);
    index.save_as(database);
    index::Index made = index::Index::open_for_writing(database);
    made.remove_orphans();  // while it is still known which chunk is open
    for (const tools::OpenChunk& chunk : plan.open) {
      made.truncate(chunk.row.first_frame_index + chunk.frames_kept);
      if (chunk.frames_kept == 0) {
        made.remove_chunk(chunk.row.chunk);
      } else if (chunk.is_gone) {
        close_lost(chunk, made, staged);
      } else {
        finish(chunk, made, staged);
      }
    }
    for (const index::ChunkRow& row : plan.without_index) {
      write_names(row, made, staged);
    }
    for (const tools::UnwrittenExtra& chunk : plan.extra) {
      imgstore::write_extra_json(staged.place(imgstore::chunk_extra_path(metadata_, chunk.chunk)),
                                 chunk.records);
    }
    for (const imgstore::ExtraRecord& record : plan.unlisted_extra) {
      made.append_extra({record.frame_index, record.frame_number, record.frame_time, record.json});
    }
    made.close();
    result_.frames = made.frame_count();
  }

  void finish(const tools::OpenChunk& chunk, index::Index& made,
              const store::StagedChange& staged) const {
    index::ChunkRow row = chunk.row;
    row.frame_count = chunk.frames_kept;
    row.packet_count = chunk.frames_kept;
    row.state = index::ChunkState::closed;
    if (metadata_.is_video()) {
      finish_video(row, chunk, made, staged);
    } else {
      finish_images(row, made);
    }
    made.put_chunk(row);
    write_names(row, made, staged);
  }

  // Its rows are all that there is of it, and all that is needed if it comes back.
  void close_lost(const tools::OpenChunk& chunk, index::Index& made,
                  const store::StagedChange& staged) const {
    index::ChunkRow row = chunk.row;
    row.state = index::ChunkState::closed;
    made.put_chunk(row);
    if (metadata_.is_video()) {
      write_names(row, made, staged);
    }
  }

  void finish_video(index::ChunkRow& row, const tools::OpenChunk& chunk, index::Index& made,
                    const store::StagedChange& staged) const {
    const fs::path file = staged.place(row.path);
    const auto& muxer = media::find_video_format(metadata_.format).muxer;
    const media::Scan scan =
        tools::complete_video(folder_ / row.path, chunk.bytes_kept, file, muxer, row.time_base,
                              tools::pts_of(made, row, row.frame_count));
    row.packet_count = scan.packet_count;
    made.remove_checksums(row.chunk);
    auto pieces = store::checksums_of_file(file, scan);
    spoil_damaged(pieces, chunk, row.frame_count);
    for (const chunk::Checksum& piece : pieces) {
      made.put_checksum({row.chunk, piece.frame_idx, piece.offset, piece.size, piece.crc32});
    }
    row.bytes = base::file_size(file);
    row.checksum = store::checksum_text(store::joined_checksum(pieces));
  }

  // The file's new bytes are what there is, not what was recorded. Their checksums are made such as
  // these bytes do not have, so that verify finds them.
  static void spoil_damaged(std::vector<chunk::Checksum>& pieces, const tools::OpenChunk& chunk,
                            std::int64_t frame_count) {
    for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
      const auto next = std::next(piece);
      const std::int64_t end = next == pieces.end() ? frame_count : next->frame_idx;
      const bool is_damaged = std::any_of(
          chunk.damage.begin(), chunk.damage.end(), [&](const tools::OpenChunk::Damage& frames) {
            return piece->frame_idx <= frames.last && frames.first < end;
          });
      if (is_damaged || (piece->offset == 0 && chunk.is_header_damaged)) {
        piece->crc32 = ~piece->crc32;
      }
    }
  }

  static void finish_images(index::ChunkRow& row, const index::Index& made) {
    std::vector<chunk::Checksum> pieces;
    row.bytes = 0;
    for (const index::ChecksumRow& piece : made.checksums(row.chunk)) {
      pieces.push_back({piece.frame_idx, piece.position, piece.bytes, piece.crc32});
      row.bytes += piece.bytes;
    }
    row.checksum = store::checksum_text(store::joined_checksum(pieces));
  }

  static IndexRange frames_of(const index::ChunkRow& row) {
    return {row.first_frame_index, row.first_frame_index + row.frame_count};
  }

  void write_names(const index::ChunkRow& row, const index::Index& made,
                   const store::StagedChange& staged) const {
    imgstore::ChunkIndex names;
    made.for_each(frames_of(row), [&names](const index::FrameRow& frame) {
      names.frame_number.push_back(frame.frame_number);
      names.frame_time.push_back(frame.frame_time);
      return true;
    });
    imgstore::write_chunk_index(staged.place(imgstore::chunk_index_path(metadata_, row.chunk)),
                                names, metadata_);
  }

  fs::path folder_;
  imgstore::StoreMetadata metadata_;
  const RepairOptions& options_;
  bool writer_died_ = false;
  RepairResult result_;
};

// A recording that was to replace the store was killed before it had a frame.
RepairResult bring_back(const fs::path& folder, const RepairOptions& options) {
  store::require_not_recording(folder);
  RepairResult result;
  if (!options.dry_run) {
    store::bring_back_replaced(folder);
    result = Repair(folder, options).run();
  }
  result.steps.insert(result.steps.begin(), tools::kBringsBack);
  return result;
}

}  // namespace

RepairResult repair(const fs::path& store, const RepairOptions& options) {
  // There may be no metadata.yaml yet, or still.
  const fs::path folder = imgstore::folder_named(store);
  if (store::has_replaced(folder)) {
    return bring_back(folder, options);
  }
  return Repair(store, options).run();
}

}  // namespace avstore
