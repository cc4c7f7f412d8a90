// avstore repair: a store whose writer failed or was killed is completed.
//
// All files that change are made anew beside the store's and put in place together
// (store/staged_change.h). Before that, those which they replace are put aside, with a list of what
// changes (store/repair_record.h), so that undo_repair() can bring them back. What is left to be
// moved after that the next repair would find again.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
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
#include "store/chunk_checksums.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/repair_record.h"
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
      const index::Index index = checked(store::look_at_index(folder_, metadata_, warn()));
      describe(plan(index), index);
      return std::move(result_);
    }
    if (needs_nothing()) {
      return std::move(result_);
    }
    const std::optional<std::string> lock = text_of_lock();
    store::RecordingLock recording(folder_);
    store::RepairRecord record = work(lock);
    recording.remove();
    record.finish();
    result_.put_aside = record.folder();
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
    tools::RepairPlan planned = tools::plan_repair(folder_, metadata_, index, writer_died_);
    if (!planned.refusal.empty()) {
      throw Error(ErrorKind::corrupt, planned.refusal);
    }
    return planned;
  }

  void describe(const tools::RepairPlan& planned, const index::Index& index) {
    result_.steps = planned.steps();
    result_.is_whole = planned.is_whole();
    result_.frames = index.frame_count();
    result_.frames_dropped = 0;
    for (const tools::OpenChunk& chunk : planned.open) {
      result_.frames -= chunk.frames_dropped();
      result_.frames_dropped += chunk.frames_dropped();
    }
    result_.losses = store::describe_losses(folder_, index);
  }

  store::Warn warn() const {
    return [this](const std::string& text) {
      if (options_.notice) {
        options_.notice(text);
      }
    };
  }

  static index::Index checked(store::OpenedIndex opened) {
    if (!opened.left_alone.empty()) {
      throw Error(ErrorKind::corrupt, opened.left_alone);
    }
    return std::move(opened.index);
  }

  // So that nothing is written into a store that is complete, not even for a moment.
  bool needs_nothing() {
    {
      const index::Index index =
          checked(store::open_index(folder_, metadata_, false, [](const auto&) {}));
      describe(plan(index), index);
    }
    if (result_.steps.empty()) {
      checked(store::open_index(folder_, metadata_, true, warn()));
    }
    return result_.steps.empty();
  }

  // The repair's own takes its place. None where there is no file, or one that is no writer's.
  std::optional<std::string> text_of_lock() const {
    return writer_died_ ? std::optional(base::read_text(folder_ / store::kLockFile)) : std::nullopt;
  }

  store::RepairRecord work(const std::optional<std::string>& lock) {
    {
      const base::FileLock guard(folder_);
      store::finish_staged_change(folder_);
    }
    std::optional<index::Index> index =
        checked(store::open_index(folder_, metadata_, false, warn()));
    const tools::RepairPlan planned = plan(*index);
    describe(planned, *index);
    const base::FileLock guard(folder_);
    store::StagedChange staged(folder_);
    store::RepairRecord record = prepare(planned, lock, *index, staged);
    index.reset();  // another takes its place
    staged.commit();
    record.move();
    if (planned.has_replaced_left) {
      store::remove_replaced(folder_);
    }
    return record;
  }

  store::RepairRecord prepare(const tools::RepairPlan& planned,
                              const std::optional<std::string>& lock, index::Index& index,
                              const store::StagedChange& staged) {
    index::Index made = stage(planned, index, staged);
    const auto entries = store::repair_entries(index);
    const store::RowsState rows = store::rows_state(index);
    auto record = store::RepairRecord::begin(folder_, metadata_.uuid, entries, rows);
    put_entry(planned, entries, record.name(), made);
    made.close();
    note(planned, index, record);
    keep_what_changes(staged, lock, record);
    record.note_rows(rows, store::rows_state(made));
    record.save();
    result_.losses = store::describe_losses(folder_, made);
    return record;
  }

  // ---- what is put aside ----

  static std::vector<store::Loss> losses(const tools::RepairPlan& planned) {
    std::vector<store::Loss> lost;
    for (const tools::OpenChunk& chunk : planned.open) {
      if (chunk.frames_dropped() > 0) {
        lost.push_back({chunk.row.path, chunk.frames_dropped(), chunk.dropped_numbers});
      }
    }
    return lost;
  }

  // A repair that goes on with another's record has one entry together with it.
  static void put_entry(const tools::RepairPlan& planned, std::vector<store::RepairEntry> entries,
                        const std::string& record, index::Index& made) {
    if (entries.empty() || entries.back().record != record) {
      entries.push_back({record, {}});
    }
    for (store::Loss& loss : losses(planned)) {
      entries.back().lost.push_back(std::move(loss));
    }
    store::put_repair_entries(made, entries);
  }

  static void note(const tools::RepairPlan& planned, const index::Index& index,
                   store::RepairRecord& record) {
    for (const tools::OpenChunk& chunk : planned.open) {
      if (chunk.frames_dropped() > 0) {
        record.add_text(fmt::format("{:06}.dropped.csv", chunk.row.chunk),
                        names_of_dropped(chunk, index));
      }
    }
    for (store::Loss& loss : losses(planned)) {
      record.note_lost(std::move(loss));
    }
    if (!planned.orphaned_extra.empty()) {
      record.add_text("extra.json", imgstore::extra_json_text(planned.orphaned_extra));
    }
    for (const auto* files : {&planned.without_row, &planned.temporary}) {
      for (const fs::path& file : *files) {
        record.note_move(file);
      }
    }
  }

  // Nothing else has them, once their rows are gone.
  static std::string names_of_dropped(const tools::OpenChunk& chunk, const index::Index& index) {
    std::string text = "frame_index,frame_number,frame_time,frame_idx,pts\n";
    tools::for_each_dropped(chunk, index, [&text](const index::FrameRow& frame) {
      text +=
          fmt::format("{},{},{},{},{}\n", frame.frame_index, frame.frame_number, frame.frame_time,
                      frame.frame_idx, frame.pts ? std::to_string(*frame.pts) : "");
    });
    return text;
  }

  static void keep_what_changes(const store::StagedChange& staged,
                                const std::optional<std::string>& lock,
                                store::RepairRecord& record) {
    using As = store::RepairRecord::As;
    for (const fs::path& file : staged.files()) {
      if (file == store::kIndexFile) {
        for (const char* suffix : {"", "-wal", "-journal"}) {
          record.keep(file.string() + suffix, As::copy);
        }
        continue;
      }
      record.keep(file, As::link);
      if (file.extension() == ".npz") {  // takes the YAML file's place too
        record.keep(fs::path(file).replace_extension(".yaml"), As::link);
      }
      record.note_made(file, staged.place(file));
    }
    if (lock) {
      record.keep_text(store::kLockFile, *lock);
    }
  }

  // ---- what changes ----

  // Stages every change but the closing of the database, which needs the record first.
  index::Index stage(const tools::RepairPlan& plan, index::Index& index,
                     const store::StagedChange& staged) const {
    const fs::path database = staged.place(store::kIndexFile);
    index.save_as(database);
    index::Index made = index::Index::open_for_writing(database);
    made.remove_orphans();  // while it is still known which chunk is open
    for (const tools::OpenChunk& chunk : plan.open) {
      keep_rows(chunk, made);
      if (chunk.kept.empty()) {
        made.remove_chunk(chunk.row.chunk);
      } else if (chunk.is_gone) {
        close_lost(chunk, made, staged);
      } else {
        finish(chunk, index, made, staged);
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
      append_extra(record, made);
    }
    return made;
  }

  static void append_extra(const imgstore::ExtraRecord& record, index::Index& made) {
    made.append_extra({record.frame_index, record.frame_number, record.frame_time, record.json});
  }

  // Those behind the first frame that goes move up, with all that is tied to them; keyframes are
  // for finish_video() to set.
  static void keep_rows(const tools::OpenChunk& chunk, index::Index& made) {
    if (chunk.frames_dropped() == 0) {
      return;
    }
    const std::int64_t first = chunk.row.first_frame_index;
    std::vector<index::FrameRow> frames;
    std::int64_t place = 0;  // of the next that is kept
    made.for_each({first, first + chunk.row.frame_count}, [&](const index::FrameRow& frame) {
      const std::int64_t was = frame.frame_index - first;
      if (chunk.keeps(was)) {
        if (was != place) {
          frames.push_back(
              {first + place, frame.chunk, place, frame.frame_number, frame.frame_time, frame.pts});
        }
        ++place;
      }
      return true;
    });
    const std::int64_t cut = first + chunk.frames_kept() - static_cast<std::int64_t>(frames.size());
    std::vector<imgstore::ExtraRecord> extra;
    made.for_each_extra([&](const index::ExtraRow& row) {
      const auto moved = tools::moved_with_frame(
          {row.frame_index, row.frame_number, row.frame_time, row.json}, chunk);
      if (row.frame_index >= cut && moved) {
        extra.push_back(*moved);
      }
      return true;
    });
    made.truncate(cut);
    for (const index::FrameRow& frame : frames) {
      made.append(frame);
    }
    for (const imgstore::ExtraRecord& record : extra) {
      append_extra(record, made);
    }
    made.commit();
  }

  void finish(const tools::OpenChunk& chunk, const index::Index& index, index::Index& made,
              const store::StagedChange& staged) const {
    index::ChunkRow row = chunk.row;
    row.frame_count = chunk.frames_kept();
    row.packet_count = row.frame_count;
    row.state = index::ChunkState::closed;
    if (metadata_.is_video()) {
      finish_video(row, chunk, index, made, staged);
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

  void finish_video(index::ChunkRow& row, const tools::OpenChunk& chunk, const index::Index& index,
                    index::Index& made, const store::StagedChange& staged) const {
    const fs::path file = staged.place(row.path);
    const tools::CompletedVideo to{
        file, media::find_video_format(metadata_.format).muxer, row.time_base,
        parse_rational(made.information(store::kFrameRateEntry).value_or(""))};
    const media::Scan scan = chunk.damaged
                                 ? tools::complete_damaged_video(*chunk.damaged, chunk.kept, to)
                                 : tools::complete_video(folder_ / row.path, chunk.bytes_kept, to,
                                                         tools::pts_of(made, row, row.frame_count));
    if (chunk.damaged) {
      set_keyframes(row, scan, index.keyframes(row.chunk), made);
    }
    row.packet_count = scan.packet_count;
    made.remove_checksums(row.chunk);
    auto pieces = store::checksums_of_file(file, scan);
    spoil_damaged(pieces, chunk);
    for (const chunk::Checksum& piece : pieces) {
      made.put_checksum({row.chunk, piece.frame_idx, piece.offset, piece.size, piece.crc32});
    }
    row.bytes = base::file_size(file);
    row.checksum = store::checksum_text(store::joined_checksum(pieces));
  }

  // Keeps the keyframes that the writer listed and the new file has.
  static void set_keyframes(const index::ChunkRow& row, const media::Scan& scan,
                            const std::vector<index::KeyframeRow>& known, index::Index& made) {
    std::set<std::int64_t> known_pts;
    for (const index::KeyframeRow& keyframe : known) {
      known_pts.insert(keyframe.pts);
    }
    std::vector<index::KeyframeRow> keyframes;
    for (const media::SeekPoint& point : scan.seek_points) {
      if (known_pts.contains(point.pts)) {
        keyframes.push_back({row.chunk, point.frame_idx, point.pts, point.dts, point.position});
      }
    }
    made.set_pts(row.first_frame_index, scan.pts, keyframes);
  }

  // The file's new bytes are what there is, not what was recorded. Their checksums are made such as
  // these bytes do not have, so that verify finds them.
  static void spoil_damaged(std::vector<chunk::Checksum>& pieces, const tools::OpenChunk& chunk) {
    for (auto piece = pieces.begin(); piece != pieces.end(); ++piece) {
      const auto next = std::next(piece);
      const std::int64_t end = next == pieces.end() ? chunk.frames_kept() : next->frame_idx;
      const bool is_damaged = std::any_of(
          chunk.damage.begin(), chunk.damage.end(), [&](const tools::OpenChunk::Damage& frames) {
            return piece->frame_idx <= chunk.new_place(frames.last) &&
                   chunk.new_place(frames.first) < end;
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
  } else if (const fs::path whole = store::replaced_store(folder); !whole.empty()) {
    result = Repair(whole, options).run();
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
