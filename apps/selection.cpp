#include "selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "arguments.h"

namespace avstore::cli {
namespace {

std::optional<std::int64_t> parse_bound(const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  return parse_integer(text);
}

std::int64_t from_the_end(std::int64_t index, std::int64_t count) {
  return index < 0 ? index + count : index;
}

std::int64_t inside(std::optional<std::int64_t> bound, std::int64_t if_none, std::int64_t count) {
  return std::clamp<std::int64_t>(from_the_end(bound.value_or(if_none), count), 0, count);
}

ListItem parse_item(const std::string& text) {
  if (text.find(':') != std::string::npos) {
    return {std::nullopt, parse_range(text)};
  }
  return {parse_integer(text), {}};
}

}  // namespace

IndexRange RangeText::of(std::int64_t frame_count) const {
  const std::int64_t first = inside(begin, 0, frame_count);
  const std::int64_t past = inside(end, frame_count, frame_count);
  return {first, std::max(first, past)};
}

std::string RangeText::text() const {
  const auto bound = [](const auto& value) { return value ? std::to_string(*value) : ""; };
  return bound(begin) + ":" + bound(end);
}

Error no_frame_in(const RangeText& range, const std::string& store, std::int64_t frame_count) {
  return {ErrorKind::invalid_argument,
          fmt::format("{}: the range {} holds no frame; the store has {}, from 0 on", store,
                      range.text(), frame_count)};
}

RangeText parse_range(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) {
    throw BadValue(fmt::format("'{}' is no range; write A:B, from A up to but without B", text));
  }
  return {parse_bound(text.substr(0, colon)), parse_bound(text.substr(colon + 1))};
}

std::vector<ListItem> parse_list(const std::string& text) {
  std::vector<ListItem> list;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    list.push_back(parse_item(text.substr(begin, comma - begin)));
    begin = comma + 1;
  }
  return list;
}

std::vector<FrameIndex> indices_of(const std::vector<ListItem>& list, std::int64_t frame_count,
                                   const std::string& store) {
  std::vector<FrameIndex> indices;
  for (const ListItem& item : list) {
    if (item.single) {
      const std::int64_t index = from_the_end(*item.single, frame_count);
      indices.emplace_back(index < 0 ? *item.single : index);
      continue;
    }
    const IndexRange range = item.range.of(frame_count);
    const bool is_open = !item.range.begin && !item.range.end;
    if (range.size() == 0 && !is_open) {
      throw no_frame_in(item.range, store, frame_count);
    }
    for (std::int64_t index = range.begin; index < range.end; ++index) {
      indices.emplace_back(index);
    }
  }
  return indices;
}

}  // namespace avstore::cli
