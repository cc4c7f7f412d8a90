// Small helpers on files that several parts need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::base {

// Whole file, at most `limit` bytes. Throws Error: not_found, io, corrupt (larger than the limit).
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    std::uint64_t limit = std::uint64_t{1} << 32);
std::string read_text(const std::filesystem::path& path,
                      std::uint64_t limit = std::uint64_t{1} << 30);

// A name beside `path` for what is to take its place when it is complete. No other thread or
// process that runs now has the same.
std::filesystem::path temporary_name(const std::filesystem::path& path);
// Whether it is such a name, of a process that does not run any more.
bool is_left_temporary(const std::filesystem::path& path);

// Write to a temporary file beside `path`, flush it to disk, and rename it there: whoever looks
// sees the old file or the whole new one. Throws Error(io) with the system's words.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// Whether a folder is really there. What a link in a store from a stranger leads to is not the
// store's.
bool is_own_folder(const std::filesystem::path& path);

// Make a folder, with those above it; nothing happens if it is there. Throws Error(io).
void make_folders(const std::filesystem::path& folder);

// What lies in a folder, in no order. Throws Error(io).
std::vector<std::string> names_in(const std::filesystem::path& folder);

// Give a file or folder another name on its file system, in place of a file of that name or an
// empty folder. Throws Error(io) with both names.
void rename(const std::filesystem::path& from, const std::filesystem::path& to);

// Remove a file or a folder with all that is in it; nothing happens if it is not there. Throws
// Error(io).
void remove_all(const std::filesystem::path& path);

// Bytes. Throws Error: not_found, io.
std::int64_t file_size(const std::filesystem::path& path);

// The checksum (base/checksum.h) of bytes [offset, offset + size), or of as many of them as there
// are. Throws Error: not_found, io.
std::uint32_t crc32_of_file(const std::filesystem::path& path, std::int64_t offset,
                            std::int64_t size);

// Whether in bytes [offset, offset + size) of a file there is a part that looks as if it had never
// reached the disk: in one of its sectors nothing but zeros. Throws Error: not_found, io.
bool has_unwritten_sector(const std::filesystem::path& path, std::int64_t offset,
                          std::int64_t size);

// Make what is in a file last through a power cut. Throws Error: not_found, io.
void sync_file(const std::filesystem::path& path);

// Make the names in a folder last through a power cut. Throws Error(io).
void sync_folder(const std::filesystem::path& folder);
// And the folder's own, and those of the folders that it lies in, as far up as they can be read.
void sync_folders_above(const std::filesystem::path& folder);

// Keeps other processes, and other threads of this one, that want the same file or folder out until
// the end of its life or of this process, however that comes. Advisory, and no obstacle where the
// file system has no locks or the file cannot be opened.
class FileLock {
 public:
  // Waits until it is free.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

// A file that is there under one more name, or a copy of it where that cannot be (on another file
// system); and always a copy. Refuse to replace a file. Throw Error(io or exists).
void link_or_copy_file(const std::filesystem::path& from, const std::filesystem::path& to);
void copy_file(const std::filesystem::path& from, const std::filesystem::path& to);
// A copy of what is in a file from a place on, on the disk when this returns. Throws Error: io,
// not_found.
void copy_end_of_file(const std::filesystem::path& from, std::int64_t offset,
                      const std::filesystem::path& to);

// Write a file in place, replacing one that is there; not flushed to disk. Throws Error(io).
void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);

}  // namespace avstore::base
