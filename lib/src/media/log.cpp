#include "media/log.h"

#include <array>
#include <mutex>

#include "media/av.h"

namespace avstore::media {
namespace {

std::string& line_of_this_thread() {
  thread_local std::string line;
  return line;
}

void keep_errors(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) {
    return;
  }
  std::array<char, 512> text{};
  int prefix = 0;
  av_log_format_line2(context, level, format, arguments, text.data(), text.size(), &prefix);
  std::string line = text.data();
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) {
    line.pop_back();
  }
  // "[mov,mp4 @ 0x5581] moov atom not found": the address says nothing to a user.
  const std::size_t end = line.rfind("] ");
  line_of_this_thread() =
      line.starts_with('[') && end != std::string::npos ? line.substr(end + 2) : line;
}

}  // namespace

void capture_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(keep_errors); });
}

std::string last_log_line() {
  return line_of_this_thread();
}
void clear_log() {
  line_of_this_thread().clear();
}

}  // namespace avstore::media
