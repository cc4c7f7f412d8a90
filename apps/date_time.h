// Points in time, as people write them.
#pragma once

#include <string>

namespace avstore::cli {

// Unix time from a number of seconds or a date of ISO 8601: 2024-03-01, 2024-03-01T12:30,
// 2024-03-01T12:30:15.25, each with Z or an offset such as +01:00, else in UTC. Throws BadValue.
double parse_time(const std::string& text);

// "2024-03-01 12:30:15 UTC"; empty for what is no plausible date of a recording.
std::string date_text(double unix_seconds);

}  // namespace avstore::cli
