#include "base/checked_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "avstore/error.h"
#include "base/checksum.h"

namespace avstore::base {

CheckedFile::CheckedFile(const std::filesystem::path& path)
    : name_(path.string()),
      descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) {
    fail("cannot write");
  }
}

CheckedFile::~CheckedFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void CheckedFile::write(std::int64_t offset, std::span<const std::uint8_t> bytes) {
  if (offset < 0 || offset > size_) {
    errno = EINVAL;
    fail("cannot write beyond the end");
  }
  const auto over = std::min(static_cast<std::size_t>(size_ - offset), bytes.size());
  write_over(offset, bytes.first(over));
  append(bytes.subspan(over));
}

void CheckedFile::write_over(std::int64_t offset, std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) {
    return;
  }
  const auto end = offset + static_cast<std::int64_t>(bytes.size());
  const auto touch = [&](Known& known) {
    const bool apart = end <= known.piece.offset || offset >= known.piece.offset + known.piece.size;
    known.changed = known.changed || !apart;
  };
  std::for_each(pieces_.begin(), pieces_.end(), touch);
  touch(current_);
  put(offset, bytes);
}

void CheckedFile::append(std::span<const std::uint8_t> bytes) {
  put(size_, bytes);
  size_ += static_cast<std::int64_t>(bytes.size());
  current_.piece.size += static_cast<std::int64_t>(bytes.size());
  current_.piece.crc32 = base::crc32(bytes, current_.piece.crc32);
}

void CheckedFile::put(std::int64_t offset, std::span<const std::uint8_t> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      fail("cannot write");
    }
    offset += n;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void CheckedFile::end_piece() {
  if (current_.piece.size > 0) {
    pieces_.push_back(std::exchange(current_, {{size_, 0, 0}, false, false}));
  }
}

std::vector<CheckedFile::Piece> CheckedFile::take_pieces() {
  std::vector<Piece> fresh;
  for (Known& known : pieces_) {
    if (known.changed) {
      known.piece.crc32 = read_back(known.piece);
    }
    if (known.changed || !known.taken) {
      fresh.push_back(known.piece);
    }
    known.changed = false;
    known.taken = true;
  }
  return fresh;
}

std::uint32_t CheckedFile::read_back(const Piece& piece) const {
  std::vector<std::uint8_t> buffer(std::size_t{1} << 16);
  std::uint32_t sum = 0;
  for (std::int64_t done = 0; done < piece.size;) {
    const auto wanted = std::min(static_cast<std::int64_t>(buffer.size()), piece.size - done);
    const ssize_t n =
        ::pread(descriptor_, buffer.data(), static_cast<std::size_t>(wanted), piece.offset + done);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      errno = n < 0 ? errno : EIO;
      fail("cannot read back");
    }
    sum = base::crc32(std::span(buffer).first(static_cast<std::size_t>(n)), sum);
    done += n;
  }
  return sum;
}

std::uint32_t CheckedFile::crc32() const {
  std::uint32_t sum = 0;
  for (const Known& known : pieces_) {
    sum = join_crc32(sum, known.piece.crc32, known.piece.size);
  }
  return sum;
}

void CheckedFile::sync() {
  if (::fdatasync(descriptor_) != 0) {
    fail("cannot flush to disk");
  }
}

void CheckedFile::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fail("cannot close");
  }
}

void CheckedFile::fail(const char* what) const {
  throw Error(ErrorKind::io, name_ + ": " + what + ": " + std::strerror(errno), errno);
}

}  // namespace avstore::base
