// Stores whose chunks are lost or damaged, or that contradict themselves: what is left is read, and
// what is wrong is told.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <set>
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
using avstore::FrameNumber;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::WriterOptions;
using avstore::test::check_names;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::error_of;
using avstore::test::in_child;
using avstore::test::media_file;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::plain_names;
using avstore::test::read_text;
using avstore::test::shuffled_indices;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::Warned;
using avstore::test::write_store;
using avstore::test::write_text;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

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
      CHECK_THAT(error.what(), ContainsSubstring(store.string()));
    }
  }
  CHECK_FALSE(warned.lines.empty());
}

}  // namespace

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
        CHECK_THAT(error.what(), ContainsSubstring(file.string()));
      }
      for (const FrameIndex i : shuffled_indices(23)) {
        if (!std::set<std::int64_t>{9, 10, 14, 15}.contains(i.value)) {
          CHECK(code_of(reader.read(i).image.view()) == i.value);
        }
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
      CHECK_THAT(outcome, StartsWith(kind + ": ") && ContainsSubstring(store.string()));
    }
  }
  SECTION("a message that says what to do about a newer version") {
    write_text(metadata, replaced("version: 2", "version: 3"));
    CHECK_THAT(outcome_of([&] { Reader reader(store); }), ContainsSubstring(metadata.string()) &&
                                                              ContainsSubstring("version 3") &&
                                                              ContainsSubstring("newer"));
  }
  SECTION("missing") {
    fs::remove(metadata);
    CHECK_THAT(outcome_of([&] { Reader reader(store); }), StartsWith("not_found: ") &&
                                                              ContainsSubstring(store.string()) &&
                                                              ContainsSubstring("metadata.yaml"));
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
             StartsWith("unsupported: ") && ContainsSubstring("betamax"));
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
  CHECK_THAT(findings, ContainsSubstring("000001.mp4"));
  const std::string outcome = in_child([&] {
    Warned warned;
    const std::string said = outcome_of([&] {
      Reader reader(store, warned.options());
      for (int i = 0; i < 23; ++i) {
        static_cast<void>(reader.read(FrameNumber(i)));
      }
    });
    return said + (warned.lines.empty() ? "" : " warned: " + warned.lines[0]);
  });
  CHECK_THAT(outcome, ContainsSubstring("000001.mp4"));
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
      CHECK_THAT(read, ContainsSubstring("is 96x64, those of the store are 96x66"));
      CAPTURE(format);
      const auto found = findings(true);
      REQUIRE(found.size() == 4);  // two for each chunk
      CHECK("corrupt: " + found[0] == read);
      CHECK_THAT(found[1], ContainsSubstring("6 more of its frames"));
      CHECK_THAT(found[2], ContainsSubstring("frame 7 in chunk 1"));
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
    CHECK_THAT(found[0], ContainsSubstring("frame 10 in chunk 1 is 128x96"));
  }
  SECTION("arrays are of another type") {
    write_store(store, options_of("npy"), 7);
    replace("imgdtype: uint8", "imgdtype: uint16");
    const auto found = findings(true);
    REQUIRE(found.size() == 2);
    CHECK_THAT(found[0],
               ContainsSubstring("frame 0 in chunk 0 is uint8, those of the store are uint16"));
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
                      ContainsSubstring("no folder of the store"));
    CHECK(is_untouched());
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
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("h264/mkv", 100), 60, 640, 480);  // more than is read ahead
  const std::string outcome = avstore::test::in_child([&store] {
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
