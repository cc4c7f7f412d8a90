#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <regex>

#include "avstore/error.h"
#include "base/atomic_file.h"
#include "base/checksum.h"
#include "base/file.h"
#include "base/own_files.h"

namespace avstore::base {
namespace {

void require_done(const std::error_code& error, const std::string& otherwise) {
  if (error) {
    throw Error(ErrorKind::io, otherwise + ": " + error.message(), error.value());
  }
}

// Names in a folder may be 255 bytes long. What is cut off of a longer one is not missed.
std::filesystem::path with_ending(const std::filesystem::path& path, const std::string& ending) {
  constexpr std::size_t kLongest = 255;
  std::string name = path.filename().string();
  name.resize(std::min(name.size(), kLongest - ending.size()));
  return path.parent_path() / (name + ending);
}

}  // namespace

bool is_there(const std::filesystem::path& path) {
  std::error_code unknown;
  return std::filesystem::exists(path, unknown);
}

bool is_file(const std::filesystem::path& path) {
  std::error_code unknown;
  return std::filesystem::is_regular_file(path, unknown);
}

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  const File file = File::open(path);
  const auto size = static_cast<std::uint64_t>(file.size());
  if (size > limit) {
    throw Error(ErrorKind::corrupt, path.string() + ": larger than such a file can be (" +
                                        std::to_string(size) + " bytes)");
  }
  std::vector<std::uint8_t> bytes(size);
  bytes.resize(file.read(bytes));
  return bytes;
}

std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  const auto bytes = read_file(path, limit);
  return {bytes.begin(), bytes.end()};
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  return with_ending(path, ".tmp" + std::to_string(::getpid()) + "-" + unforeseeable());
}

// Before they were made so that nobody can foresee them, such names had a number from 0 at the end.
bool is_left_temporary(const std::filesystem::path& path) {
  static const std::regex kEnding("\\.tmp([0-9]{1,9})-[0-9a-f]+$");
  const std::string name = path.filename().string();
  std::smatch match;
  return std::regex_search(name, match, kEnding) && ::kill(std::stoi(match[1]), 0) != 0 &&
         errno == ESRCH;
}

std::filesystem::path partial_name(const std::filesystem::path& path, const std::string& ending) {
  return with_ending(path, ".partial-" + unforeseeable() + ending);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.put_in_place();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path,
                        std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  require_done(error, folder.string() + ": cannot list");
  return names;
}

void rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  require_done(error, from.string() + ": cannot be moved to " + to.string());
}

void remove(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  require_done(error, path.string() + ": cannot remove");
}

void remove_all(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  require_done(error, path.string() + ": cannot remove");
}

std::int64_t file_size(const std::filesystem::path& path) {
  return File::open(path).size();
}

std::uint32_t crc32_of_file(const std::filesystem::path& path, std::int64_t offset,
                            std::int64_t size) {
  const File file = File::open(path);
  std::vector<std::uint8_t> buffer(std::size_t{1} << 18);
  std::uint32_t sum = 0;
  for (std::int64_t done = 0; done < size;) {
    const auto wanted = std::min(size - done, static_cast<std::int64_t>(buffer.size()));
    const std::size_t n =
        file.read_at(offset + done, std::span(buffer).first(static_cast<std::size_t>(wanted)));
    if (n == 0) {
      break;
    }
    sum = crc32(std::span(buffer).first(n), sum);
    done += static_cast<std::int64_t>(n);
  }
  return sum;
}

bool has_unwritten_sector(const std::filesystem::path& path, std::int64_t offset,
                          std::int64_t size) {
  constexpr std::int64_t kSector = 512;
  // What lies in a sector at the borders may be short, and zeros by chance.
  constexpr std::int64_t kLeast = 64;
  const File file = File::open(path);
  std::vector<std::uint8_t> sector(static_cast<std::size_t>(kSector));
  for (std::int64_t place = offset; place < offset + size;) {
    const std::int64_t end = std::min(offset + size, (place / kSector + 1) * kSector);
    const auto part = std::span(sector).first(static_cast<std::size_t>(end - place));
    const std::size_t n = file.read_at(place, part);
    const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
    if (n == part.size() && end - place >= std::min(kLeast, size) &&
        std::all_of(part.begin(), part.end(), is_zero)) {
      return true;
    }
    place = end;
  }
  return false;
}

void sync_file(const std::filesystem::path& path) {
  const File file = File::open(path);
  file.sync();
}

void sync_folder(const std::filesystem::path& folder) {
  File::open_folder(folder).sync();
}

void sync_folders_above(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path above = std::filesystem::absolute(folder, error);
  while (!error && above.has_relative_path()) {
    above = above.parent_path();
    try {
      sync_folder(above);
    } catch (const Error&) {
      return;  // not ours to read, so not made for us either
    }
  }
}

FileLock::FileLock(const std::filesystem::path& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  while (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

namespace {

// What is in `source` from `offset` on.
void copy(const File& source, std::int64_t offset, const File& to) {
  std::vector<std::uint8_t> buffer(std::size_t{1} << 18);
  std::int64_t copied = offset;
  while (const auto data = source.next_data(copied)) {
    if (data->begin > copied) {
      to.skip(data->begin - copied);
    }
    for (copied = data->begin; copied < data->end;) {
      const auto wanted = std::min(data->end - copied, static_cast<std::int64_t>(buffer.size()));
      const std::size_t n =
          source.read_at(copied, std::span(buffer).first(static_cast<std::size_t>(wanted)));
      if (n == 0) {
        return;  // somebody has cut the file off just now
      }
      to.write(std::span(buffer).first(n));
      copied += static_cast<std::int64_t>(n);
    }
  }
  if (const std::int64_t size = source.size(); size > copied) {
    to.skip(size - copied);
    to.end();
  }
}

}  // namespace

void copy_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  const File source = File::open(from);
  File made = File::create(to, to);
  try {
    made.take_permissions_of(source);
    copy(source, 0, made);
    made.close();
  } catch (...) {
    ::unlink(to.c_str());
    throw;
  }
}

void copy_end_of_file(const std::filesystem::path& from, std::int64_t offset,
                      const std::filesystem::path& to) {
  const File source = File::open(from);
  AtomicFile made(to);
  copy(source, offset, made.file());
  made.put_in_place();
}

void copy_link(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::copy_symlink(from, to, error);
  require_done(error, to.string() + ": cannot make a link");
}

void link_or_copy_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (!is_own_file(from) || ::link(from.c_str(), to.c_str()) != 0) {
    base::copy_file(from, to);
  }
}

}  // namespace avstore::base
