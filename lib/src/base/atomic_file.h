// A file that is written piece by piece, and is there as a whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/file.h"

namespace avstore::base {

// Writes to a temporary file beside `path`, which takes that name in the end: whoever looks sees
// the old file or the whole new one. Of a link that has the name, the link is replaced. Member
// functions throw Error(io) with the system's words.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  // Removes what was written, unless it is in place.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::uint8_t> bytes) const { file_.write(bytes); }
  void write(std::string_view text) const;
  const File& file() const { return file_; }
  // Flushes it to disk, and puts it in place of a file that has the name.
  void put_in_place();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  File file_;
  bool is_in_place_ = false;
};

}  // namespace avstore::base
