// Reads a video from its beginning to its end, as pictures with times.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "avstore/image.h"
#include "media/demuxer.h"

namespace avstore::media {

struct SourceFrame {
  Image image;                    // the decoder's own planes
  std::optional<double> seconds;  // presentation time as the container states it
  // It could not be decoded: there is no image. Its time may not be known, and where frames are
  // reordered, its place is not exact.
  bool undecodable = false;
  bool damaged = false;  // parts of it were made up
};

// For one thread at a time.
class VideoSource {
 public:
  // Throws Error like Demuxer and Decoder. `low_delay`: hand out each frame as soon as it can be
  // decoded, for live sources; else decode several at once.
  VideoSource(const std::string& url, const DemuxerOptions& options, int threads, bool low_delay);
  ~VideoSource();

  // The next frame in presentation order; none at the end. What comes before the first keyframe of
  // a stream that was joined in its middle is no frame; all else that cannot be decoded is.
  // Throws Error when reading fails before that.
  std::optional<SourceFrame> next();

  const Demuxer& demuxer() const;
  // After the end: whether the file holds less than it claims; a line that says so, else empty.
  std::string truncation() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
