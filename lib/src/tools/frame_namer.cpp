#include "tools/frame_namer.h"

#include <utility>

#include "avstore/error.h"
#include "imgstore/metadata.h"

namespace avstore::tools {
namespace {

double start_time(const ImportOptions& options, const std::string& creation_time) {
  if (options.start_time) {
    return *options.start_time;
  }
  if (creation_time.empty()) {
    return 0;
  }
  try {
    return imgstore::unix_seconds(creation_time);
  } catch (const Error&) {
    return 0;  // a tag in some other form than the standard's says nothing
  }
}

}  // namespace

FrameNamer::FrameNamer(const ImportOptions& options, const std::string& creation_time,
                       std::string file)
    : options_(options),
      file_(std::move(file)),
      start_time_(avstore::tools::start_time(options, creation_time)) {}

FrameNames FrameNamer::next(double seconds) {
  const std::int64_t place = count_++;
  if (options_.names.empty()) {
    return {number_at(place), FrameTime(start_time_ + seconds)};
  }
  if (place >= static_cast<std::int64_t>(options_.names.size())) {
    throw Error(ErrorKind::invalid_argument, file_ + ": has more frames than the " +
                                                 std::to_string(options_.names.size()) +
                                                 " numbers and times given");
  }
  return options_.names[static_cast<std::size_t>(place)];
}

FrameNumber FrameNamer::number_at(std::int64_t place) const {
  std::int64_t number = 0;
  if (__builtin_mul_overflow(place, options_.number_step, &number) ||
      __builtin_add_overflow(number, options_.first_number, &number)) {
    throw Error(ErrorKind::invalid_argument, file_ + ": frame " + std::to_string(place) +
                                                 " would have a number beyond 64 bits; " +
                                                 "count from another one than " +
                                                 std::to_string(options_.first_number));
  }
  return FrameNumber(number);
}

void FrameNamer::require_all_used() const {
  if (!options_.names.empty() && count_ != static_cast<std::int64_t>(options_.names.size())) {
    throw Error(ErrorKind::invalid_argument,
                file_ + ": has " + std::to_string(count_) + " frames, but " +
                    std::to_string(options_.names.size()) + " numbers and times were given");
  }
}

}  // namespace avstore::tools
