// Reading the frames of one chunk, whatever kind it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "avstore/image.h"
#include "avstore/reader.h"
#include "media/scan.h"

namespace avstore::chunk {

// What is known about the frames of a video chunk: the view that a chunk has of the store's
// database.
class FrameMap {
 public:
  virtual ~FrameMap() = default;
  virtual std::int64_t frame_count() const = 0;
  // False if the file holds fewer frames than that: pts() throws Error(corrupt) for the others.
  virtual bool complete() const = 0;
  // Whether PTS are only ordinals of packets, see media::Scan::time_base.
  virtual bool pts_are_ordinals() const = 0;
  // PTS of a frame, which its packet in the file carries too.
  virtual std::int64_t pts(std::int64_t frame_idx) const = 0;
  // Bytes of the file that hold these frames, where more may be on its way there; else none.
  virtual std::optional<std::int64_t> bytes() const { return std::nullopt; }
  // The last place at or before a frame where decoding can start; none before the first.
  virtual std::optional<media::SeekPoint> seek_point(std::int64_t frame_idx) const = 0;
};

// What the caller is about to do, so that decoding can be set up for it.
enum class Access {
  random,      // anything may follow
  sequential,  // the frames after this one will likely follow
  stretch,     // one of several that follow from one keyframe, asked for in ascending order
  anew,        // decode from the seek point before it, whatever was read before: to check that
};

// For one thread at a time. Images outlive the reader.
class ChunkReader {
 public:
  virtual ~ChunkReader() = default;
  // The frame at that place in the chunk, in the file's own pixel format.
  // Throws Error(corrupt) naming file and frame if the chunk cannot give it.
  virtual Image read(std::int64_t frame_idx, Access access) = 0;
  virtual ReadStatistics statistics() const = 0;
};

// `map` must outlive the reader. `stream` is libav's index of the stream in the file.
std::unique_ptr<ChunkReader> open_video_chunk(const std::filesystem::path& file, int stream,
                                              int threads, const FrameMap& map);

// Frames are files NNNNNN.EXT of the folder.
std::unique_ptr<ChunkReader> open_image_chunk(const std::filesystem::path& folder,
                                              const std::string& extension);

}  // namespace avstore::chunk
