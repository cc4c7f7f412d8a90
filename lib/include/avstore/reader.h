// Reading frames from a store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/types.h"

namespace avstore {

namespace store {
struct ReaderAccess;  // for the library's own tools
}

struct ReaderOptions {
  // Convert every image to this format. Empty: hand out the decoder's own planes.
  PixelFormat pixel_format;
  bool packed = false;  // where that is empty: convert to usual_pixel_format() instead
  // Of a store of raw sensor data (StoreInfo::encoding): hand out the data as they are stored
  // instead of the picture in them.
  bool raw_sensor = false;
  // Give each image pixels that nobody else reads, so that they may be written to: those that would
  // be shared with the decoder or with another frame are copied.
  bool own_pixels = false;
  int threads = 0;  // of decoding; 0: as many as the machine has cores
  // Save an index made from the chunks beside them if the store has none and its folder is
  // writable.
  bool save_index = true;
  // Called with a line of text for each thing that is wrong but could be worked around.
  std::function<void(const std::string&)> on_warning;
};

// Chunks from `first_chunk` to the next run's come from one encoder.
struct EncoderRun {
  std::int64_t first_chunk = 0;
  std::string encoder;  // libav's name, or "copy" for packets taken as they were
  bool operator==(const EncoderRun&) const = default;
};

// What a store says of itself.
struct StoreInfo {
  std::filesystem::path path;  // its folder
  std::string store_class;     // "VideoImgStore" or "DirectoryImgStore"
  std::string format;
  std::string encoding;              // of raw sensor data, such as "cv_bayerbg"; empty if none
  std::string encoder;               // what encoded it, if known: the last one, where it changed
  std::vector<EncoderRun> encoders;  // the same for all chunks
  // Of the images read: the pictures in raw sensor data, unless those are read as they are.
  int width = 0;
  int height = 0;
  bool color = false;  // false: reads back as gray
  // Of their array in NumPy: [rows, columns] or [rows, columns, channels].
  std::vector<std::int64_t> shape;
  std::string dtype;  // NumPy name: "uint8", "uint16", ...
  // Frames per second by which chunks of video space their timestamps; 0/1 if not known.
  Rational nominal_frame_rate{0, 1};
  std::int64_t chunk_size = 0;
  std::int64_t chunk_count = 0;
  std::int64_t frame_count = 0;
  std::string created_utc;     // ISO 8601 without zone
  std::string timezone_local;  // IANA name
  std::string uuid;
  std::string metadata_yaml;      // the user's own metadata
  bool open_for_writing = false;  // there is a file .lock
  // A writer that is alive has the store open now.
  bool recording = false;
  // Nobody writes any more, but the last chunk was never finished: its writer failed or was killed.
  bool unfinished = false;
  // Frames that repair() has dropped because they could not be read: a line for each chunk.
  std::vector<std::string> losses;
  // Over all frames; meaningless while frame_count is 0.
  FrameNumber number_min, number_max;
  FrameTime time_min, time_max;
};

// The packed format that holds the store's images best: gray8 or gray16, bgr24 or bgr48le. Empty
// for arrays, which have none.
PixelFormat usual_pixel_format(const StoreInfo& info);

// What reading has cost so far, over all chunks.
struct ReadStatistics {
  std::int64_t seeks = 0;            // times a demuxer was repositioned (opening a chunk is none)
  std::int64_t packets_read = 0;     // of the video stream
  std::int64_t frames_decoded = 0;   // that came out of a decoder
  std::int64_t seek_recoveries = 0;  // times a seek landed wrong and an earlier start was taken
  std::int64_t files_opened = 0;
};

// Reads one store. Any frame, in any order, equals what decoding its chunk from the start gives.
// A store that is being recorded has the frames that were durable when it was opened; refresh()
// sees more.
// Not for use from several threads at once; several readers of one store may be.
class Reader {
 public:
  // `store` is the folder or its metadata.yaml. A relative path is resolved at each use: the
  // current folder must stay while this lives. Throws Error: not_found, corrupt, unsupported (newer
  // version, unknown format), io.
  explicit Reader(const std::filesystem::path& store, ReaderOptions options = {});
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  // As of opening or the last refresh().
  const StoreInfo& info() const;
  std::int64_t frame_count() const;

  // See what a writer has recorded since: frames whose bytes are in the file, all or nothing of
  // each. Nothing that the writer needs is locked, neither now nor between calls. Frame numbers and
  // times found before stay what they were; next() goes on where it was. Returns frame_count().
  // Throws Error: corrupt, io.
  std::int64_t refresh();

  // The names of a frame, without decoding.
  // Throws Error(end_of_store) outside 0 ... frame_count()-1.
  FrameInfo find(FrameIndex index) const;
  // The first frame of that number; nearest: of the smallest distance.
  // Throws Error(not_found) if there is none.
  FrameInfo find(FrameNumber number, Match match = Match::exact) const;
  // The frame whose time is nearest (the first of several).
  // Throws Error(not_found) in an empty store.
  FrameInfo find(FrameTime time) const;

  // Calls `visit` for each frame of the range in order of frame_index, by what the store's database
  // has of them: no chunk is opened. false stops. `visit` must not use this reader.
  void for_each_info(IndexRange range, const std::function<bool(const FrameInfo&)>& visit) const;
  // All of the range at once.
  std::vector<FrameInfo> infos(IndexRange range) const;

  // Their numbers and times alone, in a fraction of the time.
  FrameNameArrays names(IndexRange range) const;

  // See to it that find() and for_each_info() know pts and keyframe of all frames of the chunk that
  // holds this one: its packets are read if nobody did so before (see FrameInfo::pts). Returns the
  // frames of that chunk. One that cannot be read is told through on_warning. Errors as of find().
  IndexRange prepare(FrameIndex index);

  // The frames of the range at which decoding can start, ascending: those that FrameInfo::keyframe
  // says so of, and all in folders of images. The PTS of chunks that were never read before are
  // read for it.
  std::vector<FrameIndex> keyframes(IndexRange range);

  // Read one frame. Raw sensor data become a bgr24 picture (bgr48le from a mosaic of 16 bit) with
  // the same pixels as OpenCV's cvtColor makes. A frame is what decoding its chunk gives: where the
  // coded data are damaged and the decoder makes something up, it is that; verify() with `deep`
  // names such frames. Errors as of find(); corrupt if the chunk cannot give it; unsupported for an
  // encoding that is not known (`raw_sensor` reads it all the same).
  Frame read(FrameIndex index);
  Frame read(FrameNumber number, Match match = Match::exact);
  Frame read(FrameTime time);

  // The frame after the one read last (the first in a new reader); nothing past the last. One that
  // could not be read counts as read: after its error, the next call goes on behind it.
  std::optional<Frame> next();

  // Read many frames, decoding on all cores and no frame twice. They come in the order asked.
  // Errors as of read(); io if the system has no thread left.
  std::vector<Frame> read_many(std::span<const FrameIndex> indices);
  // The same, handing each over as soon as it is there, in any order; `position` is its place in
  // `indices`. `visit` is called from one thread at a time.
  void read_many(std::span<const FrameIndex> indices,
                 const std::function<void(std::size_t position, Frame frame)>& visit);

  ReadStatistics statistics() const;

 private:
  friend struct store::ReaderAccess;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore
