#include "fuzz/watched_folder.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "support/hot_journal.h"

namespace avstore::fuzz {
namespace {

namespace fs = std::filesystem;

// What is larger is known by its size and time.
constexpr std::uintmax_t kMostRead = 1U << 20;
constexpr std::uintmax_t kSparseSize = std::uintmax_t{1} << 40;

std::string read(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void require(int status, const fs::path& path) {
  if (status != 0) {
    throw fs::filesystem_error("cannot be made", path,
                               std::error_code(errno, std::generic_category()));
  }
}

// Root's mistakes reach /dev/zero itself, so root gets one of its own, or where that cannot be, one
// more pipe.
void make_endless(const fs::path& path) {
  constexpr const char* kZero = "/dev/zero";
  if (::geteuid() != 0) {
    fs::create_symlink(kZero, path);
    return;
  }
  if (::mknod(path.c_str(), S_IFCHR | 0666, ::makedev(1, 5)) == 0) {
    if (::access(path.c_str(), R_OK) == 0 && std::ifstream(path).get() == 0) {
      return;
    }
    fs::remove(path);
  }
  require(::mkfifo(path.c_str(), 0600), path);
}

std::string describe(const fs::path& folder, const fs::path& path) {
  struct stat status {};
  require(::lstat(path.c_str(), &status), path);
  std::string what =
      fmt::format("{} mode {:o}, {} bytes, changed {}.{:09}, file {}, {} names",
                  path.lexically_relative(folder).string(), status.st_mode, status.st_size,
                  status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino, status.st_nlink);
  if (S_ISREG(status.st_mode) && static_cast<std::uintmax_t>(status.st_size) <= kMostRead) {
    what += fmt::format(", content {:x}", std::hash<std::string>{}(read(path)));
  }
  return what;
}

}  // namespace

WatchedFolder::WatchedFolder(fs::path folder, const fs::path& video, const fs::path& store)
    : folder_(std::move(folder)) {
  fs::create_directories(folder_ / "pictures");
  fs::create_directory(folder_ / "empty");
  write(folder_ / "note.txt", "somebody's work\n");
  write(folder_ / "victim.txt", "somebody's work\n");
  fs::copy_file(video, folder_ / "video.mp4");
  fs::copy(store, folder_ / "store", fs::copy_options::recursive);
  for (const char* name : {"000000.npy", "000001.npy", "000000.png", "holiday.png"}) {
    write(folder_ / "pictures" / name, read(store / ".index.sqlite").substr(0, 2000));
  }
  for (const char* name : {"database.sqlite", "journaled.sqlite"}) {
    fs::copy_file(store / ".index.sqlite", folder_ / name);
  }
  if (!test::put_journal_that_names(folder_ / "victim.txt", folder_ / "journaled.sqlite")) {
    throw std::logic_error("the seed's database has no first page");
  }
  require(::mkfifo((folder_ / "fifo").c_str(), 0600), folder_ / "fifo");
  make_endless(folder_ / "endless");
  write(folder_ / "sparse", "not much");
  fs::resize_file(folder_ / "sparse", kSparseSize);
  listed_ = listing();
}

std::vector<std::string> WatchedFolder::listing() const {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    lines.push_back(describe(folder_, entry.path()));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string WatchedFolder::changes() const {
  const std::vector<std::string> now = listing();
  std::vector<std::string> gone, come;
  std::set_difference(listed_.begin(), listed_.end(), now.begin(), now.end(),
                      std::back_inserter(gone));
  std::set_difference(now.begin(), now.end(), listed_.begin(), listed_.end(),
                      std::back_inserter(come));
  std::string text;
  for (const std::string& line : gone) {
    text += "\n  was: " + line;
  }
  for (const std::string& line : come) {
    text += "\n  is:  " + line;
  }
  return text;
}

}  // namespace avstore::fuzz
