// Writing the frames of one chunk, whatever kind it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/writer.h"
#include "media/codec_table.h"
#include "media/encoder_line.h"
#include "media/scan.h"

namespace avstore::chunk {

// A frame whose bytes have reached the file, or the disk (ChunkWriterOptions::durability).
struct StoredFrame {
  std::optional<std::int64_t> pts;             // video only
  std::optional<media::SeekPoint> seek_point;  // if decoding can start at this frame
};

// CRC-32 (base/checksum.h) of bytes [offset, offset + size) of the chunk's file, or of a whole
// image file. If these are wrong, frames before `frame_idx` are not touched by that.
struct Checksum {
  std::int64_t frame_idx = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
  std::uint32_t crc32 = 0;
};

// For one thread at a time. add(), flush() and finish() throw media::EncoderFailure when the
// encoder fails; end_after_failure() must follow then.
class ChunkWriter {
 public:
  virtual ~ChunkWriter() = default;

  // Add the next frame. `seconds` is its time since the chunk's first frame; it becomes the PTS
  // where real timing is asked for.
  virtual void add(const Image& image, double seconds) = 0;
  // Bring the frames that are encoded into the file.
  virtual void flush_encoded() = 0;
  // Bring every frame added into the file, without ending the chunk.
  virtual void flush() = 0;
  // The same, and end the chunk. Only the functions below may follow.
  virtual void finish() = 0;
  // End the chunk with the frames that came out of the encoder; frames behind one that did not are
  // left out too. Returns the images of those left out, in order, if the encoder has a next in
  // line; else nothing. Only take_stored() and bytes() may follow.
  virtual std::vector<Image> end_after_failure() = 0;
  // The frames that have reached the file since the last call, in order of frame_idx.
  virtual std::vector<StoredFrame> take_stored() = 0;
  // Of what has reached the file since the last call, and of what was written over: known by
  // frame_idx and offset.
  virtual std::vector<Checksum> take_checksums() = 0;

  virtual Rational time_base() const = 0;   // of PTS; 0/1 if there are none
  virtual std::string encoder() const = 0;  // libav's name; empty if there is none
  virtual std::int64_t bytes() const = 0;   // of the file or files, so far as flushed
  // Of the whole file, or of all image files one after another.
  virtual std::uint32_t checksum() const = 0;
};

struct ChunkWriterOptions {
  EncoderOptions encoder;
  Timing timing = Timing::nominal;
  Durability durability = Durability::process;
};

// Creates the video file. `first` tells size and pixel format of all frames. The encoder is the
// first in `line`, which must outlive the chunk.
std::unique_ptr<ChunkWriter> create_video_chunk(const std::filesystem::path& file,
                                                const media::VideoFormat& format,
                                                const ChunkWriterOptions& options,
                                                media::EncoderLine& line, const ImageView& first);

// Creates the folder.
std::unique_ptr<ChunkWriter> create_image_chunk(const std::filesystem::path& folder,
                                                const std::string& extension,
                                                const ChunkWriterOptions& options);

}  // namespace avstore::chunk
