// avstore reindex: frames renumbered about the one with number 0.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/tools.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/extra_data.h"
#include "imgstore/json_text.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "store/extra_records.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/replaced_store.h"
#include "store/staged_change.h"
#include "store/store_index.h"
#include "tools/progress_meter.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

// What the database says of one chunk's frames, and what becomes of their numbers.
struct ChunkFrames {
  std::int64_t first_frame_index = 0;
  std::vector<std::int64_t> old_number, new_number;
  std::vector<double> time;
};

class Reindexer {
 public:
  Reindexer(fs::path folder, const ReindexOptions& options)
      : folder_(std::move(folder)),
        options_(options),
        metadata_(imgstore::read_metadata(folder_)),
        index_(open_index()) {}

  ReindexResult run() {
    ReindexResult result = look();
    if (result.renumbered > 0) {
      const base::FileLock lock(folder_);
      store::require_closed(folder_);
      store::finish_staged_change(folder_);
      // Others may have changed the store before it was locked.
      index_ = index::Index::open(folder_ / store::kIndexFile);
      result = look();
      change(result.zero.value);
    }
    return result;
  }

 private:
  index::Index open_index() const {
    store::OpenedIndex opened = store::open_index(folder_, metadata_, true, warn());
    if (!opened.left_alone.empty()) {
      throw Error(ErrorKind::corrupt, opened.left_alone);
    }
    return std::move(opened.index);
  }

  store::Warn warn() const {
    return [this](const std::string& text) {
      if (options_.notice) {
        options_.notice(text);
      }
    };
  }

  ReindexResult look() const {
    ReindexResult result;
    result.frames = index_.frame_count();
    result.zero = FrameIndex(find_zero());
    result.renumbered = count_wrong(result.zero.value);
    return result;
  }

  std::int64_t find_zero() const {
    std::vector<std::int64_t> zeros;
    index_.for_each({0, index_.frame_count()}, [&zeros](const index::FrameRow& row) {
      if (row.frame_number == 0) {
        zeros.push_back(row.frame_index);
      }
      return true;
    });
    if (zeros.size() != 1) {
      throw Error(ErrorKind::invalid_argument,
                  folder_.string() + ": " + std::to_string(zeros.size()) +
                      " frames have number 0, but frames can be renumbered about one only");
    }
    return zeros.front();
  }

  std::int64_t count_wrong(std::int64_t zero) const {
    std::int64_t wrong = 0;
    index_.for_each({0, zero}, [&](const index::FrameRow& row) {
      wrong += row.frame_number == row.frame_index - zero ? 0 : 1;
      return true;
    });
    return wrong;
  }

  // All of it is made beside the store's files, then put in place together.
  void change(std::int64_t zero) {
    store::StagedChange staged(folder_);
    stage(staged, zero);
    staged.commit();
  }

  void stage(const store::StagedChange& staged, std::int64_t zero) {
    tools::ProgressMeter meter(options_.progress, index_.frame_count(), folder_.string());
    index::Index made = new_database(staged);
    for (const index::ChunkRow& row : index_.chunks()) {
      const ChunkFrames frames = frames_of(range_of(row), zero);
      append_frames(made, row, frames);
      if (row.frame_count > 0 && is_there(row.chunk)) {
        write_index(staged, row.chunk, frames);
        rewrite_extra(staged, row.chunk, frames_of(range_of_extra(row), zero));
      }
      meter.require(row.frame_count);
    }
    copy_extra(made, staged, zero);
    made.close();
  }

  // One that is gone takes nothing: its folder with it.
  bool is_there(std::int64_t chunk) const {
    std::error_code missing;
    return fs::exists(folder_ / imgstore::chunk_path(metadata_, chunk), missing);
  }

  index::Index new_database(const store::StagedChange& staged) const {
    index::Index made = index::Index::create(staged.place(store::kIndexFile));
    for (const auto& [name, value] : index_.all_information()) {
      made.set_information(name, value);
    }
    return made;
  }

  static IndexRange range_of(const index::ChunkRow& row) {
    return {row.first_frame_index, row.first_frame_index + row.frame_count};
  }

  // A chunk's extra data begin with records of the frame before it, where a writer went on there.
  static IndexRange range_of_extra(const index::ChunkRow& row) {
    return {std::max<std::int64_t>(0, row.first_frame_index - 1), range_of(row).end};
  }

  ChunkFrames frames_of(IndexRange range, std::int64_t zero) const {
    ChunkFrames frames;
    frames.first_frame_index = range.begin;
    index_.for_each(range, [&](const index::FrameRow& frame) {
      const std::int64_t number = frame.frame_number;
      frames.old_number.push_back(number);
      frames.new_number.push_back(frame.frame_index < zero ? frame.frame_index - zero : number);
      frames.time.push_back(frame.frame_time);
      return true;
    });
    return frames;
  }

  void append_frames(index::Index& made, const index::ChunkRow& row,
                     const ChunkFrames& frames) const {
    made.put_chunk(row);
    index_.for_each(range_of(row), [&](index::FrameRow frame) {
      frame.frame_number = frames.new_number[static_cast<std::size_t>(frame.frame_idx)];
      made.append(frame);
      return true;
    });
    for (const index::KeyframeRow& keyframe : index_.keyframes(row.chunk)) {
      made.append_keyframe(keyframe);
    }
    for (const index::ChecksumRow& piece : index_.checksums(row.chunk)) {
      made.put_checksum(piece);
    }
    made.commit();
  }

  // None if there is none, or it is damaged: the database knows the chunk's frames all the same.
  static std::optional<imgstore::ChunkIndex> readable_index(const fs::path& npz) {
    try {
      return imgstore::read_chunk_index(npz);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::corrupt) {
        throw;
      }
      return std::nullopt;
    }
  }

  // Frames renumbered before keep the numbers that the camera gave them.
  void write_index(const store::StagedChange& staged, std::int64_t chunk,
                   const ChunkFrames& frames) const {
    imgstore::ChunkIndex index{frames.new_number, frames.time, frames.old_number};
    const fs::path npz = imgstore::chunk_index_path(metadata_, chunk);
    const auto saved = readable_index(folder_ / npz);
    if (!saved) {
      imgstore::write_chunk_index(staged.place(npz), index, metadata_);
      return;
    }
    const imgstore::ChunkIndex& old = *saved;
    if (old.frame_number.size() != index.frame_number.size()) {
      throw Error(ErrorKind::corrupt,
                  (folder_ / npz).string() + ": lists " + std::to_string(old.frame_number.size()) +
                      " frames, the database " + std::to_string(index.frame_number.size()));
    }
    if (!old.before_reindex.empty()) {
      index.before_reindex = old.before_reindex;
    }
    imgstore::rewrite_chunk_index(folder_ / npz, staged.place(npz), index);
  }

  // ---- extra data ----

  // Motif's HDF5 stay as they are: reading them goes by the npz.
  void rewrite_extra(const store::StagedChange& staged, std::int64_t chunk,
                     const ChunkFrames& frames) {
    const std::string motif =
        fs::path(imgstore::chunk_path(metadata_, chunk)).stem().string() + ".extra_data.json";
    for (const std::string& name : {imgstore::chunk_extra_path(metadata_, chunk), motif}) {
      if (base::is_there(folder_ / name)) {
        if (const auto text = renumbered_json(folder_ / name, frames)) {
          base::write_file_atomically(staged.place(name), *text);
        }
      }
    }
  }

  // None for a damaged file that is to stay as it is.
  std::optional<std::string> renumbered_json(const fs::path& file,
                                             const ChunkFrames& frames) const {
    const std::string text = base::read_text(file);
    std::string made = "[";
    try {
      imgstore::JsonReader reader(text);
      reader.enter_array();
      while (reader.next_element()) {
        auto members = reader.object();
        renumber(members, frames);
        made += (made.size() > 1 ? ", " : "") + imgstore::json_object(members);
      }
      reader.finish();
    } catch (const imgstore::JsonError& error) {
      const std::string what = file.string() + ": " + error.what();
      if (!options_.ignore_corrupt_extra) {
        throw Error(ErrorKind::corrupt, what);
      }
      warn()(what + "; left as it is");
      return std::nullopt;
    }
    return made + ']';
  }

  static imgstore::JsonMember* find_member(std::vector<imgstore::JsonMember>& members,
                                           std::string_view key) {
    const auto found =
        std::find_if(members.begin(), members.end(),
                     [key](const imgstore::JsonMember& member) { return member.key == key; });
    return found == members.end() ? nullptr : &*found;
  }

  static std::optional<double> number_of(const imgstore::JsonMember* member) {
    if (member == nullptr || member->value.empty() ||
        std::string_view("-0123456789").find(member->value.front()) == std::string_view::npos) {
      return std::nullopt;
    }
    return imgstore::json_to_double(member->value);
  }

  // Padding, and records of no frame of this chunk, stay as they are.
  static void renumber(std::vector<imgstore::JsonMember>& members, const ChunkFrames& frames) {
    imgstore::JsonMember* number = find_member(members, "frame_number");
    const auto frame_idx = find_frame(members, frames);
    if (!number || !frame_idx) {
      return;
    }
    const std::string old =
        std::exchange(number->value, std::to_string(frames.new_number[*frame_idx]));
    if (!find_member(members, imgstore::kBeforeReindex)) {
      members.push_back({std::string(imgstore::kBeforeReindex), old});
    }
  }

  // The frame a record belongs to: by frame_index, or where that is missing or does not have the
  // record's number, the frame of that number which is nearest in time.
  static std::optional<std::size_t> find_frame(std::vector<imgstore::JsonMember>& members,
                                               const ChunkFrames& frames) {
    const auto number = number_of(find_member(members, "frame_number"));
    const auto index = number_of(find_member(members, "frame_index"));
    const auto time = number_of(find_member(members, "frame_time"));
    const auto fits = [&](std::size_t i) {
      return number && static_cast<double>(frames.old_number[i]) == *number;
    };
    const double place = index.value_or(-1) - static_cast<double>(frames.first_frame_index);
    if (place >= 0 && place < static_cast<double>(frames.time.size()) &&
        fits(static_cast<std::size_t>(place))) {
      return static_cast<std::size_t>(place);
    }
    std::optional<std::size_t> nearest;
    const auto distance = [&](std::size_t i) {
      return std::abs(frames.time[i] - time.value_or(frames.time[i]));
    };
    for (std::size_t i = 0; i < frames.time.size(); ++i) {
      if (fits(i) && (!nearest || distance(i) < distance(*nearest))) {
        nearest = i;
      }
    }
    return nearest;
  }

  // Those that only the database has get a file, as closing the chunk would have given them.
  void copy_extra(index::Index& made, const store::StagedChange& staged, std::int64_t zero) {
    index_.for_each_extra([&](index::ExtraRow row) {
      renumber_extra(row, zero);
      made.append_extra(row);
      return true;
    });
    for (const store::ExtraSource& source : store::extra_sources(folder_)) {
      if (source.kind != store::ExtraKind::database || !is_there(source.chunk)) {
        continue;
      }
      imgstore::ExtraJsonFile file(
          staged.place(imgstore::chunk_extra_path(metadata_, source.chunk)));
      for (imgstore::ExtraRecord record : source.records) {
        renumber_extra(record, zero);
        file.add(record);
      }
      file.finish();
    }
  }

  // A row or a record.
  template <typename Extra>
  static void renumber_extra(Extra& extra, std::int64_t zero) {
    const std::int64_t old = extra.frame_number;
    if (extra.frame_index >= 0 && extra.frame_index < zero) {
      extra.frame_number = extra.frame_index - zero;
    }
    if (old != kNoFrameNumber.value) {
      extra.json = with_old_number(extra.json, old);
    }
  }

  static std::string with_old_number(const std::string& json, std::int64_t number) {
    imgstore::JsonReader reader(json);
    auto members = reader.object();
    if (!find_member(members, imgstore::kBeforeReindex)) {
      members.push_back({std::string(imgstore::kBeforeReindex), std::to_string(number)});
    }
    return imgstore::json_object(members);
  }

  fs::path folder_;
  const ReindexOptions& options_;
  imgstore::StoreMetadata metadata_;
  index::Index index_;
};

}  // namespace

ReindexResult reindex(const fs::path& store, const ReindexOptions& options) {
  return Reindexer(store::existing_folder(store), options).run();
}

}  // namespace avstore
