// The writer from its first frame to its end: flushing, refusals, extra data and metadata, raw
// sensor data.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/image.h"
#include "avstore/metadata.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
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
using avstore::FrameTime;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::check_places;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::error_of;
using avstore::test::formats_with_real_timing;
using avstore::test::frame_md5s;
using avstore::test::in_child;
using avstore::test::is_intra_only;
using avstore::test::is_video;
using avstore::test::odd_names;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::plain_names;
using avstore::test::python;
using avstore::test::read_text;
using avstore::test::shuffled_indices;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

}  // namespace

// --- Flushing, and reading what is still being written ---

namespace {

void check_contiguous(const Reader& reader) {
  std::map<std::int64_t, std::vector<std::int64_t>> by_chunk;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    REQUIRE(info.pts.has_value());
    by_chunk[info.chunk].push_back(*info.pts);
  }
  for (const auto& [chunk, pts] : by_chunk) {
    CAPTURE(chunk, pts);
    for (std::size_t i = 2; i < pts.size(); ++i) {
      CHECK(pts[i] - pts[i - 1] == pts[1] - pts[0]);
    }
  }
}

}  // namespace

TEST_CASE("frames flushed are durable, and those after them follow without a gap") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const int b_frames : {0, 2}) {
      if (b_frames > 0 && (!format.video || is_intra_only(format.name))) {
        continue;
      }
      DYNAMIC_SECTION(format.name << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format.name, 13);
        options.encoder.b_frames = b_frames;
        Writer writer(store, options);
        const auto names = plain_names(30);
        for (int i = 0; i < 30; ++i) {
          add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
          // After the first, two in a row, just before a chunk is full and when it is.
          if (std::set{0, 1, 2, 9, 11, 12, 19, 25}.contains(i)) {
            writer.sync();
            writer.sync();
            CHECK(writer.statistics().frames_durable == i + 1);
            Reader reader(store);
            CHECK(reader.frame_count() == i + 1);
            CHECK(reader.info().open_for_writing);
            for (const FrameIndex index : shuffled_indices(i + 1)) {
              CAPTURE(i, index.value);
              REQUIRE(code_of(reader.read(index).image.view()) == static_cast<int>(index.value));
            }
          }
        }
        writer.close();
        const Reader reader(store);
        check_names(reader, names);
        check_places(reader, 13);
        CHECK(wrong_codes(store).empty());
        if (format.video) {
          check_contiguous(reader);
          for (int chunk = 0; chunk < 3; ++chunk) {
            const auto oracle = frame_md5s(chunk_file(store, format.name, chunk));
            Reader frames(store);
            REQUIRE(oracle.size() == (chunk < 2 ? 13U : 4U));
            for (std::size_t i = oracle.size(); i-- > 0;) {
              const auto index = static_cast<std::int64_t>(i) + 13 * chunk;
              CHECK(avstore::md5(frames.read(FrameIndex(index)).image.view()) == oracle[i]);
            }
          }
        }
        CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
      }
    }
  }
}

TEST_CASE("flushing with real timing keeps frames in order") {
  for (const std::string& format : formats_with_real_timing()) {
    for (const int b_frames : {0, 2}) {
      DYNAMIC_SECTION(format << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 100);
        options.encoder.b_frames = b_frames;
        options.timing = avstore::Timing::real;
        Writer writer(store, options);
        for (int i = 0; i < 30; ++i) {
          // 100 frames/s at first, then one every two seconds.
          add(writer, draw(pixel::gray8, i).view, {i, i < 15 ? 0.01 * i : 2.0 * i});
          if (i % 6 == 5 || i == 13) {
            writer.sync();
            CHECK(writer.statistics().frames_durable == i + 1);
            const Frame frame = Reader(store).read(FrameIndex(i));
            CHECK(code_of(frame.image.view()) == i);
          }
        }
        writer.close();
        CHECK(wrong_codes(store).empty());
        const Reader reader(store);
        std::vector<std::int64_t> pts;
        for (const FrameInfo& info : reader.infos({0, 30})) {
          pts.push_back(info.pts.value_or(-1));
        }
        CHECK(std::adjacent_find(pts.begin(), pts.end(), std::greater_equal<>()) == pts.end());
      }
    }
  }
}

TEST_CASE("a reader sees the frames that were durable when it was opened") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "mjpeg/avi", "pgm"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format, 20));
      CHECK(error_of([&] { Reader nothing(store); }).kind() == ErrorKind::not_found);
      const auto names = plain_names(50);
      for (int i = 0; i < 30; ++i) {
        add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
      }
      writer.sync();
      Reader early(store);
      for (int i = 30; i < 50; ++i) {
        add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
      }
      writer.sync();
      Reader late(store);
      CHECK(early.frame_count() == 30);
      CHECK(late.frame_count() == 50);
      const auto check_all = [](Reader& reader) {
        std::int64_t wrong = 0;
        for (const FrameIndex index : shuffled_indices(reader.frame_count())) {
          wrong +=
              code_of(reader.read(index).image.view()) != static_cast<int>(index.value) ? 1 : 0;
        }
        return wrong;
      };
      CHECK(check_all(early) == 0);
      writer.close();
      CHECK(check_all(early) == 0);
      CHECK(check_all(late) == 0);
      CHECK_FALSE(Reader(store).info().open_for_writing);
    }
  }
}

// --- The writer's errors ---

TEST_CASE("frames unlike the first are refused, by their number") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("ffv1/mkv"));
  for (int i = 0; i < 9; ++i) {
    add(writer, draw(pixel::gray8, i).view, {i, 0.1 * i});
  }
  SECTION("another size") {
    const auto error = error_of([&] { add(writer, draw(pixel::gray8, 9, 64, 64).view, {9, 9}); });
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), ContainsSubstring(store.string()) && ContainsSubstring("frame 9") &&
                                 ContainsSubstring("64x64") && ContainsSubstring("96x64"));
  }
  SECTION("another pixel format") {
    const auto error = error_of([&] { add(writer, draw(pixel::bgr24, 9).view, {9, 9}); });
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), ContainsSubstring("frame 9") && ContainsSubstring("bgr24") &&
                                 ContainsSubstring("gray8"));
  }
  SECTION("no pixels") {
    CHECK(error_of([&] {
            add(writer, ImageView(), {9, 9});
          }).kind() == ErrorKind::invalid_argument);
    CHECK(error_of([&] { writer.add(Image(), FrameNumber(9), FrameTime(9)); }).kind() ==
          ErrorKind::invalid_argument);
  }
  // The writer goes on.
  add(writer, draw(pixel::gray8, 9).view, {9, 0.9});
  writer.close();
  CHECK(Reader(store).frame_count() == 10);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("arrays whose elements are no numbers are refused, and the writer goes on") {
  const std::string format = GENERATE("npy", "bpk", "png", "ffv1/mkv");
  const std::string dtype =
      GENERATE("|O", "|V0", "|S0", "|S5", "<U2", "<M8[s]", "<m8[25s]", "|V2000000");
  CAPTURE(format, dtype);
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const std::vector<std::uint8_t> bytes(4'000'000);
  ImageView view;
  view.format = pixel::array;
  view.width = 1;
  view.height = 2;
  view.planes[0] = bytes.data();
  view.strides[0] = 2'000'000;
  view.array = {dtype, {2, 1}};
  const std::string outcome = in_child([&] {
    Writer writer(store, options_of(format));
    std::string refused = outcome_of([&] { add(writer, view, {0, 0}); });
    refused += outcome_of([&] { writer.add(Image(view, nullptr), FrameNumber(0), FrameTime(0)); });
    add(writer, draw(pixel::gray8, 0).view, {0, 0});
    writer.close();
    return refused;
  });
  CHECK_THAT(outcome, StartsWith("invalid_argument: ") && ContainsSubstring("'" + dtype + "'"));
  CHECK_THAT(outcome, !ContainsSubstring("no error"));
  CHECK(Reader(store).frame_count() == 1);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a closed writer takes nothing more") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("png"));
  add(writer, draw(pixel::gray8, 0).view, {0, 0});
  writer.close();
  CHECK_NOTHROW(writer.close());
  for (const auto& call : std::vector<std::function<void()>>{
           [&] {
             add(writer, draw(pixel::gray8, 1).view, {1, 1});
           },
           [&] { writer.sync(); }, [&] { writer.add_extra("{}"); }}) {
    const auto error = error_of(call);
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), ContainsSubstring(store.string()) && ContainsSubstring("closed"));
  }
  CHECK(Reader(store).frame_count() == 1);
}

TEST_CASE("a writer that goes out of scope closes its store") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  {
    Writer first(store, options_of("avc1/mp4"));
    add(first, draw(pixel::gray8, 0).view, {0, 0});
    Writer moved(std::move(first));
    add(moved, draw(pixel::gray8, 1).view, {1, 1});
    CHECK(moved.path() == store);
  }
  CHECK_FALSE(fs::exists(store / ".lock"));
  CHECK(Reader(store).frame_count() == 2);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("an encoder that there is not is refused before there is a store") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("avc1/mp4");
  options.encoder.encoder = "libx246";
  const auto error = error_of([&] { const Writer writer(folder.path() / "store", options); });
  CHECK(error.kind() == ErrorKind::unsupported);
  CHECK_THAT(error.what(), ContainsSubstring("libx246"));
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a frame rate of numbers that no video holds is refused, not cut off") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const std::int64_t large = std::int64_t{1} << 32;
  write_store(folder.path() / "there", options_of("png"), 2);
  for (const avstore::Rational& rate : std::vector<avstore::Rational>{
           {large + 25, 1}, {25, large + 1}, {1, std::int64_t{1} << 31}, {-25, 1}, {25, 0}}) {
    CAPTURE(rate.num, rate.den);
    WriterOptions options = options_of("mjpeg/avi");
    options.encoder.frame_rate = rate;
    CHECK(error_of([&] { Writer(store, options); }).kind() == ErrorKind::invalid_argument);
    CHECK_FALSE(fs::exists(store));
    avstore::ExportOptions exporting;
    exporting.encoder.frame_rate = rate;
    CHECK(error_of([&] {
            avstore::export_video(folder.path() / "there", folder.path() / "a.mp4", exporting);
          }).kind() == ErrorKind::invalid_argument);
    CHECK_FALSE(fs::exists(folder.path() / "a.mp4"));
  }
}

TEST_CASE("what an encoder does not like is told with the store's path") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  options.encoder.options["tuen"] = "film";
  Writer writer(store, options);
  const std::vector<std::uint8_t> gray(96 * 64, 99);
  writer.add(avstore::packed_view(pixel::gray8, 96, 64, gray.data()), FrameNumber(0), FrameTime(0));
  const auto error = error_of([&] { writer.close(); });
  CHECK(error.kind() == ErrorKind::invalid_argument);
  CHECK_THAT(error.what(), ContainsSubstring(store.string() + ": ") && ContainsSubstring("tuen"));
}

// --- Extra data and metadata ---

TEST_CASE("extra data is kept with the frame that was newest") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      for (int i = 0; i < 23; ++i) {
        add(writer, draw(pixel::gray8, i).view, odd_names()[static_cast<std::size_t>(i)]);
        if (i == 0 || i == 6 || i == 7 || i == 9 || i == 22) {
          writer.add_extra(R"({"place": )" + std::to_string(i) + R"(, "text": "ü\"\\"})");
          writer.add_extra(R"({"second": true, "frame_index": 12345})");
        }
      }
      for (const char* bad : {"", "[1]", "{", "7", "{\"a\": 1} x", "{'a': 1}"}) {
        CAPTURE(bad);
        CHECK(error_of([&] { writer.add_extra(bad); }).kind() == ErrorKind::invalid_argument);
      }
      writer.close();
      const auto file = [&](int chunk) {
        const fs::path data = chunk_file(store, format, chunk);
        return is_video(format) ? fs::path(data).replace_extension(".extra.json")
                                : data / "index.extra.json";
      };
      std::vector<nlohmann::json> records;
      for (const int chunk : {0, 1, 3}) {
        for (const auto& record : nlohmann::json::parse(read_text(file(chunk)))) {
          CHECK(record["frame_index"].get<std::int64_t>() / 7 == chunk);
          records.push_back(record);
        }
      }
      CHECK_FALSE(fs::exists(file(2)));
      REQUIRE(records.size() == 10);
      std::size_t at = 0;
      for (const std::size_t i : {0U, 6U, 7U, 9U, 22U}) {
        for (const bool second : {false, true}) {
          const auto& record = records[at++];
          CAPTURE(record.dump());
          CHECK(record["frame_index"] == i);
          CHECK(record["frame_number"] == odd_names()[i].number);
          CHECK(record["frame_time"].get<double>() == odd_names()[i].time);
          CHECK(record.contains("second") == second);
          if (!second) {
            CHECK(record["place"] == i);
            CHECK(record["text"] == "ü\"\\");
          }
        }
      }
      // Python's json, which the reference uses, agrees; and the database has them too.
      CHECK(python("import json, sys; print(len(json.load(open(sys.argv[1]))))", file(0)) == "4\n");
      CHECK(sqlite(store, "SELECT COUNT(*), MIN(frame_index), MAX(frame_index) FROM extra_data") ==
            std::vector<std::string>{"10|0|22"});
    }
  }
}

TEST_CASE("metadata comes back") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("h264/mkv", 123);
  options.metadata_yaml =
      "subject: {id: 7, tags: [a, 'b c', \"7\"]}\nnote: 'yes'\nratio: 0.1\nempty: null\n"
      "unicode: Grüße 漢字\nmulti: |\n  one\n  two\nbig: 12345678901234567890\n";
  options.created_utc = "2026-01-02T03:04:05.678901";
  options.timezone_local = "Europe/Vienna";
  options.encoding = "";
  write_store(store, options, pixel::bgr24, plain_names(3));
  const Reader reader(store);
  const avstore::StoreInfo& info = reader.info();
  CHECK(info.store_class == "VideoImgStore");
  CHECK(info.format == "h264/mkv");
  CHECK(info.encoder == "libx264");
  CHECK(info.color);
  CHECK(info.dtype == "uint8");
  CHECK(info.chunk_size == 123);
  CHECK(info.created_utc == "2026-01-02T03:04:05.678901");
  CHECK(info.timezone_local == "Europe/Vienna");
  CHECK(info.uuid.size() == 32);
  CHECK(info.uuid.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(nlohmann::json::parse(avstore::metadata_to_json(info.metadata_yaml)) ==
        nlohmann::json::parse(R"({"subject": {"id": 7, "tags": ["a", "b c", "7"]}, "note": "yes",
          "ratio": 0.1, "empty": null, "unicode": "Grüße 漢字", "multi": "one\ntwo\n",
          "big": 12345678901234567890})"));
  const std::string yaml = read_text(store / "metadata.yaml");
  for (const char* line : {"class: VideoImgStore", "version: 2", "extension: .mkv",
                           "chunksize: 123", "format: h264/mkv", "imgdtype: uint8", "encoding:"}) {
    CHECK_THAT(yaml, ContainsSubstring(line));
  }
  CHECK(Reader(store / "metadata.yaml").frame_count() == 3);
}

TEST_CASE("whether a store is colour follows from its frames or from the caller") {
  struct Case {
    std::string format;
    PixelFormat pixels;
    std::optional<bool> wanted;
    bool color;
    std::string dtype;
  };
  for (const Case& c : std::vector<Case>{{"avc1/mp4", pixel::gray8, {}, false, "uint8"},
                                         {"avc1/mp4", pixel::bgr24, {}, true, "uint8"},
                                         {"avc1/mp4", pixel::bgr24, false, false, "uint8"},
                                         {"avc1/mp4", pixel::yuv420p, {}, true, "uint8"},
                                         {"png", pixel::gray16, {}, false, "uint16"},
                                         {"ppm", pixel::gray8, {}, true, "uint8"},
                                         {"pgm", pixel::bgr24, {}, false, "uint8"},
                                         {"png", pixel::rgb24, {}, true, "uint8"},
                                         {"npy", pixel::gray16, {}, false, "uint16"}}) {
    const TemporaryFolder folder;
    WriterOptions options = options_of(c.format);
    options.color = c.wanted;
    write_store(folder.path() / "store", options, c.pixels, plain_names(2));
    const Reader reader(folder.path() / "store");
    CAPTURE(c.format, c.pixels.name());
    CHECK(reader.info().color == c.color);
    CHECK(reader.info().dtype == c.dtype);
  }
}

// --- Raw sensor data, odd sizes, emptying ---

TEST_CASE("formats with +color decode the sensor's encoding before they write") {
  // A mosaic of one colour, red in the top left: R, G / G, B.
  std::vector<std::uint8_t> mosaic(64 * 48);
  for (std::size_t i = 0; i < mosaic.size(); ++i) {
    const std::size_t odd_row = i / 64 % 2;
    const std::size_t odd_column = i % 2;
    mosaic[i] = odd_row == 0 && odd_column == 0 ? 200 : odd_row == 1 && odd_column == 1 ? 50 : 100;
  }
  const auto view = avstore::packed_view(pixel::gray8, 64, 48, mosaic.data());
  for (const std::string format : {"png+color", "tif+color", "bmp+color", "jpg+color"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.encoding = "cv_bayerrggb";
      Writer writer(store, options);
      writer.add(view, FrameNumber(0), FrameTime(0));
      writer.close();
      Reader reader(store);
      CHECK(reader.info().format == format.substr(0, 3));
      CHECK(reader.info().encoding.empty());
      CHECK(reader.info().color);
      const Image image = avstore::convert(reader.read(FrameIndex(0)).image.view(), pixel::bgr24);
      const std::uint8_t* middle = image.data() + 24 * image.stride() + 32 * 3;
      CHECK(std::abs(middle[0] - 50) <= 3);
      CHECK(std::abs(middle[1] - 100) <= 3);
      CHECK(std::abs(middle[2] - 200) <= 3);
    }
  }
  SECTION("without an encoding, or one that is not known") {
    const TemporaryFolder folder;
    WriterOptions options = options_of("png+color");
    CHECK(error_of([&] { Writer(folder.path() / "a", options); }).kind() ==
          ErrorKind::invalid_argument);
    options.encoding = "cv_nonsense";
    const auto error = error_of([&] { Writer(folder.path() / "a", options); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), ContainsSubstring("cv_nonsense"));
    CHECK_FALSE(fs::exists(folder.path() / "a"));
  }
}

TEST_CASE("what a format cannot hold of odd sizes is told") {
  for (const auto& [format, told] : std::map<std::string, bool>{
           {"avc1/mp4", true}, {"mjpeg/avi", true}, {"ffv1/mkv", false}, {"png", false}}) {
    const TemporaryFolder folder;
    std::vector<std::string> warnings;
    WriterOptions options = options_of(format);
    options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
    Writer writer(folder.path() / "store", options);
    const std::vector<std::uint8_t> gray(97 * 64);
    for (int i = 0; i < 3; ++i) {
      writer.add(avstore::packed_view(pixel::gray8, 97, 64, gray.data()), FrameNumber(i),
                 FrameTime(i));
    }
    writer.close();
    CAPTURE(format, warnings);
    CHECK(warnings.size() == (told ? 1 : 0));
  }
}

TEST_CASE("an emptied store keeps its metadata, and nothing else") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of(format);
    options.metadata_yaml = "subject: 7\n";
    write_store(store, options, pixel::gray8, plain_names(23));
    const std::string metadata = read_text(store / "metadata.yaml");
    avstore::empty_store(store);
    CHECK(read_text(store / "metadata.yaml") == metadata);
    CHECK(Reader(store).frame_count() == 0);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(store)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{".index.sqlite", "metadata.yaml"});
  }
  CHECK_THROWS(avstore::empty_store("/nonexistent"));
}
