#include "progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "interrupt.h"
#include "messages.h"
#include "output.h"

namespace avstore::cli {
namespace {

constexpr int kShortestBar = 5;
constexpr int kLongestBar = 40;
constexpr double kLongestTime = 100 * 3600.0;  // more than this is no estimate

std::string clock_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::lround(std::min(seconds, kLongestTime)));
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar_text(double part, int width) {
  const auto filled = static_cast<std::size_t>(std::lround(part * width));
  return "[" + std::string(filled, '#') +
         std::string(static_cast<std::size_t>(width) - filled, '.') + "] ";
}

}  // namespace

std::string progress_line(std::int64_t done, std::int64_t total, double seconds, int width) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  if (total <= 0) {
    return fmt::format("{} frames  {:.0f}/s  {}", done, rate, clock_text(seconds));
  }
  // A container's count may be too low.
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const double left =
      rate > 0 ? static_cast<double>(std::max<std::int64_t>(total - done, 0)) / rate : kLongestTime;
  const std::string text = fmt::format("{:3.0f} %  {}/{} frames  {:.0f}/s  {} left",
                                       std::floor(part * 100), done, total, rate, clock_text(left));
  const int room = std::min(width - static_cast<int>(text.size()) - 4, kLongestBar);
  return room < kShortestBar ? text : bar_text(part, room) + text;
}

ProgressBar::ProgressBar(Beside beside)
    : wanted_(messages_are_on_terminal() && (beside == Beside::summary || !output_is_terminal())) {}

ProgressBar::~ProgressBar() {
  erase_status();
}

void ProgressBar::update(std::int64_t done, std::int64_t total) {
  const Clock::time_point now = Clock::now();
  if (!wanted_ || now < next_) {
    return;
  }
  next_ = now + std::chrono::milliseconds(100);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  show_status({progress_line(done, total, seconds, terminal_width())});
}

Progress ProgressBar::callback() {
  return [this](std::int64_t done, std::int64_t total) {
    update(done, total);
    return !interrupted();
  };
}

}  // namespace avstore::cli
