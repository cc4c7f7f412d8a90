#include "messages.h"

#include <avstore/error.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "background_writer.h"

namespace avstore::cli {
namespace {

constexpr std::size_t kMostWaiting = 1 << 20;  // bytes

// Notices may come from the library's threads while the bar is drawn by the main one.
std::mutex guard;
std::size_t status_lines = 0;

// While there are PatientMessages, who write what waits here.
std::unique_ptr<BackgroundWriter> background;
std::string waiting;
std::size_t left_out = 0;
std::vector<std::string> waiting_status;

void put(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

// Back to where the first of the lines began.
std::string to_first_line() {
  std::string moves = "\r";
  for (std::size_t i = 1; i < status_lines; ++i) {
    moves += "\033[A";
  }
  return moves;
}

// What takes the lines off the terminal.
std::string erasure() {
  std::string text = status_lines > 0 ? to_first_line() + "\033[J" : "";
  status_lines = 0;
  return text;
}

// A line that the terminal breaks would be two.
std::string cut(const std::string& line, int width) {
  const auto most = static_cast<std::size_t>(std::max(width - 1, 1));
  std::size_t end = std::min(line.size(), most);
  while (end > 0 && end < line.size() && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
    --end;  // not within a character
  }
  return line.substr(0, end);
}

// What shows lines instead of those shown before.
std::string drawing(const std::vector<std::string>& lines) {
  std::string text = to_first_line();
  for (const std::string& line : lines) {
    text += (&line == &lines.front() ? "" : "\n") + line + "\033[K";
  }
  status_lines = lines.size();
  return text + "\033[J";
}

void keep(const std::string& line) {
  if (waiting.size() + line.size() > kMostWaiting) {
    ++left_out;
  } else {
    waiting += line;
  }
  background->notify();
}

// What the background writes next.
std::string take_waiting() {
  const std::lock_guard lock(guard);
  std::string text;
  if (!waiting.empty()) {
    text = erasure() + std::exchange(waiting, {});
  }
  if (left_out > 0) {
    text += "avstore: " + std::to_string(std::exchange(left_out, 0)) +
            " more messages are left out, because nobody took them\n";
  }
  if (!waiting_status.empty()) {
    text += drawing(std::exchange(waiting_status, {}));
  }
  return text;
}

}  // namespace

void say(const std::string& text) {
  std::string line = "avstore: " + text;
  // One message is one line, whatever a library's own words are.
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\r', ' ');
  line += '\n';
  const std::lock_guard lock(guard);
  if (background) {
    keep(line);
  } else {
    put(erasure() + line);
  }
}

void show_status(const std::vector<std::string>& lines) {
  const int width = terminal_width();
  std::vector<std::string> fitting(lines.size());
  std::transform(lines.begin(), lines.end(), fitting.begin(),
                 [width](const std::string& line) { return cut(line, width); });
  const std::lock_guard lock(guard);
  if (background) {
    waiting_status = std::move(fitting);
    background->notify();
  } else {
    put(drawing(fitting));
  }
}

PatientMessages::PatientMessages() {
  const std::lock_guard lock(guard);
  try {
    background = std::make_unique<BackgroundWriter>(STDERR_FILENO, take_waiting);
  } catch (const Error&) {
    // The system has no thread left: say() writes by itself, and waits where nobody reads.
  }
}

PatientMessages::~PatientMessages() {
  std::unique_ptr<BackgroundWriter> last;
  {
    const std::lock_guard lock(guard);
    last = std::move(background);
    waiting_status.clear();
  }
}

int terminal_width() {
  constexpr int kUsualWidth = 80;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsualWidth;
  }
  return size.ws_col;
}

void erase_status() {
  const std::lock_guard lock(guard);
  waiting_status.clear();
  if (background) {
    waiting = erasure() + waiting;
    background->notify();
  } else {
    put(erasure());
  }
}

}  // namespace avstore::cli
