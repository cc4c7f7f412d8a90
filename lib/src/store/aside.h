// What is of no use to a store, and may be of use to its owner: it is kept in a folder of its own.
#pragma once

#include <filesystem>

namespace avstore::store {

// The folder .put-aside in the store's, made if it is not there. Throws Error: corrupt (a link, or
// something else that is no folder, has the name), io.
std::filesystem::path make_aside_folder(const std::filesystem::path& folder);

// The place in .put-aside of what the store calls `relative`, for a copy that is to be made there:
// the folders that it lies in are made. There may be a file of that name, see free_name(). Throws
// Error: corrupt (a folder on the way is a link, or `relative` leads out of it), io.
std::filesystem::path place_aside(const std::filesystem::path& folder,
                                  const std::filesystem::path& relative);

// The path, or if something is there already, one with a number behind it.
std::filesystem::path free_name(const std::filesystem::path& wanted);

// Move a file or folder of the store, named relative to it, there. Of a link, the link is moved.
// Throws Error: corrupt (as place_aside(), also of its place in the store), io.
void put_aside(const std::filesystem::path& folder, const std::filesystem::path& relative);

}  // namespace avstore::store
