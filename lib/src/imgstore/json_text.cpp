#include "imgstore/json_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <unordered_map>

#include "imgstore/utf8.h"

namespace avstore::imgstore {
namespace {

// Python's own recursion limit ends its json module at a little less than 1000.
constexpr int kMaxDepth = 400;
// Python refuses to read integers with more digits.
constexpr std::size_t kMaxIntegerDigits = 4300;
// A record holds a handful; the limit keeps a hostile file from taking many times its size.
constexpr std::size_t kMaxMembers = 100000;

bool is_high_surrogate(char32_t c) {
  return c >= 0xD800 && c <= 0xDBFF;
}
bool is_low_surrogate(char32_t c) {
  return c >= 0xDC00 && c <= 0xDFFF;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The surrogate that stands as three bytes at `position`, or kInvalidCodePoint.
char32_t surrogate_at(std::string_view text, std::size_t position) {
  if (text.size() - position < 3 || text[position] != '\xED') {
    return kInvalidCodePoint;
  }
  const auto second = static_cast<unsigned char>(text[position + 1]);
  const auto third = static_cast<unsigned char>(text[position + 2]);
  if (second < 0xA0 || second > 0xBF || (third & 0xC0U) != 0x80) {
    return kInvalidCodePoint;
  }
  return 0xD000U | ((second & 0x3FU) << 6U) | (third & 0x3FU);
}

// Whether a character stands for itself between quotes.
bool is_plain(char32_t c) {
  return c >= 0x20 && c != '"' && c != '\\' && (c < 0xD800 || c > 0xDFFF) && c != kInvalidCodePoint;
}

void append_escaped(std::string& out, char32_t c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case kInvalidCodePoint:
      append_utf8(out, U'\uFFFD');
      return;
    default:
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  }
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  std::size_t run = 0;  // where characters begin that stand for themselves
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    char32_t c = next_code_point(text, position);
    if (c == kInvalidCodePoint) {
      c = surrogate_at(text, position);
      position += c == kInvalidCodePoint ? 1 : 3;
    }
    if (!is_plain(c)) {
      out += text.substr(run, begin - run);
      append_escaped(out, c);
      run = position;
    }
  }
  out += text.substr(run);
  return out + '"';
}

std::string json_number(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  if (std::isinf(value)) {
    return value > 0 ? "Infinity" : "-Infinity";
  }
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return text;
}

double json_to_double(const std::string& number) {
  if (number == "NaN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (number == "Infinity" || number == "-Infinity") {
    return (number[0] == '-' ? -1 : 1) * std::numeric_limits<double>::infinity();
  }
  double value = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
  if (result.ec == std::errc::result_out_of_range) {
    // from_chars does not say whether the number is too large or too small; a stream does.
    std::istringstream stream(number);
    stream.imbue(std::locale::classic());
    stream >> value;
    if (std::abs(value) == std::numeric_limits<double>::max()) {
      value *= 2;
    }
  }
  return value;
}

std::string json_object(const std::vector<JsonMember>& members) {
  std::string out = "{";
  for (const JsonMember& member : members) {
    if (out.size() > 1) {
      out += ", ";
    }
    out += json_string(member.key);
    out += ": ";
    out += member.value;
  }
  return out + '}';
}

std::string JsonReader::value() {
  std::string out;
  copy_value(out, 1);
  return out;
}

std::vector<JsonMember> JsonReader::object() {
  std::vector<JsonMember> members;
  std::unordered_map<std::string, std::size_t> places;
  expect('{');
  if (accept('}')) {
    return members;
  }
  do {
    skip_space();
    std::string key = string();
    expect(':');
    std::string value;
    copy_value(value, 2);
    const auto [place, is_new] = places.try_emplace(key, members.size());
    if (!is_new) {
      members[place->second].value = std::move(value);
      continue;
    }
    if (members.size() == kMaxMembers) {
      fail("an object of more members than any record has");
    }
    members.push_back({std::move(key), std::move(value)});
  } while (accept(','));
  expect('}');
  return members;
}

void JsonReader::enter_array() {
  expect('[');
  first_element_ = true;
}

bool JsonReader::next_element() {
  const bool first = first_element_;
  first_element_ = false;
  if (accept(']')) {
    return false;
  }
  if (!first) {
    expect(',');
  }
  return true;
}

void JsonReader::finish() {
  skip_space();
  if (position_ < text_.size()) {
    fail("more text after the end");
  }
}

void JsonReader::copy_value(std::string& out, int depth) {
  if (depth > kMaxDepth) {
    fail("nested too deeply");
  }
  skip_space();
  switch (peek()) {
    case '{':
      return copy_object(out, depth);
    case '[':
      return copy_array(out, depth);
    case '"':
      out += json_string(string());
      return;
    case 't':
      return copy_literal(out, "true");
    case 'f':
      return copy_literal(out, "false");
    case 'n':
      return copy_literal(out, "null");
    case 'N':
      return copy_literal(out, "NaN");
    case 'I':
      return copy_literal(out, "Infinity");
    default:
      return copy_number(out);
  }
}

void JsonReader::copy_object(std::string& out, int depth) {
  expect('{');
  out += '{';
  for (bool more = !accept('}'); more;) {
    skip_space();
    out += json_string(string());
    expect(':');
    out += ": ";
    copy_value(out, depth + 1);
    more = accept(',');
    if (more) {
      out += ", ";
    } else {
      expect('}');
    }
  }
  out += '}';
}

void JsonReader::copy_array(std::string& out, int depth) {
  expect('[');
  out += '[';
  for (bool more = !accept(']'); more;) {
    copy_value(out, depth + 1);
    more = accept(',');
    if (more) {
      out += ", ";
    } else {
      expect(']');
    }
  }
  out += ']';
}

void JsonReader::copy_number(std::string& out) {
  const std::size_t start = position_;
  take_one_of("-");
  if (position_ > start && peek() == 'I') {
    out += '-';
    return copy_literal(out, "Infinity");
  }
  const std::size_t digits = skip_integer();
  const bool has_fraction = take_one_of(".");
  if (has_fraction && skip_digits() == 0) {
    fail("expected a digit after the point");
  }
  const bool has_exponent = take_one_of("eE");
  if (has_exponent) {
    take_one_of("+-");
    if (skip_digits() == 0) {
      fail("expected a digit in the exponent");
    }
  }
  if (!has_fraction && !has_exponent && digits > kMaxIntegerDigits) {
    fail("an integer of more digits than Python reads");
  }
  out += text_.substr(start, position_ - start);
}

std::size_t JsonReader::skip_integer() {
  const bool leading_zero = peek() == '0';
  const std::size_t digits = skip_digits();
  if (digits == 0) {
    fail("expected a value");
  }
  if (leading_zero && digits > 1) {
    fail("a number must not begin with a zero");
  }
  return digits;
}

void JsonReader::copy_literal(std::string& out, std::string_view literal) {
  if (text_.substr(position_, literal.size()) != literal) {
    fail("expected a value");
  }
  position_ += literal.size();
  out += literal;
}

std::string JsonReader::string() {
  if (!take_one_of("\"")) {
    fail("expected a string");
  }
  std::string out;
  std::size_t run = position_;  // where characters begin that stand for themselves
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"' || c == '\\') {
      out += text_.substr(run, position_ - run);
      ++position_;
      if (c == '"') {
        return out;
      }
      append_escape(out);
      run = position_;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      fail("a control character in a string");
    }
    if (next_code_point(text_, position_) == kInvalidCodePoint) {
      fail("not UTF-8");
    }
  }
  fail("a string without an end");
}

void JsonReader::append_escape(std::string& out) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char c = peek();
  if (const std::size_t known = kEscapes.find(c); known != std::string_view::npos) {
    ++position_;
    out += kMeanings[known];
    return;
  }
  if (c != 'u') {
    fail("an unknown escape");
  }
  ++position_;
  char32_t code_point = four_hex_digits();
  if (is_high_surrogate(code_point) && text_.substr(position_, 2) == "\\u") {
    const std::size_t back = position_;
    position_ += 2;
    const char32_t low = four_hex_digits();
    if (is_low_surrogate(low)) {
      code_point = 0x10000 + ((code_point - 0xD800) << 10U) + (low - 0xDC00);
    } else {
      position_ = back;
    }
  }
  append_utf8(out, code_point);
}

char32_t JsonReader::four_hex_digits() {
  const std::string_view digits = text_.substr(position_, 4);
  unsigned value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() < 4 || result.ptr != digits.data() + 4) {
    fail("expected four hexadecimal digits");
  }
  position_ += 4;
  return value;
}

std::size_t JsonReader::skip_digits() {
  const std::size_t start = position_;
  while (position_ < text_.size() && is_digit(text_[position_])) {
    ++position_;
  }
  return position_ - start;
}

char JsonReader::peek() const {
  return position_ < text_.size() ? text_[position_] : '\0';
}

bool JsonReader::take_one_of(std::string_view set) {
  if (position_ >= text_.size() || set.find(text_[position_]) == std::string_view::npos) {
    return false;
  }
  ++position_;
  return true;
}

bool JsonReader::accept(char c) {
  skip_space();
  return take_one_of({&c, 1});
}

void JsonReader::expect(char c) {
  if (!accept(c)) {
    fail(fmt::format("expected '{}'", c));
  }
}

void JsonReader::skip_space() {
  const std::size_t next = text_.find_first_not_of(" \t\r\n", position_);
  position_ = next == std::string_view::npos ? text_.size() : next;
}

void JsonReader::fail(const std::string& message) const {
  throw JsonError(position_, message);
}

}  // namespace avstore::imgstore
