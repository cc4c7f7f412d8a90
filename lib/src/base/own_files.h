// Which entries of a store's folder are the store's own.
//
// Stores come from strangers, and any name in them may be a link to a file of the user's. All of
// avstore keeps to one rule:
//
// - What is only read (videos, images, npz, metadata.yaml, extra data) may be a link to a regular
//   file. base::File::open() reads it, and nothing writes to it.
// - What avstore creates, renames, removes, puts aside or opens with SQLite may not be a link, and
//   neither may a folder between it and the store's. The functions here check that.
// - A link may itself be renamed or removed as an entry of a folder; what it leads to stays.
// - The store's own folder may be reached through links: the user has named it.
//
// The checks go by names. Who can change the store's folder in the moment between a check and what
// follows it can lead avstore elsewhere: see lib/README.md, "Hostile files".
#pragma once

#include <filesystem>
#include <string>

namespace avstore::base {

// What has a name, without following links.
enum class Entry { none, file, folder, link, other };

// Throws Error(io) where that cannot be found out.
Entry entry_at(const std::filesystem::path& path);

// Whether there is a regular file, or a folder, of that name. False also where that cannot be found
// out.
bool is_own_file(const std::filesystem::path& path);
bool is_own_folder(const std::filesystem::path& path);

// FOLDER/relative, for a file or folder that is to be made or changed. Throws Error(corrupt) if a
// folder on the way from FOLDER to it is a link or no folder, or if `relative` leads out of FOLDER.
// Folders that are not there yet do no harm.
std::filesystem::path own_path(const std::filesystem::path& folder,
                               const std::filesystem::path& relative);

// FOLDER/relative as a folder: it is made, with those between, unless they are there. Throws Error:
// corrupt (as own_path(), also of the last one), io.
std::filesystem::path make_own_folders(const std::filesystem::path& folder,
                                       const std::filesystem::path& relative);

// Twelve hexadecimal digits that nobody can foresee, for names of new files. Throws Error(io).
std::string unforeseeable();

}  // namespace avstore::base
