// How long frames take.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "avstore/writer.h"

namespace avstore::store {

// Percentiles of the durations noted last. For one thread at a time.
class LatencyMeter {
 public:
  void note(std::chrono::steady_clock::duration duration);
  // All zero before the first.
  Latency percentiles() const;

 private:
  static constexpr std::size_t kKept = 1000;

  std::vector<double> seconds_;  // a ring once it is full
  std::size_t next_ = 0;
};

}  // namespace avstore::store
