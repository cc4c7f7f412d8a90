#include "base/own_files.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "avstore/error.h"

namespace avstore::base {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* what) {
  const int error = errno;
  throw Error(ErrorKind::io, path.string() + ": " + what + ": " + std::strerror(error), error);
}

[[noreturn]] void refuse(const fs::path& path) {
  throw Error(ErrorKind::corrupt,
              path.string() + ": is no folder of the store; nothing is changed there");
}

void require_below(const fs::path& folder, const fs::path& relative) {
  const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
  if (relative.is_absolute() || climbs) {
    throw Error(ErrorKind::corrupt, "'" + relative.string() + "' does not lie in " +
                                        folder.string() + "; nothing is changed there");
  }
}

}  // namespace

Entry entry_at(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return Entry::none;
    }
    fail(path, "cannot stat");
  }
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return Entry::file;
    case S_IFDIR:
      return Entry::folder;
    case S_IFLNK:
      return Entry::link;
    default:
      return Entry::other;
  }
}

bool is_own_file(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_own_folder(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

fs::path own_path(const fs::path& folder, const fs::path& relative) {
  require_below(folder, relative);
  fs::path place = folder;
  for (const fs::path& level : relative.parent_path()) {
    place /= level;
    const Entry entry = entry_at(place);
    if (entry == Entry::none) {
      break;
    }
    if (entry != Entry::folder) {
      refuse(place);
    }
  }
  return folder / relative;
}

fs::path make_own_folders(const fs::path& folder, const fs::path& relative) {
  require_below(folder, relative);
  fs::path place = folder;
  for (const fs::path& level : relative) {
    place /= level;
    if (entry_at(place) == Entry::none && ::mkdir(place.c_str(), 0777) != 0 && errno != EEXIST) {
      fail(place, "cannot make the folder");
    }
    if (!is_own_folder(place)) {
      refuse(place);
    }
  }
  return place;
}

std::string unforeseeable() {
  std::array<std::uint8_t, 6> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fail("/dev/urandom", "no random number");
  }
  std::string digits;
  for (const std::uint8_t byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    digits += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return digits;
}

}  // namespace avstore::base
