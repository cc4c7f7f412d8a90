// What lookups in the index database have to find: an oracle that searches a plain vector by brute
// force.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "index/index.h"
#include "support/index_rows.h"

namespace avstore::test {

// The first row of that number.
std::optional<index::FrameRow> brute_find(const Rows& rows, std::int64_t number);

index::Extremes brute_extremes(const Rows& rows);

// Asks for a row that may be none of `rows`.
void check_lookups_of(const index::Index& index, const Rows& rows, const index::FrameRow& row);

// Looks numbers and times up that are among the rows, beside them, and as far off as can be.
void check_lookups(const index::Index& index, const Rows& rows, std::mt19937_64& random);

}  // namespace avstore::test
