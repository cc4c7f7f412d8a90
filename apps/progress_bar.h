// How far the work is, for somebody watching.
#pragma once

#include <avstore/tools.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace avstore::cli {

// A line on stderr with rate and time left. Drawn only on a terminal, and only once the work has
// taken a second; gone when the bar is.
class ProgressBar {
 public:
  // Where results and bar would mix on one terminal, there is none.
  enum class Beside { summary, streamed_output };

  explicit ProgressBar(Beside beside = Beside::summary);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // total 0: unknown.
  void update(std::int64_t done, std::int64_t total);

  // For the library's tools: updates the bar and tells them to stop after Ctrl-C. Must not outlive
  // the bar.
  Progress callback();

 private:
  using Clock = std::chrono::steady_clock;

  bool wanted_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::seconds(1);
};

// The text of a bar that is `width` characters wide.
std::string progress_line(std::int64_t done, std::int64_t total, double seconds, int width);

}  // namespace avstore::cli
