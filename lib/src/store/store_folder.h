// A store's folder as a whole: making room for it, leaving it empty, taking it away.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace avstore::store {

// Throws Error: exists, unless a store may be made there: where nothing is, in an empty folder, or
// with `overwrite` in place of a store that nobody is recording; io.
void require_free(const std::filesystem::path& folder, bool overwrite);

// Whether the folder was made: not if it was there. Throws Error(io).
bool make_folder(const std::filesystem::path& folder);

// Make a store beside its place and put it there when it is complete, so that a store that is
// overwritten stays until then, and nothing half-made looks whole. `make` is given an empty folder;
// if it throws, what it made is removed, and the error names the place that the store was to have.
// Throws Error: exists, io.
void make_store(const std::filesystem::path& destination, bool overwrite,
                const std::function<void(const std::filesystem::path& folder)>& make);

// Remove all chunks of a store with what belongs to them, and make its database an empty one.
// Throws Error: io, exists (it is being written).
void empty_store(const std::filesystem::path& folder);

// The files and folders in a store's folder that belong to it.
std::vector<std::string> names_of_store(const std::filesystem::path& folder);

// The highest number that a chunk, its index or its extra data has in the folder, whatever the
// database knows of it; -1 if there is none. Throws Error(io).
std::int64_t highest_chunk_number(const std::filesystem::path& folder);

// Remove the store's files. Throws Error(io).
void remove_store_files(const std::filesystem::path& folder);

// And the folder, if nothing else is in it.
void remove_store(const std::filesystem::path& folder);

}  // namespace avstore::store
