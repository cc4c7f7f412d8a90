// Which frames a command is about: ranges and lists of them, as written on the command line.
#pragma once

#include <avstore/error.h>
#include <avstore/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace avstore::cli {

// A:B by Python's rules: from A up to but without B, either may be left out, negative ones count
// from the end, what lies outside is cut off.
struct RangeText {
  std::optional<std::int64_t> begin;
  std::optional<std::int64_t> end;

  IndexRange of(std::int64_t frame_count) const;
  std::string text() const;
};

// What to throw if a range holds no frame of a store.
Error no_frame_in(const RangeText& range, const std::string& store, std::int64_t frame_count);

// Throws BadValue.
RangeText parse_range(const std::string& text);

// What a list consists of: a range or a single index, which may be negative too.
struct ListItem {
  std::optional<std::int64_t> single;
  RangeText range;
};

// Indices and ranges separated by commas, such as "3,1,10:20". Throws BadValue.
std::vector<ListItem> parse_list(const std::string& text);

// The indices that a list names in a store, in its order. A single index outside the store stays as
// it was typed: whoever reads it gets the reader's error. Throws Error(invalid_argument), naming
// the store, where a range holds no frame, unless it is open at both ends.
std::vector<FrameIndex> indices_of(const std::vector<ListItem>& list, std::int64_t frame_count,
                                   const std::string& store);

}  // namespace avstore::cli
