// Writes one video stream into a container file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "avstore/types.h"
#include "base/checked_file.h"
#include "media/packet.h"

struct AVCodecParameters;

namespace avstore::media {

struct MuxerOptions {
  std::string muxer;          // libav's name: "mp4", "matroska", "avi", ...
  Rational time_base{1, 25};  // wished for; the container may have its own
  Rational frame_rate{25, 1};
  // MP4 multiplies a time base that is coarser than 1/10000, and so holds shorter distances between
  // frames, unless it is to keep the one wished for.
  bool keeps_time_base = false;
  // MP4: in fragments, cut at each flush(), so that a file cut off anywhere plays up to the last
  // one. Otherwise the file can be read only after finish().
  bool fragmented = true;
};

// For one thread at a time. A file that was never finished stays as far as it was flushed.
class Muxer {
 public:
  // Creates the file (replacing one that is there) and writes the header.
  // Throws Error: io, unsupported (the container cannot hold this codec).
  Muxer(const std::filesystem::path& file, const AVCodecParameters* codec,
        const MuxerOptions& options);
  Muxer(Muxer&&) noexcept;
  Muxer& operator=(Muxer&&) noexcept;
  ~Muxer();

  // Whether a container can hold such a stream: its header is written, into memory, to see.
  static bool takes(const std::string& muxer, const AVCodecParameters* codec);

  // The container's own; packets' timestamps must be in it.
  Rational time_base() const;

  // Packets must come in decode order, with timestamps that this writes unchanged. The last before
  // a flush must have its duration set.
  void write(Packet& packet);
  // Hand everything written so far to the operating system, in a form that can be read.
  void flush();
  // Write what the container wants at its end. Only file() may be called then.
  void finish();

  // The file: the header is a piece of it, and so is what was written from one flush() to the next,
  // and by finish(). Owned by this.
  base::CheckedFile& file();
  const base::CheckedFile& file() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Finds out which packets a container takes: muxers look into some, and refuse what is damaged.
// Nothing is written anywhere. For one thread at a time.
class MuxerTrial {
 public:
  // Throws Error as Muxer does.
  MuxerTrial(const std::string& muxer, const AVCodecParameters* codec, Rational time_base);
  MuxerTrial(MuxerTrial&&) noexcept;
  MuxerTrial& operator=(MuxerTrial&&) noexcept;
  ~MuxerTrial();

  // Packets come in decode order, with timestamps.
  bool takes(Packet packet);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
