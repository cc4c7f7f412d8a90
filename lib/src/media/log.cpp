#include "media/log.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "media/av.h"

namespace avstore::media {
namespace {

// A broken file can give rise to very many.
constexpr std::size_t kMaxLines = 16;

std::vector<std::string>& lines_of_this_thread() {
  thread_local std::vector<std::string> lines;
  return lines;
}

void keep(std::string line) {
  auto& lines = lines_of_this_thread();
  if (lines.size() == kMaxLines) {
    lines.pop_back();
  }
  lines.push_back(std::move(line));
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
  keep(line.starts_with('[') && end != std::string::npos ? line.substr(end + 2) : line);
}

}  // namespace

void capture_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(keep_errors); });
}

std::string last_log_line() {
  const auto& lines = lines_of_this_thread();
  return lines.empty() ? "" : lines.back();
}
std::string with_log(const std::string& text) {
  constexpr std::size_t kEnough = 3;
  std::vector<std::string> told{text};
  for (const std::string& line : lines_of_this_thread()) {
    if (told.size() <= kEnough && std::find(told.begin(), told.end(), line) == told.end()) {
      told.push_back(line);
    }
  }
  return fmt::format("{}", fmt::join(told, ": "));
}
bool was_logged(std::string_view text) {
  const auto& lines = lines_of_this_thread();
  return std::any_of(lines.begin(), lines.end(), [text](const std::string& line) {
    return line.find(text) != std::string::npos;
  });
}
void clear_log() {
  lines_of_this_thread().clear();
}

}  // namespace avstore::media
