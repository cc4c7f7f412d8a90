#include "date_time.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <optional>
#include <regex>

#include "arguments.h"

namespace avstore::cli {
namespace {

constexpr double kFirstPlausible = 1e8;  // 1973: what is less counts from the recording's own start
constexpr double kLastPlausible = 1e11;  // year 5138

int number(const std::ssub_match& digits) {
  return digits.matched && digits.length() > 0 ? std::stoi(digits.str()) : 0;
}

// Seconds east of Greenwich; "Z" and nothing are 0.
int offset(const std::smatch& parts) {
  const int seconds = number(parts[9]) * 3600 + number(parts[10]) * 60;
  return parts[8] == "-" ? -seconds : seconds;
}

bool clock_is_valid(const std::smatch& parts) {
  return number(parts[4]) < 24 && number(parts[5]) < 60 && number(parts[6]) <= 60 &&
         number(parts[9]) < 24 && number(parts[10]) < 60;
}

std::optional<double> read_date(const std::string& text) {
  static const std::regex pattern(
      R"((\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(?:Z|([+-])(\d\d):?(\d\d))?)?)");
  std::smatch parts;
  if (!std::regex_match(text, parts, pattern) || !clock_is_valid(parts)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{
      std::chrono::year(number(parts[1])),
      std::chrono::month(static_cast<unsigned>(number(parts[2]))),
      std::chrono::day(static_cast<unsigned>(number(parts[3])))};
  if (!date.ok()) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  const double whole = static_cast<double>(days) * 86400 + number(parts[4]) * 3600 +
                       number(parts[5]) * 60 + number(parts[6]) - offset(parts);
  return whole + (parts[7].matched ? parse_number("0" + parts[7].str()) : 0);
}

}  // namespace

double parse_time(const std::string& text) {
  if (const auto date = read_date(text)) {
    return *date;
  }
  try {
    return parse_number(text);
  } catch (const BadValue&) {
    throw BadValue(fmt::format(
        "'{}' is no time; write seconds since 1970 or a date like 2024-03-01T12:30:15.25+01:00",
        text));
  }
}

std::string date_text(double unix_seconds) {
  if (!(unix_seconds >= kFirstPlausible && unix_seconds < kLastPlausible)) {
    return {};
  }
  return fmt::format("{:%F %T} UTC", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

}  // namespace avstore::cli
