#include "tools/repair_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <system_error>

#include "avstore/error.h"
#include "avstore/format.h"
#include "base/files.h"
#include "base/own_files.h"
#include "base/same_number.h"
#include "chunk/image_file.h"
#include "imgstore/chunk_index.h"
#include "media/codec_table.h"
#include "store/chunk_checksums.h"
#include "store/extra_records.h"
#include "store/layout.h"
#include "store/replaced_store.h"
#include "store/staged_change.h"
#include "tools/video_completion.h"

namespace avstore::tools {
namespace {

namespace fs = std::filesystem;

// Numbers as text, those of frames in a row as a range: "7 to 9, 12".
class RangesText {
 public:
  void add(std::int64_t place, std::int64_t number) {
    if (place != last_place_ + 1 || number != last_ + 1) {
      end_range();
      first_ = number;
    }
    last_place_ = place;
    last_ = number;
  }

  std::string text() {
    end_range();
    return ranges_ > kMost ? text_ + fmt::format(" and {} more ranges", ranges_ - kMost) : text_;
  }

 private:
  static constexpr std::int64_t kMost = 20;

  void end_range() {
    if (last_place_ < 0) {
      return;
    }
    if (ranges_++ < kMost) {
      text_ += (text_.empty() ? "" : ", ") +
               (first_ == last_ ? std::to_string(first_) : fmt::format("{} to {}", first_, last_));
    }
  }

  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
  std::int64_t last_place_ = -2;
  std::int64_t ranges_ = 0;
  std::string text_;
};

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

  // What contradicts itself, or is not the store's own, is left to somebody who finds out why.
  void plan_chunk(const index::ChunkRow& row) {
    try {
      plan_chunk_of_the_store(row);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::corrupt) {
        throw;
      }
      plan_.refusal = std::string(error.what()) + "; repair changes nothing";
    }
  }

  void plan_chunk_of_the_store(const index::ChunkRow& row) {
    const bool last = row.chunk == chunks_.back().chunk;
    const bool is_open = row.state == index::ChunkState::open && last;
    if (!is_there(row.path)) {
      if (is_open) {
        plan_.open.push_back(gone(row));
      }
      return;  // else there is nothing to be done about it
    }
    if (is_open) {
      require_own(row);
      plan_.open.push_back(is_video() ? open_video(row) : open_images(row));
      describe_dropped(plan_.open.back());
      return;
    }
    if (last && !is_video() && plan_.has_lock && is_own(row)) {
      // A repair was killed that had finished the chunk, and not put them aside yet.
      find_images_without_row(row, row.frame_count);
    }
    plan_index(row);
  }

  void require_own(const index::ChunkRow& row) const {
    if (!is_own(row)) {
      throw Error(ErrorKind::corrupt,
                  (folder_ / row.path).string() + ": is no " + (is_video() ? "file" : "folder") +
                      " of the store's own named " + imgstore::chunk_path(metadata_, row.chunk) +
                      ", as a recording makes it");
    }
  }

  // A change that was cut short counts as if it was done: repair does that first.
  fs::path current(const fs::path& relative) const {
    return store::current_file(folder_, relative);
  }
  bool is_there(const fs::path& relative) const { return base::is_there(current(relative)); }

  // What the database of a stranger's store names may be anywhere, by a link.
  bool is_own(const index::ChunkRow& row) const {
    std::error_code error;
    const fs::file_type type = fs::symlink_status(folder_ / row.path, error).type();
    return row.path == imgstore::chunk_path(metadata_, row.chunk) &&
           type == (is_video() ? fs::file_type::regular : fs::file_type::directory);
  }

  void plan_index(const index::ChunkRow& row) {
    const fs::path npz = imgstore::chunk_index_path(metadata_, row.chunk);
    std::vector<fs::path> present;
    for (const fs::path& name : {npz, fs::path(npz).replace_extension(".yaml")}) {
      if (base::is_file(current(name))) {
        present.push_back(name);
      }
    }
    if (present.empty() || is_damaged(row, present.front())) {
      static_cast<void>(base::own_path(folder_, npz));  // it is written, so not behind a link
      plan_.without_index.push_back(row);
      // What a link leads to stays where it is, and may be any file of the user's.
      std::copy_if(present.begin(), present.end(), std::back_inserter(plan_.damaged_index),
                   [this](const fs::path& name) { return base::is_own_file(folder_ / name); });
    }
  }

  // Other errors, such as of rights, are not the file's.
  bool is_damaged(const index::ChunkRow& row, const fs::path& index) const {
    try {
      if (current(index) == folder_ / index) {
        static_cast<void>(imgstore::read_chunk_index(folder_, {row.chunk, row.path, index}, {}));
      } else {
        static_cast<void>(imgstore::read_chunk_index(current(index)));
      }
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported;
    }
  }

  static std::vector<std::int64_t> all_frames(std::int64_t count) {
    std::vector<std::int64_t> frames(static_cast<std::size_t>(count));
    std::iota(frames.begin(), frames.end(), std::int64_t{0});
    return frames;
  }

  static OpenChunk gone(const index::ChunkRow& row) {
    OpenChunk chunk{row, all_frames(row.frame_count)};
    chunk.is_gone = true;
    return chunk;
  }

  // A power cut may have taken bytes whose rows are there: what was promised is only that a killed
  // process loses none. And disks fail.
  OpenChunk open_video(const index::ChunkRow& row) const {
    OpenChunk chunk{row, {}};
    chunk.bytes = base::file_size(folder_ / row.path);
    if (row.frame_count == 0) {
      return chunk;
    }
    UnfinishedVideo video = describe_video(chunk);
    chunk.bytes_kept = video.pieces.back().position + video.pieces.back().bytes;
    const bool is_whole =
        std::all_of(video.pieces.begin(), video.pieces.end(),
                    [](const UnfinishedVideo::Piece& piece) { return piece.is_as_written; });
    if (is_whole && !chunk.is_header_damaged) {
      chunk.kept = all_frames(row.frame_count);
      return chunk;
    }
    require_consistent(video);
    chunk.kept = readable_frames(video);
    find_damage(chunk, video);
    chunk.damaged = std::move(video);
    return chunk;
  }

  UnfinishedVideo describe_video(OpenChunk& chunk) const {
    const index::ChunkRow& row = chunk.row;
    UnfinishedVideo video;
    video.file = folder_ / row.path;
    video.pts = pts_of(index_, row, row.frame_count);
    video.muxer = media::find_video_format(metadata_.format).muxer;
    video.time_base = row.time_base;
    if (metadata_.encoding.empty() && metadata_.imgshape.size() >= 2) {
      video.height = static_cast<int>(metadata_.imgshape[0]);
      video.width = static_cast<int>(metadata_.imgshape[1]);
    }
    const auto keyframes = index_.keyframes(row.chunk);
    video.is_in_order =
        !keyframes.empty() && std::all_of(keyframes.begin(), keyframes.end(),
                                          [](const auto& key) { return key.dts == key.pts; });
    Pieces pieces = index_.checksums(row.chunk);
    std::sort(pieces.begin(), pieces.end(),
              [](const auto& a, const auto& b) { return a.position < b.position; });
    for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
      const auto next = std::next(piece);
      const bool is_header = piece->position == 0 && next != pieces.end() && next->frame_idx == 0;
      if (is_header) {
        chunk.is_header_damaged = !is_as_written(chunk, *piece);
        continue;
      }
      // Checksums may be committed ahead of their frames.
      if (piece->frame_idx < row.frame_count) {
        const std::int64_t there = chunk.bytes - piece->position;
        video.pieces.push_back({piece->frame_idx, piece->position,
                                std::max<std::int64_t>(0, std::min(there, piece->bytes)),
                                is_as_written(chunk, *piece)});
      }
    }
    if (video.pieces.empty()) {
      // The database was made anew, and what it was made of had none.
      const std::int64_t bytes = std::min(row.bytes, chunk.bytes);
      video.pieces.push_back({0, 0, bytes, has_frames(video.file, bytes, video.pts)});
    }
    video.header_bytes = video.pieces.front().position;
    return video;
  }

  // Databases come from strangers.
  void require_consistent(const UnfinishedVideo& video) const {
    const auto not_ascending = [](std::int64_t a, std::int64_t b) { return a >= b; };
    const auto not_behind = [](const auto& a, const auto& b) {
      return b.first_frame < a.first_frame || b.position - a.position < a.bytes;
    };
    if (std::adjacent_find(video.pts.begin(), video.pts.end(), not_ascending) != video.pts.end() ||
        std::adjacent_find(video.pieces.begin(), video.pieces.end(), not_behind) !=
            video.pieces.end()) {
      throw Error(ErrorKind::corrupt, (folder_ / store::kIndexFile).string() +
                                          ": what it says of the frames in " +
                                          video.file.filename().string() + " contradicts itself");
    }
  }

  bool is_as_written(const OpenChunk& chunk, const index::ChecksumRow& piece) const {
    return store::may_have_changed(chunk.row, piece, chunk.bytes) ||
           (piece.position + piece.bytes <= chunk.bytes &&
            base::crc32_of_file(folder_ / chunk.row.path, piece.position, piece.bytes) ==
                piece.crc32);
  }

  // Damage reaches from a piece to the next frame with which decoding can start.
  void find_damage(OpenChunk& chunk, const UnfinishedVideo& video) const {
    const auto keyframes = index_.keyframes(chunk.row.chunk);
    for (std::size_t i = 0; i < video.pieces.size(); ++i) {
      if (video.pieces[i].is_as_written) {
        continue;
      }
      const std::int64_t behind =
          i + 1 < video.pieces.size() ? video.pieces[i + 1].first_frame : chunk.row.frame_count;
      const auto next = std::find_if(keyframes.begin(), keyframes.end(),
                                     [behind](const auto& key) { return key.frame_idx >= behind; });
      add_damage(chunk, video.pieces[i].first_frame,
                 next == keyframes.end() ? chunk.row.frame_count : next->frame_idx);
    }
  }

  // Frames [first, end), of which those count that are kept.
  static void add_damage(OpenChunk& chunk, std::int64_t first, std::int64_t end) {
    const auto begin = std::lower_bound(chunk.kept.begin(), chunk.kept.end(), first);
    const auto behind = std::lower_bound(chunk.kept.begin(), chunk.kept.end(), end);
    if (begin == behind) {
      return;
    }
    const OpenChunk::Damage damage{*begin, *std::prev(behind)};
    if (!chunk.damage.empty() && damage.first <= chunk.damage.back().last + 1) {
      chunk.damage.back().last = std::max(chunk.damage.back().last, damage.last);
    } else {
      chunk.damage.push_back(damage);
    }
  }

  // An image that is gone leaves a gap, so only the last ones go.
  OpenChunk open_images(const index::ChunkRow& row) {
    OpenChunk chunk{row, {}};
    const Pieces pieces = index_.checksums(row.chunk);
    std::int64_t count = row.frame_count;
    while (count > 0 && !has_image(row, pieces, count - 1)) {
      --count;
    }
    chunk.kept = all_frames(count);
    for (std::int64_t frame = 0; frame < count; ++frame) {
      if (!is_image_as_written(row, pieces, frame)) {
        add_damage(chunk, frame, frame + 1);
      }
    }
    if (count > 0) {
      find_images_without_row(row, count);
    }
    return chunk;  // else its folder goes
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

  // Null: none was taken of that image.
  static const index::ChecksumRow* checksum_of(const Pieces& pieces, std::int64_t frame_idx) {
    const auto piece =
        std::lower_bound(pieces.begin(), pieces.end(), frame_idx,
                         [](const auto& other, std::int64_t idx) { return other.frame_idx < idx; });
    return piece == pieces.end() || piece->frame_idx != frame_idx ? nullptr : &*piece;
  }

  fs::path image_file(const index::ChunkRow& row, std::int64_t frame_idx) const {
    return folder_ / row.path / chunk::image_file_name(frame_idx, extension());
  }

  bool is_image_as_written(const index::ChunkRow& row, const Pieces& pieces,
                           std::int64_t frame_idx) const {
    const fs::path file = image_file(row, frame_idx);
    std::error_code error;
    if (!fs::exists(file, error)) {
      return false;
    }
    const index::ChecksumRow* piece = checksum_of(pieces, frame_idx);
    return piece == nullptr || (base::file_size(file) == piece->bytes &&
                                base::crc32_of_file(file, 0, piece->bytes) == piece->crc32);
  }

  // Whether the file has all its bytes, right or wrong, or can be decoded.
  bool has_image(const index::ChunkRow& row, const Pieces& pieces, std::int64_t frame_idx) const {
    if (is_image_as_written(row, pieces, frame_idx)) {
      return true;
    }
    const fs::path file = image_file(row, frame_idx);
    std::error_code error;
    if (!fs::exists(file, error)) {
      return false;
    }
    const index::ChecksumRow* piece = checksum_of(pieces, frame_idx);
    return (piece != nullptr && base::file_size(file) == piece->bytes &&
            !base::has_unwritten_sector(file, 0, piece->bytes)) ||
           is_image(file);
  }

  static bool is_image(const fs::path& file) {
    try {
      static_cast<void>(chunk::read_image_file(file));
      return true;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::io) {
        throw;
      }
      return false;
    }
  }

  bool is_image_before(const std::string& name, std::int64_t count) const {
    try {
      const std::int64_t frame_idx = std::stoll(name);
      return frame_idx < count && name == chunk::image_file_name(frame_idx, extension());
    } catch (const std::logic_error&) {
      return true;  // no image of ours
    }
  }

  void describe_dropped(OpenChunk& chunk) const {
    RangesText numbers;
    for_each_dropped(chunk, index_, [&numbers](const index::FrameRow& frame) {
      numbers.add(frame.frame_idx, frame.frame_number);
    });
    chunk.dropped_numbers = numbers.text();
  }

  const OpenChunk* open_chunk() const { return plan_.open.empty() ? nullptr : &plan_.open.front(); }

  // Whether a record's frame will have a row.
  bool is_kept_record(const imgstore::ExtraRecord& record) const {
    const OpenChunk* open = open_chunk();
    return record.frame_index < index_.frame_count() &&
           (open == nullptr || moved_with_frame(record, *open));
  }

  imgstore::ExtraRecord moved(const imgstore::ExtraRecord& record) const {
    const OpenChunk* open = open_chunk();
    return open == nullptr ? record : moved_with_frame(record, *open).value_or(record);
  }

  // Of records whose frames are kept.
  Records moved(const Records& records) const {
    Records all;
    for (const imgstore::ExtraRecord& record : records) {
      all.push_back(moved(record));
    }
    return all;
  }

  void plan_extra() {
    for (const store::ExtraSource& source : store::extra_sources(folder_, &index_)) {
      if (source.kind != store::ExtraKind::database) {
        plan_extra_file(source);
        continue;
      }
      Records records = source.records;
      std::erase_if(records, [this](const auto& record) { return !is_kept_record(record); });
      if (!records.empty() && is_kept_chunk(source.chunk)) {
        plan_.extra.push_back({source.chunk, moved(records)});
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
    const auto lost =
        std::stable_partition(written.begin(), written.end(),
                              [this](const auto& record) { return is_kept_record(record); });
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
    plan_.unlisted_extra = moved(Records(in_file, lost));
    plan_.orphaned_extra.assign(lost, written.end());
    const bool has_lost = lost != written.end();
    written.erase(lost, written.end());
    const Records kept = moved(written);
    if (has_lost || !std::equal(kept.begin(), kept.end(), written.begin(), is_same_record)) {
      plan_.extra.push_back({chunk.chunk, kept});
    }
  }

  Records listed_extra(const index::ChunkRow& chunk) const {
    Records records;
    index_.for_each_extra([&](const index::ExtraRow& row) {
      const imgstore::ExtraRecord record = to_record(row);
      const bool before_all = row.frame_index < 0 && chunk.first_frame_index == 0;
      if (before_all || (row.frame_index >= chunk.first_frame_index && is_kept_record(record))) {
        records.push_back(record);
      }
      return true;
    });
    return records;
  }

  static imgstore::ExtraRecord to_record(const index::ExtraRow& row) {
    return {row.frame_index, row.frame_number, row.frame_time, row.json};
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
      const imgstore::ExtraRecord record = to_record(row);
      const bool known = std::any_of(in_file.begin(), in_file.end(), [&record](const auto& other) {
        return is_same_record(record, other);
      });
      if (!is_kept_record(record) && !known) {
        orphans.push_back(record);
      }
      return true;
    });
  }

  bool is_kept_chunk(std::int64_t chunk) const {
    const OpenChunk* open = open_chunk();
    if (open != nullptr && open->row.chunk == chunk) {
      return !open->kept.empty() &&
             (is_video() || !open->is_gone);  // else there is no place for it
    }
    return std::any_of(chunks_.begin(), chunks_.end(),
                       [chunk](const auto& row) { return row.chunk == chunk; });
  }

  // Whether the database is as our writer made it, and has all chunks that were ever complete.
  bool is_ours() const {
    return !chunks_.empty() && index_.information(store::kTimingEntry).has_value();
  }

  // Begun last, by a writer that died or failed. Others, and those with an index, are somebody's.
  void find_chunks_without_row() {
    for (const imgstore::ChunkFile& file : imgstore::find_chunks(folder_, metadata_)) {
      const bool emptied = !plan_.open.empty() && plan_.open.front().row.chunk == file.chunk &&
                           plan_.open.front().kept.empty();
      const bool behind = chunks_.empty() || file.chunk > chunks_.back().chunk;
      std::error_code error;
      const bool is_link = fs::is_symlink(folder_ / file.data, error);
      if (!is_link && (emptied || (behind && !file.index))) {
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

std::string damage_text(const OpenChunk& chunk, const OpenChunk::Damage& damage) {
  const std::int64_t first = chunk.new_place(damage.first);
  const std::int64_t last = chunk.new_place(damage.last);
  const std::string which =
      first == last ? fmt::format("frame {}", first) : fmt::format("frames {} to {}", first, last);
  return which +
         (chunk.damaged
              ? " may be wrong, since bytes of the frame, or of one that it is decoded from, are "
                "not as they were written"
              : ": the image is not as it was written, or gone") +
         "; what is there stays, and verify goes on telling of it";
}

}  // namespace

std::vector<std::string> RepairPlan::steps() const {
  if (!refusal.empty()) {
    return {refusal};
  }
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
    if (chunk.frames_dropped() > 0) {
      steps.push_back(fmt::format(
          "{}: {} of its {} cannot be read: frame_number {}; their rows are dropped, numbers and "
          "times are put aside",
          path, chunk.frames_dropped(), frames_text(chunk.row.frame_count), chunk.dropped_numbers));
    }
    if (chunk.frames_kept() > 0) {
      steps.push_back(fmt::format("{}: is finished, with {}{}", path,
                                  frames_text(chunk.frames_kept()),
                                  chunk.bytes > 0 ? "; the file as it was is put aside" : ""));
    }
    if (chunk.is_header_damaged && chunk.frames_kept() > 0) {
      steps.push_back(path +
                      ": its header is not as it was written, any frame may be wrong; what "
                      "is there stays, and verify goes on telling of it");
    }
    for (const OpenChunk::Damage& damage : chunk.damage) {
      steps.push_back(path + ": " + damage_text(chunk, damage));
    }
    if (chunk.frames_kept() > 0 && chunk.bytes > chunk.bytes_kept) {
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
    steps.push_back(path.string() + ": half a file, is put aside");
  }
  if (has_replaced_left) {
    steps.emplace_back("the store that this one has replaced: what is left of it is removed");
  }
  if (has_lock) {
    steps.push_back(".lock: of a writer that is dead, is removed");
  }
  return steps;
}

void for_each_dropped(const OpenChunk& chunk, const index::Index& index,
                      const std::function<void(const index::FrameRow&)>& visit) {
  if (chunk.frames_dropped() == 0) {
    return;
  }
  const std::int64_t first = chunk.row.first_frame_index;
  index.for_each({first, first + chunk.row.frame_count}, [&](const index::FrameRow& frame) {
    if (!chunk.keeps(frame.frame_index - first)) {
      visit(frame);
    }
    return true;
  });
}

std::optional<imgstore::ExtraRecord> moved_with_frame(const imgstore::ExtraRecord& record,
                                                      const OpenChunk& chunk) {
  imgstore::ExtraRecord moved = record;
  const std::int64_t place = record.frame_index - chunk.row.first_frame_index;
  if (place >= 0) {
    if (!chunk.keeps(place)) {
      return std::nullopt;
    }
    moved.frame_index = chunk.row.first_frame_index + chunk.new_place(place);
  }
  return moved;
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
