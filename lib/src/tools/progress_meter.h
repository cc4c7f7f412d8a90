// Calls a tool's Progress now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "avstore/tools.h"

namespace avstore::tools {

// Keeps the callback to some ten calls a second, however fast the frames go by.
class ProgressMeter {
 public:
  // `what` is for the message of Interrupted.
  ProgressMeter(const Progress& progress, std::int64_t total, std::string what)
      : progress_(progress), total_(total), what_(std::move(what)) {}

  // False if the user wants to stop.
  bool advance(std::int64_t frames = 1) {
    done_ += frames;
    const auto now = std::chrono::steady_clock::now();
    if (!progress_ || now < next_call_) {
      return true;
    }
    next_call_ = now + std::chrono::milliseconds(100);
    return progress_(done_, total_);
  }

  // The same, throwing Interrupted.
  void require(std::int64_t frames = 1) {
    if (!advance(frames)) {
      throw Interrupted(what_);
    }
  }

  std::int64_t done() const { return done_; }

 private:
  const Progress& progress_;
  std::int64_t total_;
  std::string what_;
  std::int64_t done_ = 0;
  std::chrono::steady_clock::time_point next_call_ = std::chrono::steady_clock::now();
};

}  // namespace avstore::tools
