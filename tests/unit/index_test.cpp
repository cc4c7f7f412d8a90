// Rows into the index database, and out of it as they were given; changing, closing and copying it.
#include "index/index.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "index/database.h"
#include "support/catch.h"
#include "support/index_oracle.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::Error;
using avstore::index::ChunkRow;
using avstore::index::ChunkState;
using avstore::index::ExtraRow;
using avstore::index::FrameRow;
using avstore::index::Index;
using avstore::index::KeyframeRow;

}  // namespace

TEST_CASE("index: rows come back as they were given") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  const Rows rows = {
      {0, 0, 0, int64_min, -infinity, std::nullopt}, {1, 0, 1, int64_max, 1e-320, int64_min},
      {2, 7, 0, -1, not_a_number, int64_max},        {3, 7, 1, 0, 1700000000.123456789, 0},
      {4, int64_max, int64_max, 5, infinity, -1},
  };
  Index index = Index::create(path);
  append_all(index, rows);
  index.commit();
  CHECK(same(rows_of(index), rows));
  index.close();
  CHECK(same(rows_of(index), rows));

  const Index reopened = Index::open(path);
  REQUIRE(reopened.frame_count() == 5);
  for (const FrameRow& row : rows) {
    CHECK(same(reopened.at(row.frame_index), row));
  }
  CHECK_ERROR(end_of_store, reopened.at(5));
  CHECK_ERROR(end_of_store, reopened.at(-1));
  CHECK_ERROR(end_of_store, reopened.at(int64_max));
  CHECK_ERROR(end_of_store, reopened.at(int64_min));
  CHECK(reopened.integrity_findings().empty());
}

TEST_CASE("index: names are those of the rows, also in many blocks") {
  Index index = Index::create(":memory:");
  const Rows all = plain_rows(140000);
  append_all(index, all);
  index.commit();
  const auto is_slice = [&](avstore::IndexRange asked, std::size_t begin, std::size_t end) {
    const avstore::FrameNameArrays names = index.names(asked);
    bool same = names.numbers.size() == end - begin && names.times.size() == end - begin;
    for (std::size_t i = 0; same && i < names.numbers.size(); ++i) {
      same = names.numbers[i] == all[begin + i].frame_number &&
             names.times[i] == all[begin + i].frame_time;
    }
    return same;
  };
  CHECK(is_slice({0, 140000}, 0, 140000));
  CHECK(is_slice({int64_min, int64_max}, 0, 140000));
  CHECK(is_slice({65535, 65537}, 65535, 65537));
  CHECK(is_slice({139999, 200000}, 139999, 140000));
  CHECK(is_slice({-5, 3}, 0, 3));
  CHECK(is_slice({6, 5}, 0, 0));
  CHECK(is_slice({140000, 150000}, 0, 0));
}

TEST_CASE("index: for_each") {
  Index index = Index::create(":memory:");
  const Rows all = plain_rows(1000);
  append_all(index, all);
  index.commit();
  const auto slice = [&](std::size_t begin, std::size_t end) {
    return Rows(all.begin() + static_cast<std::ptrdiff_t>(begin),
                all.begin() + static_cast<std::ptrdiff_t>(end));
  };

  SECTION("visits the range asked for, as far as there are frames") {
    CHECK(same(rows_of(index, {0, 1000}), all));
    CHECK(same(rows_of(index, {255, 257}), slice(255, 257)));
    CHECK(same(rows_of(index, {990, 5000}), slice(990, 1000)));
    CHECK(same(rows_of(index, {-5, 3}), slice(0, 3)));
    CHECK(rows_of(index, {5, 5}).empty());
    CHECK(rows_of(index, {6, 5}).empty());
    CHECK(rows_of(index, {1000, 2000}).empty());
    CHECK(rows_of(index, {int64_min, int64_min}).empty());
  }

  SECTION("stops when told to") {
    int visits = 0;
    index.for_each({0, 1000}, [&](const FrameRow&) { return ++visits < 300; });
    CHECK(visits == 300);
  }

  SECTION("lets the visitor use the index") {
    std::int64_t inner_rows = 0;
    Rows outer;
    index.for_each({0, 600}, [&](const FrameRow& row) {
      outer.push_back(row);
      CHECK(index.find_number(row.frame_number)->frame_index == row.frame_index);
      index.for_each({row.frame_index, row.frame_index + 2}, [&](const FrameRow&) {
        ++inner_rows;
        return true;
      });
      return true;
    });
    CHECK(same(outer, slice(0, 600)));
    CHECK(inner_rows == 1200);
  }
}

TEST_CASE("index: rows must come in order") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.append(plain_row(1)));
  index.append(plain_row(0));
  CHECK_ERROR(invalid_argument, index.append(plain_row(0)));
  CHECK_ERROR(invalid_argument, index.append(plain_row(2)));
  index.append(plain_row(1));
  index.commit();
  CHECK(same(rows_of(index), plain_rows(2)));
}

TEST_CASE("index: a whole chunk at once is the same as row by row") {
  const std::vector<std::int64_t> numbers{5, 6, 6, int64_min, int64_max};
  const std::vector<double> times{1.5, not_a_number, -infinity, 2, 1.7e9};
  const TemporaryFolder folder;
  Index bulk = Index::create(folder.path() / "bulk.sqlite");
  Index single = Index::create(":memory:");
  for (std::int64_t chunk = 0; chunk < 3; ++chunk) {
    bulk.append_chunk(chunk, numbers, times);
    bulk.append_chunk(chunk, {}, {});
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto frame_idx = static_cast<std::int64_t>(i);
      single.append({chunk * 5 + frame_idx, chunk, frame_idx, numbers[i], times[i], std::nullopt});
    }
    bulk.commit();
    single.commit();
    REQUIRE(bulk.frame_count() == single.frame_count());
    CHECK(bulk.ordering().numbers_ascend == single.ordering().numbers_ascend);
    CHECK(bulk.ordering().times_ascend == single.ordering().times_ascend);
  }
  // Rows given one by one go on from there, and what is rolled back is gone.
  bulk.append_chunk(3, numbers, times);
  bulk.rollback();
  bulk.append({15, 3, 0, 7, 7, 70});
  bulk.commit();
  CHECK(bulk.at(15).pts == 70);
  for (std::int64_t i = 0; i < 15; ++i) {
    const FrameRow a = bulk.at(i);
    const FrameRow b = single.at(i);
    CHECK(a.chunk == b.chunk);
    CHECK(a.frame_idx == b.frame_idx);
    CHECK(a.frame_number == b.frame_number);
    CHECK((a.frame_time == b.frame_time || std::isnan(a.frame_time)));
    CHECK(std::isnan(a.frame_time) == std::isnan(b.frame_time));
    CHECK_FALSE(a.pts.has_value());
  }
  CHECK_THROWS_AS(bulk.append_chunk(4, numbers, std::vector<double>{1}), Error);
  CHECK_THROWS_AS(Index::open(folder.path() / "bulk.sqlite").append_chunk(4, numbers, times),
                  Error);
}

TEST_CASE("index: chunks, keyframes, extra data and information come back") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  Index index = Index::create(path);
  const ChunkRow first{.chunk = 0,
                       .path = "000000.mp4",
                       .first_frame_index = 0,
                       .frame_count = 100,
                       .time_base = {1, 12800},
                       .state = ChunkState::closed,
                       .bytes = 123456789012,
                       .checksum = "sha256:abc",
                       .stream = 2,
                       .packet_count = 101};
  ChunkRow second = first;
  second.chunk = 3;
  second.path = "000003.mp4";
  second.state = ChunkState::open;
  index.put_chunk(second);
  index.put_chunk(first);
  for (const std::int64_t frame_idx : {0, 30, 60}) {
    index.append_keyframe({0, frame_idx, frame_idx * 512, std::nullopt, -1});
  }
  index.append_keyframe({3, 10, 5120, -1024, 48});
  for (int i = 0; i < 600; ++i) {
    index.append_extra(
        {i, -i, i == 0 ? not_a_number : i / 8.0, "{\"n\": " + std::to_string(i) + "}"});
  }
  index.set_information("encoder", "libx264");
  index.set_information("encoder", "h264_nvenc");
  index.close();

  const Index read = Index::open(path);
  REQUIRE(read.chunk_count() == 2);
  const auto chunks = read.chunks();
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].path == "000000.mp4");
  CHECK(chunks[1].path == "000003.mp4");
  const auto chunk = read.chunk(0);
  REQUIRE(chunk);
  CHECK(chunk->frame_count == 100);
  CHECK(chunk->time_base == avstore::Rational{1, 12800});
  CHECK(chunk->state == ChunkState::closed);
  CHECK(chunk->bytes == 123456789012);
  CHECK(chunk->checksum == "sha256:abc");
  CHECK(chunk->stream == 2);
  CHECK(chunk->packet_count == 101);
  CHECK(read.chunk(3)->state == ChunkState::open);
  CHECK(!read.chunk(1));

  CHECK(read.keyframe_at_or_before(0, 29)->frame_idx == 0);
  CHECK(read.keyframe_at_or_before(0, 30)->frame_idx == 30);
  CHECK(read.keyframe_at_or_before(0, 30)->pts == 15360);
  CHECK(!read.keyframe_at_or_before(0, 30)->dts);
  CHECK(read.keyframe_at_or_before(0, 9999)->frame_idx == 60);
  CHECK(!read.keyframe_at_or_before(3, 9));
  CHECK(read.keyframe_at_or_before(3, 10)->dts == -1024);
  CHECK(read.keyframe_at_or_before(3, 10)->position == 48);
  CHECK(read.keyframes(0).size() == 3);
  CHECK(read.keyframes(1).empty());

  std::int64_t expected = 0;
  read.for_each_extra([&](const ExtraRow& row) {
    CHECK(row.frame_index == expected);
    CHECK(row.frame_number == -expected);
    CHECK(same(row.frame_time, expected == 0 ? not_a_number : static_cast<double>(expected) / 8));
    CHECK(row.json == "{\"n\": " + std::to_string(expected) + "}");
    ++expected;
    return expected < 500;
  });
  CHECK(expected == 500);

  CHECK(read.information("encoder") == "h264_nvenc");
  CHECK(read.information("version") == "1");
  CHECK(!read.information("nothing"));
}

// A statement is kept by the address of its text, so nothing that ends before the program will do.
static_assert(!std::is_constructible_v<avstore::index::Sql, std::string>);
static_assert(!std::is_constructible_v<avstore::index::Sql, std::string_view>);

TEST_CASE("index: what has no frame is found and removed as often as asked") {
  Index index = Index::create(":memory:");
  append_all(index, plain_rows(10));
  index.put_chunk(
      {.chunk = 0, .path = "0", .frame_count = 10, .state = ChunkState::open, .checksum = ""});
  index.put_checksum({0, 9, 0, 1, 1});
  index.append_extra({9, 0, 0, "{}"});
  index.commit();
  CHECK_FALSE(index.has_orphans());
  CHECK_FALSE(index.has_orphans());
  SECTION("a checksum of a frame that is not there") {
    index.put_checksum({0, 10, 1, 1, 1});
  }
  SECTION("a checksum of a chunk that is not there") {
    index.put_checksum({1, 0, 0, 1, 1});
  }
  SECTION("a record of a frame that is not there") {
    index.append_extra({10, 0, 0, "{}"});
  }
  CHECK(index.has_orphans());
  CHECK(index.has_orphans());
  for (int i = 0; i < 2; ++i) {
    index.remove_orphans();
    CHECK_FALSE(index.has_orphans());
  }
  CHECK(index.checksums(0).size() == 1);
  CHECK(index.next_extra() == 2);
}

TEST_CASE("index: what it keeps about itself cannot be overwritten") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.set_information("version", "2"));
  CHECK_ERROR(invalid_argument, index.set_information("avstore_schema_version", "2"));
}

TEST_CASE("index: at most 40 bytes a frame") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  constexpr std::int64_t frames = 200'000;
  Index index = Index::create(path);
  for (std::int64_t i = 0; i < frames; ++i) {
    // Places and numbers as large as ten million frames make them.
    const std::int64_t frame_idx = i % 10'000;
    index.append({i, 1000, frame_idx, 10'000'000 + i, 1.7e9 + static_cast<double>(i) / 100,
                  frame_idx * 512});
  }
  index.close();
  CHECK(fs::file_size(path) <= 40 * frames);
}

TEST_CASE("index: truncate") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  std::mt19937_64 random(5);
  Rows rows = plain_rows(1000);
  // Out of order from 700 (numbers) and 800 (times) on.
  for (std::size_t i = 700; i < 1000; ++i) {
    rows[i].frame_number -= 1500;
    rows[i].frame_time -= i >= 800 ? 100 : 0;
  }
  Index index = Index::create(path);
  append_all(index, rows);
  for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
    index.put_chunk({.chunk = chunk,
                     .path = std::to_string(chunk),
                     .first_frame_index = chunk * 100,
                     .frame_count = 100,
                     .checksum = ""});
    for (const std::int64_t frame_idx : {0, 40, 80}) {
      index.append_keyframe({chunk, frame_idx, 0, std::nullopt, -1});
    }
    index.append_extra({chunk * 100 + 50, 0, 0, "{}"});
  }
  // The recording stopped just when a chunk was begun.
  index.put_chunk({.chunk = 10, .path = "10", .first_frame_index = 1000, .checksum = ""});
  index.append_keyframe({10, 0, 0, std::nullopt, -1});
  index.close();

  const auto keep = GENERATE(std::int64_t{0}, std::int64_t{1}, std::int64_t{650}, std::int64_t{700},
                             std::int64_t{701}, std::int64_t{760}, std::int64_t{999},
                             std::int64_t{1000}, std::int64_t{5000});
  INFO("to " << keep << " frames");
  const std::int64_t left = std::min<std::int64_t>(keep, 1000);
  const Rows expected(rows.begin(), rows.begin() + left);
  check_lookups(index, rows, random);
  Index reader = Index::open(path);
  check_lookups(reader, rows, random);
  index.truncate(keep);
  check_lookups(index, expected, random);
  CHECK(Index::open(path).frame_count() == 1000);

  SECTION("rolled back") {
    index.rollback();
    check_lookups(index, rows, random);
    CHECK(index.chunk_count() == 11);
    CHECK(!index.ordering().numbers_ascend);
  }

  SECTION("committed") {
    index.commit();
    CHECK(reader.refresh() == left);
    check_lookups(reader, expected, random);
    CHECK(reader.ordering().numbers_ascend == (left <= 700));
    CHECK(reader.ordering().times_ascend == (left <= 800));
    CHECK(reader.chunk_count() == (left < 1000 ? (left + 99) / 100 : 11));
    CHECK(reader.keyframes(10).size() == (left < 1000 ? 0U : 1U));
    std::int64_t extra = 0;
    reader.for_each_extra([&](const ExtraRow& row) {
      CHECK(row.frame_index < left);
      ++extra;
      return true;
    });
    CHECK(extra == (left + 49) / 100);
    for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
      const std::int64_t frames = std::clamp<std::int64_t>(left - chunk * 100, 0, 100);
      CHECK(static_cast<int>(reader.keyframes(chunk).size()) ==
            (frames > 0) + (frames > 40) + (frames > 80));
      CHECK((frames == 0 || reader.chunk(chunk)->frame_count == frames));
    }
    CHECK(reader.integrity_findings().empty());
    if (has_sqlite3_program()) {
      CHECK(secondary_indexes(path) == (left > 700) + (left > 800));
    } else {
      WARN("not checked: needs the sqlite3 program");
    }
  }

  SECTION("and other frames put in place of those removed") {
    Rows replaced = expected;
    // As many as before, so that the count does not tell.
    for (std::int64_t i = left; i < 1000; ++i) {
      replaced.push_back(plain_row(i));
      replaced.back().frame_number += 4000;
      replaced.back().frame_time += 1e6;
      index.append(replaced.back());
    }
    check_lookups(index, expected, random);
    index.commit();
    check_lookups(index, replaced, random);
    reader.refresh();
    check_lookups(reader, replaced, random);
    index.close();
    check_lookups(Index::open(path), replaced, random);
  }
}

TEST_CASE("index: truncate refuses nonsense") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.truncate(-1));
}

TEST_CASE("index: set_pts") {
  const TemporaryFolder folder;
  const auto in_memory = GENERATE(true, false);
  Index index = Index::create(in_memory ? fs::path(":memory:") : folder.path() / ".index.sqlite");
  append_plain(index, 300);
  for (std::int64_t chunk = 0; chunk < 3; ++chunk) {
    index.append_keyframe({chunk, 0, 0, std::nullopt, -1});
    index.append_keyframe({chunk, 50, 1, std::nullopt, -1});
  }
  index.close();

  std::vector<std::int64_t> pts(100);
  for (std::size_t i = 0; i < pts.size(); ++i) {
    pts[i] = static_cast<std::int64_t>(i) * 1001 - 5;
  }
  const std::vector<KeyframeRow> keyframes = {{1, 0, -5, -10, 40}, {1, 25, 25020, 25000, 900}};
  index.set_pts(100, pts, keyframes);
  index.commit();
  Rows expected = plain_rows(300);
  for (std::size_t i = 0; i < 100; ++i) {
    expected[100 + i].pts = pts[i];
  }
  CHECK(same(rows_of(index), expected));
  CHECK(index.keyframes(0).size() == 2);
  REQUIRE(index.keyframes(1).size() == 2);
  CHECK(index.keyframe_at_or_before(1, 60)->frame_idx == 25);
  CHECK(index.keyframe_at_or_before(1, 60)->dts == 25000);
  CHECK(index.keyframes(2).size() == 2);

  SECTION(
      "refuses frames that are not there, and keyframes of another chunk, and changes nothing") {
    const std::vector<KeyframeRow> others = {{1, 0, 7, 7, 7}, {2, 0, 7, 7, 7}};
    const std::vector<KeyframeRow> twice = {{1, 0, 7, 7, 7}, {1, 0, 7, 7, 7}};
    const std::vector<std::int64_t> changed(100, 7);
    CHECK_ERROR(invalid_argument, index.set_pts(250, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(-1, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(int64_max, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(100, changed, others));
    CHECK_ERROR(invalid_argument, index.set_pts(100, changed, twice));
    index.commit();
    CHECK(same(rows_of(index), expected));
    CHECK(index.keyframe_at_or_before(1, 60)->pts == 25020);
  }
}

TEST_CASE("index: opened for reading, it cannot be written") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  Index index = Index::open(path);
  CHECK_ERROR(invalid_argument, index.append(plain_row(10)));
  CHECK_ERROR(invalid_argument, index.set_information("a", "b"));
  CHECK_ERROR(invalid_argument, index.truncate(5));
  CHECK_ERROR(invalid_argument, index.set_pts(0, {}, {}));
  CHECK_ERROR(invalid_argument, index.put_chunk({}));
  index.commit();
  index.rollback();
  index.close();
  CHECK(same(rows_of(index), plain_rows(10)));
}

TEST_CASE("index: can be moved") {
  const TemporaryFolder folder;
  Index index = Index::create(":memory:");
  append_plain(index, 10);
  Index other = Index::open(closed_database(folder, 20));
  other = std::move(index);
  Index last(std::move(other));
  last.commit();
  CHECK(same(rows_of(last), plain_rows(10)));
}

TEST_CASE("index: close leaves one file, and may be called again") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  const auto files = [&] {
    return std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator());
  };
  CHECK(files() == 1);
  Index index = Index::open_for_writing(path);
  append_plain(index, 1010);
  index.commit();
  CHECK(files() == 3);
  index.close();
  CHECK(files() == 1);
  index.close();
  CHECK(files() == 1);
  CHECK(same(rows_of(index), plain_rows(1010)));

  SECTION("and be written again") {
    append_plain(index, 1020);
    index.commit();
    CHECK(files() == 3);
    CHECK(Index::open(path).frame_count() == 1020);
    index.close();
    CHECK(files() == 1);
  }
  SECTION("what is given after the last commit is committed") {
    append_plain(index, 1020);
    index.close();
    CHECK(Index::open(path).frame_count() == 1020);
  }
}

TEST_CASE("index: what is left open uncommitted is not kept") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  {
    Index writer = Index::create(path);
    append_plain(writer, 10);
    writer.commit();
    append_plain(writer, 20);
  }
  CHECK(Index::open(path).frame_count() == 10);
}

TEST_CASE("index: save_as") {
  const TemporaryFolder folder;
  const fs::path target = folder.path() / "copy.sqlite";

  SECTION("from memory") {
    Index index = Index::create(":memory:");
    append_plain(index, 2000);
    index.close();
    index.save_as(target);
    CHECK(same(rows_of(Index::open(target)), plain_rows(2000)));
  }
  SECTION("of one that is being written, replacing another that was") {
    {
      // Left by a kill: its log must not be mixed into the copy.
      CHECK(run_child([&] {
              Index old = Index::create(target);
              append_plain(old, 5000);
              old.commit();
              return std::raise(SIGKILL);
            }) == -SIGKILL);
      CHECK(fs::file_size(folder.path() / "copy.sqlite-wal") > 0);
    }
    Index index = Index::create(folder.path() / ".index.sqlite");
    append_plain(index, 2000);
    index.save_as(target);
    CHECK(same(rows_of(Index::open(target)), plain_rows(2000)));
    CHECK(!fs::exists(folder.path() / "copy.sqlite-wal"));
    append_plain(index, 2100);
    index.close();
    CHECK(Index::open(folder.path() / ".index.sqlite").frame_count() == 2100);
  }
  SECTION("of one opened for reading") {
    Index::open(closed_database(folder, 2000)).save_as(target);
    Index copy = Index::open_for_writing(target);
    CHECK(same(rows_of(copy), plain_rows(2000)));
    append_plain(copy, 2010);
    copy.close();
  }
  SECTION("but not onto itself, nor where nothing can be") {
    const fs::path path = closed_database(folder, 20);
    CHECK_ERROR(invalid_argument, Index::open(path).save_as(path));
    CHECK_ERROR(not_found, Index::open(path).save_as(folder.path() / "none" / "copy.sqlite"));
    CHECK(same(rows_of(Index::open(path)), plain_rows(20)));
  }
  for (const auto& entry : fs::directory_iterator(target.parent_path())) {
    CHECK(entry.path().string().find(".tmp") == std::string::npos);
  }
}
