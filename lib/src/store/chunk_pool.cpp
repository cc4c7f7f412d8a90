#include "store/chunk_pool.h"

#include <algorithm>

#include "avstore/error.h"
#include "media/codec_table.h"
#include "store/frame_size.h"
#include "store/layout.h"

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

Image ChunkPool::read(FrameInfo& frame, chunk::Access access) {
  OpenChunk& open = get(frame.chunk);
  if (frame.index.value - open.first_frame_index != frame.frame_idx) {
    throw Error(ErrorKind::corrupt, (index_.folder() / kIndexFile).string() + ": says that frame " +
                                        std::to_string(frame.index.value) + " is number " +
                                        std::to_string(frame.frame_idx) + " of chunk " +
                                        std::to_string(frame.chunk) + ", which begins with frame " +
                                        std::to_string(open.first_frame_index));
  }
  Image image = open.reader->read(frame.frame_idx, access);
  require_size(index_.folder(), metadata_, {frame.index.value, frame.chunk}, image);
  if (open.map) {
    open.map->describe(frame);
  }
  return image;
}

ChunkPool::OpenChunk& ChunkPool::get(std::int64_t chunk) {
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [chunk](const OpenChunk& entry) { return entry.chunk == chunk; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return open_.front();
  }
  if (open_.size() >= kMaxOpen) {
    accumulate(closed_, open_.back().reader->statistics());
    open_.pop_back();
  }
  open_.push_front(open(chunk));
  return open_.front();
}

void ChunkPool::forget_growing() {
  open_.remove_if([this](const OpenChunk& entry) {
    if (entry.growing) {
      accumulate(closed_, entry.reader->statistics());
    }
    return entry.growing;
  });
}

ReadStatistics ChunkPool::statistics() const {
  ReadStatistics all = closed_;
  for (const OpenChunk& entry : open_) {
    accumulate(all, entry.reader->statistics());
  }
  return all;
}

ChunkPool::OpenChunk ChunkPool::open(std::int64_t chunk) {
  const auto row = index_.with([chunk](const index::Index& db) { return db.chunk(chunk); });
  if (!row) {
    throw Error(ErrorKind::corrupt, (index_.folder() / kIndexFile).string() +
                                        ": there is no chunk " + std::to_string(chunk) +
                                        ", though frames are said to be in it");
  }
  OpenChunk opened;
  opened.chunk = chunk;
  opened.first_frame_index = row->first_frame_index;
  opened.growing = row->state == index::ChunkState::open;
  if (metadata_.is_video()) {
    opened.map = std::make_unique<IndexedChunk>(index_, chunk);
    // The chunk may have been finished after this connection looked last.
    opened.growing = opened.growing || opened.map->frame_count() < row->frame_count;
    opened.reader = chunk::open_video_chunk(index_.folder() / opened.map->row().path,
                                            opened.map->row().stream, threads_, *opened.map);
    return opened;
  }
  opened.reader = chunk::open_image_chunk(index_.folder() / row->path, image_extension(metadata_));
  return opened;
}

}  // namespace avstore::store
