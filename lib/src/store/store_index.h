// The database of a store that is opened for reading: as it is, or made anew from the chunks.
#pragma once

#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chunk/chunk_reader.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/demuxer.h"
#include "media/scan.h"

namespace avstore::store {

using Warn = std::function<void(const std::string&)>;

// Open FOLDER/.index.sqlite. Where it is missing, damaged, or lacks chunks that are in the folder,
// make one from the chunks' own index files (and from what can be read of the database, for chunks
// without one) and say so through `warn` (missing is normal and not mentioned); with `save` it is
// put in the store, if the folder can be written. Of a damaged one a copy is put aside then; where
// a chunk cannot be listed without it, it is left alone, and so is that of a store which is being
// recorded.
// Throws Error: unsupported for one of a newer version, corrupt where the chunks do not allow, io
// (also: locked).
struct OpenedIndex {
  index::Index index;
  bool in_memory = false;
  // Of one that was left alone: what is to be said of that. Else empty.
  std::string left_alone;
};
OpenedIndex open_index(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                       bool save, const Warn& warn);

// The same without `save`, and nothing in the store's folder is written, not even what SQLite keeps
// beside a database that it reads.
OpenedIndex look_at_index(const std::filesystem::path& folder,
                          const imgstore::StoreMetadata& metadata, const Warn& warn);

// A database in memory made from the chunks' index files. Chunks without a readable one (the last,
// where the writer was killed) are left out, unless a reference's database knows them. Warns of
// both. PTS of video chunks are not known yet.
index::Index index_from_chunks(const std::filesystem::path& folder,
                               const imgstore::StoreMetadata& metadata, const Warn& warn);

// Why no frames can be listed from a chunk's own index file, however often the database is made
// anew: there is none, or it is damaged. None if they can.
std::optional<std::string> why_without_names(const std::filesystem::path& folder,
                                             const imgstore::ChunkFile& file);

// Make the database anew, with the PTS of all chunks, and save it. Chunks without a readable index
// file have their rows from the one that was there; if that was damaged, a copy of it is put aside.
// Returns the number of frames. Throws Error as open_index() does.
std::int64_t rebuild_index(const std::filesystem::path& folder, const Warn& warn);

// What reading through a video chunk found.
struct ChunkScan {
  index::ChunkRow row;  // the database's, with what was found; frame_count remains as it was
  std::vector<std::int64_t> pts;  // fewer than frame_count where the file holds fewer
  std::vector<index::KeyframeRow> keyframes;

  // None for a frame that is not in the file.
  std::optional<std::int64_t> pts_at(std::int64_t frame_idx) const;
  std::optional<index::KeyframeRow> keyframe_at_or_before(std::int64_t frame_idx) const;
};

// One connection, shared by the chunk readers of several threads, and what was found of chunks that
// the database does not know.
class SharedIndex {
 public:
  SharedIndex(OpenedIndex opened, std::filesystem::path folder, bool save)
      : folder_(std::move(folder)),
        index_(std::move(opened.index)),
        in_memory_(opened.in_memory),
        save_(save) {}

  const std::filesystem::path& folder() const { return folder_; }

  // See what a writer has committed since. Returns the number of frames.
  std::int64_t refresh() {
    const std::lock_guard lock(mutex_);
    return in_memory_ ? index_.frame_count() : index_.refresh();
  }

  // Keep what a scan of a chunk found: in the database if all frames were there, the store can be
  // written and is not being recorded, else for this process. Of many chunks those scanned last are
  // kept.
  void remember(std::shared_ptr<const ChunkScan> scan);
  // What is kept of a chunk for this process; null if nothing is.
  std::shared_ptr<const ChunkScan> kept_scan(std::int64_t chunk) const;

  // Of a scan that is kept, or else of the database, which has none of chunks never scanned.
  std::vector<index::KeyframeRow> keyframes(std::int64_t chunk) const;
  std::optional<index::KeyframeRow> keyframe_at_or_before(std::int64_t chunk,
                                                          std::int64_t frame_idx) const;

  // Calls `use` with the index, one thread at a time.
  template <typename Use>
  auto with(const Use& use) const {
    const std::lock_guard lock(mutex_);
    return use(index_);
  }
  template <typename Use>
  auto with(const Use& use) {
    const std::lock_guard lock(mutex_);
    return use(index_);
  }

 private:
  bool try_to_store(const ChunkScan& scan);
  void keep(std::shared_ptr<const ChunkScan> scan);
  void forget(std::int64_t chunk);

  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  index::Index index_;
  mutable std::mutex scans_mutex_;                     // may be taken while the other is held
  std::list<std::shared_ptr<const ChunkScan>> scans_;  // the newest in front
  bool in_memory_;
  bool save_;
};

// The frames of one video chunk, as the database knows them. If their PTS are not known yet, the
// file is scanned for them now.
class IndexedChunk final : public chunk::FrameMap {
 public:
  // A file that holds fewer frames than the index says gives those it has; pts() throws
  // Error(corrupt) for the others. Throws Error(corrupt) for a chunk that is not in the index.
  IndexedChunk(SharedIndex& index, std::int64_t chunk);

  const index::ChunkRow& row() const { return row_; }
  std::int64_t frame_count() const override { return row_.frame_count; }
  bool complete() const override {
    return !scan_ || static_cast<std::int64_t>(scan_->pts.size()) == row_.frame_count;
  }
  // PTS and keyframe of a frame of this chunk, which whoever looked it up may not have known yet.
  void describe(FrameInfo& frame) const;
  // How the file is opened to read these frames' packets.
  media::DemuxerOptions demuxer_options() const;
  bool pts_are_ordinals() const override { return row_.time_base.num == 0; }
  std::optional<std::int64_t> bytes() const override;
  std::int64_t pts(std::int64_t frame_idx) const override;
  std::optional<media::SeekPoint> seek_point(std::int64_t frame_idx) const override;

 private:
  SharedIndex& index_;
  index::ChunkRow row_;
  std::shared_ptr<const ChunkScan> scan_;  // null: the database knows
};

}  // namespace avstore::store
