#include "imgstore/yaml_tree.h"

#include <yaml.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <new>
#include <unordered_map>
#include <utility>

#include "imgstore/json_text.h"
#include "imgstore/yaml_scalar.h"

namespace avstore::imgstore {
namespace {

// PyYAML's recursion ends at a little less than 500 levels.
constexpr int kMaxDepth = 400;
constexpr std::size_t kMaxNodes = 1000000;
constexpr std::size_t kMaxText = std::size_t{64} << 20U;
// YAML readers look for the colon of a key on one line and within 1024 characters.
constexpr std::size_t kMaxSimpleKey = 1000;
constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

// ---- running libyaml -----------------------------------------------------------------------

[[noreturn]] void fail(const yaml_mark_t& mark, const std::string& message) {
  throw YamlError(static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1, message);
}

void check_depth(const yaml_mark_t& mark, int depth) {
  if (depth > kMaxDepth) {
    fail(mark, "nested too deeply");
  }
}

std::string text_of(const yaml_char_t* text) {
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

// libyaml itself skips the mark only where it may guess the encoding.
std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

class Event {
 public:
  Event() = default;
  ~Event() { yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  yaml_event_t* get() { return &event_; }
  const yaml_event_t& operator*() const { return event_; }

 private:
  yaml_event_t event_{};
};

// Goes through the events of a text, which must outlive it.
class EventParser {
 public:
  explicit EventParser(std::string_view text) : text_(without_byte_order_mark(text)) {
    if (yaml_parser_initialize(&parser_) == 0) {
      throw std::bad_alloc();
    }
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const yaml_char_t*>(text_.data()),
                                 text_.size());
  }
  ~EventParser() { yaml_parser_delete(&parser_); }
  EventParser(const EventParser&) = delete;
  EventParser& operator=(const EventParser&) = delete;

  void next(Event& event) {
    if (yaml_parser_parse(&parser_, event.get()) == 0) {
      fail_with_parsers_words();
    }
  }

 private:
  [[noreturn]] void fail_with_parsers_words() const {
    if (parser_.error == YAML_MEMORY_ERROR) {
      throw std::bad_alloc();
    }
    const std::string problem = parser_.problem == nullptr ? "not YAML" : parser_.problem;
    if (parser_.error == YAML_READER_ERROR) {
      fail(mark_of_offset(), problem);
    }
    fail(parser_.problem_mark, problem);
  }

  // The reader, which meets bytes that are not UTF-8, counts bytes only.
  yaml_mark_t mark_of_offset() const {
    const std::string_view before = text_.substr(0, parser_.problem_offset);
    yaml_mark_t mark{};
    mark.line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    mark.column = before.size() - (before.rfind('\n') + 1);
    return mark;
  }

  std::string_view text_;
  yaml_parser_t parser_{};
};

// Hand all events of a text to `handler`.
template <class Handler>
void parse_with(Handler& handler, std::string_view text) {
  EventParser parser(text);
  for (bool more = true; more;) {
    Event event;
    parser.next(event);
    handler.handle(*event);
    more = (*event).type != YAML_STREAM_END_EVENT;
  }
}

// ---- tags ----------------------------------------------------------------------------------

// Python's base64 reader needs whole groups of four, padded.
bool is_base64(std::string_view text) {
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '=') {
      ++padding;
    } else if (std::isalnum(byte) != 0 || c == '+' || c == '/') {
      if (padding > 0) {
        return false;
      }
      ++digits;
    } else if (c != ' ' && c != '\n') {
      return false;
    }
  }
  return (digits + padding) % 4 == 0 && padding <= 2;
}

// Make a scalar plain, so that its text alone says what the tag said. False if the tag is wrong.
bool absorb_scalar_tag(YamlNode& node, std::string_view name) {
  const ScalarType type = plain_scalar_type(node.text);
  if (name == "float" && type == ScalarType::integer) {
    if (node.text.find_first_not_of("+-0123456789_:") != std::string::npos) {
      return false;
    }
    node.text += ".0";
  } else if (!((name == "null" && type == ScalarType::null) ||
               (name == "bool" && type == ScalarType::boolean) ||
               (name == "int" && type == ScalarType::integer) ||
               (name == "float" && type == ScalarType::real) ||
               (name == "timestamp" && type == ScalarType::timestamp))) {
    return false;
  }
  if (node.text.empty()) {
    node.text = "null";
  }
  node.plain = true;
  return true;
}

bool is_list_of_pairs(const YamlNode& node) {
  return std::all_of(node.items.begin(), node.items.end(), [](const YamlNode& item) {
    return item.kind == YamlNode::Kind::map && item.items.size() == 2;
  });
}

// Apply a tag. False if safe_load would refuse it here.
bool apply_tag(YamlNode& node, std::string_view tag) {
  if (!tag.starts_with(kTagPrefix)) {
    return false;
  }
  const std::string_view name = tag.substr(kTagPrefix.size());
  using Kind = YamlNode::Kind;
  if ((name == "str" && node.kind == Kind::scalar) || (name == "map" && node.kind == Kind::map) ||
      (name == "seq" && node.kind == Kind::sequence)) {
    return true;
  }
  const bool kept = (name == "binary" && node.kind == Kind::scalar && is_base64(node.text)) ||
                    (name == "set" && node.kind == Kind::map) ||
                    ((name == "omap" || name == "pairs") && node.kind == Kind::sequence &&
                     is_list_of_pairs(node));
  if (kept) {
    node.tag = "!!" + std::string(name);
    return true;
  }
  return node.kind == Kind::scalar && absorb_scalar_tag(node, name);
}

// ---- building trees ------------------------------------------------------------------------

// What a node costs: its subtree's height, nodes and bytes.
struct Weight {
  int height = 1;
  std::size_t nodes = 1;
  std::size_t bytes = 0;
};

struct WeighedNode {
  YamlNode node;
  Weight weight;
};

// Two keys are the same if safe_load reads the same value from both: a date and the text of that
// date are not.
std::string key_identity(const YamlNode& key) {
  return key.plain ? "plain " + plain_scalar_to_json(key.text) : key.tag + ' ' + key.text;
}

bool is_merge_key(const YamlNode& key) {
  return key.plain && plain_scalar_type(key.text) == ScalarType::merge;
}

class TreeBuilder {
 public:
  TreeBuilder(BadTags bad_tags, EqualKeys equal_keys)
      : bad_tags_(bad_tags), equal_keys_(equal_keys) {}

  YamlNode take_root() { return std::move(root_); }

  void handle(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        if (documents_++ > 0) {
          fail(event.start_mark, "a second document");
        }
        break;
      case YAML_SCALAR_EVENT:
        add_scalar(event);
        break;
      case YAML_ALIAS_EVENT:
        add_alias(event.start_mark, text_of(event.data.alias.anchor));
        break;
      case YAML_SEQUENCE_START_EVENT:
        open(YamlNode::Kind::sequence, event.start_mark, text_of(event.data.sequence_start.tag),
             text_of(event.data.sequence_start.anchor));
        break;
      case YAML_MAPPING_START_EVENT:
        open(YamlNode::Kind::map, event.start_mark, text_of(event.data.mapping_start.tag),
             text_of(event.data.mapping_start.anchor));
        break;
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        close();
        break;
      default:
        break;
    }
  }

 private:
  struct Frame {
    WeighedNode content;
    std::string tag;
    std::string anchor;
    yaml_mark_t mark;
  };

  // Count what is about to be kept in memory.
  void charge(const yaml_mark_t& mark, const Weight& weight) {
    nodes_ += weight.nodes;
    bytes_ += weight.bytes;
    if (nodes_ > kMaxNodes || bytes_ > kMaxText) {
      fail(mark, "more than a million values or 64 MiB of text, aliases expanded");
    }
  }

  static YamlNode make_node(YamlNode::Kind kind, const yaml_mark_t& mark) {
    YamlNode node;
    node.kind = kind;
    node.line = static_cast<int>(mark.line) + 1;
    node.column = static_cast<int>(mark.column) + 1;
    return node;
  }

  void add_scalar(const yaml_event_t& event) {
    const auto& data = event.data.scalar;
    const std::string tag = text_of(data.tag);
    const yaml_mark_t& mark = event.start_mark;
    WeighedNode scalar{make_node(YamlNode::Kind::scalar, mark), {1, 1, data.length}};
    charge(mark, scalar.weight);
    YamlNode& node = scalar.node;
    node.text.assign(reinterpret_cast<const char*>(data.value), data.length);
    node.plain = is_untagged(tag) && data.plain_implicit != 0 && has_plain_meaning(node.text);
    if (node.plain && node.text.empty()) {
      node.text = "null";
    }
    apply_or_drop(node, tag, mark);
    finish(mark, std::move(scalar), text_of(data.anchor));
  }

  void add_alias(const yaml_mark_t& mark, const std::string& anchor) {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      fail(mark, "an alias of nothing before it, or of what it is part of");
    }
    charge(mark, found->second.weight);
    attach(mark, WeighedNode(found->second));
  }

  // "!" alone means no more than that there is no tag.
  static bool is_untagged(const std::string& tag) { return tag.empty() || tag == "!"; }

  // << means something as a key only.
  bool has_plain_meaning(std::string_view text) const {
    const ScalarType type = plain_scalar_type(text);
    return type != ScalarType::string && (type != ScalarType::merge || at_key());
  }

  bool at_key() const { return !frames_.empty() && expects_key(frames_.back().content.node); }

  static bool expects_key(const YamlNode& node) {
    return node.kind == YamlNode::Kind::map && node.items.size() % 2 == 0;
  }

  void open(YamlNode::Kind kind, const yaml_mark_t& mark, const std::string& tag,
            const std::string& anchor) {
    charge(mark, Weight{});
    // Before it is complete already: libyaml's time grows with the square of the open levels.
    check_depth(mark, static_cast<int>(frames_.size()) + 1);
    anchors_.erase(anchor);
    frames_.push_back({{make_node(kind, mark), {}}, tag, anchor, mark});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.content.node.kind == YamlNode::Kind::map) {
      if (equal_keys_ == EqualKeys::refuse) {
        refuse_equal_keys(frame.content.node);
      }
      merge(frame);
      keep_last_of_equal_keys(frame.content.node);
    }
    apply_or_drop(frame.content.node, frame.tag, frame.mark);
    finish(frame.mark, std::move(frame.content), frame.anchor);
  }

  void apply_or_drop(YamlNode& node, const std::string& tag, const yaml_mark_t& mark) const {
    const bool fits = is_untagged(tag) || apply_tag(node, tag);
    if (!fits && bad_tags_ == BadTags::refuse) {
      fail(mark, "the tag " + tag + " is not one that readers know, or does not fit this value");
    }
  }

  // A node is complete: remember it if it has an anchor, and hang it into its parent.
  void finish(const yaml_mark_t& mark, WeighedNode content, const std::string& anchor) {
    if (!anchor.empty()) {
      charge(mark, content.weight);
      anchors_.insert_or_assign(anchor, content);
    }
    attach(mark, std::move(content));
  }

  void attach(const yaml_mark_t& mark, WeighedNode child) {
    if (frames_.empty()) {
      root_ = std::move(child.node);
      return;
    }
    Frame& parent = frames_.back();
    YamlNode& node = parent.content.node;
    if (expects_key(node) && child.node.kind != YamlNode::Kind::scalar) {
      fail(mark, "a key must be a single value");
    }
    Weight& weight = parent.content.weight;
    weight.height = std::max(weight.height, child.weight.height + 1);
    weight.nodes += child.weight.nodes;
    weight.bytes += child.weight.bytes;
    check_depth(mark, weight.height);
    node.items.push_back(std::move(child.node));
  }

  // Put the pairs of merged maps before the map's own, so that the later, own ones win; of several
  // merged maps the first must win, so it goes last.
  static void merge(Frame& frame) {
    std::vector<YamlNode> merged;
    std::vector<YamlNode> own;
    std::vector<YamlNode>& items = frame.content.node.items;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (is_merge_key(items[i])) {
        append_merged(merged, std::move(items[i + 1]));
      } else {
        own.push_back(std::move(items[i]));
        own.push_back(std::move(items[i + 1]));
      }
    }
    std::move(own.begin(), own.end(), std::back_inserter(merged));
    items = std::move(merged);
  }

  static void append_merged(std::vector<YamlNode>& pairs, YamlNode value) {
    if (value.kind == YamlNode::Kind::map) {
      std::move(value.items.begin(), value.items.end(), std::back_inserter(pairs));
      return;
    }
    const bool maps = std::all_of(value.items.begin(), value.items.end(), [](const YamlNode& item) {
      return item.kind == YamlNode::Kind::map;
    });
    if (value.kind != YamlNode::Kind::sequence || !maps) {
      throw YamlError(value.line, value.column, "only maps can be merged with <<");
    }
    for (auto item = value.items.rbegin(); item != value.items.rend(); ++item) {
      append_merged(pairs, std::move(*item));
    }
  }

  static void refuse_equal_keys(const YamlNode& map) {
    std::unordered_map<std::string, int> lines;
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
      const YamlNode& key = map.items[i];
      const auto [place, is_new] = lines.try_emplace(key_identity(key), key.line);
      if (!is_new) {
        throw YamlError(
            key.line, key.column,
            "the key '" + key.text + "' is in line " + std::to_string(place->second) + " already");
      }
    }
  }

  static void keep_last_of_equal_keys(YamlNode& map) {
    std::unordered_map<std::string, std::size_t> places;
    std::vector<YamlNode> kept;
    for (std::size_t i = 0; i + 1 < map.items.size(); i += 2) {
      const auto [place, is_new] = places.try_emplace(key_identity(map.items[i]), kept.size() + 1);
      if (is_new) {
        kept.push_back(std::move(map.items[i]));
        kept.push_back(std::move(map.items[i + 1]));
      } else {
        kept[place->second] = std::move(map.items[i + 1]);
      }
    }
    map.items = std::move(kept);
  }

  BadTags bad_tags_;
  EqualKeys equal_keys_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
  std::vector<Frame> frames_;
  std::unordered_map<std::string, WeighedNode> anchors_;
  YamlNode root_ = yaml_null();
};

// ---- lists ---------------------------------------------------------------------------------

class ListReader {
 public:
  explicit ListReader(const YamlListHandler& handler) : handler_(handler) {}

  void handle(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        if (documents_++ > 0) {
          fail(event.start_mark, "a second document");
        }
        break;
      case YAML_SCALAR_EVENT:
        scalar(event.start_mark, text_of(event.data.scalar.value));
        break;
      case YAML_ALIAS_EVENT:
        scalar(event.start_mark, "an alias");
        break;
      case YAML_SEQUENCE_START_EVENT:
        enter(event.start_mark);
        if (depth_ == 2 && top_is_map_ && !at_key_) {
          in_list_ = true;
          handler_.start(key_);
        }
        break;
      case YAML_MAPPING_START_EVENT:
        enter(event.start_mark);
        top_is_map_ = top_is_map_ || depth_ == 1;
        break;
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        leave();
        break;
      default:
        break;
    }
  }

 private:
  void scalar(const yaml_mark_t& mark, const std::string& value) {
    if (depth_ == 2 && in_list_) {
      try {
        handler_.take(value);
      } catch (const std::invalid_argument& error) {
        fail(mark, error.what());
      }
    } else if (depth_ == 1) {
      if (at_key_) {
        key_ = value;
      }
      at_key_ = !at_key_;
    }
  }
  void enter(const yaml_mark_t& mark) {
    if (in_list_) {
      fail(mark, "nested in a list of numbers");
    }
    check_depth(mark, ++depth_);
  }
  void leave() {
    --depth_;
    if (depth_ == 1) {
      in_list_ = false;
      at_key_ = !at_key_;
    }
  }

  const YamlListHandler& handler_;
  int documents_ = 0;
  int depth_ = 0;
  bool top_is_map_ = false;
  bool at_key_ = true;
  bool in_list_ = false;
  std::string key_;
};

// ---- writing -------------------------------------------------------------------------------

bool is_leaf(const YamlNode& node) {
  return node.kind == YamlNode::Kind::scalar || node.items.empty();
}

std::string leaf_text(const YamlNode& node) {
  const std::string tag = node.tag.empty() ? "" : node.tag + ' ';
  if (node.kind != YamlNode::Kind::scalar) {
    return tag + (node.kind == YamlNode::Kind::map ? "{}" : "[]");
  }
  return tag + (node.plain ? node.text : yaml_string(node.text));
}

class BlockWriter {
 public:
  std::string take() { return std::move(out_); }

  // Writes a collection whose lines begin at column `indent`. The first line's indentation is left
  // out if the cursor is there already.
  void block(const YamlNode& node, std::size_t indent, bool cursor_in_place) {
    const std::size_t step = node.kind == YamlNode::Kind::map ? 2 : 1;
    for (std::size_t i = 0; i + step <= node.items.size(); i += step) {
      if (i > 0 || !cursor_in_place) {
        out_.append(indent, ' ');
      }
      if (node.kind == YamlNode::Kind::map) {
        pair(node.items[i], node.items[i + 1], indent);
      } else {
        element(node.items[i], indent);
      }
      if (out_.size() > kMaxText) {
        throw YamlError("more than 64 MiB of text once written out");
      }
    }
  }

 private:
  void pair(const YamlNode& key, const YamlNode& value, std::size_t indent) {
    const std::string text = leaf_text(key);
    const bool simple = text.size() <= kMaxSimpleKey;
    out_ += simple ? text + ':' : "? " + text + '\n' + std::string(indent, ' ') + ':';
    if (is_leaf(value)) {
      out_ += ' ' + leaf_text(value) + '\n';
      return;
    }
    tag_and_newline(value);
    const bool flush = simple && value.kind == YamlNode::Kind::sequence;
    block(value, flush ? indent : indent + 2, false);
  }

  void element(const YamlNode& value, std::size_t indent) {
    if (is_leaf(value)) {
      out_ += "- " + leaf_text(value) + '\n';
    } else if (value.tag.empty()) {
      out_ += "- ";
      block(value, indent + 2, true);
    } else {
      out_ += '-';
      tag_and_newline(value);
      block(value, indent + 2, false);
    }
  }

  void tag_and_newline(const YamlNode& node) {
    out_ += node.tag.empty() ? "\n" : ' ' + node.tag + '\n';
  }

  std::string out_;
};

std::string json_key(const YamlNode& key) {
  if (!key.plain) {
    return json_string(key.text);
  }
  const std::string json = plain_scalar_to_json(key.text);
  return json.front() == '"' ? json : '"' + json + '"';
}

void append_json(std::string& out, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar) {
    out += node.plain ? plain_scalar_to_json(node.text) : json_string(node.text);
    return;
  }
  const bool is_map = node.kind == YamlNode::Kind::map;
  out += is_map ? '{' : '[';
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const bool is_key = is_map && i % 2 == 0;
    if (i > 0 && (is_key || !is_map)) {
      out += ", ";
    }
    if (is_key) {
      out += json_key(node.items[i]) + ": ";
    } else {
      append_json(out, node.items[i]);
    }
  }
  out += is_map ? '}' : ']';
}

}  // namespace

bool YamlNode::is_null() const {
  return kind == Kind::scalar && plain && plain_scalar_type(text) == ScalarType::null;
}

YamlNode yaml_null() {
  YamlNode node;
  node.plain = true;
  node.text = "null";
  return node;
}

YamlNode yaml_integer(long long value) {
  YamlNode node;
  node.plain = true;
  node.text = std::to_string(value);
  return node;
}

YamlNode yaml_text(std::string text) {
  YamlNode node;
  node.text = std::move(text);
  return node;
}

YamlNode yaml_map() {
  YamlNode node;
  node.kind = YamlNode::Kind::map;
  return node;
}

const YamlNode* find_key(const YamlNode& map, std::string_view key) {
  for (std::size_t i = 0; map.kind == YamlNode::Kind::map && i + 1 < map.items.size(); i += 2) {
    if (map.items[i].text == key) {
      return &map.items[i + 1];
    }
  }
  return nullptr;
}

YamlNode* find_key(YamlNode& map, std::string_view key) {
  return const_cast<YamlNode*>(find_key(std::as_const(map), key));
}

YamlNode parse_yaml(std::string_view text, BadTags bad_tags, EqualKeys equal_keys) {
  TreeBuilder builder(bad_tags, equal_keys);
  parse_with(builder, text);
  return builder.take_root();
}

void parse_yaml_lists(std::string_view text, const YamlListHandler& handler) {
  ListReader reader(handler);
  parse_with(reader, text);
}

std::string write_yaml(const YamlNode& map) {
  BlockWriter writer;
  writer.block(map, 0, true);
  return writer.take();
}

std::string yaml_to_json(const YamlNode& node) {
  std::string out;
  append_json(out, node);
  return out;
}

}  // namespace avstore::imgstore
