// The index database as the reference implementation sees it: its queries, asked by the sqlite3
// program.
#include "index/index.h"

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "support/catch.h"
#include "support/index_oracle.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::index::Extremes;
using avstore::index::FrameRow;
using avstore::index::Index;

}  // namespace

TEST_CASE("index: the reference's queries are answered, whatever the state") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  const auto unordered = GENERATE(false, true);
  Rows rows = plain_rows(1000);
  for (FrameRow& row : rows) {
    row.frame_number = unordered ? row.frame_number % 1024 : row.frame_number;
    row.frame_time = unordered ? 2e9 - row.frame_time / 2 : row.frame_time;
  }
  Index index = Index::create(path);
  append_all(index, rows);
  for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
    index.put_chunk({.chunk = chunk, .path = "00000" + std::to_string(chunk), .checksum = ""});
  }
  const auto state = GENERATE("recording", "closed");
  if (std::string(state) == "closed") {
    index.close();
  } else {
    index.commit();
  }
  INFO((unordered ? "unordered, " : "ordered, ") << state);

  CHECK(query(path, "SELECT value FROM index_information WHERE name = 'version'") == "1\n");
  CHECK(query(path, "SELECT COUNT(1) FROM frames") == "1000\n");
  CHECK(query(path, "SELECT chunk FROM chunks ORDER BY chunk").substr(0, 6) == "0\n1\n2\n");
  CHECK(query(path, "SELECT chunk_path FROM chunks WHERE chunk = 7") == "000007\n");
  for (const std::int64_t frame : {0, 1, 457, 999}) {
    const FrameRow& row = rows[static_cast<std::size_t>(frame)];
    const std::string place =
        std::to_string(row.chunk) + "|" + std::to_string(row.frame_idx) + "\n";
    CHECK(query(path, "SELECT chunk, frame_idx FROM frames ORDER BY rowid LIMIT 1 OFFSET " +
                          std::to_string(frame)) == place);
    const FrameRow first = *brute_find(rows, row.frame_number);
    const std::string found =
        query(path, "SELECT chunk, frame_idx FROM frames WHERE frame_number = " +
                        std::to_string(row.frame_number));
    CHECK(found.substr(0, found.find('\n') + 1) ==
          std::to_string(first.chunk) + "|" + std::to_string(first.frame_idx) + "\n");
    std::ostringstream nearest;
    nearest.precision(17);
    nearest << "SELECT frame_index FROM frames ORDER BY ABS(" << row.frame_time
            << " - frame_time) LIMIT 1";
    CHECK(query(path, nearest.str()) == std::to_string(frame) + "\n");
  }
  std::string numbers;
  for (std::size_t i = 300; i < 400; ++i) {
    numbers += std::to_string(rows[i].frame_number) + "\n";
  }
  CHECK(query(path, "SELECT frame_number FROM frames WHERE chunk = 3 ORDER BY rowid") == numbers);

  // The reference needs these four from the first frame on, as real numbers.
  const Extremes extremes = brute_extremes(rows);
  const auto summary = [&](const std::string& name) {
    const std::string where = " FROM summary WHERE name = '" + name + "'";
    CHECK(query(path, "SELECT typeof(value)" + where) == "real\n");
    const std::string value = query(path, "SELECT printf('%!.17g', value)" + where);
    return std::strtod(value.c_str(), nullptr);
  };
  CHECK(summary("frame_min") == static_cast<double>(extremes.number_min));
  CHECK(summary("frame_max") == static_cast<double>(extremes.number_max));
  CHECK(summary("frame_time_min") == extremes.time_min);
  CHECK(summary("frame_time_max") == extremes.time_max);

  // Secondary indexes only where they are needed.
  const bool indexed = unordered && std::string(state) == "closed";
  CHECK(secondary_indexes(path) == (indexed ? 2 : 0));
  CHECK(query(path, "PRAGMA integrity_check") == "ok\n");
}

TEST_CASE("index: the summary follows what is removed") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  Index index = Index::open_for_writing(path);
  index.truncate(100);
  index.commit();
  CHECK(query(path, "SELECT value FROM summary WHERE name = 'frame_max'") == "297.0\n");
  append_plain(index, 200);
  index.commit();
  CHECK(query(path, "SELECT value FROM summary WHERE name = 'frame_max'") == "597.0\n");
  index.truncate(0);
  index.close();
  CHECK(query(path, "SELECT count(*) FROM summary") == "0\n");
}

TEST_CASE("index: the summary leaves out times that are no numbers") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index index = Index::create(path);
  const auto append_at = [&](double time) {
    FrameRow row = plain_row(index.frame_count());
    row.frame_time = time;
    index.append(row);
    index.commit();
  };
  const auto time_range = [&] {
    return query(path,
                 "SELECT value FROM summary WHERE name LIKE 'frame_time%' "
                 "ORDER BY name");
  };
  append_at(not_a_number);
  CHECK(time_range() == "\n\n");
  append_at(5.5);
  CHECK(time_range() == "5.5\n5.5\n");
  append_at(not_a_number);
  append_at(2.5);
  CHECK(time_range() == "5.5\n2.5\n");
}
