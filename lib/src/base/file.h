// An open file. Its errors name it, with the system's words.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>

#include "avstore/error.h"

namespace avstore::base {

// Member functions throw Error: not_found, io.
class File {
 public:
  // `name` is what messages call it.
  File(const std::filesystem::path& path, const std::filesystem::path& name, int flags)
      : name_(name.string()), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) {
      fail("cannot open");
    }
  }
  ~File() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[noreturn]] void fail(const char* what) const {
    const int error = errno;
    throw Error(error == ENOENT ? ErrorKind::not_found : ErrorKind::io,
                name_ + ": " + what + ": " + std::strerror(error), error);
  }

  std::uint64_t size() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
      fail("cannot stat");
    }
    if (S_ISDIR(status.st_mode)) {
      errno = EISDIR;
      fail("cannot read");
    }
    if (!S_ISREG(status.st_mode)) {
      throw Error(ErrorKind::io, name_ + ": is a pipe or a device, not a file");
    }
    return static_cast<std::uint64_t>(status.st_size);
  }

  // Reads until the end of the file or of the buffer; returns the bytes read.
  std::size_t read(std::uint8_t* data, std::size_t size) const {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = ::read(descriptor_, data + done, size - done);
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

  // The same, from a place in the file on.
  std::size_t read_at(std::int64_t offset, std::span<std::uint8_t> buffer) const {
    if (::lseek(descriptor_, offset, SEEK_SET) < 0) {
      fail("cannot seek");
    }
    return read(buffer.data(), buffer.size());
  }

  void write(std::span<const std::uint8_t> bytes) const {
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

  void sync() const {
    if (::fsync(descriptor_) != 0) {
      fail("cannot flush to disk");
    }
  }

  void close() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) {
      fail("cannot close");
    }
  }

 private:
  std::string name_;
  int descriptor_;
};

}  // namespace avstore::base
