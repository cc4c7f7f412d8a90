// Recording from live sources: one camera, or a rig of many.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "avstore/image.h"
#include "avstore/types.h"
#include "avstore/writer.h"

namespace avstore {

// Where frame_time comes from.
enum class FrameClock {
  arrival,  // Unix time at which the frame came here
  source,   // the source's own timestamps: those of "avstore-raw" as they are; of others that are
            // no Unix time (most count from a moment of their own), the first one stands for its
            // frame's arrival
};

// One camera, and the store that it is recorded into.
struct CameraOptions {
  std::string name;    // unique within a rig; letters, digits, '-', '_' and '.'
  std::string source;  // a device, an address, a file or FIFO; "-" for standard input
  // libav's demuxer or device ("v4l2", "lavfi", "rawvideo", "rtsp"), or "avstore-raw" for frames
  // with numbers and times (see README.md). Empty: "rawvideo" for standard input with a size,
  // else found out by looking at it.
  std::string input_format;
  std::map<std::string, std::string> input_options;  // of that, by libav's names
  std::optional<int> stream;
  // What to ask a camera for, and what raw video is; else what the source has.
  std::optional<std::pair<int, int>> size;  // width, height
  PixelFormat pixel_format;
  // Empty: the source's if it is "avstore-raw", else the arrival's.
  std::optional<FrameClock> clock;
  std::int64_t first_number =
      0;  // where the frames of a source that has no numbers are counted from

  // Sources on a network (an address with "://", "unix:") are sought again once they are lost,
  // which they are too when nothing comes for `silence` seconds (0: no limit), 5 more while they
  // are opened. After `reconnect` seconds the source is given up; 0: at once.
  std::optional<double> reconnect;  // empty: never given up
  double silence = 10;

  // {camera} stands for the name, {time} for the time at which the recording starts, in this
  // machine's time zone: 2024-03-01_13-30-00.
  std::filesystem::path store;
  // Go on with the store if it is there (see Writer::append): frames that are counted are numbered
  // on from its last one.
  bool append = false;
  WriterOptions writer;  // encoder.threads 0: a fair share of the cores
};

enum class CameraState {
  opening,
  recording,
  reconnecting,
  ended,
};

// Why a camera's recording ended.
enum class RecordEnd {
  source_ended,
  frames,    // as many as asked for
  duration,  // as long as asked for
  stopped,   // by RecordOptions::go_on
  min_free,  // the store's file system has less room than is to stay free
  failed,
};
std::string to_text(CameraState state);  // "opening", ...
std::string to_text(RecordEnd end);      // "source_ended", ...

// A moment of a camera's recording.
struct CameraStatus {
  std::string camera;
  std::filesystem::path store;
  CameraState state = CameraState::opening;
  std::string trouble;                  // reconnecting: what is wrong; ended by failure: the error
  std::int64_t frames_before = 0;       // that the store had, where it is gone on with
  std::int64_t frames_arrived = 0;      // from the source, dropped and undecodable ones too
  std::int64_t frames_undecodable = 0;  // nothing could be made of them: they are not in the store
  std::int64_t frames_damaged = 0;      // parts of them were made up: they are in the store
  double frames_per_second = 0;         // that arrived since the status before
  std::int64_t gaps = 0;        // times the source was lost, counted when it is back or at the end
  WriterStatistics writer;      // of this recording's frames and chunks alone
  std::size_t queue_limit = 0;  // frames
  std::uint64_t disk_free = 0;  // bytes left on the store's file system
  std::uint64_t disk_size = 0;
};

struct RecordStatus {
  double time = 0;     // Unix
  double seconds = 0;  // since the start
  std::vector<CameraStatus> cameras;
};

// The part of a file system that stays free, the larger of both.
struct MinFree {
  double fraction = 0;
  std::uint64_t bytes = 0;
};

struct RecordOptions {
  std::vector<CameraOptions> cameras;
  std::optional<std::int64_t> frames;  // stop each camera after so many in its store
  // And so many seconds after its first frame. While it has none they count from when it could have
  // taken one, see record(); a camera that ends so has failed.
  std::optional<double> duration;
  MinFree min_free{0.05, 0};  // stop those cameras whose store has less room
  // Called from the calling thread: the status every `status_interval` seconds and at the end, and
  // ten times a second whether to go on; false ends all recordings properly. What keeps these from
  // returning keeps recordings from being ended.
  std::function<void(const RecordStatus&)> status;
  double status_interval = 1;
  std::function<bool()> go_on;
  // A line of text for each thing the user should know that is no error. From any thread, one at a
  // time; a camera may wait for it.
  std::function<void(const std::string&)> notice;
};

// Frames that were lost are in the extra data of the first frame after them, with their numbers and
// times: {"undecodable": {"frame_number": [...], "frame_time": [...]}}, and likewise "dropped".
// What a dropped frame brought as extra data is kept with the frame before it, and says so:
// {..., "of_dropped": {"frame_number": ..., "frame_time": ...}}; where too much of that waits to be
// written, it is left out and counted. A frame that was damaged has
// {"damaged": true}.

// A time without frames, because the source was lost. The store keeps it as extra data of the first
// frame after it: {"gap": {"begin": ..., "end": ..., "reason": ...}}. One that is still open when
// the recording ends goes up to the end, and is kept with the last frame before it.
struct Gap {
  FrameIndex index;  // of the first frame after it; at the end, the one that would have come next
  double begin = 0;  // frame_time of the last frame before it
  double end = 0;    // and of the first one after it, or of the recording's end
  std::string reason;
};

struct CameraResult {
  std::string camera;
  std::filesystem::path store;
  // Of this recording, in the store. 0: there is no store, or it is as it was before.
  std::int64_t frames = 0;
  std::int64_t frames_before = 0;   // see CameraStatus
  double seconds = 0;               // from the first frame's arrival to the last's
  std::int64_t dropped_count = 0;   // see WriterOptions::when_full
  std::vector<FrameNames> dropped;  // the first ten thousand of them; the store knows all
  std::int64_t extra_left_out = 0;  // records that came with dropped frames
  std::int64_t undecodable = 0;     // see CameraStatus
  std::int64_t damaged = 0;
  std::int64_t gap_count = 0;  // times the source was lost
  std::vector<Gap> gaps;       // the first ten thousand; the store knows all
  RecordEnd end = RecordEnd::source_ended;
  std::string error;  // why it failed
};

// Record from all cameras at once, each on a thread of its own: the first frames are taken when all
// sources are open or have failed, or ten seconds have passed. A camera that fails ends alone; what
// came before is kept, and the others go on. Every store is closed properly however this ends.
// frame_number is the source's own ("avstore-raw"), or counts the frames that came, with those that
// were dropped or could not be decoded.
//
// Throws Error before anything is begun: invalid_argument (options that cannot be, two cameras of
// one name or store), exists (a store is there already), unsupported, io (less room than
// `min_free`, or no thread left for a camera). What goes wrong later is in the results, which come
// in the order of the cameras.
std::vector<CameraResult> record(const RecordOptions& options);

// A rig as a YAML file describes it, see README.md. Throws Error: not_found, io, and
// invalid_argument, with file, line, camera and key, for anything in it that is not understood.
RecordOptions read_rig(const std::filesystem::path& file);

}  // namespace avstore
