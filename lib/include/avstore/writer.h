// Recording into a new store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/types.h"

namespace avstore {

// How video is compressed. The defaults suit a live rig: fast presets, no look-ahead, no B-frames.
struct EncoderOptions {
  // Which encoder. Hardware is tried out, once per process and size and within 2 s in all, before
  // it is used.
  //   "auto" or empty         hardware if it works: NVENC, then VAAPI, then Quick Sync; else
  //                           software
  //   "hardware"              the first of these that works; an error if none does
  //   "nvenc" "vaapi" "qsv"   hardware of that kind; an error if it does not work
  //   "software"              no hardware
  //   a libav encoder's name  that one, such as "libx264" or "hevc_nvenc"; an error if it fails to
  //   open
  // SVT-AV1 reports its settings on standard error unless the environment has SVT_LOG=1.
  // An encoder that fails while it records is replaced by the next in this order, software last.
  std::string encoder;
  // Which device hardware encoders use: a render node such as "/dev/dri/renderD129" (VAAPI, Quick
  // Sync) or the number of a GPU (NVENC). Empty: the driver's first.
  std::string device;
  // 0 (smallest files) to 100 (best picture), mapped to each encoder's own scale. Ignored by
  // lossless formats.
  std::optional<double> quality;
  // The encoder's own name for its trade of speed against size. Empty: a fast one.
  std::string preset;
  // Frames from one keyframe to the next. 0: about half a second, at most 60.
  int keyframe_interval = 0;
  int b_frames = 0;  // between others, at most 16
  // Nominal frame rate, frames per second: the spacing of timestamps in the chunks. A fraction of
  // numbers below 2^31. 0: that of the source where there is one, else 25.
  Rational frame_rate{0, 1};
  // 0: a fair share of the cores that no other writer of this process claims, at each chunk's
  // beginning.
  int threads = 0;
  // Any option of libavcodec or of the encoder by its libav name. Unknown ones are errors. Gray
  // JPEG images, which libavcodec does not write, have global_quality and huffman alone.
  std::map<std::string, std::string> options;
};

// What timestamps chunks of video carry.
enum class Timing {
  nominal,  // evenly spaced at the nominal frame rate; what readers built on OpenCV need
  real,     // the frames' own times, for players
};

// What durable frames survive (Writer::durable_count()).
enum class Durability {
  process,  // that this process is killed
  power,    // a power cut too: frames are on the disk before they count, which costs a wait for the
            // disk about twice a second
};

// What add() does with a frame for which the queue has no room.
enum class WhenFull {
  block,  // wait for room
  drop,   // leave it out: add() returns false, and the frame is counted, see dropped()
  fail,   // throw
};

struct WriterOptions {
  std::string format = "avc1/mp4";  // see formats()
  EncoderOptions encoder;
  std::int64_t chunk_size = 0;  // frames a chunk; 0: 10000 for video, 200 for image directories
  Timing timing = Timing::nominal;
  bool overwrite = false;     // replace a store that is there already, once a frame is durable
  std::string metadata_yaml;  // the user's own metadata, a YAML map
  // Raw sensor encoding of the frames, noted in the metadata. Frames are then the sensor's data as
  // they lie in memory: gray8, bgr24 or an array with its channels, or the pixel format of the same
  // layout (rgb24 of cv_rgb, yuyv422 of cv_yuv_yuyv, nv12 of cv_yuv_nv12, bayer_rggb8 ...). With
  // the formats png+color, tif+color, jpg+color and bmp+color they are decoded before writing, and
  // the store is one of plain colour.
  std::string encoding;
  std::string created_utc;     // ISO 8601 without zone; empty: now
  std::string timezone_local;  // IANA name; empty: this machine's
  // Whether frames handed in are colour. Taken from the first frame if not set.
  std::optional<bool> color;
  // Told of what is done otherwise than asked for, such as sizes that a format cannot hold or
  // another encoder in place of one that failed, and when another program keeps the store's index
  // database locked for more than a second, and then when it is free. From the thread that adds or
  // the writer's own, without the store's name.
  std::function<void(const std::string&)> on_warning = {};
  // At most this many frames wait. Memory for copies of them all is made ready with the first ones,
  // up to 64 MiB.
  std::size_t queue_frames = 64;
  // And at most this many bytes, or one frame. Extra data in the queue count as well; add_extra()
  // waits or throws while there would be more of them alone, whatever frames do. Records whose
  // add_extra() waits come on top, one for each thread.
  std::size_t queue_bytes = std::size_t{1} << 28;
  WhenFull when_full = WhenFull::block;
  Durability durability = Durability::process;
};

// Seconds, over the last thousand frames.
struct Latency {
  double median = 0;
  double p99 = 0;  // 99th percentile
  double max = 0;
};

// A moment of a recording.
struct WriterStatistics {
  std::int64_t frames_added = 0;    // taken into the queue
  std::int64_t frames_dropped = 0;  // there was no room for
  std::int64_t frames_encoded = 0;
  std::int64_t frames_durable = 0;  // as Writer::durable_count()
  std::size_t queue_frames = 0;     // waiting, with the one being encoded
  std::size_t queue_bytes = 0;      // of frames and extra data, also of those that wait for room
  Latency encode_latency;           // of converting, encoding and writing a frame
  Latency total_latency;            // from add() until the frame is durable
  std::int64_t bytes_written = 0;   // of the store's chunks, in so far as their frames are durable
  // In use now: libav's name; empty before the first frame or without one.
  std::string encoder;
};

// Writes one store. Frames go into a bounded queue and are converted, encoded, written and indexed
// by a thread of the writer's own; `add` waits while the queue is full, unless told otherwise.
//
// All frames must have the size and pixel format of the first. Where an encoder fails, the next one
// takes over with a new chunk, and no frame is lost; where there is none left, that is a failure. A
// failure behind the queue (full disk, no encoder) is thrown by the next add(), sync() or close();
// frames durable by then stay readable, and where there is none nothing stays. While another
// program has the index database locked nothing becomes durable, and frames wait in the queue, for
// as long as it takes; close(), sync() and insert_chunk() wait too. Member functions may
// be called from any thread, one at a time; add_extra(), try_add_extra(), sync(), durable_count(),
// dropped(), has_failed() and statistics() also while another thread adds frames, and close() and
// abandon(), of which an add() or sync() that waits learns by an Error(invalid_argument), and an
// add_extra() too if the store is given up: close() keeps what it waits with.
class Writer {
 public:
  // Makes the store's folder. Nothing else is written before the first frame or close(). A store
  // that is to be replaced lies in the folder .replaced within meanwhile, and comes back if this
  // one fails or is given up without a durable frame. A relative path is resolved at each use: the
  // current folder must stay while this lives.
  // Throws Error: exists (and no `overwrite`), invalid_argument (options), unsupported (format,
  // encoder or encoding), io.
  Writer(const std::filesystem::path& store, WriterOptions options);
  // Go on with a store that was closed: frames follow those that are there, in a new chunk, and
  // must be such as they are. What the store says of itself stays: of the options format, encoding,
  // chunk_size, timing, frame_rate, metadata, creation time and zone are not used. Counts and
  // places of frames are the store's. Stores that others wrote get avstore's database first. At
  // level `power` all files that are there are brought to the disk before this returns.
  // Throws Error: not_found (no store), exists (it is being recorded, or its recording was killed),
  // unsupported (its format is not written), invalid_argument (options), corrupt, io.
  static Writer append(const std::filesystem::path& store, WriterOptions options);
  // Closes, swallowing errors: call close() to learn of them.
  ~Writer();
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;

  // Add a frame. The pixels are copied before this returns. False if the frame was dropped.
  // Throws Error: invalid_argument if size or pixel format differ from the first frame's, or it
  // cannot be data of the store's encoding; io if the queue is full and that is to fail.
  bool add(const ImageView& image, FrameNumber number, FrameTime time);
  // Add a frame, sharing its pixels instead of copying them. They are let go, on a thread of the
  // writer's own, once the frame is encoded or, after a failure or abandon(), thrown away; those of
  // a frame that is dropped or refused here, before this returns. For cameras that must not wait:
  // where encoders keep all cores busy, about one copy in a thousand is interrupted and waits some
  // milliseconds for its core, unless the thread that adds has real-time priority.
  // What the image's owner does to let go of them (a camera's release function) runs without a lock
  // of the writer's, and may call try_add_extra(), durable_count(), dropped(), path() and
  // statistics(), none of which waits for it; not the others, which may. While it runs, nothing is
  // encoded: a lock that it takes must not be held by a thread that waits in one of the others, as
  // add() does for room unless frames are dropped or refused then. It must not throw.
  bool add(Image image, FrameNumber number, FrameTime time);

  // Tie a record to the newest frame that add() or insert_chunk() has taken when this is called:
  // `json` is a JSON object. Written with the chunk's end. Before the first frame it belongs to
  // none: frame_index -1, kNoFrameNumber, NaN.
  // Waits while the queue has no room for it, also where frames are dropped: what is no frame is
  // never left out. Frames that are added meanwhile come behind it. Called by
  // WriterOptions::on_warning it does not wait.
  // Throws Error: invalid_argument if it is none or longer than 63 MiB, io if the queue is full and
  // that is to fail.
  void add_extra(const std::string& json);
  // The same for what matters less than that nobody waits. False if it is left out, because it
  // would take more than half the room that extra data have.
  bool try_add_extra(const std::string& json);

  // Make a video file the next chunk, as it is: `names` has the number and time of each of its
  // frames, in presentation order. The chunk that is being written ends before it. Waits until the
  // frames are durable; the file is read through for that. In a store without frames it tells their
  // size, and they are colour unless `color` says otherwise. With `move` the file is gone then.
  // Throws Error: invalid_argument (not of the format's container or the store's frame size, or
  // more or fewer frames than names), corrupt (no video), io. The store goes on unless it is io.
  void insert_chunk(const std::filesystem::path& file, std::span<const FrameNames> names,
                    bool move = false);

  // Wait until every frame added is durable.
  void sync();

  // How many frames, counted from the store's first, would survive if this process were killed now,
  // or the power cut if that was asked for. A frame is among them at most one keyframe interval and
  // a second, or 32 images and a second, after the encoder took it; that is after add(), as long as
  // encoding keeps up and no frames wait in the queue.
  std::int64_t durable_count() const;
  // The first ten thousand frames that were dropped, in order; statistics() has the count of all.
  std::vector<FrameNames> dropped() const;

  // Whether a failure behind the queue has ended the recording, which the next add(), sync() or
  // close() throws: for whoever has no frame to add for a while.
  bool has_failed() const;

  // Finish the last chunk and close the store. Idempotent.
  void close();

  // Close at once: frames not durable yet are thrown away. A store that has no frame by then is
  // removed. Never throws; nothing happens if the writer is closed already. A close() that another
  // thread is in waits no more for a database that is locked: it throws Error(io).
  void abandon() noexcept;

  std::filesystem::path path() const;
  WriterStatistics statistics() const;

 private:
  class Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore
