// Stores that lost something, are damaged or contradict themselves: what is left is read, and what
// is wrong is told.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "store/staged_change.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::check_places;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::error_of;
using avstore::test::in_child;
using avstore::test::is_an_error;
using avstore::test::kWidth;
using avstore::test::media_file;
using avstore::test::odd_names;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::plain_names;
using avstore::test::read_text;
using avstore::test::shuffled_indices;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::tree;
using avstore::test::write_store;
using avstore::test::write_text;
using avstore::test::wrong_codes;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

}  // namespace

// --- Lost and damaged parts ---

namespace {

struct Warned {
  std::vector<std::string> lines;
  ReaderOptions options(bool save_index = true) {
    ReaderOptions made;
    made.save_index = save_index;
    made.on_warning = [this](const std::string& line) { lines.push_back(line); };
    return made;
  }
};

// Frames found by number: those of `lost` are not there or give an error, all others are right.
void check_all_but(const fs::path& store, const std::set<std::int64_t>& lost, int count,
                   bool save_index) {
  Warned warned;
  Reader reader(store, warned.options(save_index));
  for (int i = 0; i < count; ++i) {
    CAPTURE(i);
    if (!lost.contains(i)) {
      CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
      continue;
    }
    try {
      const Frame frame = reader.read(FrameNumber(i));
      CHECK(code_of(frame.image.view()) == i);  // if it is there, it is right
    } catch (const avstore::Error& error) {
      CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::not_found));
      CHECK_THAT(error.what(), Contains(store.string()));
    }
  }
  CHECK_FALSE(warned.lines.empty());
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
  CHECK_THAT(warned.lines[0], Contains(index.string()));
  Warned again;
  CHECK(Reader(store, again.options()).frame_count() == 200);
  CHECK(again.lines.empty());
}

TEST_CASE("without a chunk's file the frames elsewhere are still read") {
  for (const std::string format : {"avc1/mp4", "mjpeg/avi", "ffv1/mkv", "png"}) {
    for (const bool save : {true, false}) {
      for (const int chunk : {0, 1, 3}) {
        DYNAMIC_SECTION(format << ", chunk " << chunk << (save ? ", saved" : "")) {
          const TemporaryFolder folder;
          const auto store = folder.path() / "store";
          write_store(store, options_of(format), pixel::gray8, plain_names(23));
          const auto file = chunk_file(store, format, chunk);
          fs::rename(file, folder.path() / "away");
          std::set<std::int64_t> lost;
          for (int i = 7 * chunk; i < std::min(7 * chunk + 7, 23); ++i) {
            lost.insert(i);
          }
          check_all_but(store, lost, 23, save);
          CHECK_FALSE(avstore::verify(store, {}).findings.empty());
          // Once it is back, so are its frames.
          fs::rename(folder.path() / "away", file);
          check_names(Reader(store), plain_names(23));
          CHECK(wrong_codes(store).empty());
        }
      }
    }
  }
}

TEST_CASE("a missing chunk does not move the frames after it to other indices") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), pixel::gray8, plain_names(23));
  fs::remove(chunk_file(store, "avc1/mp4", 1));
  ReaderOptions options;
  options.save_index = false;
  Reader reader(store, options);
  // frame_index is a frame's place in the order recorded.
  CHECK(reader.find(FrameNumber(20)).index.value == 20);
}

TEST_CASE("in a chunk that was cut off, what is left and all frames elsewhere are read") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "ffv1/mkv", "hevc/mp4"}) {
    for (const bool save : {true, false}) {
      DYNAMIC_SECTION(format << (save ? ", saved" : "")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 40);
        options.encoder.keyframe_interval = 5;
        write_store(store, options, pixel::gray8, plain_names(100));
        const auto file = chunk_file(store, format, 1);
        fs::resize_file(file, fs::file_size(file) * 6 / 10);
        std::set<std::int64_t> lost;
        for (int i = 40; i < 80; ++i) {
          lost.insert(i);
        }
        check_all_but(store, lost, 100, save);
        // Expected: of the chunk that was cut, every frame whose bytes are all there is read. The
        // first ones are, in fragments or clusters of their own.
        ReaderOptions reading;
        reading.save_index = save;
        Reader reader(store, reading);
        for (int i = 40; i < 45; ++i) {
          CAPTURE(i);
          try {
            CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
          } catch (const avstore::Error& error) {
            FAIL_CHECK("frame is not read: " << error.what());
          }
        }
        CHECK_FALSE(avstore::verify(store, {}).findings.empty());
      }
    }
  }
}

TEST_CASE("lost and damaged images are errors that name their file") {
  for (const std::string format : {"png", "npy", "jpg", "bmp", "tif", "pgm"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format), pixel::gray8, plain_names(23));
      const std::string extension = avstore::find_format(format).extension;
      const auto cut = store / "000001" / ("000002" + extension);
      const auto gone = store / "000001" / ("000003" + extension);
      const auto empty = store / "000002" / ("000000" + extension);
      const auto text = store / "000002" / ("000001" + extension);
      fs::resize_file(cut, 20);
      fs::remove(gone);
      fs::resize_file(empty, 0);
      write_text(text, "not an image of any kind, but some text of a length like others\n");
      Reader reader(store);
      for (const auto& [index, file] :
           std::map<std::int64_t, fs::path>{{9, cut}, {10, gone}, {14, empty}, {15, text}}) {
        const auto error = error_of([&, i = index] { reader.read(FrameIndex(i)); });
        CAPTURE(error.what());
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK_THAT(error.what(), Contains(file.string()));
      }
      for (const FrameIndex i : shuffled_indices(23)) {
        if (!std::set<std::int64_t>{9, 10, 14, 15}.contains(i.value)) {
          CHECK(code_of(reader.read(i).image.view()) == i.value);
        }
      }
    }
  }
}

// --- Damaged stores ---

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
      CHECK_THAT(notices[0], Contains("000001"));
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

TEST_CASE("stores of another version, or none") {
  // Expected: an avstore::Error of that kind when the store is opened, never an exception of
  // another type, and never a size that was cut down to fit into an int.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const fs::path metadata = store / "metadata.yaml";
  write_store(store, options_of("avc1/mp4"), 10);
  const std::string good = read_text(metadata);
  const auto replaced = [&good](const std::string& what, const std::string& with) {
    std::string text = good;
    REQUIRE(text.find(what) != std::string::npos);
    return text.replace(text.find(what), what.size(), with);
  };
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"version 3", replaced("version: 2", "version: 3"), "unsupported"},
      {"version 1", replaced("version: 2", "version: 1"), "unsupported"},
      {"version huge", replaced("version: 2", "version: 99999999999999999999"), "corrupt"},
      {"version is no number", replaced("version: 2", "version: two"), "corrupt"},
      {"no version", replaced("version: 2", "verse: 2"), "corrupt"},
      {"unknown class", replaced("VideoImgStore", "HologramImgStore"), "unsupported"},
      {"no class", replaced("class: VideoImgStore", "klass: VideoImgStore"), "corrupt"},
      {"no size", replaced("imgshape:", "shape:"), "corrupt"},
      {"one dimension", replaced("  - 64\n  - 96\n", "  - 64\n"), "corrupt"},
      {"size of nothing", replaced("- 64", "- -64"), "corrupt"},
      {"size beyond all bounds", replaced("- 64", "- 99999999999"), "corrupt"},
      {"chunks of nothing", replaced("chunksize: 7", "chunksize: 0"), "corrupt"},
      {"an extension that leads out", replaced("extension: .mp4", "extension: /../../x"),
       "corrupt"},
      {"empty", "", "corrupt"},
      {"a list", "- 1\n- 2\n", "corrupt"},
      {"no YAML", "{[}]: : :\n\t", "corrupt"},
      {"binary", std::string(2000, '\0') + "\xff\xfe\x80", "corrupt"},
      {"another YAML file", "experiment: 7\nversion: 2\n", "corrupt"},
      {"very deep", "__store: " + std::string(100'000, '['), "corrupt"},
      {"billion laughs",
       "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n"
       "f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n"
       "h: &h [*g,*g,*g,*g,*g,*g,*g,*g]\n",
       "corrupt"},
  };
  for (const auto& [name, text, kind] : cases) {
    DYNAMIC_SECTION(name) {
      write_text(metadata, text);
      const std::string outcome =
          in_child([&] { return outcome_of([&] { Reader reader(store); }); });
      CHECK_THAT(outcome, StartsWith(kind + ": ") && Contains(store.string()));
    }
  }
  SECTION("a message that says what to do about a newer version") {
    write_text(metadata, replaced("version: 2", "version: 3"));
    CHECK_THAT(outcome_of([&] { Reader reader(store); }),
               Contains(metadata.string()) && Contains("version 3") && Contains("newer"));
  }
  SECTION("missing") {
    fs::remove(metadata);
    CHECK_THAT(outcome_of([&] { Reader reader(store); }),
               StartsWith("not_found: ") && Contains(store.string()) && Contains("metadata.yaml"));
  }
  SECTION("a folder") {
    fs::remove(metadata);
    fs::create_directory(metadata);
    CHECK(outcome_of([&] { Reader reader(store); }) != "no error");
  }
  SECTION("a link to itself") {
    fs::remove(metadata);
    fs::create_symlink("metadata.yaml", metadata);
    CHECK(outcome_of([&] { Reader reader(store); }) != "no error");
  }
}

TEST_CASE("images of an unknown format are refused") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 10);
  std::string text = read_text(store / "metadata.yaml");
  text.replace(text.find("format: png"), 11, "format: betamax");
  write_text(store / "metadata.yaml", text);
  CHECK_THAT(outcome_of([&] {
               Reader reader(store);
               static_cast<void>(reader.read(FrameIndex(0)));
             }),
             StartsWith("unsupported: ") && Contains("betamax"));
}

TEST_CASE("a database of a newer version is refused, and left as it is") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 10);
  sqlite(store, "UPDATE index_information SET value = '99' WHERE name LIKE '%schema_version'");
  const auto before = tree(store);
  CHECK_THAT(outcome_of([&] { Reader reader(store); }),
             StartsWith("unsupported: ") && Contains((store / ".index.sqlite").string()) &&
                 Contains("newer") && Contains("99"));
  CHECK(outcome_of([&] { avstore::rebuild_index(store, {}); }) ==
        outcome_of([&] { Reader reader(store); }));
  CHECK(tree(store) == before);
}

namespace {

struct Opened {
  std::vector<std::string> warnings;
  ReaderOptions options() {
    ReaderOptions made;
    made.on_warning = [this](const std::string& line) { warnings.push_back(line); };
    return made;
  }
};

// Opens the store and reads every frame by number: "right" if all are there and right, "warned:
// ..." if so after a warning, else the error; "WRONG ..." for frames that are missing or wrong
// without a word.
std::string read_everything(const fs::path& store, int frames) {
  return in_child([&] {
    Opened opened;
    std::string said = outcome_of([&] {
      Reader reader(store, opened.options());
      if (reader.frame_count() != frames && opened.warnings.empty()) {
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
      said = opened.warnings.empty() ? "right" : "warned: " + opened.warnings[0];
    }
    return said;
  });
}

}  // namespace

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

TEST_CASE("a database that is damaged, where nothing is left to make it anew from") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_text(store / ".index.sqlite", "garbage garbage garbage garbage garbage");
  for (const char* name : {"000000.npz", "000001.npz", "000002.npz", "000003.npz"}) {
    write_text(store / name, "garbage");
  }
  // Either an error, or an empty store with warnings; never frames made up.
  Opened opened;
  const std::string outcome = outcome_of([&] {
    Reader reader(store, opened.options());
    CHECK(reader.frame_count() == 0);
  });
  CAPTURE(outcome);
  CHECK((outcome.starts_with("corrupt: ") || !opened.warnings.empty()));
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
  for (const std::string& change : changes) {
    DYNAMIC_SECTION(change) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of("avc1/mp4"), 23);
      sqlite(store, change);
      fs::copy(store, folder.path() / "copy", fs::copy_options::recursive);
      const std::string outcome = read_everything(store, 23);
      const std::string verifying = in_child([&] {
        std::size_t findings = 0;
        const std::string said = outcome_of([&] {
          findings = avstore::verify(folder.path() / "copy", {.deep = true, .progress = {}})
                         .findings.size();
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
      CAPTURE(outcome, verifying, reading_many);
      CHECK((outcome == "right" || outcome.starts_with("warned: ") || is_an_error(outcome)));
      CHECK_THAT(outcome, !Contains("WRONG"));
      CHECK((verifying.ends_with(" findings") || is_an_error(verifying)));
      CHECK((outcome == "right" || verifying != "0 findings"));
      CHECK((reading_many == "no error" || is_an_error(reading_many)));
    }
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

TEST_CASE("a chunk that was replaced by another is noticed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  fs::path other;
  SECTION("another chunk of the store") {
    other = store / "000000.mp4";
  }
  SECTION("one of larger pictures") {
    write_store(folder.path() / "other", options_of("avc1/mp4"), 7, 128, 96);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of fewer frames") {
    write_store(folder.path() / "other", options_of("avc1/mp4"), 5);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of more frames") {
    write_store(folder.path() / "other", options_of("avc1/mp4", 100), 50);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of another codec") {
    write_store(folder.path() / "other", options_of("hevc/mp4"), 7);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("no video at all") {
    other = media_file("bad/text.mp4");
  }
  SECTION("nothing") {
    other = media_file("bad/empty.mp4");
  }
  SECTION("sound") {
    other = media_file("bad/audio-only.mp4");
  }
  REQUIRE_FALSE(other.empty());
  fs::copy_file(other, store / "000001.mp4", fs::copy_options::overwrite_existing);
  const std::string findings = in_child([&] {
    std::string all;
    for (const std::string& line :
         avstore::verify(store, {.deep = true, .progress = {}}).findings) {
      all += line + "\n";
    }
    return all;
  });
  CHECK_THAT(findings, Contains("000001.mp4"));
  const std::string outcome = in_child([&] {
    Opened opened;
    const std::string said = outcome_of([&] {
      Reader reader(store, opened.options());
      for (int i = 0; i < 23; ++i) {
        static_cast<void>(reader.read(FrameNumber(i)));
      }
    });
    return said + (opened.warnings.empty() ? "" : " warned: " + opened.warnings[0]);
  });
  CHECK_THAT(outcome, Contains("000001.mp4"));
  // The frames elsewhere are none the worse.
  CHECK(in_child([&] {
          return outcome_of([&] {
            Reader reader(store);
            for (const int i : {0, 6, 14, 22}) {
              if (code_of(reader.read(FrameNumber(i)).image.view()) != i) {
                throw avstore::Error(ErrorKind::corrupt, "WRONG frame " + std::to_string(i));
              }
            }
          });
        }) == "no error");
}

TEST_CASE("a frame is never handed out in another size than the store's") {
  // Expected: an error that names the chunk, as whoever reads has made room for frames of info()'s
  // size.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_store(folder.path() / "other", options_of("avc1/mp4"), 7, 128, 96);
  fs::copy_file(folder.path() / "other" / "000000.mp4", store / "000001.mp4",
                fs::copy_options::overwrite_existing);
  const std::string outcome = outcome_of([&] {
    Reader reader(store);
    const Frame frame = reader.read(FrameNumber(9));
    CHECK(frame.image.width() == reader.info().width);
    CHECK(frame.image.height() == reader.info().height);
  });
  CHECK_THAT(outcome, StartsWith("no error") || StartsWith("corrupt: "));
}

TEST_CASE("verify --deep finds frames that are not what metadata.yaml says") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const auto findings = [&store](bool deep) {
    return avstore::verify(store, {.deep = deep, .progress = {}}).findings;
  };
  const auto replace = [&store](const std::string& what, const std::string& with) {
    std::string text = read_text(store / "metadata.yaml");
    REQUIRE(text.find(what) != std::string::npos);
    write_text(store / "metadata.yaml", text.replace(text.find(what), what.size(), with));
  };
  SECTION("the size in metadata.yaml is wrong") {
    for (const std::string format : {"png", "npy", "avc1/mp4"}) {
      write_store(store, options_of(format), 10);
      CHECK(findings(true).empty());
      replace("- 64", "- 66");
      const std::string read = outcome_of([&] { Reader(store).read(FrameIndex(0)); });
      CHECK_THAT(read, Contains("is 96x64, those of the store are 96x66"));
      CAPTURE(format);
      const auto found = findings(true);
      REQUIRE(found.size() == 4);  // two for each chunk
      CHECK("corrupt: " + found[0] == read);
      CHECK_THAT(found[1], Contains("6 more of its frames"));
      CHECK_THAT(found[2], Contains("frame 7 in chunk 1"));
      CHECK(findings(false).empty());
      fs::remove_all(store);
    }
  }
  SECTION("the frames of one chunk are of another size") {
    write_store(store, options_of("png"), 23);
    write_store(folder.path() / "other", options_of("png"), 7, 128, 96);
    fs::copy(folder.path() / "other" / "000000" / "000003.png", store / "000001" / "000003.png",
             fs::copy_options::overwrite_existing);
    sqlite(store, "DELETE FROM checksums");
    const auto found = findings(true);
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], Contains("frame 10 in chunk 1 is 128x96"));
  }
  SECTION("arrays are of another type") {
    write_store(store, options_of("npy"), 7);
    replace("imgdtype: uint8", "imgdtype: uint16");
    const auto found = findings(true);
    REQUIRE(found.size() == 2);
    CHECK_THAT(found[0], Contains("frame 0 in chunk 0 is uint8, those of the store are uint16"));
  }
}

TEST_CASE("verify finds the damage of a chunk's video also where its index is damaged") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_text(store / "000001.npz", "garbage");
  fs::resize_file(store / "000001.mp4", fs::file_size(store / "000001.mp4") / 2);
  const auto findings = avstore::verify(store, {}).findings;
  const auto has = [&findings](const std::string& file, const std::string& what) {
    return std::any_of(findings.begin(), findings.end(), [&](const std::string& finding) {
      return finding.find(file) != std::string::npos && finding.find(what) != std::string::npos;
    });
  };
  CAPTURE(findings);
  CHECK(has("000001.npz", ""));
  CHECK(has("000001.mp4", "bytes, the database says"));
  CHECK(has("000001.mp4", "not as they were written"));
  CHECK(has("000001.mp4", "frames, the database says"));
  CHECK(std::set<std::string>(findings.begin(), findings.end()).size() == findings.size());
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
      Opened opened;
      Reader reader(store, opened.options());
      for (const int i : {0, 6, 14, 20}) {
        CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
      }
      if (name != "another chunk's") {
        REQUIRE_FALSE(opened.warnings.empty());
        CHECK_THAT(opened.warnings[0], Contains("000001"));
        CHECK(reader.frame_count() == 16);
      }
    }
  }
}

TEST_CASE("links in a store do not lead its changes out of it") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "links.store";
  const fs::path outside = folder.path() / "outside";
  fs::create_directories(store);
  fs::create_directories(outside / "000000");
  write_text(outside / "000000" / "index.npz", "somebody's work");
  const auto is_untouched = [&] {
    return read_text(outside / "000000" / "index.npz") == "somebody's work" &&
           std::distance(fs::directory_iterator(outside / "000000"), fs::directory_iterator()) == 1;
  };

  SECTION("a change that is a folder elsewhere") {
    fs::create_symlink(outside, store / ".staged");
    fs::create_directory(store / "000000");
    avstore::store::finish_staged_change(store);
    CHECK(is_untouched());
    CHECK(avstore::store::current_file(store, "000000/index.npz") == store / "000000/index.npz");
  }
  SECTION("a place that is a folder elsewhere") {
    fs::create_directories(store / ".staged" / "000000");
    write_text(store / ".staged" / "000000" / "index.npz", "evil");
    write_text(store / ".staged" / "000000" / ".profile", "evil");
    fs::create_symlink(outside / "000000", store / "000000");
    CHECK_THROWS_WITH(avstore::store::finish_staged_change(store),
                      Contains("no folder of the store"));
    CHECK(is_untouched());
  }
}

// The reference keeps numbers and times in its database too, and labs may have nothing else left.
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

TEST_CASE("a chunk of which only the index is left is told of") {
  for (const bool listed : {false, true}) {
    const TemporaryFolder folder;
    const fs::path store = folder.path() / "store";
    write_store(store, options_of("avc1/mp4"), 23);
    fs::remove(store / "000001.mp4");
    if (!listed) {
      fs::remove(store / ".index.sqlite");
    }
    CAPTURE(listed);
    for (int round = 0; round < 2; ++round) {  // the second finds the index that the first saved
      const auto findings = avstore::verify(store, {}).findings;
      CHECK(std::count_if(findings.begin(), findings.end(), [](const std::string& finding) {
              return finding.find("000001.mp4: is") != std::string::npos;
            }) == 1);
      Warned warned;
      const Reader reader(store, warned.options());
      CHECK(reader.frame_count() == (listed ? 23 : 16));
      const bool is_new = listed || round == 0;
      CHECK(std::count_if(warned.lines.begin(), warned.lines.end(), [](const std::string& line) {
              return line.find("000001.mp4: is gone") != std::string::npos;
            }) == (is_new ? 1 : 0));
    }
  }
}

TEST_CASE("a chunk that goes wrong under its reader and then is gone is an error each time") {
  const std::string outcome = avstore::test::in_child([] {
    const TemporaryFolder folder;
    const fs::path store = folder.path() / "store";
    write_store(store, options_of("h264/mkv", 100), 60, 640, 480);  // more than is read ahead
    Reader reader(store);
    reader.read(FrameIndex(0));
    // In place, so that what the reader has open changes too.
    const fs::path chunk = store / "000000.mkv";
    std::fstream file(chunk, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(500);
    const std::string zeros(fs::file_size(chunk) - 500, '\0');
    file << zeros << std::flush;
    fs::remove(chunk);
    std::string outcomes;
    for (int i = 0; i < 3; ++i) {
      outcomes += outcome_of([&] { reader.read(FrameIndex(50)); }).substr(0, 9) + " ";
      static_cast<void>(reader.statistics());
    }
    return outcomes;
  });
  CHECK(outcome == "not_found not_found not_found ");
}
