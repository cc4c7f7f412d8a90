// What a writer has taken in and has not made durable yet, and by when it must.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace avstore::store {

// Frames become durable a keyframe interval and a second after they were added, or sooner. Mostly
// the encoder has given a frame by then, and it only has to be brought into its file. Asking the
// encoder for what it still holds costs compression, so that is done only when no more frames come
// for a second, or when it would hold the oldest for longer than that. For one thread at a time.
class FramesUnderWay {
 public:
  using Clock = std::chrono::steady_clock;

  explicit FramesUnderWay(Clock::duration keyframe_interval)
      : keyframe_interval_(keyframe_interval) {}

  // The encoder has taken the frame that makes it `place` in all, which was added then.
  void take(std::int64_t place, Clock::time_point added) {
    newest_ = Clock::now();
    frames_.push_back({place, added, newest_});
  }
  void take_extra() {
    if (!extra_since_) {
      extra_since_ = Clock::now();
    }
  }
  // What the encoder had given was brought into its file.
  void note_stored() { stored_at_ = Clock::now(); }
  void note_extra_durable() { extra_since_.reset(); }

  // Gives out when the oldest frame was added, once the first `place` frames are durable and it is
  // one of them.
  std::optional<Clock::time_point> pop_durable(std::int64_t place) {
    if (frames_.empty() || frames_.front().place > place) {
      return std::nullopt;
    }
    const Clock::time_point added = frames_.front().added;
    frames_.pop_front();
    return added;
  }

  // Whether what the encoder has given shall be brought into its file.
  bool must_store() const {
    return !frames_.empty() &&
           std::max(frames_.front().taken, stored_at_) + kLongestWait <= Clock::now();
  }
  bool must_store_extra() const {
    return extra_since_ && *extra_since_ + kLongestWait <= Clock::now();
  }
  // Whether all of it shall be, with what the encoder still holds.
  bool must_store_all() const {
    const auto by = all_by();
    return by && *by <= Clock::now();
  }

  // When one of the latter is to be asked next, if nothing comes before; none if nothing is under
  // way.
  std::optional<Clock::time_point> next_due() const {
    auto due = all_by();
    if (extra_since_) {
      const Clock::time_point extra = *extra_since_ + kLongestWait;
      due = due ? std::min(*due, extra) : extra;
    }
    return due;
  }

 private:
  static constexpr std::chrono::seconds kLongestWait{1};

  struct Frame {
    std::int64_t place = 0;  // counted from 1
    Clock::time_point added;
    Clock::time_point taken;
  };

  std::optional<Clock::time_point> all_by() const {
    if (frames_.empty()) {
      return std::nullopt;
    }
    return std::min(newest_, frames_.front().taken + keyframe_interval_) + kLongestWait;
  }

  Clock::duration keyframe_interval_;
  std::deque<Frame> frames_;
  Clock::time_point newest_;
  Clock::time_point stored_at_;
  std::optional<Clock::time_point> extra_since_;
};

}  // namespace avstore::store
