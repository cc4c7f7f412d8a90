#include "support/index_oracle.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"

namespace avstore::test {

using index::Extremes;
using index::FrameRow;
using index::Index;

namespace {

// Wide enough for the distance of any two int64.
__extension__ using Wide = __int128;

Wide brute_distance(std::int64_t a, std::int64_t b) {
  const Wide difference = static_cast<Wide>(a) - static_cast<Wide>(b);
  return difference < 0 ? -difference : difference;
}

double brute_distance(double a, double b) {
  return a == b ? 0 : std::fabs(a - b);
}

// The closest row on either side are compared with each other. On one side order decides: to a very
// distant target many times are equally far as far as a double can tell.
template <typename Key>
std::optional<FrameRow> brute_nearest(const Rows& rows, Key FrameRow::*column, Key target) {
  std::optional<FrameRow> below;
  std::optional<FrameRow> above;
  for (const FrameRow& row : rows) {
    if (row.*column <= target && (!below || row.*column > (*below).*column)) {
      below = row;
    }
    if (row.*column >= target && (!above || row.*column < (*above).*column)) {
      above = row;
    }
  }
  if (!below || !above) {
    return below ? below : above;
  }
  const auto to_below = brute_distance((*below).*column, target);
  const auto to_above = brute_distance((*above).*column, target);
  if (to_below == to_above) {
    return below->frame_index < above->frame_index ? below : above;
  }
  return to_below < to_above ? below : above;
}

std::string text(const std::optional<FrameRow>& row) {
  std::ostringstream out;
  out.precision(17);
  if (row) {
    out << "frame " << row->frame_index << ", number " << row->frame_number << ", time "
        << row->frame_time + 0.0;  // -0 and 0 are one time
  } else {
    out << "none";
  }
  return out.str();
}

std::vector<std::int64_t> interesting_numbers(const Rows& rows, std::mt19937_64& random) {
  std::vector<std::int64_t> numbers = {
      0, 1, -1, int64_min, int64_max, int64_min / 2, int64_max / 2};
  for (int i = 0; i < 60 && !rows.empty(); ++i) {
    const std::int64_t number = rows[random() % rows.size()].frame_number;
    numbers.push_back(number);
    // Wrap around on overflow; any number will do.
    numbers.push_back(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(number) + random() % 9 - 4));
  }
  numbers.push_back(static_cast<std::int64_t>(random()));
  return numbers;
}

std::vector<double> interesting_times(const Rows& rows, std::mt19937_64& random) {
  std::vector<double> times = {0, -0.0, 1e300, -1e300, infinity, -infinity, 1.5e9};
  for (int i = 0; i < 60 && !rows.empty(); ++i) {
    const double time = rows[random() % rows.size()].frame_time;
    if (!std::isnan(time)) {
      times.push_back(time);
      times.push_back(time + (static_cast<double>(random() % 9) - 4) / 8);
    }
  }
  return times;
}

void check_number(const Index& index, const Rows& rows, std::int64_t number) {
  INFO("number " << number);
  CHECK(text(index.find_number(number)) == text(brute_find(rows, number)));
  CHECK(text(index.nearest_number(number)) ==
        text(brute_nearest(rows, &FrameRow::frame_number, number)));
}

void check_time(const Index& index, const Rows& rows, double time) {
  INFO("time " << time);
  CHECK(text(index.nearest_time(time)) == text(brute_nearest(rows, &FrameRow::frame_time, time)));
}

}  // namespace

std::optional<FrameRow> brute_find(const Rows& rows, std::int64_t number) {
  for (const FrameRow& row : rows) {
    if (row.frame_number == number) {
      return row;
    }
  }
  return std::nullopt;
}

Extremes brute_extremes(const Rows& rows) {
  Extremes extremes;
  if (rows.empty()) {
    return extremes;
  }
  extremes = {int64_max, int64_min, not_a_number, not_a_number};
  for (const FrameRow& row : rows) {
    extremes.number_min = std::min(extremes.number_min, row.frame_number);
    extremes.number_max = std::max(extremes.number_max, row.frame_number);
    extremes.time_min = std::fmin(extremes.time_min, row.frame_time);
    extremes.time_max = std::fmax(extremes.time_max, row.frame_time);
  }
  return extremes;
}

void check_lookups_of(const Index& index, const Rows& rows, const FrameRow& row) {
  check_number(index, rows, row.frame_number);
  check_time(index, rows, row.frame_time);
}

void check_lookups(const Index& index, const Rows& rows, std::mt19937_64& random) {
  REQUIRE(index.frame_count() == static_cast<std::int64_t>(rows.size()));
  for (const std::int64_t number : interesting_numbers(rows, random)) {
    check_number(index, rows, number);
  }
  for (const double time : interesting_times(rows, random)) {
    check_time(index, rows, time);
  }
  CHECK(!index.nearest_time(not_a_number));
  const Extremes found = index.extremes();
  const Extremes expected = brute_extremes(rows);
  CHECK(found.number_min == expected.number_min);
  CHECK(found.number_max == expected.number_max);
  CHECK(same(found.time_min, expected.time_min));
  CHECK(same(found.time_max, expected.time_max));
}

}  // namespace avstore::test
