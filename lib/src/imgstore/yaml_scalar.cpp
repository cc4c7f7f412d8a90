#include "imgstore/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "imgstore/json_text.h"
#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

// Python refuses decimal integers of more than 4300 digits; no plausible number comes near this.
constexpr std::size_t kMaxNumberLength = 1000;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kDigitsAndUnderscore = "0123456789_";

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_null(std::string_view text) {
  return is_one_of(text, {"", "~", "null", "Null", "NULL"});
}

bool is_true(std::string_view text) {
  return is_one_of(text, {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"});
}

bool is_false(std::string_view text) {
  return is_one_of(text, {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"});
}

// Takes a text apart from the front.
class Matcher {
 public:
  explicit Matcher(std::string_view text) : rest_(text) {}

  bool take(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) {
      return false;
    }
    rest_.remove_prefix(prefix.size());
    return true;
  }
  bool take_one_of(std::string_view set) {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  std::size_t take_all_of(std::string_view set,
                          std::size_t most = std::numeric_limits<std::size_t>::max()) {
    const std::size_t n = std::min({rest_.find_first_not_of(set), rest_.size(), most});
    rest_.remove_prefix(n);
    return n;
  }
  // Between `least` and `most` digits, into `value`.
  bool take_number(std::size_t least, std::size_t most, int& value) {
    const std::string_view before = rest_;
    const std::size_t n = take_all_of(kDigits, most);
    value = 0;
    for (const char c : before.substr(0, n)) {
      value = value * 10 + (c - '0');
    }
    return n >= least;
  }
  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// `:30`, `:5:07` ..., with the minutes and seconds below 60.
bool take_sexagesimal_parts(Matcher& matcher) {
  std::size_t parts = 0;
  while (matcher.take(":")) {
    const bool tens = matcher.rest().size() > 1 && kDigits.find(matcher.rest()[1]) < 10;
    if ((tens && !matcher.take_one_of("012345")) || !matcher.take_one_of(kDigits)) {
      return false;
    }
    ++parts;
  }
  return parts > 0;
}

// How an integer is written.
enum class Notation { binary, octal, decimal, hexadecimal, sexagesimal };

std::optional<Notation> integer_notation(std::string_view text) {
  Matcher matcher(text);
  matcher.take_one_of("+-");
  const std::string_view digits = matcher.rest();
  if (matcher.take("0b")) {
    return matcher.take_all_of("01_") > 0 && matcher.at_end() ? std::optional(Notation::binary)
                                                              : std::nullopt;
  }
  if (matcher.take("0x")) {
    return matcher.take_all_of("0123456789abcdefABCDEF_") > 0 && matcher.at_end()
               ? std::optional(Notation::hexadecimal)
               : std::nullopt;
  }
  if (digits == "0") {
    return Notation::decimal;
  }
  if (matcher.take("0")) {
    matcher.take_all_of("01234567_");
    return matcher.at_end() ? std::optional(Notation::octal) : std::nullopt;
  }
  if (!matcher.take_one_of(kDigits)) {
    return std::nullopt;
  }
  matcher.take_all_of(kDigitsAndUnderscore);
  if (matcher.at_end()) {
    return Notation::decimal;
  }
  return take_sexagesimal_parts(matcher) && matcher.at_end() ? std::optional(Notation::sexagesimal)
                                                             : std::nullopt;
}

// Whether digits are left once Python has removed sign, prefix and underscores.
bool has_digits(std::string_view text, Notation notation) {
  if (notation != Notation::binary && notation != Notation::hexadecimal) {
    return true;
  }
  return text.substr(text.find_first_of("bx") + 1).find_first_not_of('_') != std::string_view::npos;
}

void take_exponent(Matcher& matcher) {
  Matcher attempt = matcher;
  if (attempt.take_one_of("eE") && attempt.take_one_of("+-") && attempt.take_all_of(kDigits) > 0) {
    matcher = attempt;
  }
}

bool is_real(std::string_view text) {
  Matcher matcher(text);
  const bool has_sign = matcher.take_one_of("+-");
  if (is_one_of(matcher.rest(), {".inf", ".Inf", ".INF"})) {
    return true;
  }
  if (!has_sign && is_one_of(text, {".nan", ".NaN", ".NAN"})) {
    return true;
  }
  if (matcher.take(".")) {
    if (has_sign || !matcher.take_one_of(kDigits)) {
      return false;
    }
    matcher.take_all_of(kDigitsAndUnderscore);
    take_exponent(matcher);
    return matcher.at_end();
  }
  if (!matcher.take_one_of(kDigits)) {
    return false;
  }
  matcher.take_all_of(kDigitsAndUnderscore);
  const bool sexagesimal = matcher.rest().starts_with(":");
  if ((sexagesimal && !take_sexagesimal_parts(matcher)) || !matcher.take(".")) {
    return false;
  }
  matcher.take_all_of(kDigitsAndUnderscore);
  if (!sexagesimal) {
    take_exponent(matcher);
  }
  return matcher.at_end();
}

bool is_calendar_date(int year, int month, int day) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) {
    return false;
  }
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const int days = kDays[static_cast<std::size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
  return day <= days;
}

bool take_zone(Matcher& matcher) {
  if (matcher.at_end()) {
    return true;
  }
  matcher.take_all_of(" ");
  if (matcher.take("Z")) {
    return true;
  }
  int hours = 0;
  int minutes = 0;
  return matcher.take_one_of("+-") && matcher.take_number(1, 2, hours) && hours < 24 &&
         (!matcher.take(":") || (matcher.take_number(2, 2, minutes) && minutes < 60));
}

bool take_clock_time(Matcher& matcher) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!matcher.take_one_of("Tt") && matcher.take_all_of(" ") == 0) {
    return false;
  }
  if (!matcher.take_number(1, 2, hour) || !matcher.take(":") ||
      !matcher.take_number(2, 2, minute) || !matcher.take(":") ||
      !matcher.take_number(2, 2, second) || hour > 23 || minute > 59 || second > 59) {
    return false;
  }
  if (matcher.take(".")) {
    matcher.take_all_of(kDigits);
  }
  return take_zone(matcher);
}

// A date of ten characters, or a date and a time, that exists.
bool is_timestamp(std::string_view text) {
  Matcher matcher(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!matcher.take_number(4, 4, year) || !matcher.take("-") || !matcher.take_number(1, 2, month) ||
      !matcher.take("-") || !matcher.take_number(1, 2, day) ||
      !is_calendar_date(year, month, day)) {
    return false;
  }
  if (matcher.at_end()) {
    return text.size() == 10;
  }
  return take_clock_time(matcher) && matcher.at_end();
}

// A natural number of any size, which grows by `value * base + digit`.
class BigNatural {
 public:
  void multiply_add(std::uint32_t base, std::uint32_t digit) {
    std::uint64_t carry = digit;
    for (std::uint32_t& limb : limbs_) {
      carry += std::uint64_t{limb} * base;
      limb = static_cast<std::uint32_t>(carry % kLimb);
      carry /= kLimb;
    }
    if (carry > 0) {
      limbs_.push_back(static_cast<std::uint32_t>(carry));
    }
  }
  std::string decimal() const {
    if (limbs_.empty()) {
      return "0";
    }
    std::string out = std::to_string(limbs_.back());
    for (std::size_t i = limbs_.size() - 1; i-- > 0;) {
      out += fmt::format("{:09}", limbs_[i]);
    }
    return out;
  }

 private:
  static constexpr std::uint32_t kLimb = 1000000000;
  std::vector<std::uint32_t> limbs_;  // least first
};

std::string without_underscores(std::string_view text) {
  std::string out(text);
  std::erase(out, '_');
  return out;
}

std::uint32_t digit_value(char c) {
  if (c <= '9') {
    return static_cast<std::uint32_t>(c - '0');
  }
  return static_cast<std::uint32_t>((c | 0x20) - 'a') + 10;
}

std::string decimal_of(std::string_view digits, std::uint32_t base) {
  BigNatural number;
  for (const char c : digits) {
    number.multiply_add(base, digit_value(c));
  }
  return number.decimal();
}

std::string decimal_of_sexagesimal(std::string_view text) {
  const std::size_t first_end = text.find(':');
  BigNatural number;
  for (const char c : text.substr(0, first_end)) {
    number.multiply_add(10, digit_value(c));
  }
  for (std::size_t start = first_end; start != std::string_view::npos;) {
    const std::size_t end = text.find(':', start + 1);
    std::uint32_t part = 0;
    for (const char c : text.substr(start + 1, end - start - 1)) {
      part = part * 10 + digit_value(c);
    }
    number.multiply_add(60, part);
    start = end;
  }
  return number.decimal();
}

std::string decimal_of(std::string_view digits, Notation notation) {
  switch (notation) {
    case Notation::binary:
      return decimal_of(digits.substr(2), 2);
    case Notation::hexadecimal:
      return decimal_of(digits.substr(2), 16);
    case Notation::octal:
      return decimal_of(digits, 8);
    case Notation::sexagesimal:
      return decimal_of_sexagesimal(digits);
    case Notation::decimal:
      break;
  }
  return std::string(digits);
}

std::string integer_to_json(std::string_view text) {
  std::string digits = without_underscores(text);
  const bool negative = digits.front() == '-';
  if (negative || digits.front() == '+') {
    digits.erase(0, 1);
  }
  const std::string decimal = decimal_of(digits, *integer_notation(text));
  return negative && decimal != "0" ? '-' + decimal : decimal;
}

double unsigned_real(const std::string& text) {
  double value = 0;
  for (std::size_t start = 0; start != std::string::npos;) {
    const std::size_t colon = text.find(':', start);
    const std::size_t length = colon == std::string::npos ? colon : colon - start;
    value = value * 60 + json_to_double(text.substr(start, length));
    start = colon == std::string::npos ? colon : colon + 1;
  }
  return value;
}

std::string real_to_json(std::string_view text) {
  std::string digits = without_underscores(text);
  const bool negative = digits.front() == '-';
  if (negative || digits.front() == '+') {
    digits.erase(0, 1);
  }
  if (digits == ".nan" || digits == ".NaN" || digits == ".NAN") {
    return "NaN";
  }
  if (digits == ".inf" || digits == ".Inf" || digits == ".INF") {
    return negative ? "-Infinity" : "Infinity";
  }
  const double value = unsigned_real(digits);
  return json_number(negative ? -value : value);
}

bool is_safe_first(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
}

bool is_safe_inside(char c) {
  constexpr std::string_view kOthers = " .+-";
  return is_safe_first(c) || (c >= '0' && c <= '9') || kOthers.find(c) != std::string_view::npos;
}

// Whether a string can do without quotes. Cautious: nothing that begins like a number, and no word
// that some YAML takes for a value.
bool is_safe_plain(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.back() == ' ' ||
      !std::all_of(text.begin(), text.end(), is_safe_inside)) {
    return false;
  }
  const bool suffix = text.front() == '.' && text.size() > 1 && is_safe_first(text[1]);
  return (suffix || is_safe_first(text.front())) && plain_scalar_type(text) == ScalarType::string &&
         !is_one_of(text, {"y", "Y", "n", "N"});
}

// Characters that a YAML stream may hold as they are, and that no reader takes for a line break.
bool is_printable(char32_t c) {
  return (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0x2028) || (c > 0x2029 && c < 0xD800) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || (c >= 0x10000 && c <= 0x10FFFF);
}

bool is_printable(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    if (!is_printable(next_code_point(text, position))) {
      return false;
    }
  }
  return true;
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out.append(c == '\'' ? 2 : 1, c);
  }
  return out + '\'';
}

std::string escape(char32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default:
      break;
  }
  const auto value = static_cast<std::uint32_t>(c);
  return value <= 0xFF     ? fmt::format("\\x{:02x}", value)
         : value <= 0xFFFF ? fmt::format("\\u{:04x}", value)
                           : fmt::format("\\U{:08x}", value);
}

std::string double_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t position = 0; position < text.size();) {
    char32_t c = next_code_point(text, position);
    if (c == kInvalidCodePoint) {
      ++position;
      c = U'\uFFFD';
    }
    if (is_printable(c) && c != '"' && c != '\\') {
      append_utf8(out, c);
    } else {
      out += escape(c);
    }
  }
  return out + '"';
}

}  // namespace

ScalarType plain_scalar_type(std::string_view text) {
  if (is_null(text)) {
    return ScalarType::null;
  }
  if (is_true(text) || is_false(text)) {
    return ScalarType::boolean;
  }
  if (text == "<<") {
    return ScalarType::merge;
  }
  if (text.size() > kMaxNumberLength) {
    return ScalarType::string;
  }
  if (const auto notation = integer_notation(text)) {
    return has_digits(text, *notation) ? ScalarType::integer : ScalarType::string;
  }
  if (is_real(text)) {
    return ScalarType::real;
  }
  return is_timestamp(text) ? ScalarType::timestamp : ScalarType::string;
}

std::string plain_scalar_to_json(std::string_view text) {
  switch (plain_scalar_type(text)) {
    case ScalarType::null:
      return "null";
    case ScalarType::boolean:
      return is_true(text) ? "true" : "false";
    case ScalarType::integer:
      return integer_to_json(text);
    case ScalarType::real:
      return real_to_json(text);
    default:
      return json_string(text);
  }
}

std::string yaml_string(std::string_view text) {
  if (is_safe_plain(text)) {
    return std::string(text);
  }
  return is_printable(text) ? single_quoted(text) : double_quoted(text);
}

}  // namespace avstore::imgstore
