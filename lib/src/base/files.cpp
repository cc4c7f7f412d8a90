#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <regex>

#include "avstore/error.h"
#include "base/atomic_file.h"
#include "base/checksum.h"
#include "base/file.h"

namespace avstore::base {
namespace {

void require_done(const std::error_code& error, const std::string& otherwise) {
  if (error) {
    throw Error(ErrorKind::io, otherwise + ": " + error.message(), error.value());
  }
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  // A pipe is opened at once then, instead of when somebody writes to it.
  const File file(path, path, O_RDONLY | O_NONBLOCK);
  const std::uint64_t size = file.size();
  if (size > limit) {
    throw Error(ErrorKind::corrupt, path.string() + ": larger than such a file can be (" +
                                        std::to_string(size) + " bytes)");
  }
  std::vector<std::uint8_t> bytes(size);
  bytes.resize(file.read(bytes.data(), bytes.size()));
  return bytes;
}

std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  const auto bytes = read_file(path, limit);
  return {bytes.begin(), bytes.end()};
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::atomic<std::uint64_t> count = 0;
  std::filesystem::path name = path;
  name += ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  return name;
}

bool is_left_temporary(const std::filesystem::path& path) {
  static const std::regex kEnding("\\.tmp([0-9]{1,9})-[0-9]+$");
  const std::string name = path.filename().string();
  std::smatch match;
  return std::regex_search(name, match, kEnding) && ::kill(std::stoi(match[1]), 0) != 0 &&
         errno == ESRCH;
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

bool is_own_folder(const std::filesystem::path& path) {
  std::error_code missing;
  return std::filesystem::is_directory(std::filesystem::symlink_status(path, missing));
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require_done(error, folder.string() + ": cannot make the folder");
}

void rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  require_done(error, from.string() + ": cannot be moved to " + to.string());
}

void remove_all(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  require_done(error, path.string() + ": cannot remove");
}

std::int64_t file_size(const std::filesystem::path& path) {
  return static_cast<std::int64_t>(File(path, path, O_RDONLY | O_NONBLOCK).size());
}

std::uint32_t crc32_of_file(const std::filesystem::path& path, std::int64_t offset,
                            std::int64_t size) {
  const File file(path, path, O_RDONLY | O_NONBLOCK);
  static_cast<void>(file.size());  // is it one?
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
  const File file(path, path, O_RDONLY | O_NONBLOCK);
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
  const File file(path, path, O_RDONLY | O_NONBLOCK);
  file.sync();
}

void sync_folder(const std::filesystem::path& folder) {
  const File file(folder, folder, O_RDONLY | O_DIRECTORY);
  file.sync();
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

void copy_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  if (error) {
    const bool there = error == std::errc::file_exists;
    std::error_code ignored;
    if (!there) {
      std::filesystem::remove(to, ignored);
    }
    throw Error(there ? ErrorKind::exists : ErrorKind::io,
                to.string() + ": cannot copy " + from.string() + " there: " + error.message(),
                error.value());
  }
}

void copy_end_of_file(const std::filesystem::path& from, std::int64_t offset,
                      const std::filesystem::path& to) {
  const File source(from, from, O_RDONLY | O_NONBLOCK);
  const std::filesystem::path temporary = temporary_name(to);
  try {
    File file(temporary, to, O_WRONLY | O_CREAT | O_TRUNC);
    std::vector<std::uint8_t> buffer(std::size_t{1} << 18);
    while (const std::size_t n = source.read_at(offset, buffer)) {
      file.write(std::span(buffer).first(n));
      offset += static_cast<std::int64_t>(n);
    }
    file.sync();
    file.close();
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  if (::rename(temporary.c_str(), to.c_str()) != 0) {
    throw Error(ErrorKind::io, to.string() + ": cannot put in place: " + std::strerror(errno),
                errno);
  }
}

void link_or_copy_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    base::copy_file(from, to);
  }
}

void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  File file(path, path, O_WRONLY | O_CREAT | O_TRUNC);
  file.write(bytes);
  file.close();
}

}  // namespace avstore::base
