#include "support/index_rows.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "support/programs.h"

namespace avstore::test {

namespace fs = std::filesystem;
using index::FrameRow;
using index::Index;

FrameRow plain_row(std::int64_t i) {
  FrameRow row{.frame_index = i,
               .chunk = i / 100,
               .frame_idx = i % 100,
               .frame_number = i * 3,
               .frame_time = 1.5e9 + static_cast<double>(i) / 7,
               .pts = std::nullopt};
  if (i % 5 != 0) {
    row.pts = i % 100 * 512;
  }
  return row;
}

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

bool same(const FrameRow& a, const FrameRow& b) {
  return a.frame_index == b.frame_index && a.chunk == b.chunk && a.frame_idx == b.frame_idx &&
         a.frame_number == b.frame_number && same(a.frame_time, b.frame_time) && a.pts == b.pts;
}

Rows rows_of(const Index& index, IndexRange range) {
  Rows rows;
  index.for_each(range, [&](const FrameRow& row) {
    rows.push_back(row);
    return true;
  });
  return rows;
}

bool same(const Rows& a, const Rows& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const FrameRow& x, const FrameRow& y) { return same(x, y); });
}

void append_plain(Index& index, std::int64_t end) {
  for (std::int64_t i = index.frame_count(); i < end; ++i) {
    index.append(plain_row(i));
  }
}

Rows plain_rows(std::int64_t end) {
  Rows rows;
  for (std::int64_t i = 0; i < end; ++i) {
    rows.push_back(plain_row(i));
  }
  return rows;
}

void append_all(Index& index, const Rows& rows) {
  for (const FrameRow& row : rows) {
    index.append(row);
  }
}

fs::path closed_database(const TemporaryFolder& folder, std::int64_t frames) {
  fs::path path = folder.path() / ".index.sqlite";
  Index index = Index::create(path);
  append_plain(index, frames);
  index.close();
  return path;
}

std::int64_t secondary_indexes(const fs::path& database) {
  return std::stoll(query(database,
                          "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND "
                          "tbl_name = 'frames'"));
}

}  // namespace avstore::test
