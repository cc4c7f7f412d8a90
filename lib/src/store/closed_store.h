// A store that was closed, opened again to go on with it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "avstore/writer.h"
#include "imgstore/metadata.h"
#include "index/index.h"

namespace avstore::store {

struct ClosedStore {
  imgstore::StoreMetadata metadata;
  index::Index index;  // open for writing
};

// A database that is as the store's chunks are, made anew if need be. Before the caller takes the
// RecordingLock: with it the store is one that is being recorded, whose database is neither
// compared nor replaced. Throws Error: io (its folder cannot be written), as reading the store
// does.
void require_index_in_store(const std::filesystem::path& folder,
                            const std::function<void(const std::string&)>& warn);

// The caller holds the RecordingLock. Throws Error: exists (it was not closed), io, unsupported (a
// format that is not written), as reading it does.
ClosedStore open_closed_store(const std::filesystem::path& folder);

// Make all that is in a store's folder last through a power cut: whoever wrote it may not have
// waited for the disk. Throws Error(io).
void sync_store(const std::filesystem::path& folder);

// `options`, but what a store says of itself as the store says it.
WriterOptions options_of(const ClosedStore& store, WriterOptions options);

}  // namespace avstore::store
