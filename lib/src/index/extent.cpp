#include "index/extent.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "base/same_number.h"
#include "index/schema.h"

namespace avstore::index {
namespace {

constexpr Sql number_at = "SELECT frame_number FROM frames WHERE frame_index = ?1";
constexpr Sql time_at = "SELECT frame_time FROM frames WHERE frame_index = ?1";

// The unary plus keeps SQLite from walking the table by frame_index where an index on the column
// answers at once. NULL (not a number) never counts as least or greatest.
constexpr Sql least_number = "SELECT min(frame_number) FROM frames WHERE +frame_index < ?1";
constexpr Sql greatest_number = "SELECT max(frame_number) FROM frames WHERE +frame_index < ?1";
constexpr Sql least_time = "SELECT min(frame_time) FROM frames WHERE +frame_index < ?1";
constexpr Sql greatest_time = "SELECT max(frame_time) FROM frames WHERE +frame_index < ?1";

// The integer in the first row; 0 where there is none.
std::int64_t integer_of(Database& database, Sql sql, std::int64_t parameter) {
  Query query = database.query(sql, parameter);
  return query.next() ? query.integer(0) : 0;
}

double real_of(Database& database, Sql sql, std::int64_t parameter) {
  Query query = database.query(sql, parameter);
  return query.next() ? query.real(0) : 0;
}

std::optional<std::int64_t> stored_place(Database& database, std::string_view name) {
  Query query =
      database.query("SELECT CAST(value AS INTEGER) FROM index_information WHERE name = ?1", name);
  if (!query.next()) {
    return std::nullopt;
  }
  return query.integer(0);
}

void store_place(Database& database, std::string_view name,
                 const std::optional<std::int64_t>& before,
                 const std::optional<std::int64_t>& now) {
  if (now == before) {
    return;
  }
  if (now) {
    database.run("INSERT OR REPLACE INTO index_information VALUES (?1, CAST(?2 AS TEXT))", name,
                 *now);
  } else {
    database.run("DELETE FROM index_information WHERE name = ?1", name);
  }
}

// A count that the file cannot hold is a lie, and others make room by it.
void require_room_for(Database& database, std::int64_t last_frame_index) {
  if (last_frame_index >= most_frames(database)) {
    database.fail(ErrorKind::corrupt, "its last row is of frame " +
                                          std::to_string(last_frame_index) +
                                          ", but it has no room for so many frames");
  }
}

template <typename Value>
void store_summary_value(Database& database, std::string_view name, Value value) {
  database.run("INSERT OR REPLACE INTO summary VALUES (?1, ?2)", name, value);
}

// The reference cannot open a database with frames that lacks one of the four.
void store_summary(Database& database, const Progress& before, const Progress& now) {
  if (now.extent.frame_count == 0) {
    database.run("DELETE FROM summary");
    return;
  }
  const bool all = before.extent.frame_count == 0;
  const Extremes& old = before.extremes;
  const Extremes& current = now.extremes;
  if (all || !base::is_same(old.time_min, current.time_min)) {
    store_summary_value(database, "frame_time_min", current.time_min);
  }
  if (all || !base::is_same(old.time_max, current.time_max)) {
    store_summary_value(database, "frame_time_max", current.time_max);
  }
  if (all || old.number_max != current.number_max) {
    store_summary_value(database, "frame_max", current.number_max);
  }
  if (all || old.number_min != current.number_min) {
    store_summary_value(database, "frame_min", current.number_min);
  }
}

}  // namespace

void Progress::add(const FrameRow& row) {
  const bool first = extent.frame_count == 0;
  // A time that is not a number has no place in any order.
  if (!extent.times_unordered_at &&
      (std::isnan(row.frame_time) || (!first && row.frame_time < last_time))) {
    extent.times_unordered_at = extent.frame_count;
  }
  if (!extent.numbers_unordered_at && !first && row.frame_number < last_number) {
    extent.numbers_unordered_at = extent.frame_count;
  }
  if (first) {
    extremes = {row.frame_number, row.frame_number, row.frame_time, row.frame_time};
  }
  extremes.number_min = std::min(extremes.number_min, row.frame_number);
  extremes.number_max = std::max(extremes.number_max, row.frame_number);
  extremes.time_min = std::fmin(extremes.time_min, row.frame_time);
  extremes.time_max = std::fmax(extremes.time_max, row.frame_time);
  last_number = row.frame_number;
  last_time = row.frame_time;
  ++extent.frame_count;
}

std::int64_t most_frames(Database& database) {
  constexpr std::int64_t kLeastRow = 8;  // bytes
  Query pages =
      database.query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
  pages.next();
  return pages.integer(0) / kLeastRow;
}

Extent load_extent(Database& database) {
  Query query = database.query("SELECT max(frame_index) FROM frames");
  query.next();
  // Only a tampered table has rows below 0.
  const std::int64_t last = query.is_null(0) ? -1 : std::max<std::int64_t>(query.integer(0), -1);
  require_room_for(database, last);
  return {.frame_count = last + 1,
          .numbers_unordered_at = stored_place(database, information_name::numbers_unordered_at),
          .times_unordered_at = stored_place(database, information_name::times_unordered_at)};
}

Progress load_progress(Database& database, const Extent& extent) {
  Progress progress;
  progress.extent = extent;
  progress.extremes = load_extremes(database, extent);
  const std::int64_t last = progress.extent.frame_count - 1;
  progress.last_number = integer_of(database, number_at, last);
  progress.last_time = real_of(database, time_at, last);
  return progress;
}

Extremes load_extremes(Database& database, const Extent& extent) {
  const std::int64_t count = extent.frame_count;
  if (count == 0) {
    return {};
  }
  Extremes extremes;
  if (extent.ordering().numbers_ascend) {
    extremes.number_min = integer_of(database, number_at, 0);
    extremes.number_max = integer_of(database, number_at, count - 1);
  } else {
    extremes.number_min = integer_of(database, least_number, count);
    extremes.number_max = integer_of(database, greatest_number, count);
  }
  if (extent.ordering().times_ascend) {
    extremes.time_min = real_of(database, time_at, 0);
    extremes.time_max = real_of(database, time_at, count - 1);
  } else {
    extremes.time_min = real_of(database, least_time, count);
    extremes.time_max = real_of(database, greatest_time, count);
  }
  return extremes;
}

Extremes widen(Database& database, const Extremes& known, IndexRange range) {
  Query query = database.query(
      "SELECT min(frame_number), max(frame_number), min(frame_time), max(frame_time) FROM frames "
      "WHERE frame_index >= ?1 AND frame_index < ?2",
      range.begin, range.end);
  if (!query.next() || query.is_null(0)) {
    return known;
  }
  return {.number_min = std::min(known.number_min, query.integer(0)),
          .number_max = std::max(known.number_max, query.integer(1)),
          .time_min = std::fmin(known.time_min, query.real(2)),
          .time_max = std::fmax(known.time_max, query.real(3))};
}

void store_progress(Database& database, const Progress& before, const Progress& now) {
  store_place(database, information_name::numbers_unordered_at, before.extent.numbers_unordered_at,
              now.extent.numbers_unordered_at);
  store_place(database, information_name::times_unordered_at, before.extent.times_unordered_at,
              now.extent.times_unordered_at);
  store_summary(database, before, now);
}

}  // namespace avstore::index
