#include "media/decode_order_times.h"

#include <algorithm>
#include <iterator>

namespace avstore::media {
namespace {

// More than any decoder holds back: reordering takes 16 frames at most.
constexpr std::size_t kMostWaiting = 256;

}  // namespace

std::vector<std::int64_t> DecodeOrderTimes::send(std::int64_t pts) {
  unanswered_.insert(pts);
  times_.insert(pts);
  if (unanswered_.size() + refused_.size() <= kMostWaiting) {
    return {};
  }
  if (!refused_.empty() && *refused_.begin() <= *unanswered_.begin()) {
    refused_.erase(refused_.begin());
    take(1);
    return {};
  }
  unanswered_.erase(unanswered_.begin());
  return take(1);
}

void DecodeOrderTimes::refuse(std::int64_t pts) {
  const auto packet = unanswered_.find(pts);
  if (packet != unanswered_.end()) {
    unanswered_.erase(packet);
    refused_.insert(pts);
  }
}

std::vector<std::int64_t> DecodeOrderTimes::come(std::optional<std::int64_t> told, int may_follow) {
  if (!told && unanswered_.empty()) {
    return {};
  }
  const std::int64_t pts = told ? *told : *unanswered_.begin();
  note_answered(pts);
  drop_refused_before(pts);
  auto first_after = unanswered_.lower_bound(pts);
  const auto before = static_cast<std::size_t>(std::distance(unanswered_.begin(), first_after));
  const std::size_t lost = before - std::min(before, static_cast<std::size_t>(may_follow));
  // What is presented late is decoded early, so those decoded last are the lost ones.
  for (std::size_t i = 0; i < lost; ++i) {
    first_after = unanswered_.erase(std::prev(first_after));
  }
  if (++came_ == 2 && may_follow > 0) {
    // A stream that was cut at an open GOP: behind the keyframe come pictures which are presented
    // before it, and cannot be decoded. No time lies between the keyframe and this frame.
    spare_ += lost;
    return {};
  }
  return take(lost);
}

void DecodeOrderTimes::note_answered(std::int64_t pts) {
  if (const auto packet = unanswered_.find(pts); packet != unanswered_.end()) {
    unanswered_.erase(packet);
  } else if (const auto refused = refused_.find(pts); refused != refused_.end()) {
    refused_.erase(refused);  // it gave a frame all the same
  } else if (!unanswered_.empty()) {
    // It was given up in place of another: as many gave no frame, but not that one.
    unanswered_.erase(unanswered_.begin());
  }
}

void DecodeOrderTimes::drop_refused_before(std::int64_t pts) {
  const auto first_after = refused_.lower_bound(pts);
  take(static_cast<std::size_t>(std::distance(refused_.begin(), first_after)));
  refused_.erase(refused_.begin(), first_after);
}

std::optional<std::int64_t> DecodeOrderTimes::take() {
  const auto earliest = take(1);
  return earliest.empty() ? std::nullopt : std::optional(earliest.front());
}

std::vector<std::int64_t> DecodeOrderTimes::end() {
  const std::size_t without = std::min(times_.size(), refused_.size() + spare_);
  unanswered_.clear();
  refused_.clear();
  spare_ = 0;
  std::vector<std::int64_t> lost = take(times_.size() - without);
  times_.clear();
  return lost;
}

std::vector<std::int64_t> DecodeOrderTimes::take(std::size_t count) {
  const auto last =
      std::next(times_.begin(), static_cast<std::ptrdiff_t>(std::min(count, times_.size())));
  std::vector<std::int64_t> taken(times_.begin(), last);
  times_.erase(times_.begin(), last);
  return taken;
}

}  // namespace avstore::media
