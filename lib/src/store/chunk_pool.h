// The chunks of a store that are open for reading.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "chunk/chunk_reader.h"
#include "imgstore/metadata.h"
#include "store/store_index.h"

namespace avstore::store {

// Opens chunks when they are needed and keeps the few used last. For one thread at a time; several
// pools may share an index.
class ChunkPool {
 public:
  ChunkPool(SharedIndex& index, const imgstore::StoreMetadata& metadata, int threads);

  // The frame, as its chunk holds it. PTS and keyframe of `frame`, which may not have been known
  // before the chunk was opened, are set. Throws Error(corrupt) if it is not there or not of the
  // store's size, or if the database contradicts itself about where it is.
  Image read(FrameInfo& frame, chunk::Access access);
  // Chunks of which not all frames were known when they were opened are opened anew when they are
  // needed next.
  void forget_growing();

  ReadStatistics statistics() const;

 private:
  struct OpenChunk {
    std::int64_t chunk = 0;
    std::int64_t first_frame_index = 0;
    bool growing = false;
    std::unique_ptr<IndexedChunk> map;  // none for image directories; outlives the reader
    std::unique_ptr<chunk::ChunkReader> reader;
  };

  OpenChunk& get(std::int64_t chunk);
  OpenChunk open(std::int64_t chunk);

  SharedIndex& index_;
  const imgstore::StoreMetadata& metadata_;
  int threads_;
  std::list<OpenChunk> open_;  // the one used last in front
  ReadStatistics closed_;      // of chunks that are no longer open
};

void accumulate(ReadStatistics& sum, const ReadStatistics& other);

}  // namespace avstore::store
