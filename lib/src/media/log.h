// What libav* has to say, kept for error messages instead of printed.
#pragma once

#include <string>
#include <string_view>

namespace avstore::media {

// Route libav's log to this module, once per process: nothing is printed any more.
void capture_log();

// The last line of level error that libav logged on this thread since clear_log(); empty if none.
std::string last_log_line();
// `text`, and behind it what was logged since: the first few lines that differ.
std::string with_log(const std::string& text);
// Whether one of these lines (the first few of them) holds that text.
bool was_logged(std::string_view text);
void clear_log();

}  // namespace avstore::media
