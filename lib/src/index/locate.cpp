// Index: from a frame number or time to the frame.
//
// While a column ascends, the table itself is the index: frame_index finds a row at once, so rows
// are looked at as in a sorted array. Out of order, SQL does it, helped by an index on the column
// once the store is closed and by reading all rows before.
#include <algorithm>
#include <cmath>

#include "index/impl.h"
#include "index/search.h"

namespace avstore::index {
namespace {

// The statements of one column. In those that take a frame count (?2), the unary plus keeps SQLite
// from walking the table by frame_index where an index on the column answers at once.
template <typename Key>
struct Column;

template <>
struct Column<std::int64_t> {
  static constexpr Sql key_at = "SELECT frame_number FROM frames WHERE frame_index = ?1";
  static constexpr Sql greatest_up_to =
      "SELECT max(frame_number) FROM frames WHERE frame_number <= ?1 AND +frame_index < ?2";
  static constexpr Sql least_from =
      "SELECT min(frame_number) FROM frames WHERE frame_number >= ?1 AND +frame_index < ?2";
  static constexpr Sql first_with =
      "SELECT frame_index FROM frames WHERE frame_number = ?1 AND +frame_index < ?2 "
      "ORDER BY frame_index LIMIT 1";
  static std::int64_t value(const Query& query) { return query.integer(0); }
};

template <>
struct Column<double> {
  static constexpr Sql key_at = "SELECT frame_time FROM frames WHERE frame_index = ?1";
  static constexpr Sql greatest_up_to =
      "SELECT max(frame_time) FROM frames WHERE frame_time <= ?1 AND +frame_index < ?2";
  static constexpr Sql least_from =
      "SELECT min(frame_time) FROM frames WHERE frame_time >= ?1 AND +frame_index < ?2";
  static constexpr Sql first_with =
      "SELECT frame_index FROM frames WHERE frame_time = ?1 AND +frame_index < ?2 "
      "ORDER BY frame_index LIMIT 1";
  static double value(const Query& query) { return query.real(0); }
};

// Looks up one key of a row, as often as a search asks.
template <typename Key>
auto key_reader(Database& database) {
  return [&statement = database.cached(Column<Key>::key_at)](std::int64_t frame_index) {
    Query query(statement, frame_index);
    query.next();
    return Column<Key>::value(query);
  };
}

template <typename Key>
std::optional<std::int64_t> first_with(Database& database, std::int64_t count, Key key) {
  Query query = database.query(Column<Key>::first_with, key, count);
  if (!query.next()) {
    return std::nullopt;
  }
  return query.integer(0);
}

template <typename Key>
std::optional<Key> aggregate(Database& database, Sql sql, Key target, std::int64_t count) {
  Query query = database.query(sql, target, count);
  if (!query.next() || query.is_null(0)) {
    return std::nullopt;
  }
  return Column<Key>::value(query);
}

template <typename Key>
std::optional<std::int64_t> nearest_unordered(Database& database, std::int64_t count, Key target) {
  const auto below = aggregate(database, Column<Key>::greatest_up_to, target, count);
  const auto above = aggregate(database, Column<Key>::least_from, target, count);
  if (!below || !above) {
    const auto only = below ? below : above;
    return only ? first_with(database, count, *only) : std::nullopt;
  }
  const auto to_below = distance(target, *below);
  const auto to_above = distance(target, *above);
  if (to_below != to_above) {
    return first_with(database, count, to_below < to_above ? *below : *above);
  }
  return std::min(first_with(database, count, *below), first_with(database, count, *above));
}

}  // namespace

std::optional<FrameRow> Index::find_number(std::int64_t frame_number) const {
  Database& database = impl_->database();
  const ReadTransaction snapshot(database);
  const std::int64_t count = frame_count();
  const auto found =
      ordering().numbers_ascend
          ? impl_->numbers().find(count, frame_number, key_reader<std::int64_t>(database))
          : first_with(database, count, frame_number);
  return found ? std::optional(impl_->existing(*found)) : std::nullopt;
}

std::optional<FrameRow> Index::nearest_number(std::int64_t frame_number) const {
  Database& database = impl_->database();
  const ReadTransaction snapshot(database);
  const std::int64_t count = frame_count();
  const auto found =
      ordering().numbers_ascend
          ? impl_->numbers().nearest(count, frame_number, key_reader<std::int64_t>(database))
          : nearest_unordered(database, count, frame_number);
  return found ? std::optional(impl_->existing(*found)) : std::nullopt;
}

std::optional<FrameRow> Index::nearest_time(double seconds) const {
  // Nothing is near to what is not a number.
  if (std::isnan(seconds)) {
    return std::nullopt;
  }
  Database& database = impl_->database();
  const ReadTransaction snapshot(database);
  const std::int64_t count = frame_count();
  const auto found = ordering().times_ascend
                         ? impl_->times().nearest(count, seconds, key_reader<double>(database))
                         : nearest_unordered(database, count, seconds);
  return found ? std::optional(impl_->existing(*found)) : std::nullopt;
}

}  // namespace avstore::index
