// Databases that somebody made in order to harm: what SQLite would run, believe or follow in them
// without end is refused. They are made with the sqlite3 program and byte by byte.
#include "index/index.h"

#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "avstore/error.h"
#include "support/catch.h"
#include "support/hot_journal.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::Error;
using avstore::ErrorKind;
using avstore::index::ChunkRow;
using avstore::index::Index;

fs::path database_of_one_chunk(const TemporaryFolder& folder) {
  fs::path path = closed_database(folder, 10);
  Index index = Index::open_for_writing(path);
  ChunkRow row;
  row.chunk = 7;
  row.path = "000007.mp4";
  row.frame_count = 10;
  index.put_chunk(row);
  index.close();
  return path;
}

// Puts `depth` interior pages above the one page of table `chunks`, each of which leads to the next
// a hundred times over: as many rows as there are ways down.
void tie_pages_in_knots(const fs::path& path, int depth) {
  const std::int64_t root =
      std::stoll(query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'"));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string header(100, '\0');
  REQUIRE(file.read(header.data(), 100));
  constexpr std::size_t kPage = 4096;
  file.seekg(static_cast<std::streamoff>(kPage * static_cast<std::size_t>(root - 1)));
  std::string leaf(kPage, '\0');
  REQUIRE(file.read(leaf.data(), kPage));
  const auto put = [](std::string& page, std::size_t at, std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      page[at + static_cast<std::size_t>(i)] =
          static_cast<char>(value >> (8U * static_cast<unsigned>(bytes - 1 - i)) & 0xFFU);
    }
  };
  file.seekg(0, std::ios::end);
  const auto pages = static_cast<std::uint32_t>(static_cast<std::size_t>(file.tellg()) / kPage);
  constexpr std::uint32_t kCells = 100;
  constexpr std::uint32_t kCellSize = 5;  // the page below, and a rowid
  for (int level = 0; level < depth; ++level) {
    std::string interior(kPage, '\0');
    const std::uint32_t below = pages + static_cast<std::uint32_t>(level) + 1;
    put(interior, 0, 5, 1);
    put(interior, 3, kCells, 2);
    put(interior, 5, kPage - kCells * kCellSize, 2);
    put(interior, 8, below, 4);
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      const std::uint32_t at = kPage - (cell + 1) * kCellSize;
      put(interior, 12 + 2 * cell, at, 2);
      put(interior, at, below, 4);
      put(interior, at + 4, 100, 1);
    }
    const std::int64_t place = level == 0 ? root - 1 : pages + level - 1;
    file.seekp(static_cast<std::streamoff>(kPage * static_cast<std::size_t>(place)));
    file.write(interior.data(), kPage);
  }
  file.seekp(static_cast<std::streamoff>(kPage * (pages + static_cast<std::size_t>(depth) - 1)));
  file.write(leaf.data(), kPage);
  put(header, 28, pages + static_cast<std::uint32_t>(depth), 4);
  file.seekp(0);
  file.write(header.data(), 100);
}

}  // namespace

TEST_CASE("index: a schema of more than tables and indexes is refused, and never run") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 100);
  const std::string change = GENERATE(
      // one that would never end
      "ALTER TABLE frames RENAME TO f; CREATE VIEW frames AS WITH RECURSIVE c(x) AS (SELECT 1 "
      "UNION ALL SELECT x + 1 FROM c) SELECT x AS frame_index, 0 AS chunk, 0 AS frame_idx, 0 AS "
      "frame_number, 0.0 AS frame_time, 0 AS pts FROM c",
      "CREATE VIEW unasked AS SELECT 1",
      "CREATE TRIGGER t AFTER UPDATE ON frames BEGIN DELETE FROM chunks; END",
      "DROP TABLE summary; CREATE VIRTUAL TABLE summary USING rtree(name, value, more)",
      "ALTER TABLE chunks ADD COLUMN more AS (hex(zeroblob(1000000)))");
  CAPTURE(change);
  query(path, change);
  CHECK(kind_of_error([&] { Index::open(path); }, path.string()) == ErrorKind::corrupt);
  CHECK_ERROR(corrupt, Index::open_for_writing(path));
}

TEST_CASE("index: more frames than the file can hold are not believed") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  for (const std::string last : {"1000000", "9223372036854775806", "9223372036854775807"}) {
    query(path, "UPDATE frames SET frame_index = " + last +
                    " WHERE frame_index = (SELECT max(frame_index) FROM frames)");
    CHECK(kind_of_error([&] { Index::open(path); }, "frames") == ErrorKind::corrupt);
    CHECK_ERROR(corrupt, Index::open_for_writing(path));
  }
}

TEST_CASE("index: chunks that cannot be are refused") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = database_of_one_chunk(folder);
  CHECK(Index::open(path).chunks().size() == 1);
  const std::string change =
      GENERATE("first_frame_index = -1", "frame_count = -1", "frame_count = 1000000000000",
               "first_frame_index = 1000000000000, frame_count = 1",
               "first_frame_index = 9223372036854775807, frame_count = 1", "chunk = -1",
               "time_base_num = 4294967297", "time_base_num = -1", "time_base_den = 4294967297",
               "time_base_den = 0", "stream = 4294967296", "stream = -2147483649",
               "chunk_path = '../000007.mp4'", "chunk_path = '/tmp/000007.mp4'", "chunk_path = ''",
               "chunk_path = '.config/000007.mp4'", "chunk_path = '000007/../000007.mp4'",
               "chunk_path = '000008.mp4'", "chunk_path = 'metadata.yaml'", "chunk_path = '7.m/4'",
               "chunk_path = CAST(X'2E2E00' AS TEXT)");
  CAPTURE(change);
  query(path, "UPDATE chunks SET " + change);
  CHECK_ERROR(corrupt, Index::open(path).chunks());
  if (change != "chunk = -1") {
    CHECK_ERROR(corrupt, Index::open(path).chunk(7));
  }
}

TEST_CASE("index: a journal cannot have a file elsewhere removed") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  const fs::path victim = folder.path() / "victim.txt";
  std::ofstream(victim) << "somebody's work\n";
  const auto put = [&] { REQUIRE(put_journal_that_names(victim, path)); };

  const auto refused = [&](const auto& open) {
    put();
    try {
      open();
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::corrupt;
    }
  };
  CHECK(refused([&] { Index::open(path); }));
  CHECK(fs::exists(victim));
  CHECK(refused([&] { Index::open_for_writing(path); }));
  CHECK(fs::exists(victim));
}

TEST_CASE("index: pages that lead to the same rows over and over are found out") {
  if (!has_sqlite3_program()) {
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = database_of_one_chunk(folder);
  tie_pages_in_knots(path, 4);  // 100 million rows in 16 KB
  const Index index = Index::open(path);
  CHECK_ERROR(corrupt, index.chunks());
  CHECK_ERROR(corrupt, index.chunk_count());
}

TEST_CASE("index: a pipe in its place keeps nobody waiting") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK_ERROR(corrupt, Index::open(path));
  CHECK_ERROR(corrupt, Index::open_for_writing(path));
}
