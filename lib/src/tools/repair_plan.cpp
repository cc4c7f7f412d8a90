#include "tools/repair_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>

#include "avstore/error.h"
#include "avstore/format.h"
#include "base/files.h"
#include "base/own_files.h"
#include "base/same_number.h"
#include "chunk/image_file.h"
#include "imgstore/chunk_index.h"
#include "store/chunk_checksums.h"
#include "store/extra_records.h"
#include "store/layout.h"
#include "store/replaced_store.h"
#include "tools/video_completion.h"

namespace avstore::tools {
namespace {

namespace fs = std::filesystem;

using Pieces = std::vector<index::ChecksumRow>;
using Records = std::vector<imgstore::ExtraRecord>;

class Planner {
 public:
  Planner(const fs::path& folder, const imgstore::StoreMetadata& metadata,
          const index::Index& index, bool writer_died)
      : folder_(folder), metadata_(metadata), index_(index), chunks_(index.chunks()) {
    plan_.has_lock = writer_died;
    plan_.has_replaced_left = store::is_replaced_left(folder);
  }

  RepairPlan run() {
    for (const index::ChunkRow& row : chunks_) {
      plan_chunk(row);
    }
    plan_extra();
    plan_orphans();
    if (plan_.has_lock || is_ours()) {
      find_chunks_without_row();
    }
    find_temporary_files();
    return std::move(plan_);
  }

 private:
  bool is_video() const { return metadata_.is_video(); }
  std::string extension() const { return find_format(metadata_.format).extension; }

  void plan_chunk(const index::ChunkRow& row) {
    const bool last = row.chunk == chunks_.back().chunk;
    std::error_code error;
    const bool is_open = row.state == index::ChunkState::open && last;
    if (!fs::exists(folder_ / row.path, error)) {
      if (is_open) {
        plan_.open.push_back(gone(row));
      }
      return;  // else there is nothing to be done about it
    }
    if (is_open) {
      require_own(row);
      plan_.open.push_back(is_video() ? open_video(row) : open_images(row));
      return;
    }
    if (last && !is_video() && plan_.has_lock) {
      // A repair was killed that had finished the chunk, and not put them aside yet.
      find_images_without_row(row, row.frame_count);
    }
    plan_index(row);
  }

  // A chunk that is not finished is written anew. What a link leads to is not the store's.
  void require_own(const index::ChunkRow& row) const {
    const fs::path path = folder_ / row.path;
    if (!(is_video() ? base::is_own_file(path) : base::is_own_folder(path))) {
      throw Error(ErrorKind::corrupt,
                  path.string() + ": is not what a recording makes, which is a " +
                      (is_video() ? "file" : "folder") + " and no link; repair does not change it");
    }
  }

  void plan_index(const index::ChunkRow& row) {
    const fs::path npz = imgstore::chunk_index_path(metadata_, row.chunk);
    std::vector<fs::path> present;
    for (const fs::path& name : {npz, fs::path(npz).replace_extension(".yaml")}) {
      if (base::is_file(folder_ / name)) {
        present.push_back(name);
      }
    }
    if (present.empty() || is_damaged({row.chunk, row.path, present.front()})) {
      plan_.without_index.push_back(row);
      // What a link leads to stays where it is, and may be any file of the user's.
      std::copy_if(present.begin(), present.end(), std::back_inserter(plan_.damaged_index),
                   [this](const fs::path& name) { return base::is_own_file(folder_ / name); });
    }
  }

  // Other errors, such as of rights, are not the file's.
  bool is_damaged(const imgstore::ChunkFile& chunk) const {
    try {
      static_cast<void>(imgstore::read_chunk_index(folder_, chunk, {}));
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported;
    }
  }

  static OpenChunk gone(const index::ChunkRow& row) {
    OpenChunk chunk{row, row.frame_count, 0, 0};
    chunk.is_gone = true;
    return chunk;
  }

  // A power cut may have taken bytes whose rows are there: what was promised is only that a killed
  // process loses none.
  OpenChunk open_video(const index::ChunkRow& row) const {
    OpenChunk chunk{row, row.frame_count, 0, base::file_size(folder_ / row.path)};
    Pieces pieces = index_.checksums(row.chunk);
    std::sort(pieces.begin(), pieces.end(),
              [](const auto& a, const auto& b) { return a.position < b.position; });
    const fs::path file = folder_ / row.path;
    while (!pieces.empty() && !has_reached_disk(file, chunk, pieces.back())) {
      chunk.frames_kept = std::min(chunk.frames_kept, pieces.back().frame_idx);
      pieces.pop_back();
    }
    chunk.bytes_kept = pieces.empty() ? std::min(row.bytes, chunk.bytes)
                                      : pieces.back().position + pieces.back().bytes;
    find_damage(chunk, pieces);
    return chunk;
  }

  // A frame with wrong bytes still has its place; but where a demuxer cannot get past them, what is
  // behind is out of reach.
  void find_damage(OpenChunk& chunk, const Pieces& pieces) const {
    const fs::path file = folder_ / chunk.row.path;
    std::optional<index::ChecksumRow> first;
    for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
      if (is_as_written(file, chunk, *piece)) {
        continue;
      }
      const auto next = std::next(piece);
      if (piece->position == 0 && next != pieces.end() && next->frame_idx == 0) {
        chunk.is_header_damaged = true;
        continue;
      }
      first = first ? first : *piece;
      const std::int64_t end = next == pieces.end() ? chunk.frames_kept : next->frame_idx;
      chunk.damage.push_back({piece->frame_idx, std::max(piece->frame_idx, end - 1)});
    }
    const auto is_readable = [&] {
      return has_frames(file, chunk.bytes_kept, chunk.row.time_base,
                        pts_of(index_, chunk.row, chunk.frames_kept));
    };
    if ((!first && !chunk.is_header_damaged) || is_readable()) {
      return;
    }
    chunk.is_cut_at_damage = true;
    chunk.damage.clear();
    if (first) {
      chunk.frames_kept = std::min(chunk.frames_kept, first->frame_idx);
      chunk.bytes_kept = first->position;
    }
    if (chunk.is_header_damaged && (!first || !is_readable())) {
      chunk.frames_kept = 0;
    }
  }

  static bool is_as_written(const fs::path& file, const OpenChunk& chunk,
                            const index::ChecksumRow& piece) {
    return store::may_have_changed(chunk.row, piece, chunk.bytes) ||
           (piece.position + piece.bytes <= chunk.bytes &&
            base::crc32_of_file(file, piece.position, piece.bytes) == piece.crc32);
  }

  // Whether all of it has been there, right or wrong.
  static bool has_reached_disk(const fs::path& file, const OpenChunk& chunk,
                               const index::ChecksumRow& piece) {
    return is_as_written(file, chunk, piece) ||
           (piece.position + piece.bytes <= chunk.bytes &&
            !base::has_unwritten_sector(file, piece.position, piece.bytes));
  }

  OpenChunk open_images(const index::ChunkRow& row) {
    OpenChunk chunk{row, row.frame_count, 0, 0};
    const Pieces pieces = index_.checksums(row.chunk);
    while (chunk.frames_kept > 0 && !has_image(row, pieces, chunk.frames_kept - 1)) {
      --chunk.frames_kept;
    }
    if (chunk.frames_kept == 0) {
      return chunk;  // its folder goes
    }
    find_images_without_row(row, chunk.frames_kept);
    return chunk;
  }

  // A folder that a link leads to is the user's, with all that is in it.
  void find_images_without_row(const index::ChunkRow& row, std::int64_t frames) {
    if (!base::is_own_folder(folder_ / row.path)) {
      return;
    }
    for (const std::string& name : base::names_in(folder_ / row.path)) {
      if (fs::path(name).extension() == extension() && !is_image_before(name, frames)) {
        plan_.without_row.push_back(fs::path(row.path) / name);
      }
    }
    std::sort(plan_.without_row.begin(), plan_.without_row.end());
  }

  bool has_image(const index::ChunkRow& row, const Pieces& pieces, std::int64_t frame_idx) const {
    const fs::path file = folder_ / row.path / chunk::image_file_name(frame_idx, extension());
    std::error_code error;
    if (!fs::exists(file, error)) {
      return false;
    }
    const auto piece = std::find_if(pieces.begin(), pieces.end(), [frame_idx](const auto& other) {
      return other.frame_idx == frame_idx;
    });
    return piece == pieces.end() || (base::file_size(file) == piece->bytes &&
                                     (base::crc32_of_file(file, 0, piece->bytes) == piece->crc32 ||
                                      !base::has_unwritten_sector(file, 0, piece->bytes)));
  }

  bool is_image_before(const std::string& name, std::int64_t count) const {
    try {
      const std::int64_t frame_idx = std::stoll(name);
      return frame_idx < count && name == chunk::image_file_name(frame_idx, extension());
    } catch (const std::logic_error&) {
      return true;  // no image of ours
    }
  }

  std::int64_t frames_kept() const {
    return plan_.open.empty()
               ? index_.frame_count()
               : plan_.open.front().row.first_frame_index + plan_.open.front().frames_kept;
  }

  void plan_extra() {
    for (const store::ExtraSource& source : store::extra_sources(folder_)) {
      if (source.kind != store::ExtraKind::database) {
        plan_extra_file(source);
        continue;
      }
      std::vector<imgstore::ExtraRecord> records = source.records;
      std::erase_if(records,
                    [this](const auto& record) { return record.frame_index >= frames_kept(); });
      if (!records.empty() && is_kept(source.chunk)) {
        plan_.extra.push_back({source.chunk, std::move(records)});
      }
    }
  }

  // The last chunk's file is written before the rows of its last frames and records are committed,
  // which then may never come. Where the two contradict each other, one is damaged.
  void plan_extra_file(const store::ExtraSource& source) {
    const bool may_differ =
        !chunks_.empty() && (plan_.has_lock || chunks_.back().state == index::ChunkState::open);
    if (!may_differ || source.kind != store::ExtraKind::writer_json ||
        source.chunk != chunks_.back().chunk) {
      return;
    }
    const index::ChunkRow& chunk = chunks_.back();
    Records written;
    try {
      written = imgstore::read_extra_json(source.path);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::corrupt) {
        return;
      }
      throw;
    }
    const auto lost = std::stable_partition(
        written.begin(), written.end(),
        [this](const auto& record) { return record.frame_index < frames_kept(); });
    // What came before a writer's first frame belongs to the chunk before.
    const auto own = std::find_if(written.begin(), lost, [&chunk](const auto& record) {
      return record.frame_index >= chunk.first_frame_index || chunk.first_frame_index == 0;
    });
    const Records listed = listed_extra(chunk);
    const auto [in_file, in_rows] =
        std::mismatch(own, lost, listed.begin(), listed.end(), is_same_record);
    const bool others = listed.empty() && chunk.state == index::ChunkState::closed;
    if (others || in_rows != listed.end()) {
      return;
    }
    plan_.unlisted_extra.assign(in_file, lost);
    if (lost != written.end()) {
      plan_.orphaned_extra.assign(lost, written.end());
      written.erase(lost, written.end());
      plan_.extra.push_back({chunk.chunk, std::move(written)});
    }
  }

  Records listed_extra(const index::ChunkRow& chunk) const {
    Records records;
    index_.for_each_extra([&](const index::ExtraRow& row) {
      const bool before_all = row.frame_index < 0 && chunk.first_frame_index == 0;
      if (before_all ||
          (row.frame_index >= chunk.first_frame_index && row.frame_index < frames_kept())) {
        records.push_back({row.frame_index, row.frame_number, row.frame_time, row.json});
      }
      return true;
    });
    return records;
  }

  static bool is_same_record(const imgstore::ExtraRecord& a, const imgstore::ExtraRecord& b) {
    return a.frame_index == b.frame_index && a.frame_number == b.frame_number &&
           base::is_same(a.frame_time, b.frame_time) && a.json == b.json;
  }

  void plan_orphans() {
    plan_.has_orphans = index_.has_orphans();
    if (!plan_.has_orphans && plan_.open.empty()) {
      return;
    }
    Records& orphans = plan_.orphaned_extra;
    const Records in_file = orphans;
    index_.for_each_extra([&](const index::ExtraRow& row) {
      const imgstore::ExtraRecord record{row.frame_index, row.frame_number, row.frame_time,
                                         row.json};
      const bool known = std::any_of(in_file.begin(), in_file.end(), [&record](const auto& other) {
        return is_same_record(record, other);
      });
      if (row.frame_index >= frames_kept() && !known) {
        orphans.push_back(record);
      }
      return true;
    });
  }

  bool is_kept(std::int64_t chunk) const {
    if (!is_video() && !plan_.open.empty() && plan_.open.front().is_gone &&
        plan_.open.front().row.chunk == chunk) {
      return false;  // there is no folder for them
    }
    const auto row = std::find_if(chunks_.begin(), chunks_.end(),
                                  [chunk](const auto& other) { return other.chunk == chunk; });
    return row != chunks_.end() && row->first_frame_index < frames_kept();
  }

  // Whether the database is as our writer made it, and has all chunks that were ever complete.
  bool is_ours() const {
    return !chunks_.empty() && index_.information(store::kTimingEntry).has_value();
  }

  // Begun last, by a writer that died or failed. Others, and those with an index, are somebody's.
  void find_chunks_without_row() {
    for (const imgstore::ChunkFile& file : imgstore::find_chunks(folder_, metadata_)) {
      const bool emptied = !plan_.open.empty() && plan_.open.front().row.chunk == file.chunk &&
                           plan_.open.front().frames_kept == 0;
      const bool behind = chunks_.empty() || file.chunk > chunks_.back().chunk;
      if (emptied || (behind && !file.index)) {
        plan_.without_row.push_back(file.data);
      }
    }
  }

  // They lie beside the files that they were to replace: in the store's folder, and in that of the
  // last chunk's images.
  void find_temporary_files() {
    find_temporary_files_in("");
    if (!is_video() && !plan_.open.empty() && !plan_.open.front().is_gone) {
      find_temporary_files_in(plan_.open.front().row.path);
    }
    std::sort(plan_.temporary.begin(), plan_.temporary.end());
  }

  void find_temporary_files_in(const fs::path& relative) {
    for (const std::string& name : base::names_in(folder_ / relative)) {
      if (base::is_left_temporary(name)) {
        plan_.temporary.push_back(relative / name);
      }
    }
  }

  const fs::path& folder_;
  const imgstore::StoreMetadata& metadata_;
  const index::Index& index_;
  std::vector<index::ChunkRow> chunks_;
  RepairPlan plan_;
};

std::string frames_text(std::int64_t count) {
  return fmt::format("{} frame{}", count, count == 1 ? "" : "s");
}

}  // namespace

std::vector<std::string> RepairPlan::steps() const {
  std::vector<std::string> steps;
  for (const OpenChunk& chunk : open) {
    const std::string& path = chunk.row.path;
    if (chunk.is_gone) {
      steps.push_back(
          chunk.row.frame_count == 0
              ? path + ": has no frame and is not there, its row is removed"
              : fmt::format("{}: is gone; its {} keep their numbers and times, and cannot be read",
                            path, frames_text(chunk.row.frame_count)));
      continue;
    }
    if (chunk.is_cut_at_damage) {
      const std::string where =
          chunk.frames_kept > 0
              ? fmt::format("is damaged at frame {}, and nothing behind that", chunk.frames_kept)
              : "is damaged at its beginning, and nothing in it";
      steps.push_back(fmt::format("{}: {} can be read; it is put aside as it is", path, where));
    }
    if (chunk.frames_dropped() > 0) {
      steps.push_back(fmt::format(
          "{}: its last {} are {}; their rows are dropped, numbers and times are put aside", path,
          frames_text(chunk.frames_dropped()),
          chunk.is_cut_at_damage ? "those that cannot be read" : "not in it"));
    }
    if (chunk.frames_kept > 0) {
      steps.push_back(
          fmt::format("{}: is finished, with {}", path, frames_text(chunk.frames_kept)));
    }
    if (chunk.is_header_damaged && chunk.frames_kept > 0) {
      steps.push_back(path +
                      ": its header is not as it was written, any frame may be wrong; what "
                      "is there stays, and verify goes on telling of it");
    }
    for (const OpenChunk::Damage& damage : chunk.damage) {
      steps.push_back(fmt::format(
          "{}: frames {} to {} are not as they were written; what is there stays, and verify goes "
          "on telling of it",
          path, damage.first, damage.last));
    }
    if (!chunk.is_cut_at_damage && chunk.frames_kept > 0 && chunk.bytes > chunk.bytes_kept) {
      steps.push_back(fmt::format("{}: its last {} bytes, of frames without a row, are put aside",
                                  path, chunk.bytes - chunk.bytes_kept));
    }
  }
  for (const fs::path& path : damaged_index) {
    steps.push_back(path.string() + ": cannot be read, is put aside");
  }
  for (const index::ChunkRow& row : without_index) {
    steps.push_back(row.path + ": its index of numbers and times is made anew");
  }
  for (const UnwrittenExtra& chunk : extra) {
    steps.push_back(fmt::format("chunk {}: its {} records of extra data are written to a file",
                                chunk.chunk, chunk.records.size()));
  }
  if (!unlisted_extra.empty()) {
    steps.push_back(fmt::format("{} records of extra data that only a file has get rows",
                                unlisted_extra.size()));
  }
  if (!orphaned_extra.empty()) {
    steps.push_back(fmt::format("{} records of extra data, of frames without a row, are put aside",
                                orphaned_extra.size()));
  }
  for (const fs::path& path : without_row) {
    steps.push_back(path.string() + ": has no row, is put aside");
  }
  for (const fs::path& path : temporary) {
    steps.push_back(path.string() + ": half a file, is removed");
  }
  if (has_replaced_left) {
    steps.emplace_back("the store that this one has replaced: what is left of it is removed");
  }
  if (has_lock) {
    steps.push_back(".lock: of a writer that is dead, is removed");
  }
  return steps;
}

std::vector<std::int64_t> pts_of(const index::Index& index, const index::ChunkRow& row,
                                 std::int64_t frames) {
  std::vector<std::int64_t> pts;
  index.for_each({row.first_frame_index, row.first_frame_index + frames},
                 [&pts](const index::FrameRow& frame) {
                   pts.push_back(frame.pts.value_or(0));
                   return true;
                 });
  return pts;
}

RepairPlan plan_repair(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                       const index::Index& index, bool writer_died) {
  return Planner(folder, metadata, index, writer_died).run();
}

}  // namespace avstore::tools
