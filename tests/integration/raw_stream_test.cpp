// Raw frames with numbers and times, as README.md describes them: avstore-raw.
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "support/cameras.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::CameraOptions;
using avstore::CameraResult;
using avstore::FrameClock;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::RecordEnd;
using avstore::RecordOptions;
using avstore::test::check_whole;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::frame_header;
using avstore::test::free_port;
using avstore::test::gray_header;
using avstore::test::kNoNumber;
using avstore::test::kNoTime;
using avstore::test::Program;
using avstore::test::raw_camera;
using avstore::test::raw_frame;
using avstore::test::record_one;
using avstore::test::rig_of;
using avstore::test::sqlite;
using avstore::test::stream_header;
using avstore::test::TemporaryFolder;
using avstore::test::unix_now;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("raw frames keep the camera's numbers, times and extra data") {
  const TemporaryFolder folder;
  std::string stream = gray_header();
  stream += raw_frame(0, 5000, 1700000000.25);
  stream += raw_frame(1, -7, 1700000000.125, R"({"force": 1.5})");
  stream += raw_frame(2, kNoNumber, 12.5);
  stream += raw_frame(3, std::numeric_limits<std::int64_t>::max(), kNoTime);
  write_text(folder.path() / "raw", stream);
  CameraOptions camera = raw_camera(folder.path() / "raw", folder.path() / "store");
  camera.clock = GENERATE(std::optional<FrameClock>(), std::optional(FrameClock::arrival));
  const double begin = unix_now();
  const CameraResult result = record_one(camera);
  CHECK(result.end == RecordEnd::source_ended);
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.frames == 4);
  CHECK(sqlite(result.store, "SELECT frame_number FROM frames ORDER BY frame_index") ==
        std::vector<std::string>{"5000", "-7", "2", "9223372036854775807"});
  Reader reader(result.store);
  for (int i = 0; i < 4; ++i) {
    CHECK(code_of(reader.read(FrameIndex(i)).image.view()) == i);
    CHECK(avstore::md5(reader.read(FrameIndex(i)).image.view()) ==
          avstore::md5(draw(pixel::gray8, i).view));
  }
  const auto infos = reader.infos({0, 4});
  if (camera.clock) {
    CHECK(reader.info().time_min.seconds >= begin);
  } else {
    CHECK(infos[0].time.seconds == 1700000000.25);
    CHECK(infos[1].time.seconds == 1700000000.125);
    CHECK(infos[2].time.seconds == 12.5);
    CHECK(infos[3].time.seconds >= begin);  // it has none
  }
  CHECK(sqlite(result.store, "SELECT frame_index, json_extract(json, '$.force') FROM extra_data") ==
        std::vector<std::string>{"1|1.5"});
  CHECK(reader.info().nominal_frame_rate == avstore::Rational{25, 1});
  check_whole(result.store);
}

TEST_CASE("raw frames may have any pixel format") {
  for (const auto format : {pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::yuv420p}) {
    const TemporaryFolder folder;
    const auto drawn = draw(format, 77);
    write_text(folder.path() / "raw", stream_header(avstore::test::kWidth, avstore::test::kHeight,
                                                    std::string(format.name()), 30000, 1001) +
                                          frame_header(1, 2, drawn.bytes.size()) +
                                          std::string(drawn.bytes.begin(), drawn.bytes.end()));
    const CameraResult result =
        record_one(raw_camera(folder.path() / "raw", folder.path() / "store"));
    CAPTURE(format.name(), result.error);
    REQUIRE(result.frames == 1);
    Reader reader = avstore::test::open_as(result.store, format);
    CHECK(avstore::md5(reader.read(FrameIndex(0)).image.view()) == avstore::md5(drawn.view));
    CHECK(reader.info().nominal_frame_rate == avstore::Rational{30000, 1001});
  }
}

TEST_CASE("streams of raw frames that are none, or lie, are refused with words") {
  struct Case {
    std::string stream;
    std::string expected;
    std::int64_t frames;
  };
  const std::string good = gray_header();
  const std::string frame = raw_frame(0, 0, 0);
  const auto changed = [](std::string text, std::size_t at, const std::string& by) {
    return text.replace(at, by.size(), by);
  };
  const std::string largest(4, '\xff');
  const std::vector<Case> cases = {
      {"", "ends within the stream's header", 0},
      {good.substr(0, 63), "ends within the stream's header", 0},
      {changed(good, 0, "RIFF"), "AVSRAW1", 0},
      {changed(good, 8, std::string(4, '\0')), "0x64", 0},
      {changed(good, 8, largest), "4294967295x64", 0},
      {stream_header(16000, 16000, "rgb48le"), "bytes, which cannot be", 0},
      {stream_header(96, 64, "nosuch"), "nosuch", 0},
      {stream_header(96, 64, std::string(32, 'x')), "pixel format", 0},
      {changed(good, 16, largest), "rate", 0},
      {good + "XXXX" + frame.substr(4), "no frame begins where frame 0 must, at byte 64", 0},
      {good + frame + frame_header(1, 0, 5), "frame 1 has 5 bytes; those of this stream have 6144",
       1},
      {good + frame + frame_header(1, 0, std::numeric_limits<std::uint64_t>::max()),
       "18446744073709551615", 1},
      {good + frame + frame_header(1, 0, 6144, 0xffffffff), "4294967295 bytes of extra data", 1},
      {good + frame + raw_frame(1, 1, 1, "[1]"), "extra data of frame 1", 1},
      {good, "gave no frame", 0},
  };
  for (const Case& one : cases) {
    const TemporaryFolder folder;
    write_text(folder.path() / "raw", one.stream);
    const CameraResult result =
        record_one(raw_camera(folder.path() / "raw", folder.path() / "store"));
    CAPTURE(one.expected, result.error);
    CHECK(result.end == RecordEnd::failed);
    CHECK_THAT(result.error, ContainsSubstring(one.expected) && ContainsSubstring("raw"));
    CHECK(result.frames == one.frames);
    CHECK(fs::exists(folder.path() / "store") == (one.frames > 0));
  }
}

TEST_CASE("raw frames that end within one are told of, and the others kept") {
  const std::string whole = gray_header() + raw_frame(0, 0, 0) + raw_frame(1, 1, 1);
  const std::size_t second = 64 + 32 + 6144;
  for (const std::size_t size : {second + 1, second + 31, second + 33, whole.size() - 1}) {
    const TemporaryFolder folder;
    write_text(folder.path() / "raw", whole.substr(0, size));
    RecordOptions rig = rig_of({raw_camera(folder.path() / "raw", folder.path() / "store")});
    std::string told;
    rig.notice = [&told](const std::string& text) { told += text; };
    const CameraResult result = avstore::record(rig).front();
    CHECK(result.end == RecordEnd::source_ended);
    CHECK(result.frames == 1);
    CHECK_THAT(told, ContainsSubstring("it ends within") && ContainsSubstring("frame 1"));
    check_whole(result.store);
  }
}

TEST_CASE("whatever bytes come as raw frames, there is an error or a store") {
  std::mt19937 random(5);
  std::string good = gray_header();
  for (int i = 0; i < 3; ++i) {
    good += raw_frame(i, i, i, R"({"a": 1})");
  }
  for (int trial = 0; trial < 60; ++trial) {
    const TemporaryFolder folder;
    std::string stream = good;
    for (int change = 0; change < 3; ++change) {
      // Headers more often than pixels.
      const std::size_t frame = 32 + 6144 + 8;
      const std::size_t at =
          random() % 2 == 0 ? random() % 64 : 64 + frame * (random() % 3) + random() % 32;
      stream[at] = static_cast<char>(random());
    }
    write_text(folder.path() / "raw", stream);
    const CameraResult result =
        record_one(raw_camera(folder.path() / "raw", folder.path() / "store"));
    CHECK((result.end == RecordEnd::failed) == !result.error.empty());
    if (result.frames > 0) {
      CHECK(Reader(result.store).frame_count() == result.frames);
    } else {
      CHECK_FALSE(fs::exists(result.store));
    }
  }
}

TEST_CASE("raw frames come through a FIFO and a socket as well") {
  constexpr int kFrames = 30;
  const TemporaryFolder folder;
  std::string stream = gray_header();
  for (int i = 0; i < kFrames; ++i) {
    stream += raw_frame(i, 3 * i, 0.5 * i);
  }
  write_text(folder.path() / "raw", stream);
  std::string source;
  std::string feeder;
  const int port = free_port();
  SECTION("FIFO") {
    source = folder.path() / "fifo";
    REQUIRE(::mkfifo(source.c_str(), 0600) == 0);
    feeder = "cat " + avstore::test::quoted(folder.path() / "raw") + " > " +
             avstore::test::quoted(source);
  }
  SECTION("TCP, listening") {
    source = "tcp://127.0.0.1:" + std::to_string(port) + "?listen=1";
  }
  SECTION("Unix socket") {
    source = "unix:" + (folder.path() / "socket").string();
  }
  CameraOptions camera = raw_camera(source, folder.path() / "store");
  if (source.starts_with("unix:")) {
    camera.input_options["listen"] = "1";
  }
  const std::string connect =
      source.starts_with("tcp")
          ? "s = socket.create_connection(('127.0.0.1', " + std::to_string(port) + "))"
          : "s = socket.socket(socket.AF_UNIX); s.connect(" +
                avstore::test::quoted(folder.path() / "socket") + ")";
  // The socket is there when we listen, and not before.
  const std::string send =
      "import socket, time\n"
      "while True:\n"
      "    try:\n"
      "        " +
      connect +
      "\n"
      "        break\n"
      "    except OSError:\n"
      "        time.sleep(0.01)\n"
      "s.sendall(open(" +
      avstore::test::quoted(folder.path() / "raw") + ", 'rb').read())\n";
  const Program program(feeder.empty() ? std::vector<std::string>{"/usr/bin/python3", "-c", send}
                                       : std::vector<std::string>{"bash", "-c", feeder});
  if (feeder.empty()) {
    camera.reconnect = 0;
  }
  const CameraResult result = record_one(camera);
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.end == RecordEnd::source_ended);
  REQUIRE(result.frames == kFrames);
  Reader reader(result.store);
  for (int i = 0; i < kFrames; ++i) {
    const auto frame = reader.read(FrameIndex(i));
    CHECK(code_of(frame.image.view()) == i);
    CHECK(frame.info.number.value == 3 * i);
  }
}

TEST_CASE("of what came with frames that were dropped, too much to wait is left out, and counted") {
  constexpr int kFrames = 120;
  const TemporaryFolder folder;
  std::string stream = gray_header();
  for (int i = 0; i < kFrames; ++i) {
    stream += raw_frame(i, 1000 + i, 0.5 * i, "{\"trigger\": " + std::to_string(i) + "}");
  }
  write_text(folder.path() / "raw", stream);
  CameraOptions camera = raw_camera(folder.path() / "raw", folder.path() / "store");
  camera.writer.format = "h264/mkv";
  camera.writer.encoder.encoder = "libx264";
  camera.writer.encoder.preset = "placebo";
  camera.writer.queue_frames = 1;
  camera.writer.queue_bytes = 1;  // one record waits
  camera.writer.when_full = avstore::WhenFull::drop;
  RecordOptions rig = rig_of({camera});
  std::string told;
  rig.notice = [&told](const std::string& text) { told += text + "\n"; };
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.frames + result.dropped_count == kFrames);
  CHECK(result.extra_left_out > 0);
  CHECK_THAT(told, ContainsSubstring("what came with a dropped frame is left out"));
  CHECK(sqlite(result.store,
               "SELECT count(*) FROM extra_data WHERE json_extract(json, '$.trigger') >= 0") ==
        std::vector<std::string>{std::to_string(kFrames - result.extra_left_out)});
  // Those of frames that are in the store are there, all of them.
  CHECK(sqlite(result.store,
               "SELECT count(*) FROM extra_data WHERE json_extract(json, '$.trigger') >= 0 AND "
               "json_extract(json, '$.of_dropped') IS NULL") ==
        std::vector<std::string>{std::to_string(result.frames)});
}

TEST_CASE("what came with frames that were dropped stays, and so does the list of them") {
  constexpr int kFrames = 120;
  const TemporaryFolder folder;
  std::string stream = gray_header();
  for (int i = 0; i < kFrames; ++i) {
    const std::string extra = i == 60 ? "{}" : "{\"trigger\": " + std::to_string(i) + "}";
    stream += raw_frame(i, 1000 + i, 0.5 * i, extra);
  }
  write_text(folder.path() / "raw", stream);
  CameraOptions camera = raw_camera(folder.path() / "raw", folder.path() / "store");
  camera.writer.format = "h264/mkv";
  camera.writer.encoder.encoder = "libx264";
  camera.writer.encoder.preset = "placebo";
  camera.writer.queue_frames = 1;
  camera.writer.when_full = avstore::WhenFull::drop;
  const CameraResult result = record_one(camera);
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  REQUIRE_FALSE(result.dropped.empty());
  CHECK(result.frames + static_cast<std::int64_t>(result.dropped.size()) == kFrames);
  const auto ask = [&](const std::string& query) { return sqlite(result.store, query); };
  // Each trigger is there once, and says of which frame it is.
  CHECK(ask("SELECT count(DISTINCT json_extract(json, '$.trigger')) FROM extra_data") ==
        std::vector<std::string>{std::to_string(kFrames - 1)});
  CHECK(ask("SELECT json FROM extra_data WHERE json_extract(json, '$.trigger') + 1000 != "
            "ifnull(json_extract(json, '$.of_dropped.frame_number'), frame_number)")
            .empty());
  // With the frame before.
  CHECK(ask("SELECT e.json FROM extra_data AS e WHERE e.frame_number != (SELECT max(frame_number) "
            "FROM frames AS f WHERE f.frame_number <= 1000 + json_extract(e.json, '$.trigger'))")
            .empty());
  std::vector<std::string> dropped;
  for (const auto& names : result.dropped) {
    dropped.push_back(std::to_string(names.number.value) + "|" +
                      std::to_string(names.time.seconds).substr(0, 4));
  }
  CHECK(ask("SELECT n.value || '|' || substr(printf('%.6f', t.value), 1, 4) FROM extra_data AS e, "
            "json_each(e.json, '$.dropped.frame_number') AS n, "
            "json_each(e.json, '$.dropped.frame_time') AS t WHERE n.key = t.key "
            "ORDER BY n.value") == dropped);
  CHECK(ask("SELECT frame_number FROM frames WHERE frame_number IN (SELECT n.value FROM "
            "extra_data AS e, json_each(e.json, '$.dropped.frame_number') AS n)")
            .empty());
  check_whole(result.store);
}
