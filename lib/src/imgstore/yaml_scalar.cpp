#include "imgstore/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <regex>

#include "imgstore/json_text.h"
#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

// std::regex recurses with each character. No plausible number comes near this.
constexpr std::size_t kLongestTyped = 1000;

bool matches(std::string_view text, const std::regex& pattern) {
  return text.size() <= kLongestTyped && std::regex_match(text.begin(), text.end(), pattern);
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_true(std::string_view text) {
  return is_one_of(text, {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"});
}

bool is_false(std::string_view text) {
  return is_one_of(text, {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"});
}

// Most text, UUIDs among it, is nothing of the kind.
bool may_be_number_or_time(std::string_view text) {
  const std::string_view digits =
      text.substr(text.starts_with('+') || text.starts_with('-') ? 1 : 0);
  return !digits.empty() && (digits[0] == '.' || (digits[0] >= '0' && digits[0] <= '9')) &&
         (digits.find_first_not_of("0123456789_.:eE+-TtZ \t") == std::string_view::npos ||
          digits[0] == '.' || digits.starts_with("0x") || digits.starts_with("0b"));
}

// These patterns are those of PyYAML's resolver, without the texts that its constructors then
// refuse. Making a pattern takes a millisecond, and most stores need none.

bool is_integer(std::string_view text) {
  if (text.size() <= kLongestTyped && text.find_first_not_of("0123456789") == std::string::npos &&
      text[0] != '0') {
    return true;
  }
  static const std::regex kPattern(
      "[-+]?(?:0b_*[01][01_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|0[0-7_]*|[1-9][0-9_]*)");
  return matches(text, kPattern);
}

bool is_real(std::string_view text) {
  static const std::regex kPattern(
      "[-+]?[0-9][0-9_]*\\.[0-9_]*(?:[eE][-+][0-9]+)?|\\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
      "|[-+]?\\.(?:inf|Inf|INF)|\\.(?:nan|NaN|NAN)");
  return matches(text, kPattern);
}

bool is_sexagesimal(std::string_view text) {
  static const std::regex kPattern(
      "[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\\.[0-9_]*");
  return matches(text, kPattern);
}

bool is_timestamp(std::string_view text) {
  static const std::regex kPattern(
      "([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)"
      "(?:[01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]*)?"
      "(?:[ \t]*(?:Z|[-+](?:[01]?[0-9]|2[0-3])(?::[0-5][0-9])?))?");
  std::match_results<std::string_view::const_iterator> parts;
  if (text.size() > kLongestTyped || !std::regex_match(text.begin(), text.end(), parts, kPattern)) {
    return false;
  }
  const auto number = [&parts](std::size_t date_only) {
    return std::stoi(parts[parts[1].matched ? date_only : date_only + 3]);
  };
  const std::chrono::year_month_day date(std::chrono::year(number(1)),
                                         std::chrono::month(static_cast<unsigned>(number(2))),
                                         std::chrono::day(static_cast<unsigned>(number(3))));
  return date.ok() && date.year() > std::chrono::year(0);
}

// Digits to the base 2, 8 or 16 in decimal, however many they are.
std::string decimal_of(std::string_view digits, unsigned base) {
  std::string decimal = "0";  // the last digit first
  for (const char c : digits) {
    unsigned carry = static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    for (char& digit : decimal) {
      carry += base * static_cast<unsigned>(digit - '0');
      digit = static_cast<char>('0' + carry % 10);
      carry /= 10;
    }
    for (; carry > 0; carry /= 10) {
      decimal += static_cast<char>('0' + carry % 10);
    }
  }
  return {decimal.rbegin(), decimal.rend()};
}

// A number without its underscores and sign.
std::string digits_of(std::string_view text) {
  std::string digits(text.substr(text.front() == '-' || text.front() == '+' ? 1 : 0));
  std::erase(digits, '_');
  return digits;
}

std::string integer_to_json(std::string_view text) {
  std::string digits = digits_of(text);
  if (digits.starts_with("0b")) {
    digits = decimal_of(digits.substr(2), 2);
  } else if (digits.starts_with("0x")) {
    digits = decimal_of(digits.substr(2), 16);
  } else if (digits.starts_with('0')) {
    digits = decimal_of(digits, 8);
  }
  return text.front() == '-' && digits != "0" ? '-' + digits : digits;
}

std::string real_to_json(std::string_view text) {
  std::string digits = digits_of(text);
  if (digits.size() == 4 && (digits[1] | 0x20) == 'n') {  // .nan
    return "NaN";
  }
  if (digits.size() == 4 && (digits[1] | 0x20) == 'i') {  // .inf
    digits = "Infinity";
  }
  const double value = json_to_double(digits);
  return json_number(text.front() == '-' ? -value : value);
}

bool is_safe_first(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
}

bool is_safe_inside(char c) {
  constexpr std::string_view kOthers = " .+-0123456789";
  return is_safe_first(c) || kOthers.find(c) != std::string_view::npos;
}

// Whether a string can do without quotes. Cautious: nothing that begins like a number, and no word
// that some YAML takes for a value.
bool is_safe_plain(std::string_view text) {
  constexpr std::size_t kLongest = 128;
  const std::string_view word = text.substr(text.starts_with('.') ? 1 : 0);
  return !word.empty() && text.size() <= kLongest && text.back() != ' ' &&
         is_safe_first(word.front()) && std::all_of(word.begin(), word.end(), is_safe_inside) &&
         plain_scalar_type(text) == ScalarType::string && !is_one_of(text, {"y", "Y", "n", "N"});
}

// Characters that a YAML stream may hold as they are, and that no reader takes for a line break.
bool is_printable(char32_t c) {
  return (c >= 0x20 && c <= 0x7E) || (c >= 0xA0 && c < 0x2028) || (c > 0x2029 && c < 0xD800) ||
         (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || (c >= 0x10000 && c <= 0x10FFFF);
}

std::string escape(char32_t c) {
  const auto value = static_cast<std::uint32_t>(c);
  return c == '\n'         ? "\\n"
         : c == '\t'       ? "\\t"
         : c == '\r'       ? "\\r"
         : value <= 0xFF   ? fmt::format("\\x{:02x}", value)
         : value <= 0xFFFF ? fmt::format("\\u{:04x}", value)
                           : fmt::format("\\U{:08x}", value);
}

}  // namespace

ScalarType plain_scalar_type(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) {
    return ScalarType::null;
  }
  if (is_true(text) || is_false(text)) {
    return ScalarType::boolean;
  }
  if (text == "<<") {
    return ScalarType::merge;
  }
  if (!may_be_number_or_time(text)) {
    return ScalarType::string;
  }
  return is_integer(text)       ? ScalarType::integer
         : is_real(text)        ? ScalarType::real
         : is_sexagesimal(text) ? ScalarType::sexagesimal
         : is_timestamp(text)   ? ScalarType::timestamp
                                : ScalarType::string;
}

std::string scalar_to_json(std::string_view text, ScalarType type) {
  switch (type) {
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
  std::string single;
  std::string escaped;
  bool needs_escapes = false;
  for (std::size_t position = 0; position < text.size();) {
    char32_t c = next_code_point(text, position);
    if (c == kInvalidCodePoint) {
      ++position;
      c = U'\uFFFD';
    }
    if (!is_printable(c)) {
      needs_escapes = true;
      escaped += escape(c);
      continue;
    }
    escaped += c == '"' || c == '\\' ? "\\" : "";
    append_utf8(escaped, c);
    single += c == '\'' ? "'" : "";
    append_utf8(single, c);
  }
  return needs_escapes ? '"' + escaped + '"' : '\'' + single + '\'';
}

}  // namespace avstore::imgstore
