#include "support/index_rows.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <stdexcept>

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

// A journal of one page that holds what the page holds already. At its end comes the name of a
// super-journal, which SQLite removes once it has rolled back.
void put_journal_that_names(const fs::path& victim, const fs::path& database) {
  constexpr std::size_t kPage = 4096;
  const std::string content = read_text(database);
  if (content.size() < kPage) {
    throw std::logic_error("not a database");
  }
  const std::string page = content.substr(0, kPage);
  const auto big_endian = [](std::size_t value) {
    std::string bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      bytes += static_cast<char>(value >> shift & 0xFFU);
    }
    return bytes;
  };
  const std::string magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  std::uint32_t checksum = 0;
  for (std::size_t at = page.size() - 200; at < page.size(); at -= 200) {
    checksum += static_cast<unsigned char>(page[at]);
  }
  std::string journal = magic + big_endian(1) + big_endian(0) + big_endian(content.size() / kPage) +
                        big_endian(512) + big_endian(kPage);
  journal.resize(512);
  journal += big_endian(1) + page + big_endian(checksum);
  const std::string name = victim.string();
  std::uint32_t sum = 0;
  for (const char c : name) {
    sum += static_cast<unsigned char>(c);
  }
  // SQLite takes what stands for the page with the lock, which no database has, for the name.
  journal += big_endian((1U << 30U) / kPage + 1) + name + big_endian(name.size()) +
             big_endian(sum) + magic;
  write_text(database.string() + "-journal", journal);
}

std::int64_t secondary_indexes(const fs::path& database) {
  return std::stoll(query(database,
                          "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND "
                          "tbl_name = 'frames'"));
}

}  // namespace avstore::test
