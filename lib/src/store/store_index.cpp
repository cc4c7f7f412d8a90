#include "store/store_index.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "base/own_files.h"
#include "imgstore/chunk_index.h"
#include "index/reference.h"
#include "media/scan.h"
#include "store/aside.h"
#include "store/index_files.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/repair_record.h"
#include "store/staged_change.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// Whether a video file is not the one whose frames the database lists.
bool has_changed(const fs::path& file, const index::ChunkRow& row) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  return !error && row.state == index::ChunkState::closed && row.bytes != 0 &&
         static_cast<std::int64_t>(size) != row.bytes;
}

// Of a chunk that gives no frames.
std::string left_out(const imgstore::ChunkFile& file) {
  return "; the frames of " + file.data.string() + " are left out";
}

// What is in a closed store's folder but not in its database; empty if nothing is. Chunks of the
// database that are gone or have changed are warned of and stay in it: their frames keep their
// place, and the others theirs. Costs one look at each chunk's size, never at frames, and reads the
// index files of chunks without a row alone; those that give no frames are warned of each time.
std::string find_mismatch(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                          const std::vector<imgstore::ChunkFile>& chunks, const index::Index& index,
                          const Warn& warn) {
  std::map<std::int64_t, imgstore::ChunkFile> present;
  for (const imgstore::ChunkFile& file : chunks) {
    present.emplace(file.chunk, file);
  }
  const auto uuid = index.information(kUuidEntry);
  if (uuid && *uuid != metadata.uuid) {
    return "it is of another store";
  }
  std::int64_t listed = 0;
  for (const index::ChunkRow& row : index.chunks()) {
    listed = row.first_frame_index + row.frame_count;
    if (present.erase(row.chunk) == 0 && row.frame_count > 0) {
      warn((folder / row.path).string() + ": is gone; its " + std::to_string(row.frame_count) +
           " frames cannot be read");
      continue;
    }
    if (!metadata.is_video() || row.state == index::ChunkState::open) {
      continue;
    }
    if (has_changed(folder / row.path, row)) {
      warn((folder / row.path).string() + ": has changed since it was written; its frames are " +
           "looked up anew");
    }
  }
  if (listed != index.frame_count()) {
    return "its chunks have " + std::to_string(listed) + " frames, but it lists " +
           std::to_string(index.frame_count());
  }
  std::vector<std::string> nameless;
  for (const auto& [chunk, file] : present) {
    const auto why = why_without_names(folder, file);
    if (!why) {
      return file.data.string() + " is not in it";
    }
    nameless.push_back(*why + left_out(file));
  }
  std::for_each(nameless.begin(), nameless.end(), warn);
  return {};
}

// So that the next opening need not compare them again. Where that cannot be, it will.
void try_to_note_stamp(const fs::path& folder, const imgstore::StoreMetadata& metadata) {
  try {
    auto writable = index::Index::open_for_writing(folder / kIndexFile);
    stamp_index_files(writable, folder, metadata);
    writable.close();
  } catch (const Error&) {
    // A read-only folder, or somebody else is at it.
  }
}

// Empty if a closed store's database is as its folder is. Sets `renew` where its note of the index
// files is of older ones that say the same.
std::string find_difference(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                            const index::Index& index, bool& renew, const Warn& warn) {
  const auto chunks = imgstore::find_chunks(folder, metadata);
  std::string mismatch = find_mismatch(folder, metadata, chunks, index, warn);
  if (!mismatch.empty() || has_staged_change(folder)) {
    return mismatch;
  }
  const IndexFilesState state = compare_index_files(folder, chunks, index);
  renew = state == IndexFilesState::agreeing;
  return state == IndexFilesState::changed ? "the chunks' index files have other numbers or times"
                                           : "";
}

std::optional<index::Index> open_saved(const fs::path& folder,
                                       const imgstore::StoreMetadata& metadata, bool save,
                                       index::Reading reading, const Warn& warn) {
  const fs::path file = current_file(folder, kIndexFile);
  try {
    std::optional<index::Index> index = index::Index::open(file, reading);
    // While it is recorded, files run ahead of their rows.
    const bool recording = base::entry_at(folder / kLockFile) != base::Entry::none;
    bool renew = false;
    const std::string mismatch =
        recording ? "" : find_difference(folder, metadata, *index, renew, warn);
    if (mismatch.empty()) {
      if (renew && save) {
        index.reset();  // the last to close a database takes its log away
        try_to_note_stamp(folder, metadata);
        index = index::Index::open(file);
      }
      return index;
    }
    warn(file.string() + ": does not match the store (" + mismatch + "); made anew");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::corrupt) {
      throw;
    }
    if (error.kind() == ErrorKind::corrupt) {
      warn(std::string(error.what()) + "; made anew from the chunks");
    }
  }
  return std::nullopt;
}

void append_chunk(index::Index& index, const imgstore::StoreMetadata& metadata,
                  const imgstore::ChunkFile& file, const imgstore::ChunkIndex& frames) {
  const std::int64_t first = index.frame_count();
  index::ChunkRow row;
  row.chunk = file.chunk;
  row.path = file.data.string();
  row.first_frame_index = first;
  row.frame_count = static_cast<std::int64_t>(frames.frame_number.size());
  row.state = index::ChunkState::closed;
  row.packet_count = metadata.is_video() ? 0 : row.frame_count;
  index.put_chunk(row);
  index.append_chunk(file.chunk, frames.frame_number, frames.frame_time);
  index.commit();
}

// The database that is replaced. What it alone has would be lost to one made anew, so nothing but
// damage passes for a database without contents: other errors are thrown, such as of one that is
// locked or a newer avstore's.
struct OldIndex {
  std::optional<index::Index> index;
  bool is_damaged = false;  // something of it cannot be read
};

OldIndex open_old(const fs::path& file, index::Reading reading) {
  try {
    return {index::Index::open(file, reading), false};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::corrupt) {
      throw;
    }
    return {std::nullopt, error.kind() == ErrorKind::corrupt};
  }
}

// A folder in .put-aside for what is kept of a database.
fs::path make_folder_for_kept(const fs::path& folder) {
  const fs::path kept = free_name(place_aside(folder, "index"));
  return base::make_own_folders(kept.parent_path(), kept.filename());
}

// What is in the place of the database or beside it under a name of SQLite's, and is no file: no
// database is opened with it, and nothing is read of what a link leads to.
std::vector<std::string> no_files_of_database(const fs::path& folder) {
  std::vector<std::string> names;
  for (const char* suffix : {"", "-wal", "-journal", "-shm"}) {
    names.push_back(std::string(kIndexFile) + suffix);
  }
  std::erase_if(names, [&folder](const std::string& name) {
    const base::Entry entry = base::entry_at(folder / name);
    return entry == base::Entry::file || entry == base::Entry::none;
  });
  return names;
}

void put_no_files_aside(const fs::path& folder, const Warn& warn) {
  const std::vector<std::string> names = no_files_of_database(folder);
  if (names.empty()) {
    return;
  }
  const fs::path kept = make_folder_for_kept(folder);
  for (const std::string& name : names) {
    base::rename(folder / name, kept / name);
    warn((folder / name).string() + ": is no file of the store, and is kept in " + kept.string());
  }
}

// A copy of a damaged database with the files beside it, which somebody may read more of than we.
void keep_damaged(const fs::path& folder, const Warn& warn) {
  const fs::path kept = make_folder_for_kept(folder);
  for (const std::string suffix : {"", "-wal", "-journal"}) {
    const std::string name = kIndexFile + suffix;
    if (base::is_own_file(folder / name)) {
      base::copy_end_of_file(folder / name, 0, kept / name);
    }
  }
  warn((folder / kIndexFile).string() + ": a copy of the damaged one is kept in " + kept.string());
}

bool lists_all_chunks(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                      const index::Index& index) {
  const auto chunks = imgstore::find_chunks(folder, metadata);
  return std::all_of(chunks.begin(), chunks.end(), [&index](const imgstore::ChunkFile& file) {
    return index.chunk(file.chunk).has_value();
  });
}

// In place of what is there, of which a copy is kept if it is damaged.
bool try_to_replace(const fs::path& folder, const OldIndex& old, index::Index& index,
                    const Warn& warn) {
  try {
    if (old.is_damaged) {
      keep_damaged(folder, warn);
    }
    index.close();  // makes secondary indexes where numbers or times are out of order
    index.save_as(folder / kIndexFile);
    return true;
  } catch (const Error& error) {
    // A store on read-only media is the normal case here.
    if (error.kind() != ErrorKind::io) {
      warn(error.what());
    }
    return false;
  }
}

// A PTS or DTS that a database has. Others take differences of them, and no video is so long.
std::int64_t ticks(const fs::path& folder, std::int64_t value) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  if (value > kMost || value < -kMost) {
    throw Error(ErrorKind::corrupt, (folder / kIndexFile).string() + ": " + std::to_string(value) +
                                        " is no time in a video");
  }
  return value;
}

// As far as it can be read. Returns whether that was all.
template <typename Copy>
bool copy_readable(const Copy& copy) {
  try {
    copy();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) {
      throw;
    }
    return false;
  }
}

// What a database says of numbers and times, by chunk. Reads all rows; of a damaged one, those
// before the damage.
std::map<std::int64_t, imgstore::ChunkIndex> all_names(OldIndex& old) {
  std::map<std::int64_t, imgstore::ChunkIndex> names;
  const bool is_all = copy_readable([&] {
    old.index->for_each({0, old.index->frame_count()}, [&names](const index::FrameRow& frame) {
      imgstore::ChunkIndex& chunk = names[frame.chunk];
      chunk.frame_number.push_back(frame.frame_number);
      chunk.frame_time.push_back(frame.frame_time);
      return true;
    });
  });
  old.is_damaged |= !is_all;
  return names;
}

// The same of a database that the reference made; nothing where there is none to read.
std::map<std::int64_t, imgstore::ChunkIndex> reference_names(const fs::path& file) {
  std::map<std::int64_t, imgstore::ChunkIndex> names;
  try {
    index::for_each_reference_frame(file, [&names](const index::ReferenceFrame& frame) {
      imgstore::ChunkIndex& chunk = names[frame.chunk];
      chunk.frame_number.push_back(frame.frame_number);
      chunk.frame_time.push_back(frame.frame_time);
    });
  } catch (const Error&) {
    // What came before the damage serves.
  }
  return names;
}

// Numbers and times of a chunk's frames: its own index file's, or else the database's.
class Names {
 public:
  Names(const fs::path& folder, OldIndex& old, const Warn& warn)
      : folder_(folder), old_(old), warn_(warn) {}

  std::optional<imgstore::ChunkIndex> find(const imgstore::ChunkFile& file) {
    std::string why;
    try {
      return imgstore::read_chunk_index(folder_, file, warn_);
    } catch (const Error& error) {
      why = error.what();
    }
    auto kept = saved_names(file.chunk);
    warn_(why +
          (kept ? "; the frames of " + file.data.string() + " are listed as the database has them"
                : left_out(file)));
    return kept;
  }

 private:
  std::optional<imgstore::ChunkIndex> saved_names(std::int64_t chunk) {
    if (!by_chunk_) {
      by_chunk_ = old_.index ? all_names(old_) : reference_names(folder_ / kIndexFile);
    }
    const auto found = by_chunk_->find(chunk);
    return found == by_chunk_->end() ? std::nullopt : std::optional(found->second);
  }

  const fs::path& folder_;
  OldIndex& old_;
  const Warn& warn_;
  std::optional<std::map<std::int64_t, imgstore::ChunkIndex>> by_chunk_;
};

void copy_extra(const index::Index& from, index::Index& to) {
  from.for_each_extra([&to](const index::ExtraRow& row) {
    to.append_extra(row);
    return true;
  });
}

// Taken while the chunks were written; what they hold now tells nothing of what they held then.
void copy_checksums(const index::Index& from, index::Index& to) {
  for (const index::ChunkRow& old : from.chunks()) {
    auto row = to.chunk(old.chunk);
    if (!row) {
      continue;
    }
    row->checksum = old.checksum;
    if (old.state == index::ChunkState::open && old.frame_count == row->frame_count) {
      // Its writer was killed: behind the frames listed the file may hold parts of others.
      row->state = old.state;
      row->bytes = old.bytes;
    }
    to.put_chunk(*row);
    for (const index::ChecksumRow& sum : from.checksums(old.chunk)) {
      to.put_checksum(sum);
    }
  }
}

// How the store was made, which nothing else tells.
void copy_information(const index::Index& from, index::Index& to) {
  for (const char* name :
       {kUuidEntry, kEncoderEntry, kEncodersEntry, kTimingEntry, kFrameRateEntry, kRepairsEntry}) {
    if (const auto value = from.information(name)) {
      to.set_information(name, *value);
    }
  }
}

// What a video file holds of the frames that its row says are in it.
ChunkScan scan_chunk(const fs::path& file, index::ChunkRow row) {
  media::Scan found = media::scan(file, std::nullopt, media::ScanMethod::packets);
  if (static_cast<std::int64_t>(found.pts.size()) != row.frame_count && !found.decoded) {
    found = media::scan(file, std::nullopt, media::ScanMethod::decode);
  }
  row.time_base = found.time_base;
  row.stream = found.stream;
  row.packet_count = found.packet_count;
  row.bytes = base::file_size(file);
  ChunkScan scan{std::move(row), std::move(found.pts), {}};
  scan.pts.resize(std::min(scan.pts.size(), static_cast<std::size_t>(scan.row.frame_count)));
  for (const media::SeekPoint& point : found.seek_points) {
    if (point.frame_idx < scan.row.frame_count) {
      scan.keyframes.push_back(
          {scan.row.chunk, point.frame_idx, point.pts, point.dts, point.position});
    }
  }
  return scan;
}

// Reads through each video chunk for its PTS, unless a reader did so before.
void scan_chunks(SharedIndex& index, const Warn& warn) {
  for (const index::ChunkRow& row :
       index.with([](const index::Index& db) { return db.chunks(); })) {
    try {
      const IndexedChunk chunk(index, row.chunk);
      if (!chunk.complete()) {
        warn((index.folder() / row.path).string() + ": holds fewer frames than its index lists");
      }
    } catch (const Error& error) {
      warn(error.what());
    }
  }
}

// Ends a change of the store that was cut short. Where that cannot be, its files are read where
// they are.
void try_to_finish_change(const fs::path& folder, const Warn& warn) {
  if (!has_staged_change(folder)) {
    return;
  }
  try {
    const base::FileLock lock(folder);
    finish_staged_change(folder);
  } catch (const Error& error) {
    warn(std::string(error.what()) + "; the store is read as it is to become");
  }
}

// As index_from_chunks(), with what can be read of the database that was there.
index::Index make_index(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                        OldIndex& old, const Warn& warn) {
  index::Index index = index::Index::create(":memory:");
  Names names(folder, old, warn);
  const auto chunks = imgstore::find_chunks(folder, metadata);
  note_stamp(index, stamp_of(folder, chunks));
  for (const imgstore::ChunkFile& file : chunks) {
    if (const auto found = names.find(file)) {
      append_chunk(index, metadata, file, *found);
    }
  }
  for (const std::int64_t chunk : imgstore::find_lost_chunks(folder, metadata)) {
    warn((folder / imgstore::chunk_path(metadata, chunk)).string() +
         ": is gone, though its index is there; its frames are left out");
  }
  if (old.index) {
    const index::Index& from = *old.index;
    bool is_all = copy_readable([&] { copy_extra(from, index); });
    if (from.information(kUuidEntry).value_or(metadata.uuid) == metadata.uuid) {
      copy_information(from, index);
      is_all &= copy_readable([&] { copy_checksums(from, index); });
    }
    old.is_damaged |= !is_all;
  }
  if (!index.information(kRepairsEntry)) {
    const auto repairs = repair_entries_of_records(folder, metadata.uuid);
    if (!repairs.empty()) {
      put_repair_entries(index, repairs);
    }
  }
  index.commit();
  return index;
}

}  // namespace

std::optional<std::string> why_without_names(const fs::path& folder,
                                             const imgstore::ChunkFile& file) {
  try {
    static_cast<void>(imgstore::read_chunk_index(folder, file, {}));
    return std::nullopt;
  } catch (const Error& error) {
    const bool final =
        !file.index || error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported;
    return final ? std::optional<std::string>(error.what()) : std::nullopt;
  }
}

index::Index index_from_chunks(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                               const Warn& warn) {
  OldIndex none;
  return make_index(folder, metadata, none, warn);
}

namespace {

OpenedIndex open_or_make_index(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                               bool save, index::Reading reading, const Warn& warn) {
  std::vector<std::string> warnings;
  if (auto saved = open_saved(folder, metadata, save, reading,
                              [&](const std::string& text) { warnings.push_back(text); })) {
    std::for_each(warnings.begin(), warnings.end(), warn);
    return {std::move(*saved), false, {}};
  }
  // One at a time: to replace a database that others just made and opened would pull its log from
  // under their feet.
  const base::FileLock lock(folder);
  if (auto saved = open_saved(folder, metadata, save, reading, warn)) {
    return {std::move(*saved), false, {}};
  }
  OldIndex old = open_old(folder / kIndexFile, reading);
  index::Index made = make_index(folder, metadata, old, warn);
  if (recording_state(folder).recording == Recording::yes) {
    // Its writer goes on with the database that it has open, and would do so under no name.
    return {std::move(made), true,
            (folder / kIndexFile).string() +
                ": is not made anew while the store is recorded; only finished chunks are read"};
  }
  if (const auto names = no_files_of_database(folder); !names.empty()) {
    return {std::move(made), true,
            (folder / names.front()).string() +
                ": stays as it is, since it is no file of the store; avstore index puts it aside"};
  }
  if (old.is_damaged && !lists_all_chunks(folder, metadata, made)) {
    // Such as of the chunk that a killed writer did not finish: its rows are nowhere else.
    return {std::move(made), true,
            (folder / kIndexFile).string() +
                ": the damaged one stays as it is, since nothing else has the frames "
                "of some chunks; avstore index makes it anew without them, and keeps a "
                "copy"};
  }
  if (save && try_to_replace(folder, old, made, warn)) {
    return {index::Index::open(folder / kIndexFile), false, {}};
  }
  return {std::move(made), true, {}};
}

}  // namespace

OpenedIndex open_index(const fs::path& folder, const imgstore::StoreMetadata& metadata, bool save,
                       const Warn& warn) {
  if (save) {
    try_to_finish_change(folder, warn);
  }
  return open_or_make_index(folder, metadata, save, index::Reading::in_place, warn);
}

OpenedIndex look_at_index(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                          const Warn& warn) {
  return open_or_make_index(folder, metadata, false, index::Reading::untouched, warn);
}

std::int64_t rebuild_index(const fs::path& folder, const Warn& warn) {
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  const base::FileLock lock(folder);
  require_not_recording(folder);
  finish_staged_change(folder);
  put_no_files_aside(folder, warn);
  OldIndex old = open_old(folder / kIndexFile, index::Reading::in_place);
  index::Index made = make_index(folder, metadata, old, warn);
  if (old.is_damaged) {
    keep_damaged(folder, warn);
  }
  SharedIndex index({std::move(made), true, {}}, folder, true);
  if (metadata.is_video()) {
    scan_chunks(index, warn);
  }
  return index.with([&](index::Index& db) {
    db.close();
    db.save_as(folder / kIndexFile);
    return db.frame_count();
  });
}

std::optional<std::int64_t> ChunkScan::pts_at(std::int64_t frame_idx) const {
  const auto place = static_cast<std::size_t>(frame_idx);
  return place < pts.size() ? std::optional(pts[place]) : std::nullopt;
}

std::optional<index::KeyframeRow> ChunkScan::keyframe_at_or_before(std::int64_t frame_idx) const {
  const auto after = std::upper_bound(
      keyframes.begin(), keyframes.end(), frame_idx,
      [](std::int64_t idx, const index::KeyframeRow& key) { return idx < key.frame_idx; });
  return after == keyframes.begin() ? std::nullopt : std::optional(*std::prev(after));
}

bool SharedIndex::try_to_store(const ChunkScan& scan) {
  const auto put = [&](index::Index& index) {
    index.set_pts(scan.row.first_frame_index, scan.pts, scan.keyframes);
    index.put_chunk(scan.row);
    index.commit();
  };
  const std::lock_guard lock(mutex_);
  if (in_memory_) {
    put(index_);
    return true;
  }
  // A recording would have to wait for the lock, for ever if this process is stopped meanwhile.
  if (!save_ || recording_state(folder_).recording == Recording::yes) {
    return false;
  }
  try {
    auto writable = index::Index::open_for_writing(folder_ / kIndexFile);
    put(writable);
    writable.close();
    index_.refresh();
    return true;
  } catch (const Error&) {
    return false;  // a read-only folder, or somebody else is at it
  }
}

void SharedIndex::remember(std::shared_ptr<const ChunkScan> scan) {
  forget(scan->row.chunk);
  const bool whole = static_cast<std::int64_t>(scan->pts.size()) == scan->row.frame_count;
  if (!whole || !try_to_store(*scan)) {
    keep(std::move(scan));
  }
}

void SharedIndex::keep(std::shared_ptr<const ChunkScan> scan) {
  // Some 64 MB: what hours of video need. Chunks beyond that are scanned anew each time.
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  const auto bytes = [](const ChunkScan& kept) {
    return kept.pts.size() * sizeof(std::int64_t) +
           kept.keyframes.size() * sizeof(index::KeyframeRow);
  };
  const std::lock_guard lock(scans_mutex_);
  scans_.push_front(std::move(scan));
  std::size_t sum = 0;
  const auto too_many =
      std::find_if(std::next(scans_.begin()), scans_.end(), [&](const auto& kept) {
        sum += bytes(*kept);
        return sum + bytes(*scans_.front()) > kMostBytes;
      });
  scans_.erase(too_many, scans_.end());
}

void SharedIndex::forget(std::int64_t chunk) {
  const std::lock_guard lock(scans_mutex_);
  scans_.remove_if([chunk](const auto& kept) { return kept->row.chunk == chunk; });
}

std::shared_ptr<const ChunkScan> SharedIndex::kept_scan(std::int64_t chunk) const {
  const std::lock_guard lock(scans_mutex_);
  const auto found = std::find_if(scans_.begin(), scans_.end(),
                                  [chunk](const auto& kept) { return kept->row.chunk == chunk; });
  return found == scans_.end() ? nullptr : *found;
}

std::vector<index::KeyframeRow> SharedIndex::keyframes(std::int64_t chunk) const {
  if (const auto scan = kept_scan(chunk)) {
    return scan->keyframes;
  }
  return with([chunk](const index::Index& db) { return db.keyframes(chunk); });
}

std::optional<index::KeyframeRow> SharedIndex::keyframe_at_or_before(std::int64_t chunk,
                                                                     std::int64_t frame_idx) const {
  if (const auto scan = kept_scan(chunk)) {
    return scan->keyframe_at_or_before(frame_idx);
  }
  return with([&](const index::Index& db) { return db.keyframe_at_or_before(chunk, frame_idx); });
}

IndexedChunk::IndexedChunk(SharedIndex& index, std::int64_t chunk) : index_(index) {
  const auto listed = index_.with([chunk](const index::Index& db) { return db.chunk(chunk); });
  if (!listed) {
    throw Error(ErrorKind::corrupt, (index.folder() / kIndexFile).string() +
                                        ": there is no chunk " + std::to_string(chunk) +
                                        ", though frames are said to be in it");
  }
  row_ = *listed;
  // A store being written may have grown since this connection looked last.
  row_.frame_count = std::min(row_.frame_count, index_.with([&](const index::Index& db) {
    return db.frame_count() - row_.first_frame_index;
  }));
  const fs::path file = index.folder() / row_.path;
  if (row_.frame_count == 0 || (row_.packet_count != 0 && !has_changed(file, row_))) {
    return;
  }
  scan_ = index.kept_scan(chunk);
  if (!scan_ || scan_->row.frame_count != row_.frame_count || has_changed(file, scan_->row)) {
    scan_ = std::make_shared<ChunkScan>(scan_chunk(file, row_));
    index.remember(scan_);
  }
  row_ = scan_->row;
}

std::optional<std::int64_t> IndexedChunk::bytes() const {
  const bool growing = row_.state == index::ChunkState::open && row_.bytes > 0;
  return growing ? std::optional(row_.bytes) : std::nullopt;
}

std::int64_t IndexedChunk::pts(std::int64_t frame_idx) const {
  if (scan_) {
    const auto pts = scan_->pts_at(frame_idx);
    if (!pts) {
      throw Error(ErrorKind::corrupt, (index_.folder() / row_.path).string() + ": frame " +
                                          std::to_string(frame_idx) + " is not in it; it holds " +
                                          std::to_string(scan_->pts.size()) + " of " +
                                          std::to_string(row_.frame_count));
    }
    return *pts;
  }
  return index_.with([&](const index::Index& db) {
    const auto pts = db.at(row_.first_frame_index + frame_idx).pts;
    return ticks(index_.folder(), pts.value_or(0));
  });
}

std::optional<media::SeekPoint> IndexedChunk::seek_point(std::int64_t frame_idx) const {
  if (scan_) {
    const auto key = scan_->keyframe_at_or_before(frame_idx);
    return key ? std::optional(media::SeekPoint{key->frame_idx, key->pts, key->dts, key->position})
               : std::nullopt;
  }
  const auto row = index_.with(
      [&](const index::Index& db) { return db.keyframe_at_or_before(row_.chunk, frame_idx); });
  if (!row) {
    return std::nullopt;
  }
  const fs::path& folder = index_.folder();
  const auto dts = row->dts ? std::optional(ticks(folder, *row->dts)) : std::nullopt;
  return media::SeekPoint{row->frame_idx, ticks(folder, row->pts), dts, row->position};
}

media::DemuxerOptions IndexedChunk::demuxer_options() const {
  media::DemuxerOptions options;
  options.stream = row_.stream;
  options.count_packets = pts_are_ordinals();
  options.bytes = bytes();
  return options;
}

void IndexedChunk::describe(FrameInfo& frame) const {
  if (scan_) {
    const auto key = scan_->keyframe_at_or_before(frame.frame_idx);
    frame.pts = scan_->pts_at(frame.frame_idx);
    frame.keyframe = key && key->frame_idx == frame.frame_idx;
  }
}

}  // namespace avstore::store
