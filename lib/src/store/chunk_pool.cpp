#include "store/chunk_pool.h"

#include <algorithm>

#include "avstore/error.h"
#include "media/codec_table.h"

namespace avstore::store {
namespace {

// Random access over a store hits a new chunk nearly every time however many are kept; going back
// and forth at a border needs two. Each keeps decoder buffers of some tens of frames.
constexpr std::size_t kMaxOpen = 4;

std::string image_extension(const imgstore::StoreMetadata& metadata) {
  return media::find_video_format(metadata.format).format.extension;
}

}  // namespace

void accumulate(ReadStatistics& sum, const ReadStatistics& other) {
  sum.seeks += other.seeks;
  sum.packets_read += other.packets_read;
  sum.frames_decoded += other.frames_decoded;
  sum.seek_recoveries += other.seek_recoveries;
  sum.files_opened += other.files_opened;
}

ChunkPool::ChunkPool(SharedIndex& index, const imgstore::StoreMetadata& metadata, int threads)
    : index_(index), metadata_(metadata), threads_(threads) {}

chunk::ChunkReader& ChunkPool::get(std::int64_t chunk) {
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [chunk](const OpenChunk& entry) { return entry.chunk == chunk; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return *open_.front().reader;
  }
  if (open_.size() >= kMaxOpen) {
    accumulate(closed_, open_.back().reader->statistics());
    open_.pop_back();
  }
  open_.push_front(open(chunk));
  return *open_.front().reader;
}

void ChunkPool::prepare(std::int64_t chunk) {
  const auto row = index_.with([chunk](const index::Index& db) { return db.chunk(chunk); });
  if (row && row->packet_count == 0 && row->frame_count > 0) {
    get(chunk);
  }
}

ReadStatistics ChunkPool::statistics() const {
  ReadStatistics all = closed_;
  for (const OpenChunk& entry : open_) {
    accumulate(all, entry.reader->statistics());
  }
  return all;
}

ChunkPool::OpenChunk ChunkPool::open(std::int64_t chunk) {
  OpenChunk opened;
  opened.chunk = chunk;
  if (metadata_.store_class == "VideoImgStore") {
    opened.map = std::make_unique<IndexedChunk>(index_, chunk);
    opened.reader = chunk::open_video_chunk(index_.folder() / opened.map->row().path,
                                            opened.map->row().stream, threads_, *opened.map);
    return opened;
  }
  const auto row = index_.with([chunk](const index::Index& db) { return db.chunk(chunk); });
  opened.reader =
      chunk::open_image_chunk(index_.folder() / row.value().path, image_extension(metadata_));
  return opened;
}

}  // namespace avstore::store
