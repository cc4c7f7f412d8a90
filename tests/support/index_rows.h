// Rows of the index database as tests make and compare them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "avstore/types.h"
#include "index/index.h"
#include "support/media_folder.h"

namespace avstore::test {

using Rows = std::vector<index::FrameRow>;

constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

// What row `i` is in tests where only its place matters: numbers and times ascend.
index::FrameRow plain_row(std::int64_t i);
Rows plain_rows(std::int64_t end);

// NaN is the same as NaN.
bool same(double a, double b);
bool same(const index::FrameRow& a, const index::FrameRow& b);
bool same(const Rows& a, const Rows& b);

Rows rows_of(const index::Index& index, IndexRange range = {0, int64_max});

// Plain rows from where the index ends up to `end`.
void append_plain(index::Index& index, std::int64_t end);
void append_all(index::Index& index, const Rows& rows);

// The path of a closed database of plain rows.
std::filesystem::path closed_database(const TemporaryFolder& folder, std::int64_t frames);

// How many indexes the table of frames has, as the sqlite3 program sees it.
std::int64_t secondary_indexes(const std::filesystem::path& database);

}  // namespace avstore::test
