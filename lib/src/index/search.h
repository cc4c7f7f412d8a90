// Searching rows whose keys never decrease, where each look at a key costs a query.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace avstore::index {

// How far apart two keys are. Unsigned, since two int64 may be up to 2^64 - 1 apart.
inline std::uint64_t distance(std::int64_t a, std::int64_t b) {
  const auto [low, high] = std::minmax(a, b);
  return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
}

// Infinite times are 0 from themselves.
inline double distance(double a, double b) {
  return a == b ? 0 : std::abs(a - b);
}

template <typename Key>
struct KeyedRow {
  std::int64_t row = 0;
  Key key{};
};

// Two rows between which a target lies: low.key < target <= high.key. Where no row is less, low.row
// is -1; where all are, high.row is the count; such a row has no key.
template <typename Key>
struct Bracket {
  KeyedRow<Key> low;
  KeyedRow<Key> high;

  std::int64_t rows_between() const { return high.row - low.row - 1; }
  std::int64_t middle() const { return low.row + (high.row - low.row) / 2; }

  // Where the target would be if keys grew evenly; always strictly between.
  std::int64_t guess(Key target) const {
    const double share = static_cast<double>(distance(low.key, target)) /
                         static_cast<double>(distance(low.key, high.key));
    // Infinite keys make it NaN.
    if (!(share >= 0 && share <= 1)) {
      return middle();
    }
    const auto offset = static_cast<std::int64_t>(share * static_cast<double>(high.row - low.row));
    return std::clamp(low.row + offset, low.row + 1, high.row - 1);
  }

  void narrow(const KeyedRow<Key>& looked_at, Key target) {
    (looked_at.key < target ? low : high) = looked_at;
  }
};

// One column of the table, whose keys never decrease from row to row. Remembers some keys evenly
// over the rows, so that later searches begin close to their end.
//
// `key_at(row)` gives a key; `count` is how many rows there are. Rows must not change from one call
// to the next unless `count` does; call forget() if they may have.
template <typename Key>
class AscendingColumn {
 public:
  void forget() { landmarks_.clear(); }

  // The two neighbouring rows between which the target lies. Keys of cameras grow almost evenly, so
  // a guess lands close; halving in every third step keeps it at 3 log2(count) + 2 looks whatever
  // the keys are.
  template <typename KeyAt>
  Bracket<Key> search(std::int64_t count, Key target, const KeyAt& key_at) {
    if (count == 0) {
      return {.low = {.row = -1}, .high = {.row = 0}};
    }
    Bracket<Key> bracket = start(count, target, key_at);
    const std::int64_t worth_remembering = count / landmark_spacing;
    for (int step = 1; bracket.rows_between() > 0; ++step) {
      const std::int64_t row = step % 3 == 0 ? bracket.middle() : bracket.guess(target);
      const KeyedRow<Key> looked_at{row, key_at(row)};
      if (bracket.rows_between() > worth_remembering) {
        remember(looked_at);
      }
      bracket.narrow(looked_at, target);
    }
    return bracket;
  }

  // The first row whose key is the target.
  template <typename KeyAt>
  std::optional<std::int64_t> find(std::int64_t count, Key target, const KeyAt& key_at) {
    const KeyedRow<Key> from = search(count, target, key_at).high;
    if (from.row == count || from.key != target) {
      return std::nullopt;
    }
    return from.row;
  }

  // The row whose key is closest to the target; of several, the first.
  template <typename KeyAt>
  std::optional<std::int64_t> nearest(std::int64_t count, Key target, const KeyAt& key_at) {
    if (count == 0) {
      return std::nullopt;
    }
    const auto [low, high] = search(count, target, key_at);
    if (low.row < 0 ||
        (high.row < count && distance(target, high.key) < distance(target, low.key))) {
      return high.row;
    }
    return search(count, low.key, key_at).high.row;
  }

 private:
  // Fewer than this share of the rows between two landmarks need none between them.
  static constexpr std::int64_t landmark_spacing = 4096;
  // Keys that grow in leaps put landmarks unevenly; then this is the limit, 128 KB.
  static constexpr std::size_t landmarks_at_most = 8192;

  template <typename KeyAt>
  Bracket<Key> start(std::int64_t count, Key target, const KeyAt& key_at) {
    if (landmarks_.empty() || landmarks_.back().row != count - 1) {
      landmarks_ = {{0, key_at(0)}, {count - 1, key_at(count - 1)}};
    }
    const auto above =
        std::partition_point(landmarks_.begin(), landmarks_.end(),
                             [&](const KeyedRow<Key>& mark) { return mark.key < target; });
    if (above == landmarks_.begin()) {
      return {.low = {.row = -1}, .high = *above};
    }
    if (above == landmarks_.end()) {
      return {.low = landmarks_.back(), .high = {.row = count}};
    }
    return {.low = *(above - 1), .high = *above};
  }

  void remember(const KeyedRow<Key>& mark) {
    if (landmarks_.size() < landmarks_at_most) {
      const auto place =
          std::partition_point(landmarks_.begin(), landmarks_.end(),
                               [&](const KeyedRow<Key>& other) { return other.row < mark.row; });
      landmarks_.insert(place, mark);
    }
  }

  std::vector<KeyedRow<Key>> landmarks_;  // by row; the first and the last row among them
};

}  // namespace avstore::index
