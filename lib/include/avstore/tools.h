// Work on whole stores: import, transcode, export, verify.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/types.h"
#include "avstore/writer.h"

namespace avstore {

// Called now and then from the calling thread with the frames done and to do (0: unknown).
// Returning false stops the work.
using Progress = std::function<bool(std::int64_t done, std::int64_t total)>;

// Called with one line of text for each thing the user should know that is no error.
using Notice = std::function<void(const std::string&)>;

// The work was stopped by its Progress.
class Interrupted : public Error {
 public:
  explicit Interrupted(const std::string& what) : Error(ErrorKind::io, what + ": interrupted") {}
};

struct ImportOptions {
  WriterOptions writer;  // but for when_full: no frame is left out
  // Keep the coded packets: chunks are cut at keyframes and nothing is encoded anew. writer.format
  // and the encoder options are not used then.
  bool copy = false;
  std::optional<int> stream;  // libav's index; empty: the first video stream
  // Added to the source's PTS to give frame_time. Empty: the file's creation_time tag, else 0.
  std::optional<double> start_time;
  std::int64_t first_number = 0;  // frame numbers count from here
  std::int64_t number_step = 1;
  std::vector<FrameNames> names;  // if not empty: of each frame, instead of all of the above
  bool allow_truncated = false;   // take what there is of a file that was cut off
  Progress progress;
  Notice notice;
};

struct ImportResult {
  std::int64_t frames = 0;
  std::string format;
  bool copied = false;  // packets were kept
};

// Make a store of a video file (anything libavformat reads). If it fails or is stopped, the store
// is removed again. Throws Error as Writer does, and: corrupt (no video, damaged or cut off),
// invalid_argument (more or fewer names than frames, the picture changes its size midway).
ImportResult import_file(const std::filesystem::path& file, const std::filesystem::path& store,
                         const ImportOptions& options);

struct TranscodeOptions {
  // Metadata, creation time and zone come from the source store; when_full is not used: no frame is
  // left out.
  WriterOptions writer;
  IndexRange range{0, INT64_MAX};
  bool save_index = true;             // see ReaderOptions; of the source
  bool ignore_corrupt_extra = false;  // leave out chunks of damaged extra data, with a notice
  Progress progress;
  Notice notice;
};

// Write a store's frames anew in another format: numbers, times, metadata and extra data are
// carried over. Extra data of every kind become those of the writer API; their sample rates go into
// the metadata, as extra_sample_rates. Raw sensor data stay raw in folders of images that hold them
// without loss, and are decoded for all other formats, with a notice. Returns the number of frames.
// If it fails or is stopped, the new store is removed again.
std::int64_t transcode(const std::filesystem::path& source,
                       const std::filesystem::path& destination, const TranscodeOptions& options);

struct ExportOptions {
  Timing timing = Timing::real;
  IndexRange range{0, INT64_MAX};
  EncoderOptions encoder;  // of what cannot be copied; with B-frames: Error(invalid_argument)
  bool overwrite = false;
  bool save_index = true;  // see ReaderOptions
  Progress progress;
  Notice notice;
};

struct ExportResult {
  std::int64_t frames = 0;
  std::int64_t frames_encoded = 0;  // the others were copied
};

// Write one video file (.mp4 or .mkv) that players can play. Packets are copied; encoded anew are
// only frames of a keyframe interval that the range cuts through, and stores whose chunks cannot be
// joined (images, or differing codec settings). Real times that step back or are missing are mended
// and told of; times that no video can have are an Error(invalid_argument).
ExportResult export_video(const std::filesystem::path& store, const std::filesystem::path& file,
                          const ExportOptions& options);

struct VerifyOptions {
  bool deep = false;  // decode every frame
  Progress progress;
};

struct VerifyResult {
  std::int64_t frames = 0;
  std::int64_t chunks = 0;
  std::vector<std::string> findings;  // empty: all is well
  std::vector<std::string> repairs;   // what repair() would do; empty too while it is recorded
};

// Check rows against files: what repairs have dropped, the database's integrity, each chunk's file,
// index file, extra data, number of frames and PTS; deep: every frame decodes, linearly and after
// seeking to each keyframe alike. A store that is only to be brought back, because the recording
// that was to replace it was killed, has a repair and no frames.
VerifyResult verify(const std::filesystem::path& store, const VerifyOptions& options);

// Make the database anew from the chunks and their index files. Returns the number of frames.
// Throws Error: not_found (no store), exists (it is being recorded), unsupported (the database is a
// newer avstore's), corrupt, io.
std::int64_t rebuild_index(const std::filesystem::path& store, const Notice& notice);

struct RepairOptions {
  bool dry_run = false;  // say what would be done; nothing in the store's folder changes
  Notice notice;
};

struct RepairResult {
  std::int64_t frames = 0;         // in the store, afterwards
  std::vector<std::string> steps;  // a line for each thing done
  // A folder in the store's with the files as they were, and, for the user to read, numbers and
  // times of the frames dropped and extra data of frames without a row; empty if nothing was done.
  std::filesystem::path put_aside;
  // Frames that had a row and cannot be read.
  std::int64_t frames_dropped = 0;
  // Whether all frames that were durable are in the chunk that was finished, as they were written.
  // Where not, steps say which.
  bool is_whole = true;
  // What repairs have dropped of this store, this one and others: a line for each chunk.
  std::vector<std::string> losses;
};

// Completes a store whose writer failed or was killed: finishes the last chunk, writes its index
// files and removes .lock. Only frames with a row in the database are frames of the store.
//
// Every frame that can be decoded stays, with its number and time. verify() reports frames whose
// own bytes, or the bytes of frames they depend on, differ from what was written. repair() drops
// frames that cannot be decoded; the frame_index of the frames behind them decreases, and
// StoreInfo::losses and verify() list the loss. In a folder of images it drops only the last ones.
// If the file of the last chunk is missing, its frames stay listed. Missing and unreadable index
// files are written anew from the database. A complete store is not changed.
//
// A repair that is killed leaves the store as before or as after it, and can be repeated. Throws
// Error: not_found (no store), exists (the store is being recorded), corrupt (the database is
// damaged, see rebuild_index(), or contradicts itself: nothing is changed), io.
RepairResult repair(const std::filesystem::path& store, const RepairOptions& options);

struct UndoResult {
  std::int64_t frames = 0;         // in the store, afterwards
  std::vector<std::string> steps;  // a line for each thing done
};

// Undoes the last repair that changed the store: puts the files back that the repair put aside,
// byte for byte, and removes the files that it made. If this is killed, call it again. Throws
// Error: not_found (no store, or nothing to undo), exists (it is being recorded), invalid_argument
// (the store has changed since: frames were appended, renumbered, ...; nothing is done then),
// corrupt, io.
UndoResult undo_repair(const std::filesystem::path& store);

// Remove all frames and extra data of a store for good; its metadata stays. Throws Error: not_found
// (no store), exists (a writer has it open, or was killed), io.
void empty_store(const std::filesystem::path& store);

struct ReindexOptions {
  Progress progress;
  Notice notice;
  bool ignore_corrupt_extra = false;  // leave damaged extra data as they are, with a notice
};

struct ReindexResult {
  std::int64_t frames = 0;      // in the store
  FrameIndex zero;              // the frame with number 0
  std::int64_t renumbered = 0;  // frames whose numbers changed
};

// Renumber the frames before the one that has number 0: -1 is the one before it, -2 the one before
// that, and so on. The others keep their numbers. Database, npz and extra data change together: if
// this is killed, whoever opens the store next finds all of it done or nothing. The old numbers
// stay in npz and extra data as _frame_number_before_reindex; files of HDF5 are not changed, but
// read as if they were. Throws Error: invalid_argument (not exactly one frame has number 0), exists
// (the store is being recorded, or its recording was killed), corrupt, io.
ReindexResult reindex(const std::filesystem::path& store, const ReindexOptions& options);

enum class AlignBy {
  number,  // frames of equal frame_number; of several in a store with one number, the first
  time,    // frames of nearly equal frame_time
};

// What becomes of a place at which a store has no frame.
enum class AlignPolicy {
  drop,   // only places at which all stores have a frame are kept
  hold,   // the store's image before that, black if there is none
  black,  // a black image
};

struct AlignOptions {
  AlignBy by = AlignBy::number;
  AlignPolicy policy = AlignPolicy::drop;
  // Seconds from the first frame of a match to its last, at most. Empty: half the shortest of the
  // stores' median frame intervals.
  std::optional<double> tolerance;
  bool save_index = true;  // see ReaderOptions
  Notice notice;
};

// What one store shows at one place.
struct AlignedFrame {
  enum class Kind { match, hold, black };
  Kind kind = Kind::black;
  FrameIndex index{-1};  // -1, 0 and NaN where it is black
  FrameNumber number;
  FrameTime time;
};

// Frames of several stores side by side, all of them in memory: 32 bytes for each place and store
// and 16 for each place; while matching 24 more for each frame.
struct Alignment {
  std::vector<std::filesystem::path> stores;
  double tolerance = 0;  // by time: the one used
  // A place each: the common frame_number, or by time a count from 0; and the least frame_time, or
  // by number that of the first store with a frame.
  std::vector<FrameNames> places;
  std::vector<AlignedFrame> frames;  // stores.size() for each place

  const AlignedFrame& frame(std::size_t place, std::size_t store) const {
    return frames[place * stores.size() + store];
  }
};

// Match the frames of stores. Places ascend by number or by time; by time, frames whose time is not
// a number are left out. Throws Error: invalid_argument (fewer than two stores, a store without
// frames, a negative tolerance), as Reader does.
Alignment align(const std::vector<std::filesystem::path>& stores, const AlignOptions& options);

struct AlignedWriterOptions {
  WriterOptions writer;               // but for when_full: no frame is left out
  bool save_index = true;             // see ReaderOptions; of the stores aligned
  bool ignore_corrupt_extra = false;  // leave out chunks of damaged extra data, with a notice
  Progress progress;
  Notice notice;
};

// Write each store of an alignment anew, a frame a place, so that frame_index and frame_number mean
// the same in all of them. Matched frames keep their time and extra data. `destinations` are as
// many as there are stores. If it fails or is stopped, the store being written is removed again.
// Throws Error(invalid_argument) if one of them is a store of the alignment.
void write_aligned(const Alignment& alignment,
                   const std::vector<std::filesystem::path>& destinations,
                   const AlignedWriterOptions& options);

// Write one store, or one video file (.mp4, .mkv), of all images from left to right; smaller ones
// are filled up with black below. Gray if all stores are gray; 16 bit if one of them is, and the
// format holds that. Throws Error(unsupported) naming a store whose images are no pictures
// (floats).
void write_side_by_side(const Alignment& alignment, const std::filesystem::path& destination,
                        const AlignedWriterOptions& options);

struct DoctorCheck {
  enum class Result {
    works,
    failed,   // it should work and does not
    missing,  // this build of FFmpeg or of avstore lacks it
  };
  std::string format, encoder;  // encoder: empty for folders of images
  PixelFormat pixels;           // that were written
  Result result = Result::works;
  std::string what;              // how the pixels came back, or what is wrong
  double frames_per_second = 0;  // written and closed
};

struct DoctorOptions {
  std::filesystem::path folder;      // where to try; empty: the system's temporary folder
  std::vector<std::string> formats;  // empty: all
  Progress progress;
};

struct DoctorReport {
  std::vector<DoctorCheck> checks;
  // Nothing failed, and no format of the imgstore format is missing altogether.
  bool well = true;
};

// Write a small store in every format with every encoder, read it back in order and at random, and
// compare with what was written. Throws Error(io) where the folder cannot be written,
// Error(unsupported) for a format that is not known.
DoctorReport doctor(const DoctorOptions& options);

// A video file or stream being read from its beginning, for looking at it before importing.
struct SourceInfo {
  std::string container, codec, pixel_format;
  int width = 0, height = 0;
  Rational frame_rate;
  std::int64_t frame_count = 0;  // as the container claims; 0 unknown
  double duration = 0;           // seconds; 0 unknown
  std::string creation_time;
};
SourceInfo probe_source(const std::filesystem::path& file, std::optional<int> stream = {});

}  // namespace avstore
