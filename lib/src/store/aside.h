// What is of no use to a store, and may be of use to its owner: it is kept in a folder of its own.
#pragma once

#include <filesystem>

namespace avstore::store {

// The folder .put-aside in the store's, made if it is not there. Throws Error(io).
std::filesystem::path make_aside_folder(const std::filesystem::path& folder);

// The path, or if something is there already, one with a number behind it.
std::filesystem::path free_name(const std::filesystem::path& wanted);

// Move a file or folder of the store, named relative to it, there. Throws Error(io).
void put_aside(const std::filesystem::path& folder, const std::filesystem::path& relative);

}  // namespace avstore::store
