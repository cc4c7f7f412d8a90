// JSON as text, the way Python's json module reads and writes it: RFC 8259, and NaN, Infinity and
// -Infinity as numbers. Values are kept as text, so that numbers of any size keep their digits.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::imgstore {

// A string in quotes, escaped. `text` is UTF-8, in which surrogates may stand as three bytes each
// (Python's json writes lone ones as escapes): they become escapes again.
std::string json_string(std::string_view text);
// A number as Python prints it: the shortest digits that read back the same, always with a point or
// an exponent; or NaN, Infinity, -Infinity.
std::string json_number(double value);
// The number that a JSON number or one of the three literals says.
double json_to_double(const std::string& number);

struct JsonMember {
  std::string key;    // unescaped
  std::string value;  // in normal form: ", " and ": " between the parts, nothing else
};

// What is wrong with a text, and where.
class JsonError : public std::runtime_error {
 public:
  JsonError(std::size_t offset, const std::string& message)
      : std::runtime_error("at byte " + std::to_string(offset) + ": " + message) {}
};

// Goes through a text once, from front to back. Every member function throws JsonError where the
// text is not JSON or nests deeper than 400 levels. The text must outlive the reader.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  // One value of any kind, in normal form.
  std::string value();
  // One object. Of members with the same key the last counts, as in Python, in the first's place.
  std::vector<JsonMember> object();

  // For arrays: enter, then read an element after each call of next_element that returns true.
  void enter_array();
  bool next_element();

  // Nothing but white space may be left.
  void finish();

 private:
  void copy_value(std::string& out, int depth);
  void copy_object(std::string& out, int depth);
  void copy_array(std::string& out, int depth);
  void copy_number(std::string& out);
  void copy_literal(std::string& out, std::string_view literal);
  std::string string();
  void append_escape(std::string& out);
  char32_t four_hex_digits();
  std::size_t skip_integer();  // these two return how many digits there were
  std::size_t skip_digits();
  char peek() const;  // the next character; 0 at the end
  bool take_one_of(std::string_view set);
  bool accept(char c);  // the next character that is no white space, if it is `c`
  void expect(char c);
  void skip_space();
  [[noreturn]] void fail(const std::string& message) const;

  std::string_view text_;
  std::size_t position_ = 0;
  bool first_element_ = false;
};

// An object in normal form.
std::string json_object(const std::vector<JsonMember>& members);

}  // namespace avstore::imgstore
