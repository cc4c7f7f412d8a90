#include "base/atomic_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "avstore/error.h"
#include "base/files.h"

namespace avstore::base {

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path), temporary_(temporary_name(path)), file_(File::create(temporary_, path_)) {}

AtomicFile::~AtomicFile() {
  if (!is_in_place_) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(std::string_view text) const {
  write(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void AtomicFile::put_in_place() {
  file_.sync();
  file_.close();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw Error(ErrorKind::io, path_.string() + ": cannot put in place: " + std::strerror(errno),
                errno);
  }
  is_in_place_ = true;
}

}  // namespace avstore::base
