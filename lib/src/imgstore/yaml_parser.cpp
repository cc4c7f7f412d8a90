#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "imgstore/utf8.h"
#include "imgstore/yaml.h"
#include "imgstore/yaml_cpp_faults.h"

namespace avstore::imgstore {
namespace {

// PyYAML's recursion ends at a little less than 500 levels, yaml-cpp's at 500.
constexpr std::size_t kMaxDepth = 400;
constexpr std::size_t kMostText = std::size_t{64} << 20U;

// ---- tags ----------------------------------------------------------------------------------

// Python's base64 reader needs whole groups of four, padded.
bool is_base64(std::string text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  return text.size() % 4 == 0 && padding <= 2 &&
         text.find_first_not_of(kAlphabet) >= text.size() - padding &&
         text.find_last_not_of('=') + 1 == text.size() - padding;
}

bool is_list_of_pairs(const YamlNode& node) {
  return std::all_of(node.items.begin(), node.items.end(), [](const YamlNode& item) {
    return item.kind == YamlNode::Kind::map && item.items.size() == 2;
  });
}

// The name of the tag that a plain scalar has without being given one.
std::string_view implicit_tag(std::string_view text, ScalarType type) {
  switch (type) {
    case ScalarType::null:
      return "null";
    case ScalarType::boolean:
      return "bool";
    case ScalarType::integer:
      return "int";
    case ScalarType::real:
      return "float";
    case ScalarType::sexagesimal:
      return text.find('.') == std::string_view::npos ? "int" : "float";
    case ScalarType::timestamp:
      return "timestamp";
    default:
      return "str";
  }
}

// Apply a tag: keep it, or give a scalar the type that says as much. False if safe_load would
// refuse it here.
bool apply_tag(YamlNode& node, std::string_view tag) {
  constexpr std::string_view kPrefix = "tag:yaml.org,2002:";
  if (!tag.starts_with(kPrefix)) {
    return false;
  }
  const std::string_view name = tag.substr(kPrefix.size());
  const bool is_scalar = node.kind == YamlNode::Kind::scalar;
  const bool is_map = node.kind == YamlNode::Kind::map;
  if (name == (is_scalar ? "str" : is_map ? "map" : "seq")) {
    return true;
  }
  ScalarType type = plain_scalar_type(node.text);
  const bool whole = implicit_tag(node.text, type) == "int";
  const bool kept = is_scalar ? (name == "binary" && is_base64(node.text)) ||
                                    (name == "float" && whole && type == ScalarType::sexagesimal)
                    : is_map ? name == "set"
                             : (name == "omap" || name == "pairs") && is_list_of_pairs(node);
  if (kept) {
    node.tag = "!!" + std::string(name);
    return true;
  }
  if (name == "float" && whole &&
      node.text.find_first_not_of("+-0123456789_") == std::string::npos) {
    node.text += ".0";
    type = ScalarType::real;
  }
  if (!is_scalar || name != implicit_tag(node.text, type)) {
    return false;
  }
  node.type = type;
  return true;
}

// ---- keys ----------------------------------------------------------------------------------

// Two keys are the same if safe_load reads the same value from both: a date and the text of that
// date are not.
std::string key_identity(const YamlNode& key) {
  const std::string kind = key.type == ScalarType::string ? key.tag : "plain";
  return kind + ' ' + scalar_to_json(key.text, key.type);
}

// Of several merged maps the first must win, so that it goes last.
void append_merged(std::vector<YamlNode>& pairs, YamlNode value) {
  const bool maps = std::all_of(value.items.begin(), value.items.end(), [](const YamlNode& item) {
    return item.kind == YamlNode::Kind::map;
  });
  if (value.kind == YamlNode::Kind::map) {
    std::move(value.items.begin(), value.items.end(), std::back_inserter(pairs));
  } else if (value.kind == YamlNode::Kind::sequence && maps) {
    for (auto item = value.items.rbegin(); item != value.items.rend(); ++item) {
      append_merged(pairs, std::move(*item));
    }
  } else {
    throw YamlError(value.line, value.column, "only maps can be merged with <<");
  }
}

// A map's pairs, those of merged maps first, so that its own win.
std::vector<YamlNode> with_merged(std::vector<YamlNode> items) {
  std::vector<YamlNode> pairs;
  std::vector<YamlNode> own;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].type == ScalarType::merge) {
      append_merged(pairs, std::move(items[i + 1]));
    } else {
      std::move(&items[i], &items[i] + 2, std::back_inserter(own));
    }
  }
  std::move(own.begin(), own.end(), std::back_inserter(pairs));
  return pairs;
}

void refuse_equal_keys(const std::vector<YamlNode>& items) {
  std::unordered_map<std::string, int> lines;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    const YamlNode& key = items[i];
    const auto [place, is_new] = lines.try_emplace(key_identity(key), key.line);
    if (!is_new) {
      throw YamlError(
          key.line, key.column,
          "the key '" + key.text + "' is in line " + std::to_string(place->second) + " already");
    }
  }
}

std::vector<YamlNode> with_last_of_equal_keys(std::vector<YamlNode> items) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<YamlNode> kept;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    const auto [place, is_new] = places.try_emplace(key_identity(items[i]), kept.size() + 1);
    if (is_new) {
      std::move(&items[i], &items[i] + 2, std::back_inserter(kept));
    } else {
      kept[place->second] = std::move(items[i + 1]);
    }
  }
  return kept;
}

// ---- building trees ------------------------------------------------------------------------

[[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) {
  throw YamlError(mark.line + 1, mark.column + 1, message);
}

class TreeBuilder : public YAML::EventHandler {
 public:
  // The text is the one that is parsed, with short breaks, and must outlive this. Where yaml-cpp
  // loses a block scalar without refusing it, the handler does so itself if `refuse_misread` says
  // so.
  TreeBuilder(std::string_view text, BadTags bad_tags, EqualKeys equal_keys,
              std::size_t most_values, bool refuse_misread)
      : text_(text),
        bad_tags_(bad_tags),
        equal_keys_(equal_keys),
        most_values_(most_values),
        refuse_misread_(refuse_misread) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      fail(mark, "a second document");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (at_value_of_key_at(mark)) {
      fail(mark, "a key without a colon");  // which yaml-cpp takes at the end of a text
    }
    OnScalar(mark, "?", anchor, "null");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      fail(mark, "an alias of what it is part of");
    }
    attach(mark, copy(mark, found->second, frames_.size() + 1));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = new_node(mark, YamlNode::Kind::scalar);
    const std::size_t begin = std::min(static_cast<std::size_t>(mark.pos), text_.size());
    const std::size_t content = content_behind_properties(begin);
    const char first = content < text_.size() ? text_[content] : '\0';
    const bool is_quoted = tag != "?" && (first == '"' || first == '\'');
    const bool is_block = tag != "?" && (first == '|' || first == '>');
    if (refuse_misread_ && is_block && value.empty() && content > begin) {
      throw YAML::ParserException(mark, "a block scalar behind a tag or an anchor");
    }
    const auto text = is_quoted  ? quoted_content(text_, content)
                      : is_block ? block_content(text_, content, value)
                                 : value;
    if (!text) {
      fail(mark, "a quoted text without an end");
    }
    node.text = *text;
    std::replace(node.text.begin(), node.text.end(), kQuestionMark, '?');
    check_utf8(mark, node.text);
    charge(mark, node.text.size());
    // "!" stands for quotes and block scalars, but written out it means as much as no tag.
    if (tag == "?" ||
        (tag == "!" && text_.substr(begin, content - begin).find('!') != std::string_view::npos)) {
      const ScalarType type = plain_scalar_type(node.text);
      node.type = type != ScalarType::merge || at_key() ? type : ScalarType::string;
    } else if (tag != "!") {
      apply_or_drop(mark, node, tag);
    }
    if (node.is_null()) {
      node.text = "null";
    }
    finish(mark, std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    frames_.push_back({new_node(mark, YamlNode::Kind::sequence), false, 0, mark, tag, anchor});
    charge(mark, 0);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    const bool is_block = style == YAML::EmitterStyle::Block;
    frames_.push_back({new_node(mark, YamlNode::Kind::map), is_block, 0, mark, tag, anchor});
    charge(mark, 0);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YamlNode node;
    bool is_block_map = false;
    int key_position = 0;  // of the last key, if it is a map
    YAML::Mark mark;
    std::string tag;
    YAML::anchor_t anchor;
  };

  // Where a scalar begins behind its tag and anchor: in their line, or as a block scalar below.
  std::size_t content_behind_properties(std::size_t begin) const {
    std::size_t at = begin;
    while (at < text_.size() && (text_[at] == '&' || text_[at] == '!')) {
      at = std::min(text_.find_first_of(" \t\n\xFD\xFE,[]{}", at), text_.size());
      at = std::min(text_.find_first_not_of(" \t", at), text_.size());
    }
    const std::size_t below = std::min(text_.find_first_not_of(" \t\n\xFD\xFE", at), text_.size());
    const bool is_block = text_.substr(below, 1) == "|" || text_.substr(below, 1) == ">";
    return at > begin && is_block ? below : at;
  }

  // Escapes that quoted_content() did not get to see, behind a tag or an anchor in another line.
  static void check_utf8(const YAML::Mark& mark, const std::string& text) {
    for (std::size_t position = 0; position < text.size();) {
      if (next_code_point(text, position) == kInvalidCodePoint) {
        fail(mark, "a text with the escape \\N or \\_ must begin in the line of its tag or anchor");
      }
    }
  }

  // Count what is about to be kept in memory.
  void charge(const YAML::Mark& mark, std::size_t bytes) {
    ++values_;
    bytes_ += bytes;
    if (values_ > most_values_ || bytes_ > kMostText) {
      fail(mark, "more than " + std::to_string(most_values_) +
                     " values or 64 MiB of text, aliases expanded");
    }
  }

  static void check_depth(const YAML::Mark& mark, std::size_t depth) {
    if (depth > kMaxDepth) {
      fail(mark, "nested too deeply");
    }
  }

  YamlNode new_node(const YAML::Mark& mark, YamlNode::Kind kind) const {
    check_depth(mark, frames_.size() + 1);
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  YamlNode copy(const YAML::Mark& mark, const YamlNode& node, std::size_t depth) {
    check_depth(mark, depth);
    charge(mark, node.text.size());
    YamlNode twin{node.kind, node.type, node.tag, node.text, {}, node.line, node.column};
    for (const YamlNode& item : node.items) {
      twin.items.push_back(copy(mark, item, depth + 1));
    }
    return twin;
  }

  bool at_key() const {
    return !frames_.empty() && frames_.back().node.kind == YamlNode::Kind::map &&
           frames_.back().node.items.size() % 2 == 0;
  }

  // Where there is no value, yaml-cpp says of it that it is where its key is.
  bool at_value_of_key_at(const YAML::Mark& mark) const {
    return !frames_.empty() && frames_.back().is_block_map && !at_key() &&
           frames_.back().key_position == mark.pos;
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.node.kind == YamlNode::Kind::map) {
      if (equal_keys_ == EqualKeys::refuse) {
        refuse_equal_keys(frame.node.items);
      }
      frame.node.items = with_last_of_equal_keys(with_merged(std::move(frame.node.items)));
    }
    if (frame.tag != "?" && frame.tag != "!") {
      apply_or_drop(frame.mark, frame.node, frame.tag);
    }
    finish(frame.mark, std::move(frame.node), frame.anchor);
  }

  void apply_or_drop(const YAML::Mark& mark, YamlNode& node, const std::string& tag) const {
    if (!apply_tag(node, tag) && bad_tags_ == BadTags::refuse) {
      fail(mark, "the tag " + tag + " is not one that readers know, or does not fit this value");
    }
  }

  // A node is complete: remember it if it has an anchor, and hang it into its parent.
  void finish(const YAML::Mark& mark, YamlNode node, YAML::anchor_t anchor) {
    if (anchor != 0) {
      anchors_.emplace(anchor, copy(mark, node, 1));
    }
    attach(mark, std::move(node));
  }

  void attach(const YAML::Mark& mark, YamlNode node) {
    if (at_key() && node.kind != YamlNode::Kind::scalar) {
      fail(mark, "a key must be a single value");
    }
    if (at_key()) {
      frames_.back().key_position = mark.pos;
    }
    (frames_.empty() ? root_ : frames_.back().node.items.emplace_back()) = std::move(node);
  }

  std::string_view text_;
  BadTags bad_tags_;
  EqualKeys equal_keys_;
  std::size_t most_values_;
  bool refuse_misread_;
  int documents_ = 0;
  std::size_t values_ = 0;
  std::size_t bytes_ = 0;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, YamlNode> anchors_;
  YamlNode root_ = yaml_null();
};

// ---- parsing -------------------------------------------------------------------------------

// yaml-cpp takes any bytes, and some control characters for the end of the text.
void check_characters(std::string_view text) {
  int line = 1;
  std::size_t line_start = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    const char32_t c = next_code_point(text, position);
    const bool allowed = c == '\t' || c == '\n' || c == '\r' || c == 0x85 ||
                         (c >= 0x20 && c < 0x7F) || (c >= 0xA0 && c <= 0xFFFD) ||
                         (c >= 0x10000 && c <= 0x10FFFF);
    if (!allowed) {
      throw YamlError(line, static_cast<int>(start - line_start) + 1,
                      c == kInvalidCodePoint ? "not UTF-8" : "a control character");
    }
    if (c == '\n') {
      ++line;
      line_start = position;
    }
  }
}

// yaml-cpp's words may show one byte of a character.
std::string as_utf8(std::string_view message) {
  std::string out;
  for (std::size_t position = 0; position < message.size();) {
    const std::size_t start = position;
    const bool valid = next_code_point(message, position) != kInvalidCodePoint;
    out += valid ? message.substr(start, position - start) : "?";
    position += valid ? 0 : 1;
  }
  return out;
}

}  // namespace

YamlNode parse_yaml(std::string_view text, BadTags bad_tags, EqualKeys equal_keys,
                    std::size_t most_values) {
  check_yaml_size(text);
  check_characters(text);
  const auto parse = [&](const std::string& words, bool refuse_misread) {
    TreeBuilder builder(words, bad_tags, equal_keys, most_values, refuse_misread);
    std::istringstream stream(with_plain_breaks(words));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take_root();
  };
  const std::string as_it_is = with_short_breaks(text);
  try {
    return parse(as_it_is, true);
  } catch (const YAML::Exception& refusal) {
    try {
      return parse(in_yaml_cpps_words(as_it_is), false);
    } catch (const YAML::Exception&) {
      fail(refusal.mark, as_utf8(refusal.msg));  // whose place is in the text as it is
    }
  }
}

}  // namespace avstore::imgstore
