// YAML documents as trees. yaml-cpp parses them, within limits that a hostile file cannot pass;
// scalars get their types by YAML 1.1, as PyYAML types them; and PyYAML's safe_load reads back the
// same from what is written.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "imgstore/yaml_scalar.h"

namespace avstore::imgstore {

// A node, with everything below it: aliases are expanded, merge keys (<<) merged, and of equal keys
// the last one kept, unless they are refused.
struct YamlNode {
  enum class Kind { scalar, sequence, map };

  Kind kind = Kind::scalar;
  ScalarType type =
      ScalarType::string;       // scalar: all types but `string` are written without quotes
  std::string tag;              // "!!binary", "!!set", "!!omap", "!!pairs", or empty
  std::string text;             // scalar
  std::vector<YamlNode> items;  // sequence: elements; map: key, value, key, value, ...
  int line = 0;                 // counted from 1
  int column = 0;

  bool is_null() const { return kind == Kind::scalar && type == ScalarType::null; }
};

YamlNode yaml_null();
YamlNode yaml_integer(long long value);
YamlNode yaml_text(std::string text);
YamlNode yaml_map();

// The value of a key in a map, told by its text; null pointer if there is none.
const YamlNode* find_key(const YamlNode& map, std::string_view key);
YamlNode* find_key(YamlNode& map, std::string_view key);

// What is wrong and, in a text, where (counted from 1).
class YamlError : public std::runtime_error {
 public:
  YamlError(int line, int column, const std::string& message)
      : std::runtime_error("line " + std::to_string(line) + ", column " + std::to_string(column) +
                           ": " + message) {}
  explicit YamlError(const std::string& message) : std::runtime_error(message) {}
};

// What to do about a tag that safe_load does not know, or one that does not fit its node.
enum class BadTags {
  refuse,  // the document is wrong
  drop,    // take the node for what it looks like, a scalar for a string
};

// What to do about a key that is in a map twice. Maps merged into it do not count.
enum class EqualKeys {
  keep_last,  // as readers of YAML do
  refuse,     // the document is wrong: for what people write by hand
};

inline constexpr std::size_t kMostValues = 1000000;
inline constexpr std::size_t kMostYaml = std::size_t{32} << 20U;

// Throws YamlError if a text is longer than kMostYaml, or has more than 4 million brackets, commas,
// colons and quotes: yaml-cpp takes a second for each MiB, and up to 250 bytes for each of these.
void check_yaml_size(std::string_view text);

// Parse a text of at most one document; null if it is empty. Throws YamlError: not UTF-8, control
// characters, not YAML, a key that is not a scalar, an alias of a node inside itself, more than 400
// levels, a text too large for check_yaml_size(); with aliases expanded, more than `most_values`
// nodes or 64 MiB of text.
YamlNode parse_yaml(std::string_view text, BadTags bad_tags,
                    EqualKeys equal_keys = EqualKeys::keep_last,
                    std::size_t most_values = kMostValues);

// A map in block style with a newline at the end. Throws YamlError if that is too large for
// check_yaml_size().
std::string write_yaml(const YamlNode& map);

// JSON text, as Python's json would write what safe_load reads: NaN and Infinity included; keys
// become strings; times, base-60 numbers and binary data stay the text they are.
std::string yaml_to_json(const YamlNode& node);

}  // namespace avstore::imgstore
