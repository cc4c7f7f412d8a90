// What waits for a writer's thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "avstore/image.h"
#include "avstore/types.h"
#include "avstore/writer.h"
#include "imgstore/chunk_index.h"

namespace avstore::store {

// Frames, extra data and requests on their way from callers' threads to the writer's own, in the
// order in which they came, with an account of the room that frames and extra data take.
//
// Callers use the first part of it, from any thread; the writer's own thread the second. After a
// failure callers' functions throw what failed, after close() or abandon() Error(invalid_argument).
class WriterQueue {
 public:
  using Clock = std::chrono::steady_clock;

  struct Frame {
    Image image;
    FrameNumber number;
    FrameTime time;
    std::size_t bytes = 0;
    Clock::time_point added;
  };
  struct Extra {
    std::string json;
    std::size_t bytes = 0;
  };
  struct Sync {};
  struct Insertion {
    std::filesystem::path file;
    imgstore::ChunkIndex names;
    bool move = false;
    // Whoever inserts it waits for that: null, or why it cannot be.
    std::shared_ptr<std::promise<std::exception_ptr>> done;
  };
  struct NothingCame {};
  using Item = std::variant<Frame, Extra, Sync, Insertion, NothingCame>;

  // What it holds, and what it has taken since the store began.
  struct Account {
    std::int64_t frames_added = 0;
    std::int64_t frames_dropped = 0;
    std::size_t frames = 0;  // waiting, with the one being encoded
    std::size_t bytes = 0;   // of frames and extra data, also of those that wait for room
  };

  // Both must outlive it: the folder is named in errors, the options say how much may wait and what
  // becomes of what does not fit.
  WriterQueue(const std::filesystem::path& folder, const WriterOptions& options)
      : folder_(folder), options_(options) {}

  // --- For callers ---

  // The store has frames already.
  void begin_at(std::int64_t frames_added);

  // Add a frame of that many bytes. `make_image` is called once there is room for it. False if it
  // is dropped. Throws Error(io) if the queue is full and that is to fail.
  bool add_frame(std::size_t bytes, const FrameNames& names,
                 const std::function<Image()>& make_image);

  // See Writer::add_extra(). `may_wait` is false on the very thread that makes room.
  void add_extra(const std::string& json, bool may_wait);
  // See Writer::try_add_extra().
  bool try_add_extra(const std::string& json);
  // Waits until all that came before is durable.
  void sync();
  // Waits until the file is a chunk.
  void insert(const std::filesystem::path& file, imgstore::ChunkIndex names, bool move);

  // Nothing is taken any more; what waits is handed out still. False if it was closed before.
  bool close();
  // Nothing is handed out any more either, and who waits is let go.
  bool abandon();

  std::int64_t frames_added() const;
  Account account() const;
  // The first ten thousand frames that were dropped.
  std::vector<FrameNames> dropped() const;

  // --- For the writer's own thread ---

  // Waits for the next item: NothingCame if there is none at the time `due`, nothing if it is
  // closed and empty, or abandoned.
  std::optional<Item> next(const std::optional<Clock::time_point>& due);
  // An item that next() has handed out is done.
  void note_done(const Frame& frame);
  void note_done(const Extra& extra);
  void note_done(const Sync& sync);
  // Whoever waits is let go, and callers get `failure` from now on.
  void fail(std::exception_ptr failure);
  // Nothing comes in any more: let go of what is there.
  void throw_away();

  bool is_empty() const;
  bool is_abandoned() const;
  bool has_failed() const;
  void throw_failure() const;

 private:
  Extra extra_of(const std::string& json) const;
  bool reserve(std::size_t bytes, const FrameNames& names);
  [[noreturn]] void throw_closed() const;
  [[noreturn]] void throw_given_up() const;

  // All with the mutex held.
  void give_back_room(std::size_t bytes);
  bool has_room(std::size_t bytes) const;
  bool has_room_for_extra(std::size_t bytes, std::size_t most) const;
  std::int64_t queue_extra(Extra extra);
  void let_extra_in();
  bool begin_to_close();
  void require_open() const;
  void rethrow_failure() const;

  const std::filesystem::path& folder_;
  const WriterOptions& options_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable synced_;
  std::deque<Item> items_;
  std::size_t frames_ = 0;       // with the one being encoded
  std::size_t bytes_ = 0;        // of extra data too
  std::size_t extra_bytes_ = 0;  // of these alone
  // Bytes of each record in the queue that does not count there yet: whoever told it waits until it
  // does. They are the last ones.
  std::deque<std::size_t> extra_outside_;
  std::int64_t extra_let_in_ = 0;  // records that counted ever
  std::int64_t added_ = 0;
  std::int64_t dropped_count_ = 0;
  std::vector<FrameNames> dropped_;  // the first of them
  std::int64_t syncs_wanted_ = 0;
  std::int64_t syncs_done_ = 0;
  bool closed_ = false;
  bool abandoned_ = false;
  std::exception_ptr failure_;
};

}  // namespace avstore::store
