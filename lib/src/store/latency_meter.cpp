#include "store/latency_meter.h"

#include <algorithm>

namespace avstore::store {

void LatencyMeter::note(std::chrono::steady_clock::duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds_.size() < kKept) {
    seconds_.push_back(seconds);
    return;
  }
  seconds_[next_] = seconds;
  next_ = (next_ + 1) % kKept;
}

Latency LatencyMeter::percentiles() const {
  if (seconds_.empty()) {
    return {};
  }
  std::vector<double> sorted = seconds_;
  std::sort(sorted.begin(), sorted.end());
  return {sorted[sorted.size() / 2], sorted[sorted.size() * 99 / 100], sorted.back()};
}

}  // namespace avstore::store
