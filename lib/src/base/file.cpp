#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "avstore/error.h"

namespace avstore::base {
namespace {

ErrorKind kind_of(int error) {
  switch (error) {
    case ENOENT:
      return ErrorKind::not_found;
    case EEXIST:
      return ErrorKind::exists;
    default:
      return ErrorKind::io;
  }
}

void require_regular(const std::string& name, const struct stat& status) {
  if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorKind::io, name + ": cannot read: " + std::strerror(EISDIR), EISDIR);
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorKind::io, name + ": is a pipe or a device, not a file");
  }
}

}  // namespace

File File::open(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    require_regular(path.string(), status);
  }
  // Something else may have taken the name since: so O_NONBLOCK, and one more look.
  File file(path.string(), ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.descriptor_ < 0) {
    file.fail("cannot open");
  }
  if (::fstat(file.descriptor_, &status) != 0) {
    file.fail("cannot stat");
  }
  require_regular(path.string(), status);
  return file;
}

File File::create(const std::filesystem::path& path, const std::filesystem::path& name) {
  File file(name.string(),
            ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (file.descriptor_ < 0) {
    file.fail("cannot create");
  }
  return file;
}

File File::open_folder(const std::filesystem::path& path) {
  File file(path.string(), ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.descriptor_ < 0) {
    file.fail("cannot open");
  }
  return file;
}

File::File(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}

File::File(File&& other) noexcept
    : name_(std::move(other.name_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

File::~File() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void File::fail(const char* what) const {
  const int error = errno;
  throw Error(kind_of(error), name_ + ": " + what + ": " + std::strerror(error), error);
}

std::int64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    fail("cannot stat");
  }
  return status.st_size;
}

std::size_t File::read(std::span<std::uint8_t> buffer) const {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t n = ::read(descriptor_, buffer.data() + done, buffer.size() - done);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      fail("cannot read");
    }
    if (n == 0) {
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  return done;
}

std::size_t File::read_at(std::int64_t offset, std::span<std::uint8_t> buffer) const {
  if (::lseek(descriptor_, offset, SEEK_SET) < 0) {
    fail("cannot seek");
  }
  return read(buffer);
}

std::optional<File::Extent> File::next_data(std::int64_t offset) const {
  const std::int64_t whole = size();
  if (offset >= whole) {
    return std::nullopt;
  }
  const std::int64_t begin = ::lseek(descriptor_, offset, SEEK_DATA);
  if (begin < 0 && errno == ENXIO) {
    return std::nullopt;
  }
  const std::int64_t end = begin < 0 ? -1 : ::lseek(descriptor_, begin, SEEK_HOLE);
  if (begin < 0 || end < 0) {
    return Extent{offset, whole};  // a file system that does not tell of holes
  }
  return Extent{begin, end};
}

void File::write(std::span<const std::uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      fail("cannot write");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void File::skip(std::int64_t bytes) const {
  if (::lseek(descriptor_, bytes, SEEK_CUR) < 0) {
    fail("cannot seek");
  }
}

void File::end() const {
  const off_t place = ::lseek(descriptor_, 0, SEEK_CUR);
  if (place < 0 || ::ftruncate(descriptor_, place) != 0) {
    fail("cannot set the length");
  }
}

void File::take_permissions_of(const File& other) const {
  constexpr mode_t kAll = 0777;
  struct stat status {};
  if (::fstat(other.descriptor_, &status) != 0 ||
      ::fchmod(descriptor_, status.st_mode & kAll) != 0) {
    fail("cannot set the permissions");
  }
}

void File::sync() const {
  if (::fsync(descriptor_) != 0) {
    fail("cannot flush to disk");
  }
}

void File::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fail("cannot close");
  }
}

}  // namespace avstore::base
