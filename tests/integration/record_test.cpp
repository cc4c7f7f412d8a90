// Recording from live sources, one and many.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "support/cameras.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"
#include "support/wall_clock.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::CameraOptions;
using avstore::CameraResult;
using avstore::CameraStatus;
using avstore::Error;
using avstore::ErrorKind;
using avstore::FrameClock;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::RecordEnd;
using avstore::RecordOptions;
using avstore::RecordStatus;
using avstore::test::check_whole;
using avstore::test::code_of;
using avstore::test::error_of;
using avstore::test::gray_header;
using avstore::test::lavfi;
using avstore::test::lavfi_md5s;
using avstore::test::md5s_of;
using avstore::test::names_in;
using avstore::test::outcome_of;
using avstore::test::raw_camera;
using avstore::test::raw_frame;
using avstore::test::read_text;
using avstore::test::rig_of;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::unix_now;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("cameras recorded together have every frame of theirs, exactly") {
  const TemporaryFolder folder;
  const std::array<std::string, 3> sources = {"testsrc=size=160x96:rate=25",
                                              "testsrc2=size=96x64:rate=30",
                                              "mandelbrot=size=64x48:rate=10"};
  RecordOptions rig;
  std::vector<CameraOptions> cameras;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::string name = "cam" + std::to_string(i);
    cameras.push_back(
        lavfi(name, sources[i], folder.path() / "{camera}.store", i == 2 ? "png" : "ffv1/mkv"));
    cameras.back().writer.chunk_size = 11;
    cameras.back().writer.metadata_yaml = "who: " + name;
  }
  rig = rig_of(cameras);
  rig.frames = 30;
  std::int64_t statuses = 0;
  rig.status = [&](const RecordStatus& status) {
    ++statuses;
    REQUIRE(status.cameras.size() == 3);
    for (const CameraStatus& camera : status.cameras) {
      CHECK(camera.writer.frames_durable <= camera.writer.frames_added);
      CHECK(camera.writer.frames_added <= camera.frames_arrived);
      CHECK(camera.disk_free > 0);
      CHECK(camera.disk_size > camera.disk_free);
      CHECK(camera.queue_limit == 64);
    }
  };
  const auto results = avstore::record(rig);
  REQUIRE(results.size() == 3);
  CHECK(statuses > 0);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    CAPTURE(i);
    const fs::path store = folder.path() / ("cam" + std::to_string(i) + ".store");
    CHECK(results[i].camera == "cam" + std::to_string(i));
    CHECK(results[i].store == store);
    CHECK(results[i].frames == 30);
    CHECK(results[i].end == RecordEnd::frames);
    CHECK(results[i].error == "");  // NOLINT(readability-container-size-empty): shows it
    CHECK(results[i].gaps.empty());
    CHECK((md5s_of(store, pixel::rgb24) == lavfi_md5s(sources[i], 30)));
    CHECK(sqlite(store,
                 "SELECT group_concat(frame_number) = (WITH RECURSIVE n(x) AS (SELECT 0 "
                 "UNION ALL SELECT x+1 FROM n LIMIT 30) SELECT group_concat(x) FROM n) "
                 "FROM frames") == std::vector<std::string>{"1"});
    CHECK_THAT(read_text(store / "metadata.yaml"),
               ContainsSubstring("who: cam" + std::to_string(i)));
    check_whole(store);
  }
}

TEST_CASE("a camera that fails ends alone, and keeps what it had") {
  const TemporaryFolder folder;
  std::string broken = gray_header();
  for (int i = 0; i < 5; ++i) {
    broken += raw_frame(i, i, 100 + i);
  }
  write_text(folder.path() / "broken.raw", broken + "nonsense where a frame should begin ...");
  const std::string source = "testsrc=size=160x96:rate=25";
  RecordOptions rig = rig_of({lavfi("gone", "nosuchfilter=1", folder.path() / "gone"),
                              lavfi("well", source, folder.path() / "well"),
                              raw_camera(folder.path() / "broken.raw", folder.path() / "broken")});
  rig.frames = 40;
  const auto results = avstore::record(rig);
  CHECK(results[0].end == RecordEnd::failed);
  CHECK_THAT(results[0].error, ContainsSubstring("nosuchfilter"));
  CHECK(results[0].frames == 0);
  CHECK_FALSE(fs::exists(folder.path() / "gone"));
  CHECK(results[1].end == RecordEnd::frames);
  CHECK(results[1].frames == 40);
  CHECK((md5s_of(folder.path() / "well", pixel::rgb24) == lavfi_md5s(source, 40)));
  check_whole(folder.path() / "well");
  CHECK(results[2].end == RecordEnd::failed);
  CHECK(results[2].frames == 5);
  CHECK_THAT(results[2].error, ContainsSubstring("broken.raw") && ContainsSubstring("frame 5"));
  Reader reader(folder.path() / "broken");
  CHECK(reader.frame_count() == 5);
  CHECK(code_of(reader.read(FrameIndex(4)).image.view()) == 4);
  check_whole(folder.path() / "broken");
}

TEST_CASE("cameras stop together when told, or each after the time asked for") {
  const TemporaryFolder folder;
  const std::string live = ",realtime";
  RecordOptions rig =
      rig_of({lavfi("a", "testsrc=size=160x96:rate=50" + live, folder.path() / "a", "avc1/mp4"),
              lavfi("b", "testsrc2=size=96x64:rate=100" + live, folder.path() / "b")});
  ::mkfifo((folder.path() / "silent").c_str(), 0600);
  rig.cameras.push_back(raw_camera(folder.path() / "silent", folder.path() / "c"));
  SECTION("told, while one source says nothing") {
    // Its header came, so that the others began.
    const int feeder = ::open((folder.path() / "silent").c_str(), O_RDWR);
    REQUIRE(feeder >= 0);
    const std::string header = gray_header();
    REQUIRE(::write(feeder, header.data(), header.size()) == static_cast<ssize_t>(header.size()));
    std::int64_t fewest = 0;
    rig.status = [&](const RecordStatus& status) {
      fewest = std::min(status.cameras[0].writer.frames_durable,
                        status.cameras[1].writer.frames_durable);
    };
    rig.go_on = [&] { return fewest < 20; };
    const auto results = avstore::record(rig);
    ::close(feeder);
    for (const CameraResult& result : {results[0], results[1]}) {
      CHECK(result.end == RecordEnd::stopped);
      CHECK(result.frames >= 20);
      CHECK(Reader(result.store).frame_count() == result.frames);
      check_whole(result.store);
    }
    CHECK(results[2].end == RecordEnd::stopped);
    CHECK(results[2].frames == 0);
    CHECK_FALSE(fs::exists(folder.path() / "c"));
  }
  SECTION("time") {
    rig.cameras.pop_back();
    rig.duration = 0.5;
    for (const CameraResult& result : avstore::record(rig)) {
      CHECK(result.end == RecordEnd::duration);
      CHECK(result.frames > 1);
      CHECK(result.seconds <= 0.6);
      CHECK(Reader(result.store).frame_count() == result.frames);
      check_whole(result.store);
    }
  }
}

TEST_CASE("a duration ends cameras too that never had a frame, and they say so") {
  const TemporaryFolder folder;
  const fs::path silent = folder.path() / "silent";
  ::mkfifo(silent.c_str(), 0600);
  const std::string live = "testsrc=size=64x48:rate=50,realtime";
  RecordOptions rig = rig_of(
      {raw_camera(silent, folder.path() / "none"), lavfi("live", live, folder.path() / "live")});
  rig.duration = 0.5;
  const auto begin = std::chrono::steady_clock::now();
  rig.go_on = [begin] {
    return std::chrono::steady_clock::now() - begin < std::chrono::seconds(60);
  };
  int feeder = -1;
  SECTION("its header came") {
    feeder = ::open(silent.c_str(), O_RDWR);
    REQUIRE(feeder >= 0);
    const std::string header = gray_header();
    REQUIRE(::write(feeder, header.data(), header.size()) == static_cast<ssize_t>(header.size()));
  }
  SECTION("nothing came") {
    CameraOptions nobody =
        raw_camera("unix:" + (folder.path() / "socket").string(), folder.path() / "nobody");
    nobody.name = "nobody";
    nobody.input_options["listen"] = "1";
    rig.cameras.push_back(nobody);
  }
  const auto results = avstore::record(rig);
  ::close(feeder);
  for (const CameraResult& result : results) {
    CAPTURE(result.camera);
    if (result.camera == "live") {
      CHECK(result.end == RecordEnd::duration);
      CHECK(result.frames > 1);
      check_whole(result.store);
    } else {
      CHECK(result.end == RecordEnd::failed);
      CHECK_THAT(result.error, ContainsSubstring("gave no frame in 0.5 s"));
      CHECK_FALSE(fs::exists(result.store));
    }
  }
}

TEST_CASE("a disk that fills up ends a recording properly") {
  const TemporaryFolder folder;
  const auto free = fs::space(folder.path()).available;
  constexpr std::uintmax_t kRoom = std::uintmax_t{100} << 20;
  REQUIRE(free > 4 * kRoom);
  RecordOptions rig =
      rig_of({lavfi("a", "testsrc=size=160x96:rate=50,realtime", folder.path() / "a", "avc1/mp4")});
  SECTION("on the way") {
    rig.min_free.bytes = free - kRoom;
    bool filled = false;
    rig.status = [&](const RecordStatus& status) {
      if (!filled && status.cameras[0].writer.frames_durable > 10) {
        filled = true;
        const int filler = ::open((folder.path() / "filler").c_str(), O_CREAT | O_WRONLY, 0600);
        REQUIRE(::posix_fallocate(filler, 0, 3 * kRoom) == 0);
        ::close(filler);
      }
    };
    const CameraResult result = avstore::record(rig).front();
    CHECK(filled);
    CHECK(result.end == RecordEnd::min_free);
    CHECK(result.frames > 10);
    CHECK(Reader(result.store).frame_count() == result.frames);
    check_whole(result.store);
  }
  SECTION("from the beginning") {
    rig.min_free.bytes = 2 * free;
    const Error error = error_of([&] { avstore::record(rig); });
    CHECK(error.kind() == ErrorKind::io);
    CHECK_THAT(error.what(), ContainsSubstring("GiB free"));
    CHECK(names_in(folder.path()).empty());
  }
}

TEST_CASE("stores are named after camera and time") {
  const TemporaryFolder folder;
  const std::string source = "testsrc=size=64x48";
  RecordOptions rig = rig_of({lavfi("left", source, folder.path() / "{camera}_{time}"),
                              lavfi("right", source, folder.path() / "{time}/{camera}")});
  rig.frames = 2;
  const auto results = avstore::record(rig);
  std::smatch found;
  const std::string left = results[0].store.filename().string();
  REQUIRE(std::regex_match(left, found,
                           std::regex("left_(\\d{4}-\\d\\d-\\d\\d_\\d\\d-\\d\\d-\\d\\d)")));
  CHECK(results[1].store == folder.path() / found[1].str() / "right");
  check_whole(results[0].store);
  check_whole(results[1].store);
  rig.cameras[0].store = folder.path() / "{where}";
  CHECK_THAT(error_of([&] { avstore::record(rig); }).what(), ContainsSubstring("{where}"));
  rig.cameras[0].store = folder.path() / "{camera";
  CHECK_THAT(error_of([&] { avstore::record(rig); }).what(), ContainsSubstring("{camera"));
}

TEST_CASE("what cannot be is refused before anything is begun") {
  const TemporaryFolder folder;
  const std::string source = "testsrc=size=64x48";
  const auto store = [&](const char* name) { return folder.path() / name; };
  RecordOptions rig = rig_of({lavfi("a", source, store("a")), lavfi("b", source, store("b"))});
  rig.frames = 2;
  std::string expected;
  SECTION("two cameras of one name") {
    rig.cameras[1].name = "a";
    expected = "camera 'a': another camera has the same name";
  }
  SECTION("two cameras of one store") {
    rig.cameras[1].store = store("x/../a");
    expected = "another camera has the same store";
  }
  SECTION("a store in another camera's") {
    fs::create_directory_symlink(folder.path(), store("link"));
    rig.cameras[1].store = store("link") / "a" / "deep" / "b";
    expected = "camera 'b': .*lies in the store of camera 'a'";
  }
  SECTION("the other way round, and by the camera's name") {
    rig.cameras[0].store = store("{camera}") / "a";
    rig.cameras[1].store = store("x/../a/");
    expected = "camera 'a': .*lies in the store of camera 'b'";
  }
  SECTION("both gone on with and replaced") {
    rig.cameras[1].append = true;
    rig.cameras[1].writer.overwrite = true;
    expected = "camera 'b': .*append.*overwrite";
  }
  SECTION("a name that is none") {
    rig.cameras[1].name = "../b";
    expected = "is no name";
  }
  SECTION("a store that is there") {
    fs::create_directory(store("b"));
    write_text(store("b") / "file", "");
    expected = "camera 'b': .*not empty";
  }
  SECTION("an unknown format") {
    rig.cameras[1].writer.format = "vhs";
    expected = "camera 'b': .*vhs";
  }
  SECTION("an unknown device") {
    rig.cameras[1].input_format = "nosuch";
    expected = "camera 'b': .*nosuch";
  }
  SECTION("raw frames of no size") {
    rig.cameras[1].input_format = "rawvideo";
    expected = "camera 'b': .*size";
  }
  SECTION("standard input twice") {
    rig.cameras[0].source = rig.cameras[1].source = "-";
    expected = "camera 'b': .*standard input";
  }
  SECTION("seeking a file again") {
    rig.cameras[1].reconnect = 5;
    expected = "camera 'b': .*network";
  }
  SECTION("no camera") {
    rig.cameras.clear();
    expected = "no camera";
  }
  SECTION("no frames") {
    rig.frames = 0;
    expected = "at least a frame";
  }
  const auto before = names_in(folder.path());
  const std::string outcome = outcome_of([&] { avstore::record(rig); });
  CAPTURE(outcome, expected);
  CHECK(std::regex_search(outcome, std::regex(expected)));
  CHECK(names_in(folder.path()) == before);
}

TEST_CASE("cameras share the cores that are left by those that are given threads") {
  const TemporaryFolder folder;
  const std::string source = "testsrc=size=320x240:rate=25,realtime";
  RecordOptions rig = rig_of({lavfi("a", source, folder.path() / "a", "avc1/mp4"),
                              lavfi("b", source, folder.path() / "b", "avc1/mp4")});
  rig.cameras[0].writer.chunk_size = 15;
  rig.cameras[1].writer.encoder.threads = 3;
  rig.frames = 30;
  avstore::record(rig);
  const int share = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 3);
  // libx264 notes its settings in the stream. The first chunk may begin before the other camera is
  // there.
  CHECK_THAT(read_text(folder.path() / "a" / "000001.mp4"),
             ContainsSubstring(" threads=" + std::to_string(share) + " "));
  CHECK_THAT(read_text(folder.path() / "b" / "000000.mp4"), ContainsSubstring(" threads=3 "));
}

TEST_CASE("times are those of arrival or the source's own") {
  const TemporaryFolder folder;
  CameraOptions camera = lavfi("a", "testsrc=size=64x48:rate=25", folder.path() / "store");
  RecordOptions rig = rig_of({camera});
  rig.frames = 50;
  const double begin = unix_now();
  SECTION("arrival") {
    const CameraResult result = avstore::record(rig).front();
    const Reader reader(result.store);
    CHECK(reader.info().time_min.seconds >= begin);
    CHECK(reader.info().time_max.seconds <= unix_now());
    // Nothing makes this source wait: 50 frames come in less than their two seconds, or much more.
    CHECK(std::abs(reader.info().time_max.seconds - reader.info().time_min.seconds - 1.96) > 1e-6);
  }
  SECTION("the source's") {
    rig.cameras[0].clock = FrameClock::source;
    const CameraResult result = avstore::record(rig).front();
    const auto infos = Reader(result.store).infos({0, 50});
    CHECK(infos[0].time.seconds >= begin);
    CHECK(infos[0].time.seconds <= unix_now());
    for (std::size_t i = 0; i < infos.size(); ++i) {
      CHECK(infos[i].time.seconds - infos[0].time.seconds ==
            Approx(0.04 * static_cast<double>(i)).margin(1e-6));
    }
  }
  SECTION("the source's, whose clock starts over") {
    rig.cameras[0].source = "testsrc=size=64x48:rate=25,setpts='if(lt(N,20),N+2400000,N)'";
    rig.cameras[0].clock = FrameClock::source;
    const CameraResult result = avstore::record(rig).front();
    const double end = unix_now();
    const auto infos = Reader(result.store).infos({0, 50});
    for (std::size_t i = 0; i < infos.size(); ++i) {
      const std::size_t first = i < 20 ? 0 : 20;
      CHECK(infos[first].time.seconds >= begin);
      CHECK(infos[first].time.seconds <= end);
      CHECK(infos[i].time.seconds - infos[first].time.seconds ==
            Approx(0.04 * static_cast<double>(i - first)).margin(1e-6));
    }
  }
}

namespace {

// Of JPEG pictures one after another, as a camera sends them: all but the first and last marker of
// one is zeros.
void break_picture(const fs::path& file, int which) {
  std::string bytes = read_text(file);
  const std::string begin = "\xff\xd8\xff";
  std::size_t at = bytes.find(begin);
  for (int i = 0; i < which; ++i) {
    at = bytes.find(begin, at + 1);
  }
  const std::size_t end = bytes.find("\xff\xd9", at);
  REQUIRE(end != std::string::npos);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4,
            bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
  write_text(file, bytes);
}

CameraOptions file_camera(const fs::path& file, const fs::path& store) {
  CameraOptions camera;
  camera.name = "cam";
  camera.source = file;
  camera.store = store;
  camera.writer.format = "ffv1/mkv";
  return camera;
}

}  // namespace

TEST_CASE("a frame that cannot be decoded is counted, told of, and keeps its number") {
  const TemporaryFolder folder;
  const std::string container = GENERATE("avi", "mjpeg");
  const fs::path file = folder.path() / ("video." + container);
  const std::string decoded = "ffmpeg -nostdin -v error -i " + avstore::test::quoted(file) +
                              " -vf extractplanes=y -f framemd5 - | grep -v '#' | sed 's/.* //'";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc=size=160x96:rate=25 -frames:v 20 "
      "-pix_fmt yuvj420p -c:v mjpeg " +
      avstore::test::quoted(file));
  auto expected = avstore::test::run_lines(decoded);
  REQUIRE(expected.size() == 20);
  const auto camera = file_camera(file, folder.path() / "store");
  RecordOptions rig = rig_of({camera});
  rig.cameras[0].clock = FrameClock::source;
  std::string told;
  rig.notice = [&told](const std::string& text) { told += text + "\n"; };
  RecordStatus last;
  rig.status = [&last](const RecordStatus& status) { last = status; };
  SECTION("all is well") {
    const CameraResult result = avstore::record(rig).front();
    CHECK(result.frames == 20);
    CHECK(result.undecodable == 0);
    CHECK(result.damaged == 0);
    CHECK(told.empty());
  }
  SECTION("one is broken") {
    break_picture(file, 7);
    const CameraResult result = avstore::record(rig).front();
    CHECK(result.end == RecordEnd::source_ended);
    CHECK(result.frames == 19);
    CHECK(result.undecodable == 1);
    CHECK(last.cameras.at(0).frames_arrived == 20);
    CHECK(last.cameras.at(0).frames_undecodable == 1);
    CHECK_THAT(told, ContainsSubstring("cam: a frame cannot be decoded"));
    expected.erase(expected.begin() + 7);
    CHECK((md5s_of(result.store, pixel::gray8) == expected));
    CHECK(sqlite(result.store, "SELECT group_concat(frame_number) FROM frames") ==
          std::vector<std::string>{"0,1,2,3,4,5,6,8,9,10,11,12,13,14,15,16,17,18,19"});
    // Times are those of the frames that are left.
    const auto infos = Reader(result.store).infos({0, 19});
    for (const auto& info : infos) {
      CHECK(info.time.seconds - infos[0].time.seconds ==
            Approx(0.04 * static_cast<double>(info.number.value)).margin(1e-6));
    }
    CHECK(sqlite(result.store,
                 "SELECT frame_index, frame_number, json_extract(json, "
                 "'$.undecodable.frame_number') FROM extra_data") ==
          std::vector<std::string>{"7|8|[7]"});
    check_whole(result.store);
  }
  SECTION("the first and the last are") {
    break_picture(file, 19);
    break_picture(file, 0);
    const CameraResult result = avstore::record(rig).front();
    CHECK(result.frames == 18);
    CHECK(result.undecodable == 2);
    CHECK(sqlite(result.store,
                 "SELECT frame_number, json_extract(json, '$.undecodable.frame_number') "
                 "FROM extra_data") == std::vector<std::string>{"1|[0]", "18|[19]"});
  }
}

TEST_CASE(
    "a picture that changes its size ends a camera's recording, and what came before is kept") {
  const TemporaryFolder folder;
  const fs::path file = avstore::test::media_file("size-change.h264");
  const auto before =
      avstore::test::read_lines(avstore::test::media_file("framemd5") / "size-change.h264.md5");
  CameraOptions camera = file_camera(file, folder.path() / "store");
  camera.writer.format = "h264-lossless/mkv";
  const CameraResult result = avstore::record(rig_of({camera})).front();
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error, ContainsSubstring("size-change.h264") && ContainsSubstring("size"));
  CHECK(result.frames == static_cast<std::int64_t>(before.size()));
  CHECK((md5s_of(folder.path() / "store", {}) == before));
  check_whole(folder.path() / "store");
}

TEST_CASE("a stream of which no frame can be decoded says so") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "video.avi";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc=size=160x96:rate=25 -frames:v 3 -c:v mjpeg " +
      avstore::test::quoted(file));
  for (int i = 0; i < 3; ++i) {
    break_picture(file, i);
  }
  const CameraResult result = avstore::test::record_one(file_camera(file, folder.path() / "store"));
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error, ContainsSubstring("no frame of it can be decoded"));
  CHECK(result.undecodable == 3);
  CHECK_FALSE(fs::exists(result.store));
}

TEST_CASE("frames that come damaged are kept, and told of") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "video.ts";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=320x192:rate=25 -frames:v 100 "
      "-c:v libx264 -g 25 -bf 0 " +
      avstore::test::quoted(file));
  std::string bytes = read_text(file);
  std::mt19937 random(3);
  for (std::size_t i = 1; i <= 6; ++i) {
    for (std::size_t j = 0; j < 40; ++j) {
      bytes[bytes.size() * i / 8 + j] = static_cast<char>(random());
    }
  }
  bytes.erase(bytes.size() / 2 + 10000, 5000);
  write_text(file, bytes);
  const int packets = std::stoi(
      avstore::test::run_lines("ffprobe -v error -count_packets -show_entries "
                               "stream=nb_read_packets -of default=nokey=1:noprint_wrappers=1 " +
                               avstore::test::quoted(file))
          .at(0));
  const CameraResult result = avstore::test::record_one(file_camera(file, folder.path() / "store"));
  CHECK(result.frames + result.undecodable == packets);
  CHECK(result.damaged >= 3);
  CHECK(sqlite(result.store,
               "SELECT count(DISTINCT frame_index) FROM extra_data WHERE json_extract(json, "
               "'$.damaged')") == std::vector<std::string>{std::to_string(result.damaged)});
  CHECK(sqlite(result.store, "SELECT max(frame_number) + 1 FROM frames") ==
        std::vector<std::string>{std::to_string(packets)});
}

TEST_CASE("a clock that is set does not shorten or lengthen a recording") {
  using Clock = std::chrono::steady_clock;
  const int step = GENERATE(60, -100000);
  const TemporaryFolder folder;
  RecordOptions rig =
      rig_of({lavfi("a", "testsrc=size=64x48:rate=50,realtime", folder.path() / "store")});
  rig.duration = 0.5;
  rig.status_interval = 0.01;
  const avstore::test::WallClock clock;
  rig.status = [step](const RecordStatus& status) {
    if (status.cameras[0].frames_arrived > 1) {
      avstore::test::WallClock::set_ahead(step);
    }
  };
  const Clock::time_point begin = Clock::now();
  rig.go_on = [begin] { return Clock::now() - begin < std::chrono::seconds(60); };
  const CameraResult result = avstore::record(rig).front();
  CHECK(Clock::now() - begin >= std::chrono::milliseconds(500));
  CHECK(result.end == RecordEnd::duration);
  CHECK(result.seconds > 0);
  CHECK(result.seconds < 60);
  // The frames' times are those of the clock.
  const auto infos = Reader(result.store).infos({0, result.frames});
  CHECK(std::abs(infos.back().time.seconds - infos.front().time.seconds) >= 59);
}
