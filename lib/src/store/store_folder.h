// A store's folder as a whole: making room for it, leaving it empty, taking it away.
#pragma once

#include <filesystem>
#include <functional>

#include "imgstore/metadata.h"

namespace avstore::store {

// Make an empty folder for a new store. A folder that is there and empty is taken as it is. With
// `overwrite` a store that is there is removed first; anything else never is.
// Throws Error: exists, io.
void prepare_folder(const std::filesystem::path& folder, bool overwrite);

// Throws Error(exists) if prepare_folder() with these arguments would.
void require_free(const std::filesystem::path& folder, bool overwrite);

// Make a store beside its place and put it there when it is complete, so that a store that is
// overwritten stays until then, and nothing half-made looks whole. `make` is given an empty folder;
// if it throws, what it made is removed, and the error names the place that the store was to have.
// Throws Error: exists, io.
void make_store(const std::filesystem::path& destination, bool overwrite,
                const std::function<void(const std::filesystem::path& folder)>& make);

// A store without frames: its image size is not known and stated as 0 x 0.
void write_empty_store(const std::filesystem::path& folder, imgstore::StoreMetadata metadata);

// Remove all chunks of a store with what belongs to them, and make its database an empty one.
// Throws Error: io, exists (it is being written).
void empty_store(const std::filesystem::path& folder);

// Remove a store, or what there is of one that was given up: only files that belong to a store, and
// the folder if nothing else is in it.
void remove_store(const std::filesystem::path& folder);

}  // namespace avstore::store
