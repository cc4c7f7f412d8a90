// Stores whose index, or the names of frames beside it, is lost, damaged or another one's: it is
// made anew from the chunks, and what is wrong is told.
#include <sqlite3.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::check_places;
using avstore::test::code_of;
using avstore::test::flip_bit;
using avstore::test::in_child;
using avstore::test::is_an_error;
using avstore::test::kWidth;
using avstore::test::odd_names;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::plain_names;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::shuffled_indices;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::tree;
using avstore::test::Warned;
using avstore::test::write_store;
using avstore::test::write_text;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

// Opens the store and reads every frame by number: "right" if all are there and right, "warned:
// ..." if so after a warning, else the error; "WRONG ..." for frames that are missing or wrong
// without a word.
std::string read_everything(const fs::path& store, int frames) {
  return in_child([&] {
    Warned warned;
    std::string said = outcome_of([&] {
      Reader reader(store, warned.options());
      if (reader.frame_count() != frames && warned.lines.empty()) {
        throw avstore::Error(ErrorKind::corrupt,
                             "WRONG count " + std::to_string(reader.frame_count()));
      }
      for (int i = 0; i < frames; ++i) {
        const Frame frame = reader.read(FrameNumber(i));
        if (code_of(frame.image.view()) != i || frame.image.width() != kWidth) {
          throw avstore::Error(ErrorKind::corrupt, "WRONG frame " + std::to_string(i));
        }
      }
    });
    if (said == "no error") {
      said = warned.lines.empty() ? "right" : "warned: " + warned.lines[0];
    }
    return said;
  });
}

}  // namespace

TEST_CASE("a lost index is made anew from the chunks") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const bool save : {true, false}) {
      DYNAMIC_SECTION(format.name << (save ? ", saved" : ", not saved")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const auto index = store / ".index.sqlite";
        write_store(store, options_of(format.name), pixel::gray8, odd_names());
        fs::remove(index);
        Warned warned;
        for (int round = 0; round < 2; ++round) {
          Reader reader(store, warned.options(save));
          check_names(reader, odd_names());
          check_places(reader, 7);
          for (const FrameIndex i : shuffled_indices(23)) {
            CHECK(code_of(reader.read(i).image.view()) == i.value);
          }
          CHECK(fs::exists(index) == save);
        }
        CHECK(warned.lines.empty());
        if (save) {
          CHECK(sqlite(store, "SELECT COUNT(*) FROM frames") == std::vector<std::string>{"23"});
        }
      }
    }
  }
}

TEST_CASE("rebuild_index gives the index that the writer made") {
  for (const avstore::Format& format : avstore::formats()) {
    DYNAMIC_SECTION(format.name) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format.name), pixel::gray8, odd_names());
      const auto all = [&store] {
        Reader reader(store);
        std::vector<std::string> rows;
        reader.read_many(shuffled_indices(23), [](std::size_t, const Frame&) {});
        for (const FrameInfo& info : Reader(store).infos({0, 23})) {
          std::ostringstream row;
          row << info.chunk << ' ' << info.frame_idx << ' ' << info.number.value << ' '
              << info.time.seconds << ' ' << info.pts.value_or(-1) << ' ' << info.keyframe;
          rows.push_back(row.str());
        }
        return rows;
      };
      const auto before = all();
      std::vector<std::string> notices;
      CHECK(avstore::rebuild_index(
                store, [&](const std::string& line) { notices.push_back(line); }) == 23);
      CHECK(notices.empty());
      CHECK(all() == before);
      CHECK(wrong_codes(store).empty());
      CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
    }
  }
}

TEST_CASE("a damaged index is noticed and made anew") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const auto index = store / ".index.sqlite";
  write_store(store, options_of("avc1/mp4", 50), pixel::gray8, plain_names(200));
  std::string bytes = read_text(index);
  REQUIRE(bytes.size() > 8192);
  SECTION("text") {
    bytes = "this is no database, though it is long enough to be one\n";
  }
  SECTION("cut in half") {
    bytes.resize(bytes.size() / 2);
  }
  SECTION("cut within the first page") {
    bytes.resize(50);
  }
  SECTION("header overwritten") {
    bytes.replace(0, 16, 16, 'x');
  }
  SECTION("schema overwritten") {
    bytes.replace(100, 3000, 3000, '\xff');
  }
  SECTION("pages overwritten") {
    bytes.replace(4096, bytes.size() - 4096, bytes.size() - 4096, '\x5a');
  }
  write_text(index, bytes);
  Warned warned;
  Reader reader(store, warned.options());
  check_names(reader, plain_names(200));
  for (const FrameIndex i : shuffled_indices(200)) {
    REQUIRE(code_of(reader.read(i).image.view()) == i.value);
  }
  REQUIRE_FALSE(warned.lines.empty());
  CHECK_THAT(warned.lines[0], ContainsSubstring(index.string()));
  Warned again;
  CHECK(Reader(store, again.options()).frame_count() == 200);
  CHECK(again.lines.empty());
}

TEST_CASE("an index made anew keeps the frames that only the old one knows") {
  // The index file of a chunk is written at its end; a writer that is killed before leaves the
  // numbers and times of the last chunk in the database only.
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      const std::string killed = in_child([&]() -> std::string {
        Writer writer(store, options_of(format));
        for (int i = 0; i < 10; ++i) {
          add(writer, i);
        }
        writer.add_extra(R"({"note": "before"})");
        writer.sync();
        ::raise(SIGKILL);
        return "alive";
      });
      REQUIRE(killed == "signal 9");
      std::vector<std::string> notices;
      CHECK(avstore::rebuild_index(
                store, [&](const std::string& text) { notices.push_back(text); }) == 10);
      REQUIRE_FALSE(notices.empty());
      CHECK_THAT(notices[0], ContainsSubstring("000001"));
      Reader reader(store);
      REQUIRE(reader.frame_count() == 10);
      for (int i = 0; i < 10; ++i) {
        const Frame frame = reader.read(FrameNumber(i));
        CHECK(frame.info.index.value == i);
        CHECK(frame.info.time.seconds == 1000 + 0.04 * i);
        CHECK(code_of(frame.image.view()) == i);
      }
    }
  }
}

TEST_CASE("a database of a newer version is refused, and left as it is") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 10);
  sqlite(store, "UPDATE index_information SET value = '99' WHERE name LIKE '%schema_version'");
  const auto before = tree(store);
  CHECK_THAT(outcome_of([&] { Reader reader(store); }),
             StartsWith("unsupported: ") && ContainsSubstring((store / ".index.sqlite").string()) &&
                 ContainsSubstring("newer") && ContainsSubstring("99"));
  CHECK(outcome_of([&] { avstore::rebuild_index(store, {}); }) ==
        outcome_of([&] { Reader reader(store); }));
  CHECK(tree(store) == before);
}

TEST_CASE("a database that is damaged is made anew") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    for (const std::string& damage :
         {std::string(), std::string("\0", 1), std::string("garbage"), std::string(100'000, 'x'),
          std::string(4096, '\0'), std::string("SQLite format 3\0 and nothing more", 33)}) {
      DYNAMIC_SECTION(format << ", " << damage.size() << " bytes") {
        const TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        write_store(store, options_of(format), 23);
        write_text(store / ".index.sqlite", damage);
        const std::string outcome = read_everything(store, 23);
        // To SQLite, a file of one byte at most is a database that was never begun.
        CHECK_THAT(outcome, StartsWith(damage.size() < 2 ? "right" : "warned: "));
        CHECK(read_everything(store, 23) == "right");
      }
    }
  }
}

TEST_CASE("of a damaged database that is made anew a copy is kept") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  flip_bit(store / ".index.sqlite", 8 * 108);
  const std::string damaged = read_text(store / ".index.sqlite");
  SECTION("by a reader") {
    CHECK_THAT(read_everything(store, 23), StartsWith("warned: "));
  }
  SECTION("by rebuild_index") {
    CHECK(avstore::rebuild_index(store, {}) == 23);
  }
  CHECK(read_everything(store, 23) == "right");
  CHECK(read_text(store / ".put-aside" / "index" / ".index.sqlite") == damaged);
}

TEST_CASE("the damaged database of a recording that was killed is left as it is") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int status = avstore::test::run_child([&] {
    Writer writer(store, options_of("avc1/mp4", 7));
    for (int i = 0; i < 10; ++i) {
      add(writer, i);
    }
    writer.sync();
    return std::raise(SIGKILL);
  });
  REQUIRE(status == -SIGKILL);
  // Into the file that is damaged, what the log beside it has.
  run("sqlite3 " + avstore::test::quoted(store / ".index.sqlite") +
      " 'PRAGMA wal_checkpoint(TRUNCATE)'");
  flip_bit(store / ".index.sqlite", 8 * 108);
  const std::string damaged = read_text(store / ".index.sqlite");
  Warned warned;
  CHECK(Reader(store, warned.options()).frame_count() == 7);
  REQUIRE_FALSE(warned.lines.empty());
  CHECK_THAT(warned.lines.back(),
             ContainsSubstring("stays as it is") && ContainsSubstring("avstore index"));
  const auto refused = outcome_of([&] { avstore::repair(store, {}); });
  CHECK_THAT(refused, StartsWith("corrupt: ") && ContainsSubstring("avstore index"));
  CHECK(read_text(store / ".index.sqlite") == damaged);
  CHECK(fs::exists(store / ".lock"));

  CHECK(avstore::rebuild_index(store, {}) == 7);
  CHECK(read_text(store / ".put-aside" / "index" / ".index.sqlite") == damaged);
  const std::string chunk = read_text(store / "000001.mp4");
  const avstore::RepairResult repaired = avstore::repair(store, {});
  CHECK(repaired.frames == 7);
  bool is_kept = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(repaired.put_aside)) {
    is_kept = is_kept || (entry.path().extension() == ".mp4" && read_text(entry.path()) == chunk);
  }
  CHECK(is_kept);
  CHECK(wrong_codes(store).empty());
}

// It is compared and made anew before the writer's own lock keeps everybody from that.
TEST_CASE("a writer goes on with a store whose database is gone, damaged, older or another one's") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const fs::path database = store / ".index.sqlite";
  write_store(store, options_of("avc1/mp4"), 8);
  const std::string older = read_text(database);
  {
    Writer writer = Writer::append(store, {});
    add(writer, 8);
    writer.close();
  }
  const std::string what = GENERATE("gone", "damaged", "older", "another one's");
  CAPTURE(what);
  if (what == "gone") {
    fs::remove(database);
  } else if (what == "damaged") {
    write_text(database, "no database");
  } else if (what == "older") {
    write_text(database, older);
  } else {
    const fs::path other = folder.path() / "other";
    write_store(other, options_of("avc1/mp4"), 3);
    write_text(database, read_text(other / ".index.sqlite"));
  }
  Writer writer = Writer::append(store, {});
  CHECK(writer.durable_count() == 9);
  add(writer, 9);
  writer.sync();
  check_names(Reader(store), plain_names(10));
  writer.close();
  check_names(Reader(store), plain_names(10));
  CHECK(wrong_codes(store).empty());
  CHECK(avstore::verify(store, {}).findings.empty());
}

// A new one would take its log away, and the writer go on with one that has no name.
TEST_CASE("the database of a recording that goes on is not made anew") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("avc1/mp4", 7));
  for (int i = 0; i < 8; ++i) {
    add(writer, i);
  }
  writer.sync();
  const fs::path database = store / ".index.sqlite";
  fs::rename(database, folder.path() / "taken away");
  Warned warned;
  CHECK(Reader(store, warned.options()).frame_count() == 7);
  REQUIRE_FALSE(warned.lines.empty());
  CHECK_THAT(warned.lines.back(), ContainsSubstring("while the store is recorded"));
  CHECK_FALSE(fs::exists(database));
  fs::rename(folder.path() / "taken away", database);
  add(writer, 8);
  writer.close();
  CHECK(Reader(store).frame_count() == 9);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a database that somebody has locked is not taken for a damaged one") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  {
    sqlite3* connection = nullptr;
    REQUIRE(sqlite3_open((store / ".index.sqlite").c_str(), &connection) == SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> closing(connection, &sqlite3_close);
    REQUIRE(sqlite3_exec(connection,
                         "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;"
                         "UPDATE chunks SET bytes = bytes; COMMIT",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK_THAT(outcome_of([&] { avstore::rebuild_index(store, {}); }),
               StartsWith("io: ") && ContainsSubstring("locked"));
  }
  CHECK(read_everything(store, 23) == "right");
  CHECK_FALSE(fs::exists(store / ".put-aside"));
}

TEST_CASE("a database that is damaged, where nothing is left to make it anew from") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_text(store / ".index.sqlite", "garbage garbage garbage garbage garbage");
  for (const char* name : {"000000.npz", "000001.npz", "000002.npz", "000003.npz"}) {
    write_text(store / name, "garbage");
  }
  // Either an error, or an empty store with warnings; never frames made up.
  Warned warned;
  const std::string outcome = outcome_of([&] {
    Reader reader(store, warned.options());
    CHECK(reader.frame_count() == 0);
  });
  CAPTURE(outcome);
  CHECK((outcome.starts_with("corrupt: ") || !warned.lines.empty()));
}

TEST_CASE("a folder where the database should be") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  fs::remove(store / ".index.sqlite");
  fs::create_directory(store / ".index.sqlite");
  const std::string outcome = read_everything(store, 23);
  CHECK_THAT(outcome, StartsWith("right") || StartsWith("warned: ") || StartsWith("corrupt: ") ||
                          StartsWith("io: "));
}

TEST_CASE("a database that does not match its chunks gives no wrong frame") {
  // Expected after each: all frames right (the database made anew, with a warning), or an error;
  // never a frame that is not the one asked for, and never fewer frames without a word.
  const std::vector<std::string> changes{
      "DELETE FROM frames WHERE frame_index = 22",
      "DELETE FROM frames WHERE frame_index >= 14",
      "DELETE FROM frames WHERE frame_index = 5",
      "DELETE FROM frames WHERE frame_index < 7",
      "DELETE FROM frames",
      "INSERT INTO frames SELECT 23, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "INSERT INTO frames SELECT 99, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "INSERT INTO frames SELECT -1, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "UPDATE frames SET frame_idx = frame_idx + 1",
      "UPDATE frames SET frame_idx = 6 - frame_idx WHERE chunk = 1",
      "UPDATE frames SET frame_idx = -5 WHERE frame_index = 3",
      "UPDATE frames SET frame_idx = 1000000000000 WHERE frame_index = 3",
      "UPDATE frames SET chunk = 3 - chunk",
      "UPDATE frames SET chunk = 77",
      "UPDATE frames SET chunk = 0 WHERE frame_index >= 10",
      "UPDATE frames SET chunk = 0, frame_idx = frame_index WHERE frame_index >= 7",
      "UPDATE frames SET pts = pts + 1",
      "UPDATE frames SET pts = NULL",
      "UPDATE frames SET pts = 9223372036854775807",
      "UPDATE frames SET pts = 'text'",
      "UPDATE frames SET pts = (1 - frame_idx % 2 * 2) * 9223372036854775807",
      "DELETE FROM chunks WHERE chunk = 1",
      "DELETE FROM chunks",
      "INSERT INTO chunks SELECT 4, '000004.mp4', 23, 10, 1, 12800, 'closed', 100, '', 0, 10",
      "UPDATE chunks SET chunk_path = '/etc/passwd'",
      "UPDATE chunks SET chunk_path = '../../../../etc/passwd'",
      "UPDATE chunks SET chunk_path = ''",
      "UPDATE chunks SET first_frame_index = first_frame_index + 1",
      "UPDATE chunks SET first_frame_index = -1",
      "UPDATE chunks SET first_frame_index = 9223372036854775807",
      "UPDATE chunks SET frame_count = frame_count - 1",
      "UPDATE chunks SET frame_count = 1000000000000000",
      "UPDATE chunks SET frame_count = -1",
      "UPDATE chunks SET time_base_num = 0",
      "UPDATE chunks SET time_base_den = 0",
      "UPDATE chunks SET time_base_den = 4294967297",
      "UPDATE chunks SET stream = 5",
      "UPDATE chunks SET stream = -1",
      "UPDATE chunks SET state = 'open'",
      "UPDATE chunks SET state = 'nonsense'",
      "UPDATE chunks SET bytes = bytes + 1",
      "UPDATE chunks SET packet_count = 0",
      "UPDATE chunks SET packet_count = 3",
      "DELETE FROM keyframes",
      "UPDATE keyframes SET pts = pts + 1",
      "UPDATE keyframes SET dts = NULL",
      "UPDATE keyframes SET dts = 9223372036854775807",
      "INSERT INTO keyframes SELECT chunk, 3, pts, dts, position FROM keyframes",
      "INSERT INTO keyframes SELECT chunk, -3, pts, dts, position FROM keyframes",
      "DROP TABLE keyframes",
      "DROP TABLE chunks",
      "DROP TABLE frames",
      "DROP TABLE frames; CREATE TABLE frames (chunk, frame_idx, frame_number, frame_time)",
      "DROP TABLE summary",
      "DELETE FROM summary",
      "DELETE FROM index_information",
      "DROP TABLE index_information",
      "ALTER TABLE frames RENAME COLUMN pts TO point",
  };
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  write_store(original, options_of("avc1/mp4"), 23);
  for (const std::int64_t place :
       avstore::test::sample("changed databases", static_cast<std::int64_t>(changes.size()), 29)) {
    const std::string& change = changes.at(static_cast<std::size_t>(place));
    CAPTURE(change);
    const fs::path store = folder.path() / "store";
    fs::copy(original, store, fs::copy_options::recursive);
    sqlite(store, change);
    fs::copy(store, folder.path() / "copy", fs::copy_options::recursive);
    const std::string outcome = read_everything(store, 23);
    const std::string verifying = in_child([&] {
      std::size_t findings = 0;
      const std::string said = outcome_of([&] {
        findings =
            avstore::verify(folder.path() / "copy", {.deep = true, .progress = {}}).findings.size();
      });
      return said == "no error" ? std::to_string(findings) + " findings" : said;
    });
    const std::string reading_many = in_child([&] {
      return outcome_of([&] {
        Reader reader(folder.path() / "copy");
        std::vector<FrameIndex> all;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(reader.frame_count(), 23); ++i) {
          all.emplace_back(i);
        }
        reader.read_many(all);
        reader.infos({0, 100});
      });
    });
    const std::string exporting = in_child([&] {
      return outcome_of(
          [&] { avstore::export_video(folder.path() / "copy", folder.path() / "a.mp4", {}); });
    });
    CAPTURE(outcome, verifying, reading_many, exporting);
    CHECK((outcome == "right" || outcome.starts_with("warned: ") || is_an_error(outcome)));
    CHECK_THAT(outcome, !ContainsSubstring("WRONG"));
    CHECK((verifying.ends_with(" findings") || is_an_error(verifying)));
    CHECK((outcome == "right" || verifying != "0 findings"));
    CHECK((reading_many == "no error" || is_an_error(reading_many)));
    CHECK((exporting == "no error" || is_an_error(exporting)));
    fs::remove_all(store);
    fs::remove_all(folder.path() / "copy");
    fs::remove(folder.path() / "a.mp4");
  }
}

TEST_CASE("the database of another store is not taken for this one's") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of(format), 23);
      write_store(folder.path() / "other", options_of(format), 40);
      fs::copy_file(folder.path() / "other/.index.sqlite", store / ".index.sqlite",
                    fs::copy_options::overwrite_existing);
      CHECK_THAT(read_everything(store, 23), StartsWith("warned: "));
      CHECK(Reader(store).frame_count() == 23);
      CHECK(Reader(store).info().uuid == Reader(store).info().uuid);
    }
  }
}

TEST_CASE("an index made anew remembers how the store was made") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  options.encoder.frame_rate = {30, 1};
  write_store(store, options, 23);
  avstore::rebuild_index(store, {});
  CHECK(Reader(store).info().encoder == "libx264");
  CHECK(Reader(store).info().nominal_frame_rate == avstore::Rational{30, 1});
  avstore::TranscodeOptions transcoding;
  transcoding.writer.format = "mjpeg/avi";
  avstore::transcode(store, folder.path() / "copy", transcoding);
  CHECK(avstore::probe_source(folder.path() / "copy/000000.avi").frame_rate ==
        avstore::Rational{30, 1});
}

TEST_CASE("what only the reference's database knows is read, and not lost when ours replaces it") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 23);
  const fs::path database = store / ".index.sqlite";
  fs::remove(database);
  const std::string rows =
      "create table frames (chunk integer, frame_idx integer, frame_number integer, frame_time "
      "real); create table chunks (chunk integer, chunk_path text); create table "
      "index_information (name text, value text); insert into index_information values "
      "('version', '1'); with recursive n(i) as (select 0 union all select i + 1 from n where i < "
      "22) insert into frames select i / 7, i % 7, i + 500, 2000 + i from n;";
  avstore::test::sqlite(store, rows);
  std::set<int> lost;
  SECTION("one chunk's index is lost") {
    lost = {1};
  }
  SECTION("all are") {
    lost = {0, 1, 2, 3};
  }
  for (const int chunk : lost) {
    fs::remove(store / ("00000" + std::to_string(chunk)) / "index.npz");
    fs::remove(store / ("00000" + std::to_string(chunk) + ".npz"));
  }
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round, lost);
    Reader reader(store);
    REQUIRE(reader.frame_count() == 23);
    for (int i = 0; i < 23; ++i) {
      const Frame frame = reader.read(FrameIndex(i));
      const bool from_database = lost.contains(i / 7);
      CHECK(frame.info.number.value == (from_database ? i + 500 : i));
      CHECK(frame.info.time.seconds == (from_database ? 2000 + i : 1000 + 0.04 * i));
      CHECK(code_of(frame.image.view()) == i);
    }
  }
}

TEST_CASE("damaged names of frames") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 23);
  const fs::path npz = store / "000001" / "index.npz";
  const std::string good = read_text(npz);
  for (const auto& [name, bytes] : std::map<std::string, std::string>{
           {"empty", ""},
           {"garbage", std::string(1000, 'g')},
           {"cut off", good.substr(0, good.size() / 2)},
           {"another chunk's", read_text(store / "000003" / "index.npz")}}) {
    DYNAMIC_SECTION(name) {
      write_text(npz, bytes);
      // The database has them all.
      CHECK(read_everything(store, 23) == "right");
      CHECK_FALSE(avstore::verify(store, {}).findings.empty());
      // Without it that chunk's are lost, with a warning.
      fs::remove(store / ".index.sqlite");
      Warned warned;
      Reader reader(store, warned.options());
      for (const int i : {0, 6, 14, 20}) {
        CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
      }
      if (name != "another chunk's") {
        REQUIRE_FALSE(warned.lines.empty());
        CHECK_THAT(warned.lines[0], ContainsSubstring("000001"));
        CHECK(reader.frame_count() == 16);
      }
    }
  }
}
