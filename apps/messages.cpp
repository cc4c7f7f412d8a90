#include "messages.h"

#include <algorithm>
#include <cstdio>
#include <mutex>

namespace avstore::cli {
namespace {

// Notices may come from the library's threads while the bar is drawn by the main one.
std::mutex guard;
bool status_shown = false;

void put(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

void erase_unguarded() {
  if (status_shown) {
    put("\r\033[K");
    status_shown = false;
  }
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

void show_status(const std::string& line) {
  const std::lock_guard lock(guard);
  put("\r" + line + "\033[K");
  status_shown = true;
}

void erase_status() {
  const std::lock_guard lock(guard);
  erase_unguarded();
}

}  // namespace avstore::cli
