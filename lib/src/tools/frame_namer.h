// The number and time that an imported frame gets.
#pragma once

#include <cstdint>
#include <string>

#include "avstore/tools.h"

namespace avstore::tools {

// Names the frames of a source one after another, as ImportOptions say.
class FrameNamer {
 public:
  // `creation_time` is the source's tag, ISO 8601 or empty. `file` is for messages.
  FrameNamer(const ImportOptions& options, const std::string& creation_time, std::string file);

  // For the next frame, whose source PTS is `seconds`.
  // Throws Error(invalid_argument) if names were given and there are fewer, or for a number beyond
  // 64 bits.
  FrameNames next(double seconds);
  // Throws Error(invalid_argument) if names were given and there are more than frames.
  void require_all_used() const;

 private:
  FrameNumber number_at(std::int64_t place) const;

  const ImportOptions& options_;
  std::string file_;
  double start_time_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace avstore::tools
