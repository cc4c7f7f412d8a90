// YAML documents as trees: parsed with limits that a hostile file cannot pass, and written so that
// PyYAML's safe_load reads back the same. The parser is libyaml, since PyYAML shares its author and
// its rules: what either reads, the other reads alike. (yaml-cpp differs where stores are
// concerned: it misreads the escapes \N and \_ and block scalars after a tag in a list, all of
// which PyYAML writes, and takes much for YAML that PyYAML refuses.)
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::imgstore {

// A node, with everything below it: aliases are expanded, merge keys (<<) merged, and of equal keys
// the last one kept, unless they are refused.
struct YamlNode {
  enum class Kind { scalar, sequence, map };

  Kind kind = Kind::scalar;
  bool plain = false;           // scalar: plain_scalar_type() tells its type; else it is a string
  std::string tag;              // of those that safe_load knows, what needs saying: "!!binary" ...
  std::string text;             // scalar
  std::vector<YamlNode> items;  // sequence: its elements; map: key, value, key, value, ...
  int line = 0;                 // counted from 1
  int column = 0;

  bool is_null() const;
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
  drop,    // take the node for what it looks like
};

// What to do about a key that is in a map twice. Maps merged into it do not count.
enum class EqualKeys {
  keep_last,  // as readers of YAML do
  refuse,     // the document is wrong: for what people write by hand
};

// Parse a text of at most one document; null if it is empty. Throws YamlError: not UTF-8, control
// characters, not YAML, a key that is not a scalar, an alias of a node inside itself, more than 400
// levels, more than a million nodes or 64 MiB of text once aliases are expanded.
YamlNode parse_yaml(std::string_view text, BadTags bad_tags,
                    EqualKeys equal_keys = EqualKeys::keep_last);

// What goes through a document's lists of numbers, without keeping a tree of millions of nodes.
struct YamlListHandler {
  std::function<void(const std::string& key)> start;  // a list begins, as the value of `key`
  // An element; the handler may throw std::invalid_argument, which becomes a YamlError here.
  std::function<void(const std::string& text)> take;
};
// Hand over each list in the document's top-level map, and skip all else of it. Throws YamlError:
// not YAML, something nested in a list.
void parse_yaml_lists(std::string_view text, const YamlListHandler& handler);

// A map in block style with a newline at the end. Throws YamlError past 64 MiB, which deep nesting
// can need for indentation alone.
std::string write_yaml(const YamlNode& map);

// JSON text, as Python's json would write what safe_load reads: NaN and Infinity included; keys
// become strings, times and binary data stay the text they are.
std::string yaml_to_json(const YamlNode& node);

}  // namespace avstore::imgstore
