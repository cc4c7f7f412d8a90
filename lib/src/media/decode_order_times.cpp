#include "media/decode_order_times.h"

#include <algorithm>
#include <iterator>

namespace avstore::media {

void DecodeOrderTimes::send(std::int64_t pts) {
  unanswered_.insert(pts);
  times_.insert(pts);
}

std::vector<std::int64_t> DecodeOrderTimes::come(std::optional<std::int64_t> told, int may_follow) {
  if (!told && unanswered_.empty()) {
    return {};
  }
  const std::int64_t pts = told ? *told : *unanswered_.begin();
  const auto packet = unanswered_.find(pts);
  if (packet != unanswered_.end()) {
    unanswered_.erase(packet);
  } else if (!unanswered_.empty()) {
    // It was given up in place of another: as many gave no frame, but not that one.
    unanswered_.erase(unanswered_.begin());
  }
  auto first_after = unanswered_.lower_bound(pts);
  const auto before = static_cast<std::size_t>(std::distance(unanswered_.begin(), first_after));
  const std::size_t lost = before - std::min(before, static_cast<std::size_t>(may_follow));
  // What is presented late is decoded early, so those decoded last are the lost ones.
  for (std::size_t i = 0; i < lost; ++i) {
    first_after = unanswered_.erase(std::prev(first_after));
  }
  return take(lost);
}

std::optional<std::int64_t> DecodeOrderTimes::take() {
  const auto earliest = take(1);
  return earliest.empty() ? std::nullopt : std::optional(earliest.front());
}

std::vector<std::int64_t> DecodeOrderTimes::end() {
  unanswered_.clear();
  return take(times_.size());
}

std::vector<std::int64_t> DecodeOrderTimes::take(std::size_t count) {
  const auto last =
      std::next(times_.begin(), static_cast<std::ptrdiff_t>(std::min(count, times_.size())));
  std::vector<std::int64_t> taken(times_.begin(), last);
  times_.erase(times_.begin(), last);
  return taken;
}

}  // namespace avstore::media
