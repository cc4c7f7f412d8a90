#include "messages.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

namespace avstore::cli {
namespace {

// Notices may come from the library's threads while the bar is drawn by the main one.
std::mutex guard;
std::size_t status_lines = 0;

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

void erase_unguarded() {
  if (status_lines > 0) {
    put(to_first_line() + "\033[J");
    status_lines = 0;
  }
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

}  // namespace

void say(const std::string& text) {
  std::string line = "avstore: " + text;
  // One message is one line, whatever a library's own words are.
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\r', ' ');
  const std::lock_guard lock(guard);
  erase_unguarded();
  put(line + "\n");
}

void show_status(const std::vector<std::string>& lines) {
  const int width = terminal_width();
  const std::lock_guard lock(guard);
  std::string text = to_first_line();
  for (const std::string& line : lines) {
    text += (&line == &lines.front() ? "" : "\n") + cut(line, width) + "\033[K";
  }
  put(text + "\033[J");
  status_lines = lines.size();
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
  erase_unguarded();
}

}  // namespace avstore::cli
