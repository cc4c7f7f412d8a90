#include "imgstore/clock.h"

#include <fmt/format.h>

// date's header must see what its library was built with, or their classes differ. Its CMake
// package defines it; Linux distributions build it to read the system's zone files, which is the
// default here.
#ifndef USE_OS_TZDB
#define USE_OS_TZDB 1
#endif
#include <date/date.h>
#include <date/tz.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "avstore/error.h"
#include "avstore/local_time.h"
#include "imgstore/metadata.h"

namespace avstore::imgstore {
namespace {

constexpr double kSecondsPerMinute = 60;
constexpr double kSecondsPerHour = 3600;

// Takes fixed-width numbers from the front of a text.
class TimeParser {
 public:
  explicit TimeParser(std::string_view text) : rest_(text) {}

  bool number(std::size_t width, int& value) {
    const std::string_view digits = rest_.substr(0, width);
    if (digits.size() < width || digits.find_first_not_of("0123456789") < width) {
      return false;
    }
    std::from_chars(digits.data(), digits.data() + width, value);
    rest_.remove_prefix(width);
    return true;
  }
  bool one_of(std::string_view set) {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  // Digits after a decimal point, as a number below 1.
  double fraction() {
    const std::size_t width = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    const std::string text = "0." + std::string(rest_.substr(0, width)) + "0";
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    rest_.remove_prefix(width);
    return value;
  }
  bool at_end() const { return rest_.empty(); }
  char front() const { return rest_.empty() ? '\0' : rest_.front(); }

 private:
  std::string_view rest_;
};

struct CivilTime {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  double fraction = 0;  // of a second

  date::year_month_day date() const {
    return {date::year(year), date::month(static_cast<unsigned>(month)),
            date::day(static_cast<unsigned>(day))};
  }
  bool exists() const { return year > 0 && date().ok() && hour < 24 && minute < 60 && second < 60; }
  date::local_seconds local() const {
    return date::local_days(date()) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second);
  }
};

bool parse_date(TimeParser& parser, CivilTime& time) {
  return parser.number(4, time.year) && parser.one_of("-") && parser.number(2, time.month) &&
         parser.one_of("-") && parser.number(2, time.day);
}

bool parse_clock(TimeParser& parser, CivilTime& time) {
  if (!parser.number(2, time.hour) || !parser.one_of(":") || !parser.number(2, time.minute)) {
    return false;
  }
  if (!parser.one_of(":")) {
    return true;
  }
  if (!parser.number(2, time.second)) {
    return false;
  }
  if (parser.one_of(".,")) {
    time.fraction = parser.fraction();
  }
  return true;
}

// "Z", "+02", "+0200", "+02:00" or nothing: seconds ahead of UTC.
std::optional<double> parse_zone(TimeParser& parser) {
  if (parser.at_end() || parser.one_of("Z")) {
    return 0;
  }
  const double sign = parser.front() == '-' ? -1 : 1;
  int hours = 0;
  int minutes = 0;
  if (!parser.one_of("+-") || !parser.number(2, hours)) {
    return std::nullopt;
  }
  parser.one_of(":");
  if ((!parser.at_end() && !parser.number(2, minutes)) || hours > 23 || minutes > 59) {
    return std::nullopt;
  }
  return sign * (hours * kSecondsPerHour + minutes * kSecondsPerMinute);
}

std::optional<double> parse_iso8601(std::string_view text) {
  TimeParser parser(text);
  CivilTime time;
  double zone = 0;
  if (!parse_date(parser, time)) {
    return std::nullopt;
  }
  if (!parser.at_end()) {
    if (!parser.one_of("T ") || !parse_clock(parser, time)) {
      return std::nullopt;
    }
    parser.one_of(" ");
    const auto offset = parse_zone(parser);
    if (!offset) {
      return std::nullopt;
    }
    zone = *offset;
  }
  if (!parser.at_end() || !time.exists()) {
    return std::nullopt;
  }
  return static_cast<double>(time.local().time_since_epoch().count()) - zone + time.fraction;
}

// "20YYMMDD_HHMMSS" at the start of `text`.
std::optional<CivilTime> parse_compact_time(std::string_view text) {
  TimeParser parser(text);
  CivilTime time;
  if (!text.starts_with("20") || !parser.number(4, time.year) || !parser.number(2, time.month) ||
      !parser.number(2, time.day) || !parser.one_of("_") || !parser.number(2, time.hour) ||
      !parser.number(2, time.minute) || !parser.number(2, time.second) || !time.exists()) {
    return std::nullopt;
  }
  return time;
}

// Null if there is no such zone, or no zone database on this machine.
const date::time_zone* find_zone(const std::string& name) {
  if (name.empty()) {
    return nullptr;
  }
  try {
    return date::locate_zone(name);
  } catch (const std::exception&) {
    return nullptr;
  }
}

double local_to_unix(const CivilTime& time, const date::time_zone* zone) {
  const date::local_seconds local = time.local();
  std::chrono::seconds offset{0};
  if (zone != nullptr) {
    const date::local_info info = zone->get_info(local);
    offset = info.result == date::local_info::ambiguous ? info.second.offset : info.first.offset;
  }
  return static_cast<double>((local.time_since_epoch() - offset).count());
}

// "Europe/Vienna" from ".../zoneinfo/Europe/Vienna"; a name without that directory as it is.
std::string zone_of_path(const std::string& path) {
  constexpr std::string_view kDirectory = "zoneinfo/";
  const std::size_t found = path.rfind(kDirectory);
  return found == std::string::npos ? path : path.substr(found + kDirectory.size());
}

bool looks_like_zone(std::string_view name) {
  const auto is_allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
  };
  return !name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) != 0 &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

std::string zone_of_environment() {
  const char* value = std::getenv("TZ");
  if (value == nullptr) {
    return "";
  }
  const std::string name = zone_of_path(value[0] == ':' ? value + 1 : value);
  // TZ may also hold a POSIX rule such as CET-1CEST, which looks like a name: ask the database.
  return looks_like_zone(name) && find_zone(name) != nullptr ? name : "";
}

std::string zone_of_timezone_file() {
  std::ifstream file("/etc/timezone");
  std::string name;
  file >> name;
  return looks_like_zone(name) ? name : "";
}

std::string zone_of_localtime_link() {
  std::error_code error;
  const std::string target = std::filesystem::read_symlink("/etc/localtime", error).string();
  const std::string name = zone_of_path(target);
  return name != target && looks_like_zone(name) ? name : "";
}

}  // namespace

std::optional<double> time_in_folder_name(const std::string& name, const std::string& zone) {
  for (std::size_t at = name.find("20"); at != std::string::npos; at = name.find("20", at + 1)) {
    const auto time = parse_compact_time(std::string_view(name).substr(at));
    if (time) {
      const date::time_zone* named = find_zone(zone);
      return local_to_unix(*time, named != nullptr ? named : find_zone(local_timezone_name()));
    }
  }
  return std::nullopt;
}

bool is_timezone(const std::string& name) {
  return find_zone(name) != nullptr || find_zone("Etc/UTC") == nullptr;
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return iso8601_utc(std::chrono::duration<double>(now).count());
}

double unix_seconds(const std::string& iso8601) {
  const auto seconds = parse_iso8601(iso8601);
  if (!seconds) {
    throw Error(ErrorKind::invalid_argument,
                "\"" + iso8601 + "\" is no ISO 8601 time such as 2026-11-22T06:28:11.142833");
  }
  return *seconds;
}

std::string iso8601_utc(double unix_seconds) {
  constexpr double kYear1 = -62135596800;
  constexpr double kYear10000 = 253402300800;
  // Half a microsecond is kept off the end, since rounding could go past it.
  if (!(unix_seconds >= kYear1 && unix_seconds < kYear10000 - 5e-5)) {
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{} seconds is not a time in the years 1 to 9999", unix_seconds));
  }
  const double whole = std::floor(unix_seconds);
  const auto time = date::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(whole))) +
                    std::chrono::microseconds(std::llround((unix_seconds - whole) * 1e6));
  const auto day = date::floor<date::days>(time);
  const date::year_month_day calendar(day);
  const date::hh_mm_ss<std::chrono::microseconds> clock(time - day);
  const std::string seconds =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(calendar.year()),
                  static_cast<unsigned>(calendar.month()), static_cast<unsigned>(calendar.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  // Python's isoformat leaves a fraction of zero out.
  const auto micros = clock.subseconds().count();
  return micros == 0 ? seconds : fmt::format("{}.{:06}", seconds, micros);
}

std::string local_timezone_name() {
  for (const auto& source : {zone_of_environment, zone_of_timezone_file, zone_of_localtime_link}) {
    std::string name = source();
    if (!name.empty()) {
      return name;
    }
  }
  return "Etc/UTC";
}

}  // namespace avstore::imgstore

namespace avstore {
namespace {

constexpr double kFirstPlausibleTime =
    1e8;  // 1973: what is less counts from the recording's own start
constexpr double kLastPlausibleTime = 1e11;  // year 5138

}  // namespace

std::string local_time(FrameTime time, const std::string& zone) {
  constexpr double kMicrosecond = 1e-6;
  const double rounded = time.seconds + kMicrosecond / 2;  // cut to microseconds below
  if (!(rounded >= kFirstPlausibleTime && rounded < kLastPlausibleTime)) {
    return {};
  }
  const double whole = std::floor(rounded);
  const date::sys_seconds utc(std::chrono::seconds(static_cast<std::int64_t>(whole)));
  const date::time_zone* named = imgstore::find_zone(zone);
  const std::chrono::seconds offset =
      named == nullptr ? std::chrono::seconds(0) : named->get_info(utc).offset;
  const auto local = utc + offset;
  const auto day = date::floor<date::days>(local);
  const date::year_month_day calendar(day);
  const date::hh_mm_ss<std::chrono::seconds> clock(local - day);
  const auto micros = static_cast<std::int64_t>((rounded - whole) / kMicrosecond);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(offset).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}{}{:02}:{:02}",
                     static_cast<int>(calendar.year()), static_cast<unsigned>(calendar.month()),
                     static_cast<unsigned>(calendar.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), micros,
                     minutes < 0 ? '-' : '+', std::abs(minutes) / 60, std::abs(minutes) % 60);
}

}  // namespace avstore
