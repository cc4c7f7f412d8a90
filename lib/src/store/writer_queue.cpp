#include "store/writer_queue.h"

#include <numeric>
#include <utility>

#include "avstore/error.h"
#include "imgstore/extra_data.h"
#include "index/index.h"

namespace avstore::store {
namespace {

// The names of more dropped frames than that are not kept.
constexpr std::size_t kMostDropped = 10000;

}  // namespace

// --- For callers ---

void WriterQueue::begin_at(std::int64_t frames_added) {
  const std::lock_guard lock(mutex_);
  added_ = frames_added;
}

bool WriterQueue::add_frame(std::size_t bytes, const FrameNames& names,
                            const std::function<Image()>& make_image) {
  Frame frame{{}, names.number, names.time, bytes, Clock::now()};
  if (!reserve(bytes, names)) {
    return false;
  }
  try {
    frame.image = make_image();  // without the lock: a copy takes its time
    const std::lock_guard lock(mutex_);
    require_open();
    rethrow_failure();
    items_.emplace_back(std::move(frame));
    ++added_;
    work_.notify_one();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    give_back_room(bytes);
    throw;
  }
  return true;
}

// Make room for a frame. False if it is dropped.
bool WriterQueue::reserve(std::size_t bytes, const FrameNames& names) {
  std::unique_lock lock(mutex_);
  if (options_.when_full == WhenFull::block) {
    room_.wait(lock, [&] { return has_room(bytes) || failure_ || closed_; });
  }
  require_open();
  rethrow_failure();
  if (!has_room(bytes)) {
    if (options_.when_full == WhenFull::fail) {
      throw Error(ErrorKind::io, folder_.string() + ": frame " + std::to_string(added_) +
                                     " comes too fast: the queue is full, " +
                                     std::to_string(frames_) + " frames wait");
    }
    ++dropped_count_;
    if (dropped_.size() < kMostDropped) {
      dropped_.push_back(names);
    }
    return false;
  }
  ++frames_;
  bytes_ += bytes;
  return true;
}

void WriterQueue::give_back_room(std::size_t bytes) {
  --frames_;
  bytes_ -= bytes;
  room_.notify_all();
}

bool WriterQueue::has_room(std::size_t bytes) const {
  return frames_ == 0 ||
         (frames_ < options_.queue_frames && bytes_ + bytes <= options_.queue_bytes);
}

void WriterQueue::add_extra(const std::string& json, bool may_wait) {
  Extra extra = extra_of(json);
  std::unique_lock lock(mutex_);
  require_open();
  rethrow_failure();
  if (may_wait && options_.when_full == WhenFull::fail &&
      !has_room_for_extra(extra.bytes, options_.queue_bytes)) {
    throw Error(ErrorKind::io, folder_.string() + ": extra data come too fast: the queue is full");
  }
  // Its place is behind the newest frame, so it goes there before it waits: else frames that
  // other threads add meanwhile would come between.
  const std::int64_t mine = queue_extra(std::move(extra));
  if (may_wait) {
    room_.wait(lock, [&] { return extra_let_in_ >= mine || failure_ || closed_; });
  }
  rethrow_failure();
  if (abandoned_) {
    throw_closed();
  }
}

bool WriterQueue::try_add_extra(const std::string& json) {
  Extra extra = extra_of(json);
  const std::lock_guard lock(mutex_);
  require_open();
  rethrow_failure();
  if (!extra_outside_.empty() || !has_room_for_extra(extra.bytes, options_.queue_bytes / 2)) {
    return false;
  }
  queue_extra(std::move(extra));
  return true;
}

WriterQueue::Extra WriterQueue::extra_of(const std::string& json) const {
  Extra extra{imgstore::normalize_extra_json(json)};
  if (extra.json.size() > index::kLongestExtra) {
    throw Error(ErrorKind::invalid_argument,
                folder_.string() + ": a record of extra data is longer than " +
                    std::to_string(index::kLongestExtra >> 20) + " MiB");
  }
  extra.bytes = sizeof(Item) + extra.json.size();
  return extra;
}

// Frames do not take this room away: else a queue that they fill would keep extra data waiting
// for longer than they wait themselves.
bool WriterQueue::has_room_for_extra(std::size_t bytes, std::size_t most) const {
  return extra_bytes_ == 0 || extra_bytes_ + bytes <= most;
}

// What extra_let_in_ must have come to for there to be room for it.
std::int64_t WriterQueue::queue_extra(Extra extra) {
  extra_outside_.push_back(extra.bytes);
  items_.emplace_back(std::move(extra));
  work_.notify_one();
  const std::int64_t mine = extra_let_in_ + static_cast<std::int64_t>(extra_outside_.size());
  let_extra_in();
  return mine;
}

// One after another, so that a large record is not kept waiting by small ones.
void WriterQueue::let_extra_in() {
  while (!extra_outside_.empty() &&
         has_room_for_extra(extra_outside_.front(), options_.queue_bytes)) {
    extra_bytes_ += extra_outside_.front();
    bytes_ += extra_outside_.front();
    extra_outside_.pop_front();
    ++extra_let_in_;
  }
}

void WriterQueue::sync() {
  std::unique_lock lock(mutex_);
  require_open();
  rethrow_failure();
  items_.emplace_back(Sync{});
  const std::int64_t mine = ++syncs_wanted_;
  work_.notify_one();
  synced_.wait(lock, [&] { return syncs_done_ >= mine || failure_ || abandoned_; });
  rethrow_failure();
  if (syncs_done_ < mine) {
    throw_given_up();
  }
}

void WriterQueue::insert(const std::filesystem::path& file, imgstore::ChunkIndex names, bool move) {
  const auto count = static_cast<std::int64_t>(names.frame_number.size());
  Insertion insertion{file, std::move(names), move,
                      std::make_shared<std::promise<std::exception_ptr>>()};
  std::future<std::exception_ptr> done = insertion.done->get_future();
  {
    const std::lock_guard lock(mutex_);
    require_open();
    rethrow_failure();
    items_.emplace_back(std::move(insertion));
    work_.notify_one();
  }
  try {
    if (const std::exception_ptr failure = done.get()) {
      std::rethrow_exception(failure);
    }
  } catch (const std::future_error&) {
    // Nobody is left to do it.
    throw_failure();
    throw_given_up();
  }
  const std::lock_guard lock(mutex_);
  added_ += count;
}

bool WriterQueue::close() {
  const std::lock_guard lock(mutex_);
  return begin_to_close();
}

bool WriterQueue::abandon() {
  const std::lock_guard lock(mutex_);
  if (!begin_to_close()) {
    return false;
  }
  abandoned_ = true;
  synced_.notify_all();
  return true;
}

bool WriterQueue::begin_to_close() {
  if (closed_) {
    return false;
  }
  closed_ = true;
  work_.notify_one();
  room_.notify_all();
  return true;
}

std::int64_t WriterQueue::frames_added() const {
  const std::lock_guard lock(mutex_);
  return added_;
}

WriterQueue::Account WriterQueue::account() const {
  const std::lock_guard lock(mutex_);
  return {added_, dropped_count_, frames_,
          std::accumulate(extra_outside_.begin(), extra_outside_.end(), bytes_)};
}

std::vector<FrameNames> WriterQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

// --- For the writer's own thread ---

std::optional<WriterQueue::Item> WriterQueue::next(const std::optional<Clock::time_point>& due) {
  std::unique_lock lock(mutex_);
  const auto has_news = [this] { return !items_.empty() || closed_; };
  if (due) {
    if (!work_.wait_until(lock, *due, has_news)) {
      return NothingCame{};
    }
  } else {
    work_.wait(lock, has_news);
  }
  if (items_.empty() || abandoned_) {
    return std::nullopt;
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  return item;
}

void WriterQueue::note_done(const Frame& frame) {
  const std::lock_guard lock(mutex_);
  give_back_room(frame.bytes);
}

void WriterQueue::note_done(const Extra& extra) {
  const std::lock_guard lock(mutex_);
  // It was let in: the first always is.
  extra_bytes_ -= extra.bytes;
  bytes_ -= extra.bytes;
  let_extra_in();
  room_.notify_all();
}

void WriterQueue::note_done(const Sync& /*sync*/) {
  const std::lock_guard lock(mutex_);
  ++syncs_done_;
  synced_.notify_all();
}

void WriterQueue::fail(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  if (!abandoned_) {
    failure_ = std::move(failure);
  }
  room_.notify_all();
  synced_.notify_all();
}

void WriterQueue::throw_away() {
  std::deque<Item> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(items_);
  }
  // Here, without the lock: callers' functions let go of pixels, and may wait for somebody who
  // asks the writer something.
}

bool WriterQueue::is_empty() const {
  const std::lock_guard lock(mutex_);
  return items_.empty();
}

bool WriterQueue::is_abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

bool WriterQueue::has_failed() const {
  const std::lock_guard lock(mutex_);
  return failure_ != nullptr;
}

void WriterQueue::throw_failure() const {
  const std::lock_guard lock(mutex_);
  rethrow_failure();
}

void WriterQueue::require_open() const {
  if (closed_) {
    throw_closed();
  }
}

void WriterQueue::rethrow_failure() const {
  if (failure_) {
    std::rethrow_exception(failure_);
  }
}

void WriterQueue::throw_closed() const {
  throw Error(ErrorKind::invalid_argument, folder_.string() + ": the writer is closed");
}

void WriterQueue::throw_given_up() const {
  throw Error(ErrorKind::invalid_argument, folder_.string() + ": the writer was given up");
}

}  // namespace avstore::store
