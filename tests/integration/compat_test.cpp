// Stores that others wrote or change: index files, extra data, metadata.
#include <cstring>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/image_stores.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::all_of;
using avstore::test::into;
using avstore::test::Lines;
using avstore::test::numbers;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

}  // namespace

// ---- index files that others changed -------------------------------------------------------

namespace {

// Writes an npz anew with other numbers, as other programs do.
void add_to_numbers(const fs::path& npz, int much) {
  python("import sys, numpy as n; f = sys.argv[1]; z = dict(n.load(f)); z['frame_number'] += " +
             std::to_string(much) + "; n.savez(f, **z)",
         npz);
}

}  // namespace

TEST_CASE("a saved database is made anew when others change the chunks' index files") {
  const std::string format = GENERATE("ffv1/mkv", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of(format), 10);
  const fs::path npz = store / (format == "png" ? "000001/index.npz" : "000001.npz");
  Lines warnings;
  CHECK(numbers(store, warnings) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(warnings.empty());
  add_to_numbers(npz, 100);
  const std::vector<std::int64_t> changed{0, 1, 2, 3, 4, 5, 6, 107, 108, 109};
  CHECK(numbers(store, warnings, false) == changed);
  CHECK_THAT(all_of(warnings),
             ContainsSubstring("other numbers or times") && ContainsSubstring("made anew"));
  CHECK(numbers(store, warnings) == changed);
  warnings.clear();
  CHECK(numbers(store, warnings) == changed);
  CHECK(warnings.empty());
  // Of the same size, once more: the time of change tells.
  add_to_numbers(npz, 1);
  CHECK(numbers(store, warnings).back() == 110);
  CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
}

TEST_CASE("a store that was copied, or whose index files were touched, keeps its database") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("ffv1/mkv"), 10);
  run("touch -d 2001-01-01 " + quoted(store) + "/*.npz");
  const std::string pts = "sqlite3 " + quoted(store / ".index.sqlite") +
                          " 'SELECT count(pts) FROM frames; SELECT value FROM index_information "
                          "WHERE name = \"index_files\"'";
  const std::string before = run(pts);
  Lines warnings;
  CHECK(numbers(store, warnings, false).size() == 10);
  CHECK(run(pts) == before);  // not to be saved
  CHECK(numbers(store, warnings).size() == 10);
  CHECK(warnings.empty());
  const std::string after = run(pts);
  CHECK(after != before);               // noted
  CHECK(after.substr(0, 3) == "10\n");  // made of the same rows
  CHECK(numbers(store, warnings).size() == 10);
  CHECK(run(pts) == after);
  CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
}

TEST_CASE("a database without a note of its index files is compared with them once") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 10);
  const std::string forget = "sqlite3 " + quoted(store / ".index.sqlite") +
                             " \"DELETE FROM index_information WHERE name LIKE 'index_files%'\"";
  run(forget);
  Lines warnings;
  CHECK(numbers(store, warnings).back() == 9);
  CHECK(warnings.empty());
  run(forget);
  add_to_numbers(store / "000001" / "index.npz", 100);
  CHECK(numbers(store, warnings).back() == 109);
  CHECK_THAT(all_of(warnings), ContainsSubstring("made anew"));
}

TEST_CASE("of two index files the one that can be read serves") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 5);
  const fs::path npz = store / "000000" / "index.npz";
  const fs::path yaml = store / "000000" / "index.yaml";
  fs::remove(store / ".index.sqlite");
  Lines warnings;
  SECTION("a damaged npz") {
    write_text(npz, "nothing of the kind");
    write_text(yaml, "frame_number: [10, 11, 12, 13, 14]\nframe_time: [0, 1, 2, 3, 4]\n");
    CHECK(numbers(store, warnings, false).front() == 10);
    CHECK_THAT(all_of(warnings),
               ContainsSubstring("index.npz") && ContainsSubstring("index.yaml serves instead"));
  }
  SECTION("a damaged yaml") {
    write_text(yaml, "frame_number: [10, 11");
    CHECK(numbers(store, warnings, false).front() == 0);
    CHECK(warnings.empty());
  }
}

TEST_CASE("an npz that lists more frames than its chunk can hold is damaged") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const bool video = GENERATE(true, false);
  write_store(store, options_of(video ? "ffv1/mkv" : "png"), 5);
  const fs::path npz = store / (video ? "000000.npz" : "000000/index.npz");
  python(
      "import sys, numpy as n\n"
      "n.savez_compressed(sys.argv[1], frame_number=n.zeros(2000000, 'i8'), "
      "frame_time=n.zeros(2000000))",
      npz);
  fs::remove(store / ".index.sqlite");
  Lines warnings;
  CHECK(numbers(store, warnings, false).empty());
  CHECK_THAT(all_of(warnings),
             ContainsSubstring(npz.filename().string()) &&
                 ContainsSubstring("2000000 frames, more than its chunk can hold"));
}

// ---- extra data ----------------------------------------------------------------------------

namespace {

// Two chunks of three frames, a record each.
void write_with_extra(const fs::path& store, int first_number = 0) {
  Writer writer(store, options_of("png", 3));
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  for (int i = 0; i < 6; ++i) {
    writer.add(drawn.view, FrameNumber(first_number + i), FrameTime(i));
    writer.add_extra("{\"k\": " + std::to_string(i) + "}");
  }
  writer.close();
}

}  // namespace

TEST_CASE("a damaged chunk of extra data stops whole-store work only if it is not to be left out") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_with_extra(store, -3);
  run("sed -i '1s/-3/4/' " + quoted(store / "000000" / "index.extra.json"));
  write_text(store / "000001" / "index.extra.json", "[{\"k\": 3, ");
  Lines notices;

  avstore::TranscodeOptions transcoding;
  transcoding.writer = options_of("npy");
  transcoding.notice = into(notices);
  CHECK_THAT(outcome_of([&] { avstore::transcode(store, folder.path() / "copy", transcoding); }),
             ContainsSubstring("corrupt: ") && ContainsSubstring("000001/index.extra.json"));
  transcoding.ignore_corrupt_extra = true;
  CHECK(avstore::transcode(store, folder.path() / "copy", transcoding) == 6);
  CHECK(avstore::read_extra(folder.path() / "copy").size() == 3);
  CHECK_THAT(all_of(notices),
             ContainsSubstring("000001/index.extra.json") && ContainsSubstring("left out"));

  const auto alignment = avstore::align({store, store}, {});
  avstore::AlignedWriterOptions writing;
  writing.writer = options_of("npy");
  const std::vector<fs::path> places{folder.path() / "a", folder.path() / "b"};
  CHECK_THAT(outcome_of([&] { avstore::write_aligned(alignment, places, writing); }),
             ContainsSubstring("000001/index.extra.json"));
  writing.ignore_corrupt_extra = true;
  avstore::write_aligned(alignment, places, writing);
  CHECK(avstore::read_extra(places[1]).size() == 3);
}

TEST_CASE("reindex leaves damaged extra data as they are if told so") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("png", 3));
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  for (const int number : {7, 8, 0, 1}) {
    writer.add(drawn.view, FrameNumber(number), FrameTime(number));
    writer.add_extra("{}");
  }
  writer.close();
  const fs::path json = store / "000000" / "index.extra.json";
  write_text(json, "[{");
  CHECK_THAT(outcome_of([&] { avstore::reindex(store, {}); }), ContainsSubstring(json.string()));
  Lines notices;
  avstore::ReindexOptions options;
  options.ignore_corrupt_extra = true;
  options.notice = into(notices);
  CHECK(avstore::reindex(store, options).renumbered == 2);
  CHECK_THAT(all_of(notices),
             ContainsSubstring(json.string()) && ContainsSubstring("left as it is"));
  CHECK(read_text(json) == "[{");
  Lines warnings;
  CHECK(numbers(store, warnings) == std::vector<std::int64_t>{-2, -1, 0, 1});
}

TEST_CASE("extra data may come before the first frame, as the reference writes them") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  {
    Writer writer(store, options_of("png", 3));
    writer.add_extra("{\"k\": 1}");
    writer.add(drawn.view, FrameNumber(5), FrameTime(1));
    writer.add_extra("{\"k\": 2}");
    writer.close();
  }
  CHECK(python("import json, sys\n"
               "for r in json.load(open(sys.argv[1])): print(r['frame_index'], r['frame_number'], "
               "r['frame_time'], r['k'])",
               store / "000000" / "index.extra.json") == "-1 nan nan 1\n0 5 1.0 2\n");
  for (const fs::path& copy : {store, folder.path() / "copy"}) {
    if (copy != store) {
      avstore::TranscodeOptions options;
      options.writer = options_of("npy");
      avstore::transcode(store, copy, options);
    }
    const avstore::ExtraData data = avstore::read_extra(copy);
    REQUIRE(data.size() == 2);
    CHECK(data.frame_index[0] == FrameIndex(-1));
    CHECK(data.frame_number[0] == avstore::kNoFrameNumber);
    CHECK(data.frame_number[1] == FrameNumber(5));
  }
}

TEST_CASE("extra data of a store without frames are kept") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of("png", 3));
    writer.add_extra("{\"k\": 1}");
    writer.close();
  }
  CHECK(avstore::read_extra(store).size() == 1);
  CHECK(Reader(store).frame_count() == 0);
}

TEST_CASE("records whose frame is null or NaN are read") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_with_extra(store);
  write_text(store / "000000" / "index.extra.json",
             R"([{"k": 1, "frame_index": null, "frame_number": 1, "frame_time": 1.0},)"
             R"( {"k": 2, "frame_index": NaN, "frame_number": NaN, "frame_time": NaN},)"
             R"( {"k": 3, "frame_index": 2.0, "frame_number": 2.0, "frame_time": 2.0}])");
  CHECK(avstore::read_extra(store).size() == 6);
  avstore::TranscodeOptions options;
  options.writer = options_of("npy");
  avstore::transcode(store, folder.path() / "copy", options);
  const avstore::ExtraData data = avstore::read_extra(folder.path() / "copy");
  REQUIRE(data.size() == 6);
  CHECK(data.frame_index[0] == FrameIndex(-1));
  CHECK(data.frame_index[1] == FrameIndex(1));  // by its number
}

// ---- metadata and the rest -----------------------------------------------------------------

TEST_CASE("a created_utc that is no time, or a zone that is none, does not stand in the way") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 3);
  run("sed -i 's/created_utc:.*/created_utc: last Tuesday/; s/timezone_local:.*/timezone_local: "
      "Europe\\/Atlantis/' " +
      quoted(store / "metadata.yaml"));
  Lines warnings;
  CHECK(numbers(store, warnings).size() == 3);
  CHECK_THAT(all_of(warnings), ContainsSubstring("last Tuesday"));
  CHECK_THAT(all_of(warnings), ContainsSubstring("Europe/Atlantis"));
  CHECK(Reader(store).info().created_utc.substr(0, 2) == "20");
  CHECK(avstore::verify(store, {}).findings.size() == 2);
}

TEST_CASE("an empty store becomes an empty store of another format, and no video") {
  const TemporaryFolder folder;
  WriterOptions writing = options_of("npy");
  writing.metadata_yaml = "rig: 3\n";
  Writer(folder.path() / "empty", writing).close();
  avstore::TranscodeOptions options;
  options.writer = options_of("avc1/mp4");
  CHECK(avstore::transcode(folder.path() / "empty", folder.path() / "copy", options) == 0);
  const Reader reader(folder.path() / "copy");
  CHECK(reader.frame_count() == 0);
  CHECK(reader.info().format == "avc1/mp4");
  CHECK(reader.info().metadata_yaml == "rig: 3\n");
  CHECK(reader.info().created_utc == Reader(folder.path() / "empty").info().created_utc);
  CHECK_THAT(outcome_of([&] {
               avstore::export_video(folder.path() / "empty", folder.path() / "v.mp4", {});
             }),
             ContainsSubstring("empty: the store has no frames"));
}

TEST_CASE("a chunk that is a link out of the store is read, and told of") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("ffv1/mkv"), 3);
  fs::create_directory(folder.path() / "disk");
  fs::rename(store / "000000.mkv", folder.path() / "disk" / "a.mkv");
  fs::create_symlink("../disk/a.mkv", store / "000000.mkv");
  Lines warnings;
  CHECK(numbers(store, warnings).size() == 3);
  CHECK_THAT(all_of(warnings),
             ContainsSubstring("000000.mkv: is a link") && ContainsSubstring("disk/a.mkv"));
  warnings.clear();
  fs::rename(folder.path() / "disk" / "a.mkv", store / "other.mkv");
  fs::remove(store / "000000.mkv");
  fs::create_symlink("other.mkv", store / "000000.mkv");
  CHECK(numbers(store, warnings).size() == 3);
  CHECK(warnings.empty());
}

TEST_CASE("a TIFF of floats is refused for what it is, by its name") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("tif"), 3);
  // Little-endian, one strip of 2x2 floats.
  python(
      "import struct, sys\n"
      "tags = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 32), (259, 3, 1, 1), (262, 3, 1, 1),"
      " (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 16), (339, 3, 1, 3)]\n"
      "data = b'II*\\0' + struct.pack('<I', 24) + struct.pack('<4f', 1, 2, 3, 4)\n"
      "data += struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *t) for t in tags)\n"
      "open(sys.argv[1], 'wb').write(data + bytes(4))",
      store / "000000" / "000001.tif");
  Reader reader(store);
  const std::string outcome = outcome_of([&] { reader.read(FrameIndex(1)); });
  CHECK_THAT(outcome, ContainsSubstring("unsupported: ") &&
                          ContainsSubstring("000000/000001.tif") &&
                          ContainsSubstring("floating-point"));
}
