// Looking frames up in the index database by number and by time, whatever these do: against a plain
// vector searched by brute force.
#include "index/index.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>

#include "index/search.h"
#include "support/catch.h"
#include "support/index_oracle.h"
#include "support/index_rows.h"
#include "support/media_folder.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::index::FrameRow;
using avstore::index::Index;

// Ways in which numbers and times of real and impossible cameras run.
struct Shape {
  const char* name;
  std::int64_t (*number)(std::int64_t i, std::mt19937_64& random);
  double (*time)(std::int64_t i, std::mt19937_64& random);
  bool numbers_ascend;
  bool times_ascend;
};

double even_time(std::int64_t i, std::mt19937_64&) {
  return 1.5e9 + static_cast<double>(i) / 8;
}
std::int64_t even_number(std::int64_t i, std::mt19937_64&) {
  return i;
}

const std::array shapes = {
    Shape{"even", even_number, even_time, true, true},
    Shape{"repeated", [](std::int64_t i, std::mt19937_64&) { return i / 7 * 5; },
          [](std::int64_t i, std::mt19937_64&) { return static_cast<double>(i - i % 11) / 4; },
          true, true},
    Shape{"all the same", [](std::int64_t, std::mt19937_64&) { return std::int64_t{42}; },
          [](std::int64_t, std::mt19937_64&) { return 1.5e9; }, true, true},
    Shape{
        "leaps",
        [](std::int64_t i, std::mt19937_64&) { return i * i * i * 1000 - (std::int64_t{1} << 60); },
        [](std::int64_t i, std::mt19937_64&) { return std::exp2(static_cast<double>(i) / 2); },
        true, true},
    Shape{"end to end of int64",
          [](std::int64_t i, std::mt19937_64&) {
            return i < 10 ? int64_min + i / 2 : int64_max - 2000 + i / 2;
          },
          [](std::int64_t i, std::mt19937_64&) {
            return i == 0 ? -infinity : i > 500 ? infinity : static_cast<double>(i) * 1e300;
          },
          true, true},
    Shape{"wrapping", [](std::int64_t i, std::mt19937_64&) { return i % 128; },
          [](std::int64_t i, std::mt19937_64&) { return static_cast<double>(i % 100) / 8; }, false,
          false},
    Shape{"backwards", [](std::int64_t i, std::mt19937_64&) { return -i; },
          [](std::int64_t i, std::mt19937_64&) { return -static_cast<double>(i) / 4; }, false,
          false},
    Shape{"random",
          [](std::int64_t, std::mt19937_64& random) {
            return static_cast<std::int64_t>(random() % 500);
          },
          [](std::int64_t, std::mt19937_64& random) {
            return static_cast<double>(random() % 1000) / 8;
          },
          false, false},
    Shape{"random extremes",
          [](std::int64_t, std::mt19937_64& random) {
            return random() % 5 == 0 ? int64_max - static_cast<std::int64_t>(random() % 3)
                                     : static_cast<std::int64_t>(random());
          },
          [](std::int64_t, std::mt19937_64& random) {
            return random() % 5 == 0 ? -infinity
                                     : std::ldexp(1, static_cast<int>(random() % 2000) - 1000);
          },
          false, false},
    Shape{"times that are no numbers", even_number,
          [](std::int64_t i, std::mt19937_64& random) {
            return random() % 3 == 0 || i < 2 ? not_a_number : static_cast<double>(i) / 8;
          },
          true, false},
    Shape{"no time at all", even_number,
          [](std::int64_t, std::mt19937_64&) { return not_a_number; }, true, false},
};

Rows make_rows(const Shape& shape, std::int64_t count, std::mt19937_64& random) {
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    FrameRow row = plain_row(i);
    row.frame_number = shape.number(i, random);
    row.frame_time = shape.time(i, random);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

TEST_CASE("index: lookups agree with brute force") {
  using Case = std::pair<unsigned, std::int64_t>;
  const auto [seed, count] =
      GENERATE(Case{1, 0}, Case{1, 1}, Case{1, 2}, Case{1, 1000}, Case{2, 1000}, Case{3, 1000});
  for (const Shape& shape : shapes) {
    INFO("shape " << shape.name << ", " << count << " rows, seed " << seed);
    std::mt19937_64 random(seed);
    const TemporaryFolder folder;
    const fs::path path = folder.path() / ".index.sqlite";
    const Rows rows = make_rows(shape, count, random);
    Index writer = Index::create(path);
    append_all(writer, rows);
    check_lookups(writer, {}, random);
    writer.commit();
    if (count == 1000) {
      CHECK(writer.ordering().numbers_ascend == shape.numbers_ascend);
      CHECK(writer.ordering().times_ascend == shape.times_ascend);
    }
    check_lookups(writer, rows, random);
    // A reader finds what is out of order without any index to help.
    check_lookups(Index::open(path), rows, random);
    writer.close();
    check_lookups(writer, rows, random);
    const Index reader = Index::open(path);
    check_lookups(reader, rows, random);
    // Keys remembered from the first time must not mislead.
    check_lookups(reader, rows, random);
    CHECK(reader.integrity_findings().empty());
  }
}

TEST_CASE("index: lookups while it grows, in order and then out of it") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  std::mt19937_64 random(7);
  Index writer = Index::create(path);
  Index reader = Index::open(path);
  Rows rows;
  const auto grow = [&](std::int64_t count, std::int64_t number, double time) {
    for (std::int64_t i = 0; i < count; ++i) {
      FrameRow row = plain_row(static_cast<std::int64_t>(rows.size()));
      row.frame_number = number + i / 2;
      row.frame_time = time + static_cast<double>(i) / 8;
      writer.append(row);
      rows.push_back(row);
    }
    const Rows before(rows.begin(), rows.end() - count);
    check_lookups(reader, before, random);
    check_lookups(writer, before, random);
    check_lookups_of(writer, before, rows[before.size()]);
    writer.commit();
    // Rows that are committed but that the reader has not asked for yet do not show.
    check_lookups(reader, before, random);
    check_lookups_of(reader, before, rows[before.size()]);
    reader.refresh();
    check_lookups(reader, rows, random);
    check_lookups(writer, rows, random);
  };
  grow(300, 0, 100);
  grow(1, 1000, 200);
  grow(300, 2000, 300);
  CHECK(reader.ordering().numbers_ascend);
  CHECK(reader.ordering().times_ascend);
  grow(100, 50, 400);
  CHECK(!reader.ordering().numbers_ascend);
  CHECK(reader.ordering().times_ascend);
  grow(100, 70, 50);
  CHECK(!reader.ordering().times_ascend);
  grow(3, 5000, 5000);
  grow(300, 71, 50.0625);
  writer.close();
  CHECK(reader.refresh() == static_cast<std::int64_t>(rows.size()));
  check_lookups(reader, rows, random);
  // Secondary indexes are kept up from here on.
  grow(100, 60, 60);
  grow(3, 6000, 6000);
  writer.close();
  check_lookups(Index::open(path), rows, random);
}

TEST_CASE("index: order is watched across a reopening") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  Index index = Index::open_for_writing(path);
  FrameRow row = plain_row(10);
  SECTION("in order") {
    index.append(row);
    index.commit();
    CHECK(index.ordering().numbers_ascend);
    CHECK(index.ordering().times_ascend);
  }
  SECTION("numbers fall") {
    row.frame_number = plain_row(9).frame_number - 1;
    index.append(row);
    index.commit();
    CHECK(!index.ordering().numbers_ascend);
    CHECK(index.ordering().times_ascend);
  }
  SECTION("times fall") {
    row.frame_time = plain_row(9).frame_time - 0.01;
    index.append(row);
    index.commit();
    CHECK(index.ordering().numbers_ascend);
    CHECK(!index.ordering().times_ascend);
  }
}

TEST_CASE("index: order that was rolled back is forgotten") {
  Index index = Index::create(":memory:");
  append_plain(index, 10);
  index.commit();
  FrameRow backwards = plain_row(10);
  backwards.frame_number = -1;
  backwards.frame_time = not_a_number;
  index.append(backwards);
  index.rollback();
  append_plain(index, 20);
  index.commit();
  CHECK(index.ordering().numbers_ascend);
  CHECK(index.ordering().times_ascend);
  CHECK(index.extremes().number_min == 0);
}

TEST_CASE("index: a search takes few looks whatever the keys are") {
  using avstore::index::AscendingColumn;
  constexpr std::int64_t count = 1'000'000;
  std::mt19937_64 random(3);
  const auto key_functions = {
      +[](std::int64_t row) { return row; },
      +[](std::int64_t row) { return row < count - 1 ? row : int64_max; },
      +[](std::int64_t row) { return row > 0 ? int64_max - count + row : int64_min; },
      +[](std::int64_t row) { return std::int64_t{1} << (row * 62 / count); },
      +[](std::int64_t row) { return row * row * row; },
  };
  for (const auto key : key_functions) {
    AscendingColumn<std::int64_t> column;
    for (int i = 0; i < 2000; ++i) {
      int looks = 0;
      const std::int64_t target = key(static_cast<std::int64_t>(random() % count));
      const auto found = column.find(count, target, [&](std::int64_t row) {
        REQUIRE((row >= 0 && row < count));
        ++looks;
        return key(row);
      });
      REQUIRE(found);
      REQUIRE(key(*found) == target);
      REQUIRE((*found == 0 || key(*found - 1) < target));
      REQUIRE(looks <= 3 * 20 + 2);
    }
  }
}

TEST_CASE("index: extremes of a store out of order, as it grows, is cut and grows again") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  std::mt19937_64 random(13);
  Index writer = Index::create(path);
  Index reader = Index::open(path);
  Rows rows;
  // As of a process that is killed: in another chunk after that.
  std::int64_t chunk = 0;
  const auto grow = [&](std::int64_t count, std::int64_t spread) {
    for (std::int64_t i = 0; i < count; ++i) {
      FrameRow row = plain_row(static_cast<std::int64_t>(rows.size()));
      row.chunk = chunk;
      row.frame_number =
          static_cast<std::int64_t>(random() % static_cast<unsigned>(spread)) - spread / 2;
      row.frame_time = i % 7 == 3 ? not_a_number : static_cast<double>(row.frame_number) / 8;
      writer.append(row);
      rows.push_back(row);
    }
    writer.commit();
  };
  const auto check = [&] {
    const avstore::index::Extremes found = reader.extremes();
    const avstore::index::Extremes expected = brute_extremes(rows);
    CHECK(found.number_min == expected.number_min);
    CHECK(found.number_max == expected.number_max);
    CHECK(same(found.time_min, expected.time_min));
    CHECK(same(found.time_max, expected.time_max));
  };
  for (const std::int64_t spread : {100, 50, 200, 10, 1000, 900, 5000}) {
    grow(40, spread);
    CHECK(reader.refresh() == static_cast<std::int64_t>(rows.size()));
    check();
    check();
  }
  for (const std::int64_t more : {0, 20, 100, 200}) {
    const std::size_t left = rows.size() - 100;
    writer.truncate(static_cast<std::int64_t>(left));
    rows.resize(left);
    ++chunk;
    grow(more, 10);
    CHECK(reader.refresh() == static_cast<std::int64_t>(rows.size()));
    check();
  }
}

TEST_CASE("index: a store cut and grown again to the same length") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  std::mt19937_64 random(11);
  Rows rows = plain_rows(1000);
  Index reader = Index::open(path);
  Index writer = Index::open_for_writing(path);
  check_lookups(reader, rows, random);
  check_lookups(writer, rows, random);
  writer.truncate(300);
  for (std::size_t i = 300; i < 1000; ++i) {
    rows[i].frame_number += 5000;
    rows[i].frame_time += 1e4;
    writer.append(rows[i]);
  }
  writer.commit();
  reader.refresh();
  check_lookups(reader, rows, random);
  check_lookups(writer, rows, random);
}
