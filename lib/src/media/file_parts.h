// Parts of a file, which libavformat reads as if they were all of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct AVIOContext;

namespace avstore::media {

// Bytes [position, position + bytes) of a file.
struct FilePart {
  std::int64_t position = 0;
  std::int64_t bytes = 0;
};

// For one thread at a time.
class FileParts {
 public:
  // The parts follow one another in the order given. Throws Error: not_found, io.
  FileParts(const std::string& file, std::vector<FilePart> parts);
  FileParts(FileParts&&) noexcept;
  FileParts& operator=(FileParts&&) noexcept;
  ~FileParts();

  // For a demuxer, which must not outlive this.
  AVIOContext* context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
