#include "imgstore/yaml.h"

#include <algorithm>
#include <utility>

#include "imgstore/json_text.h"

namespace avstore::imgstore {
namespace {

// YAML readers look for the colon of a key on one line and within 1024 characters.
constexpr std::size_t kMaxSimpleKey = 1000;

YamlNode yaml_scalar(ScalarType type, std::string text) {
  YamlNode node;
  node.type = type;
  node.text = std::move(text);
  return node;
}

bool is_leaf(const YamlNode& node) {
  return node.kind == YamlNode::Kind::scalar || node.items.empty();
}

std::string leaf_text(const YamlNode& node) {
  const std::string tag = node.tag.empty() ? "" : node.tag + ' ';
  if (node.kind != YamlNode::Kind::scalar) {
    return tag + (node.kind == YamlNode::Kind::map ? "{}" : "[]");
  }
  return tag + (node.type == ScalarType::string ? yaml_string(node.text) : node.text);
}

// Not yaml-cpp's emitter: what it writes of a key of more than 1024 characters PyYAML refuses, and
// its lists look otherwise than the reference's.
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
      if (out_.size() > kMostYaml) {
        return;  // indentation alone can be gigabytes
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
  const std::string json = scalar_to_json(key.text, key.type);
  return json.front() == '"' ? json : '"' + json + '"';
}

void append_json(std::string& out, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar) {
    out += scalar_to_json(node.text, node.type);
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

YamlNode yaml_null() {
  return yaml_scalar(ScalarType::null, "null");
}

YamlNode yaml_integer(long long value) {
  return yaml_scalar(ScalarType::integer, std::to_string(value));
}

YamlNode yaml_text(std::string text) {
  return yaml_scalar(ScalarType::string, std::move(text));
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

void check_yaml_size(std::string_view text) {
  constexpr std::ptrdiff_t kMostIndicators = 4000000;
  const auto is_indicator = [](char c) {
    return std::string_view("[]{},:\"'").find(c) != std::string_view::npos;
  };
  if (text.size() > kMostYaml) {
    throw YamlError("more than 32 MiB of text");
  }
  if (std::count_if(text.begin(), text.end(), is_indicator) > kMostIndicators) {
    throw YamlError("more than 4 million brackets, commas, colons and quotes");
  }
}

std::string write_yaml(const YamlNode& map) {
  BlockWriter writer;
  writer.block(map, 0, true);
  std::string text = writer.take();
  check_yaml_size(text);
  return text;
}

std::string yaml_to_json(const YamlNode& node) {
  std::string out;
  append_json(out, node);
  return out;
}

}  // namespace avstore::imgstore
