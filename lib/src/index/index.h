// The store's database: from frame_index, frame_number and frame_time to chunk and PTS.
//
// The file is `.index.sqlite` of the imgstore v2 format, with more columns and tables; the
// reference implementation's queries work on it unchanged. See lib/README.md, "The index database".
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "avstore/types.h"

namespace avstore::index {

// A row of table `frames`.
struct FrameRow {
  std::int64_t frame_index = 0;
  std::int64_t chunk = 0;
  std::int64_t frame_idx = 0;
  std::int64_t frame_number = 0;
  double frame_time = 0;  // seconds; may be NaN or infinite
  std::optional<std::int64_t> pts;
};

enum class ChunkState { open, closed };

// A row of table `chunks`.
struct ChunkRow {
  std::int64_t chunk = 0;
  std::string path;  // of the video file or folder, relative to the store
  std::int64_t first_frame_index = 0;
  std::int64_t frame_count = 0;
  Rational time_base{0, 1};  // seconds a tick of pts and dts; 0/1 where there are none
  ChunkState state = ChunkState::open;
  // Of the file; while it is open, those that were handed to the system when its rows were given.
  std::int64_t bytes = 0;
  std::string checksum;  // of the file, once closed; empty: none taken
  int stream = 0;        // stream of the file (libav's index)
  // Packets of the stream. Where it differs from frame_count (coded fields, hidden frames), packets
  // and frames cannot be paired one to one. 0: not known yet, PTS have not been read.
  std::int64_t packet_count = 0;
};

// A row of table `keyframes`: decoding that starts at this packet gives this frame and all that
// follow it in presentation order exactly.
struct KeyframeRow {
  std::int64_t chunk = 0;
  std::int64_t frame_idx = 0;
  std::int64_t pts = 0;  // as stored in `frames.pts`
  std::optional<std::int64_t> dts;
  std::int64_t position = -1;  // byte offset of the packet; -1 unknown
};

// The most bytes that a record of extra data may have: no row may be longer than 64 MiB.
inline constexpr std::size_t kLongestExtra = std::size_t{63} << 20;

// A row of table `extra_data`.
struct ExtraRow {
  std::int64_t frame_index = 0;
  std::int64_t frame_number = 0;
  double frame_time = 0;
  std::string json;  // one object
  // Its number: from 1, in the order given. What append_extra() is given of it does not count.
  std::int64_t record = 0;
};

// Whether a column never decreases, never mind repeats. Decides how numbers and times are searched.
struct Ordering {
  bool numbers_ascend = true;
  bool times_ascend = true;
};

struct Extremes {
  std::int64_t number_min = 0, number_max = 0;
  double time_min = 0, time_max = 0;
};

// A row of table `checksums`: CRC-32 (base/checksum.h) of bytes [position, position + bytes) of a
// chunk's file; in folders of images, of the file of frame `frame_idx`. If these are wrong, frames
// of the chunk before `frame_idx` are not touched by that.
struct ChecksumRow {
  std::int64_t chunk = 0;
  std::int64_t frame_idx = 0;
  std::int64_t position = 0;
  std::int64_t bytes = 0;
  std::uint32_t crc32 = 0;
};

// What becomes of a change while another connection is writing. Both are called by the thread that
// makes the change, and must not use the Index.
struct LockWait {
  // Asked several times a second: whether to wait on. If not, the change throws Error(io).
  std::function<bool(std::chrono::milliseconds waited)> goes_on;
  // The lock is had, after a wait in which `goes_on` was asked.
  std::function<void(std::chrono::milliseconds waited)> over;
};

// Where a database is read.
enum class Reading {
  in_place,   // SQLite may write what it keeps beside it: the log's index
  untouched,  // nothing in the folder changes: what has a log is copied first, see Index::open()
};

// One connection to one database. For one thread at a time, and not to be carried over a fork.
//
// Errors are avstore::Error: not_found (no file, or not a database of avstore's), corrupt (SQLite
// says malformed, or tables or rows are missing), unsupported (a newer schema), invalid_argument
// (also: writing to one opened for reading), io (also: full disk, locked by another writer for 5 s,
// unless wait_for_lock() says otherwise).
// Messages carry the path and SQLite's words.
class Index {
 public:
  // A new database at `path`; ":memory:" makes one in memory. Throws Error(exists).
  static Index create(const std::filesystem::path& path);
  // An existing one, for reading. Works in a read-only folder, on a database that is being written,
  // and on one whose writer was killed. Where both come together it may have to read a private copy
  // in the system's temporary folder. The reference's own databases (without our columns) are
  // not_found here: those are read through the chunks' index files.
  static Index open(const std::filesystem::path& path, Reading reading = Reading::in_place);
  // An existing one, for writing. One writer at a time: a second one's changes throw Error(io) or,
  // where it has not seen the first one's rows, Error(invalid_argument).
  static Index open_for_writing(const std::filesystem::path& path);

  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  // --- Writing. What is given becomes visible to others and safe from a crash of the process
  // together, at commit(). Frames given do not show on this connection either before that; all else
  // does. A call that throws has changed nothing itself, but on io all that was given since the
  // last commit may be lost: call rollback(), and go on from frame_count(). ---

  // Rows must come in order of frame_index, without gaps, from frame_count() on. A time that is not
  // a number is kept as such, and makes the times unordered.
  void append(const FrameRow& row);
  // The same for all frames of a chunk at once, and several times as fast: frame_idx count from 0,
  // pts are not known. Throws Error(invalid_argument) if the lengths differ.
  void append_chunk(std::int64_t chunk, std::span<const std::int64_t> frame_numbers,
                    std::span<const double> frame_times);
  void put_chunk(const ChunkRow& row);  // insert or replace
  void append_keyframe(const KeyframeRow& row);
  void append_extra(const ExtraRow& row);
  void put_checksum(const ChecksumRow& row);  // insert or replace
  void remove_checksum(std::int64_t chunk, std::int64_t frame_idx, std::int64_t position);
  void remove_checksums(std::int64_t chunk);
  // The row of a chunk without frames, with its checksums.
  void remove_chunk(std::int64_t chunk);
  // Insert or replace. The names that the index keeps itself are refused (invalid_argument).
  void set_information(const std::string& name, const std::string& value);
  // Set pts of frames [first, first + pts.size()), all of one chunk, and replace the chunk's
  // keyframes.
  void set_pts(std::int64_t first_frame_index, std::span<const std::int64_t> pts,
               std::span<const KeyframeRow> keyframes);
  void commit();
  // Forget what was given since the last commit.
  void rollback() noexcept;
  // What is committed from now on survives a power cut as well, which costs a wait for the disk
  // each time. Only on this connection.
  void survive_power_cuts();
  // Changes from now on wait for another connection that is writing as long as `wait` says.
  void wait_for_lock(LockWait wait);
  // Remove frames (with keyframes, checksums and extra data) from frame_index `frame_count` on, and
  // the chunks that begin there or later; the chunk that is cut gets its new frame_count. At once
  // on this connection, at commit() for all others. Nothing happens if there are no more frames
  // than that.
  void truncate(std::int64_t frame_count);
  // Extra data and checksums may be committed before the frames that they belong to. Of a writer
  // that was killed meanwhile they are left without, and would pass to whatever frames come next.
  bool has_orphans() const;
  // At once on this connection, at commit() for all others.
  void remove_orphans();
  // Commit, make secondary indexes if numbers or times are out of order, merge the write-ahead log
  // and leave a single file. While another connection has the database open the log's files stay
  // (empty); whoever closes it for writing once more removes them. Idempotent; reading goes on
  // afterwards, and so does writing, until the next close(). Does nothing if opened for reading.
  void close();
  // Commit, and write a copy of the whole database to `path` (replaced atomically), as it is:
  // close() before for the secondary indexes. A connection that has `path` open keeps seeing the
  // old one.
  void save_as(const std::filesystem::path& path);

  // --- Reading ---

  // Nothing is locked between calls, nor while a visitor runs, which may call anything here. All
  // calls see the frames that frame_count() counts, whatever others commit meanwhile.

  std::int64_t frame_count() const;  // as of opening, the last commit or refresh()
  // See what another process has committed since. Returns frame_count().
  std::int64_t refresh();
  // The same; returns the chunks of those very frames, which chunks() may give more of.
  std::vector<ChunkRow> refresh_chunks();
  Ordering ordering() const;
  // Over all frames; zeros when empty. Times that are not numbers do not count; if none is, NaN.
  Extremes extremes() const;
  std::optional<std::string> information(const std::string& name) const;
  // All that set_information() was given, by name.
  std::map<std::string, std::string> all_information() const;

  // Throws Error(end_of_store), also for a negative one.
  FrameRow at(std::int64_t frame_index) const;
  // These look at a few rows, or ask a secondary index. Only where numbers (times) are out of order
  // and the store has not been closed since do they read all rows.
  std::optional<FrameRow> find_number(std::int64_t frame_number) const;  // the first one
  // The closest number or time: of the next below and the next above, the nearer, or if equally
  // near the earlier in the store; of equal ones the first. None if there is none, or for NaN.
  std::optional<FrameRow> nearest_number(std::int64_t frame_number) const;
  std::optional<FrameRow> nearest_time(double seconds) const;
  // Rows of [range.begin, range.end) in order, as far as they exist; `visit` returning false stops.
  void for_each(IndexRange range, const std::function<bool(const FrameRow&)>& visit) const;
  // Numbers and times of those rows.
  FrameNameArrays names(IndexRange range) const;

  std::optional<ChunkRow> chunk(std::int64_t chunk) const;
  std::vector<ChunkRow> chunks() const;
  std::int64_t chunk_count() const;
  // The last keyframe of the chunk at or before frame_idx.
  std::optional<KeyframeRow> keyframe_at_or_before(std::int64_t chunk,
                                                   std::int64_t frame_idx) const;
  std::vector<KeyframeRow> keyframes(std::int64_t chunk) const;
  std::vector<ChecksumRow> checksums(std::int64_t chunk) const;  // by frame_idx and position
  // From record `first` on, in the order given, a block of some MB in memory at a time; `visit`
  // returning false stops.
  void for_each_extra(const std::function<bool(const ExtraRow&)>& visit,
                      std::int64_t first = 1) const;
  // Whether there are any of frames [range.begin, range.end).
  bool has_extra(IndexRange range) const;
  // The number that the next record will have.
  std::int64_t next_extra() const;
  // Those of one frame, in the order given.
  std::vector<ExtraRow> extra_of(std::int64_t frame_index) const;

  // SQLite's own integrity check: empty if all is well, else its findings, one a line. Reads all:
  // some seconds for ten million frames, half a minute with secondary indexes.
  std::string integrity_findings() const;

 private:
  class Impl;
  explicit Index(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::index
