// Small helpers on files that several parts need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::base {

// Whether a name leads to something, or to a regular file; links are followed. False also where
// that cannot be found out, as of links that lead in a circle.
bool is_there(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);

// Whole file, at most `limit` bytes. Throws Error: not_found, io, corrupt (larger than the limit).
std::vector<std::uint8_t> read_file(const std::filesystem::path& path,
                                    std::uint64_t limit = std::uint64_t{1} << 32);
std::string read_text(const std::filesystem::path& path,
                      std::uint64_t limit = std::uint64_t{1} << 30);

// A name beside `path` for what is to take its place when it is complete. Nobody can foresee it.
std::filesystem::path temporary_name(const std::filesystem::path& path);
// Whether it is such a name, of a process that does not run any more.
bool is_left_temporary(const std::filesystem::path& path);
// The same for what takes long to make, and is named for the user to see what it is.
std::filesystem::path partial_name(const std::filesystem::path& path,
                                   const std::string& ending = {});

// Write to a temporary file beside `path`, flush it to disk, and rename it there: whoever looks
// sees the old file or the whole new one. Throws Error(io) with the system's words.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// What lies in a folder, in no order. Throws Error(io).
std::vector<std::string> names_in(const std::filesystem::path& folder);

// Give a file, folder or link another name on its file system, in place of a file or link of that
// name or an empty folder. Throws Error(io) with both names.
void rename(const std::filesystem::path& from, const std::filesystem::path& to);

// Remove a file, a link or an empty folder; nothing happens if it is not there. Throws Error(io).
void remove(const std::filesystem::path& path);
// Remove a file, a link, or a folder with all that is in it; nothing happens if it is not there.
// What links lead to stays. Throws Error(io).
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

// Another link to what a link leads to. Refuses to replace anything. Throws Error(io).
void copy_link(const std::filesystem::path& from, const std::filesystem::path& to);

// A file that is there under one more name, or a copy of it where that cannot be (on another file
// system); and always a copy. Of a link, what it leads to is copied. Holes of a file stay holes: a
// copy takes no more room on the disk. Refuse to replace anything. Throw Error: exists, io,
// not_found.
void link_or_copy_file(const std::filesystem::path& from, const std::filesystem::path& to);
void copy_file(const std::filesystem::path& from, const std::filesystem::path& to);
// The same of what is in a file from a place on; it is on the disk when this returns, and replaces
// a file `to`.
void copy_end_of_file(const std::filesystem::path& from, std::int64_t offset,
                      const std::filesystem::path& to);

}  // namespace avstore::base
