// What is known of all rows of `frames` together without looking at each.
#pragma once

#include <cstdint>
#include <optional>

#include "index/database.h"
#include "index/index.h"

namespace avstore::index {

// What a reader needs. A snapshot: rows are only ever added, so it stays true of rows below
// frame_count whatever a writer does (but truncate).
struct Extent {
  std::int64_t frame_count = 0;
  // The first row less than the one before it; none while the column ascends. A place rather than a
  // flag, so that truncating can tell whether the rest ascends.
  std::optional<std::int64_t> numbers_unordered_at;
  std::optional<std::int64_t> times_unordered_at;

  Ordering ordering() const {
    return {.numbers_ascend = !numbers_unordered_at, .times_ascend = !times_unordered_at};
  }
};

// What a writer keeps up row by row.
struct Progress {
  Extent extent;
  Extremes extremes;  // zeros when empty
  std::int64_t last_number = 0;
  double last_time = 0;

  void add(const FrameRow& row);
};

// The file has no room for the rows of more frames than that.
std::int64_t most_frames(Database& database);

// As stored. Call inside a transaction, so that count and order belong together.
Extent load_extent(Database& database);
Progress load_progress(Database& database, const Extent& extent);
Extremes load_extremes(Database& database, const Extent& extent);
// `known` together with those of the rows of [range.begin, range.end), which alone are looked at.
Extremes widen(Database& database, const Extremes& known, IndexRange range);

// Writes what differs from `before`, for readers: the order, and the reference's summary.
void store_progress(Database& database, const Progress& before, const Progress& now);

}  // namespace avstore::index
