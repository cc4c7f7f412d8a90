// Recording from live sources, one and many.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::CameraOptions;
using avstore::CameraResult;
using avstore::CameraState;
using avstore::CameraStatus;
using avstore::Error;
using avstore::ErrorKind;
using avstore::FrameClock;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::RecordEnd;
using avstore::RecordOptions;
using avstore::RecordStatus;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::error_of;
using avstore::test::names_in;
using avstore::test::outcome_of;
using avstore::test::read_text;
using avstore::test::run_lines;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::Contains;

constexpr std::int64_t kNoNumber = std::numeric_limits<std::int64_t>::min();
const double kNoTime = std::numeric_limits<double>::quiet_NaN();

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

CameraOptions lavfi(const std::string& name, const std::string& source, const fs::path& store,
                    const std::string& format = "ffv1/mkv") {
  CameraOptions camera;
  camera.name = name;
  camera.source = source;
  camera.input_format = "lavfi";
  camera.store = store;
  camera.writer.format = format;
  return camera;
}

RecordOptions rig_of(std::vector<CameraOptions> cameras) {
  RecordOptions rig;
  rig.cameras = std::move(cameras);
  rig.min_free = {0, 0};
  rig.status_interval = 0.02;
  return rig;
}

void check_whole(const fs::path& store) {
  CHECK_FALSE(fs::exists(store / ".lock"));
  CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
  CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
}

std::vector<std::string> md5s_of(const fs::path& store, avstore::PixelFormat format) {
  Reader reader = avstore::test::open_as(store, format);
  std::vector<std::string> all;
  while (const auto frame = reader.next()) {
    all.push_back(avstore::md5(frame->image.view()));
  }
  return all;
}

// What ffmpeg makes of the same source.
std::vector<std::string> lavfi_md5s(const std::string& source, std::int64_t frames) {
  std::vector<std::string> all;
  for (const std::string& line :
       run_lines("ffmpeg -nostdin -v error -f lavfi -i " + avstore::test::quoted(source) +
                 " -frames:v " + std::to_string(frames) + " -pix_fmt rgb24 -f framemd5 -")) {
    if (line[0] != '#') {
      all.push_back(line.substr(line.rfind(' ') + 1));
    }
  }
  return all;
}

// --- Raw frames with numbers and times, as lib/README.md describes them ---

void put(std::string& bytes, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(value >> (8 * i));
  }
}

std::string stream_header(std::uint32_t width, std::uint32_t height, const std::string& format,
                          std::uint32_t rate_num = 25, std::uint32_t rate_den = 1) {
  std::string bytes = "AVSRAW1\n";
  put(bytes, width, 4);
  put(bytes, height, 4);
  put(bytes, rate_num, 4);
  put(bytes, rate_den, 4);
  return bytes + format + std::string(40 - format.size(), '\0');
}

std::string frame_header(std::int64_t number, double time, std::uint64_t size,
                         std::size_t extra = 0) {
  std::string bytes = "FRAM";
  put(bytes, extra, 4);
  put(bytes, static_cast<std::uint64_t>(number), 8);
  put(bytes, std::bit_cast<std::uint64_t>(time), 8);
  put(bytes, size, 8);
  return bytes;
}

// A frame that shows `code`.
std::string raw_frame(int code, std::int64_t number, double time, const std::string& extra = {}) {
  const auto pixels = draw(pixel::gray8, code).bytes;
  return frame_header(number, time, pixels.size(), extra.size()) +
         std::string(pixels.begin(), pixels.end()) + extra;
}

std::string gray_header() {
  return stream_header(avstore::test::kWidth, avstore::test::kHeight, "gray");
}

CameraOptions raw_camera(const std::string& source, const fs::path& store) {
  CameraOptions camera;
  camera.name = "raw";
  camera.source = source;
  camera.input_format = "avstore-raw";
  camera.store = store;
  camera.writer.format = "ffv1/mkv";
  return camera;
}

CameraResult record_one(const CameraOptions& camera) {
  return avstore::record(rig_of({camera})).front();
}

// --- Another program that can be killed ---

class Program {
 public:
  explicit Program(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& word : words) {
      arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      const int nothing = ::open("/dev/null", O_RDWR);
      ::dup2(nothing, 0);
      ::dup2(nothing, 1);
      ::dup2(nothing, 2);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
  }
  ~Program() { kill(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void kill() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
      child_ = -1;
    }
  }

 private:
  pid_t child_ = -1;
};

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(probe);
  return ntohs(address.sin_port);
}

// Whether somebody waits for connections there: looked up, since to try would be to take the place.
bool is_listening(int port) {
  std::array<char, 8> hex{};
  std::snprintf(hex.data(), hex.size(), ":%04X", port);
  std::ifstream table("/proc/net/tcp");
  std::string titles;
  std::getline(table, titles);
  for (std::string line; std::getline(table, line);) {
    const std::size_t local = line.find(':', line.find(':') + 1);
    if (line.compare(local, 5, hex.data()) == 0 && line.find(" 0A ") != std::string::npos) {
      return true;
    }
  }
  return false;
}

void wait_until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

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
    CHECK_THAT(read_text(store / "metadata.yaml"), Contains("who: cam" + std::to_string(i)));
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
  CHECK_THAT(results[0].error, Contains("nosuchfilter"));
  CHECK(results[0].frames == 0);
  CHECK_FALSE(fs::exists(folder.path() / "gone"));
  CHECK(results[1].end == RecordEnd::frames);
  CHECK(results[1].frames == 40);
  CHECK((md5s_of(folder.path() / "well", pixel::rgb24) == lavfi_md5s(source, 40)));
  check_whole(folder.path() / "well");
  CHECK(results[2].end == RecordEnd::failed);
  CHECK(results[2].frames == 5);
  CHECK_THAT(results[2].error, Contains("broken.raw") && Contains("frame 5"));
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
    CHECK_THAT(error.what(), Contains("GiB free"));
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
  CHECK_THAT(error_of([&] { avstore::record(rig); }).what(), Contains("{where}"));
  rig.cameras[0].store = folder.path() / "{camera";
  CHECK_THAT(error_of([&] { avstore::record(rig); }).what(), Contains("{camera"));
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
  const std::string source = "testsrc=size=320x240";
  RecordOptions rig = rig_of({lavfi("a", source, folder.path() / "a", "avc1/mp4"),
                              lavfi("b", source, folder.path() / "b", "avc1/mp4")});
  rig.cameras[1].writer.encoder.threads = 3;
  rig.frames = 3;
  avstore::record(rig);
  const int share = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 3);
  // libx264 notes its settings in the stream.
  CHECK_THAT(read_text(folder.path() / "a" / "000000.mp4"),
             Contains(" threads=" + std::to_string(share) + " "));
  CHECK_THAT(read_text(folder.path() / "b" / "000000.mp4"), Contains(" threads=3 "));
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
}

// --- Raw frames with numbers and times ---

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
    CHECK_THAT(result.error, Contains(one.expected) && Contains("raw"));
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
    CHECK_THAT(told, Contains("it ends within") && Contains("frame 1"));
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

// --- Sources on a network that are lost ---

namespace {

// A camera on the network that serves one client and can be lost.
class Server {
 public:
  Server(std::string protocol, int port) : protocol_(std::move(protocol)), port_(port) {
    start();
    wait_until([this] { return is_listening(port_); });
  }

  void start() {
    std::vector<std::string> words = {"ffmpeg", "-nostdin",   "-v",
                                      "error",  "-re",        "-f",
                                      "lavfi",  "-i",         "testsrc=size=160x96:rate=50",
                                      "-c:v",   "mpeg2video", "-g",
                                      "5",      "-f",         "mpegts"};
    if (protocol_ == "http") {
      words.insert(words.end(), {"-listen", "1", address()});
    } else {
      words.push_back(address() + "?listen=1");
    }
    program_ = std::make_unique<Program>(words);
  }
  void lose() { program_->kill(); }
  std::string address() const { return protocol_ + "://127.0.0.1:" + std::to_string(port_); }

 private:
  std::string protocol_;
  int port_;
  std::unique_ptr<Program> program_;
};

}  // namespace

TEST_CASE("a network source that is lost is sought again, and the gap is told") {
  for (const std::string protocol : {"tcp", "http"}) {
    DYNAMIC_SECTION(protocol) {
      const TemporaryFolder folder;
      Server server(protocol, free_port());
      CameraOptions camera;
      camera.name = "net";
      camera.source = server.address();
      camera.store = folder.path() / "store";
      RecordOptions rig = rig_of({camera});
      enum class Stage { first, lost, again, done } stage = Stage::first;
      std::int64_t lost_at = 0;
      std::string trouble;
      double lost_time = 0;
      double back_time = 0;
      rig.status = [&](const RecordStatus& status) {
        const CameraStatus& now = status.cameras[0];
        if (stage == Stage::first && now.frames_arrived >= 10) {
          server.lose();
          lost_time = unix_now();
          stage = Stage::lost;
        } else if (stage == Stage::lost && now.state == CameraState::reconnecting) {
          lost_at = now.frames_arrived;
          trouble = now.trouble;
          back_time = unix_now();
          server.start();
          stage = Stage::again;
        } else if (stage == Stage::again && now.frames_arrived >= lost_at + 10) {
          CHECK(now.gaps == 1);
          stage = Stage::done;
        }
      };
      rig.go_on = [&] { return stage != Stage::done; };
      std::string told;
      rig.notice = [&told](const std::string& text) { told += text + "\n"; };
      const CameraResult result = avstore::record(rig).front();
      CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
      CHECK(result.end == RecordEnd::stopped);
      CHECK_FALSE(trouble.empty());
      CHECK_THAT(told, Contains("lost " + camera.source));
      REQUIRE(result.gaps.size() == 1);
      const avstore::Gap& gap = result.gaps[0];
      CHECK(gap.index.value == lost_at);
      CHECK(gap.begin < lost_time + 1);
      CHECK(gap.end > back_time);
      CHECK_FALSE(gap.reason.empty());
      const auto infos = Reader(result.store).infos({0, result.frames});
      CHECK(infos[static_cast<std::size_t>(lost_at) - 1].time.seconds == gap.begin);
      CHECK(infos[static_cast<std::size_t>(lost_at)].time.seconds == gap.end);
      CHECK(sqlite(result.store,
                   "SELECT frame_index, json_extract(json, '$.gap.reason') FROM "
                   "extra_data") ==
            std::vector<std::string>{std::to_string(lost_at) + "|" + gap.reason});
      CHECK(result.frames >= lost_at + 10);
      check_whole(result.store);
    }
  }
}

TEST_CASE("a network source is sought again only as long as asked for") {
  for (const double reconnect : {0.0, 0.5}) {
    const TemporaryFolder folder;
    Server server("tcp", free_port());
    CameraOptions camera;
    camera.name = "net";
    camera.source = server.address();
    camera.store = folder.path() / "store";
    camera.reconnect = reconnect;
    RecordOptions rig = rig_of({camera});
    rig.status = [&](const RecordStatus& status) {
      if (status.cameras[0].frames_arrived >= 10) {
        server.lose();
      }
    };
    const CameraResult result = avstore::record(rig).front();
    CAPTURE(reconnect, result.error);
    CHECK(result.frames >= 10);
    CHECK(result.gaps.empty());
    if (reconnect > 0) {
      CHECK(result.end == RecordEnd::failed);
      CHECK_THAT(result.error, Contains("did not come back"));
    }
    CHECK(Reader(result.store).frame_count() == result.frames);
    check_whole(result.store);
  }
}

TEST_CASE("a network source that says nothing is lost too") {
  const TemporaryFolder folder;
  // Takes the connection, sends a header and a frame, and nothing more.
  write_text(folder.path() / "raw", gray_header() + raw_frame(0, 0, 0));
  const int port = free_port();
  const Program program({"/usr/bin/python3", "-c",
                         "import socket, time\n"
                         "s = socket.create_server(('127.0.0.1', " +
                             std::to_string(port) +
                             "))\n"
                             "kept = []\n"
                             "while True:\n"
                             "    kept.append(s.accept()[0])\n"
                             "    kept[-1].sendall(open(" +
                             avstore::test::quoted(folder.path() / "raw") + ", 'rb').read())\n"});
  wait_until([port] { return is_listening(port); });
  CameraOptions camera =
      raw_camera("tcp://127.0.0.1:" + std::to_string(port), folder.path() / "store");
  camera.silence = 0.3;
  RecordOptions rig = rig_of({camera});
  rig.frames = 3;
  const CameraResult result = avstore::record(rig).front();
  CHECK(result.frames == 3);
  CHECK(result.end == RecordEnd::frames);
  REQUIRE(result.gaps.size() == 2);
  CHECK_THAT(result.gaps[0].reason, Contains("nothing came"));
  check_whole(result.store);
}

TEST_CASE("a file on a web server ends when all of it has come") {
  const TemporaryFolder folder;
  const int port = free_port();
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc=size=160x96:rate=25 -frames:v 20 "
      "-c:v mpeg2video -f mpegts " +
      avstore::test::quoted(folder.path() / "file.ts"));
  const Program program({"/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
                         "--directory", folder.path().string(), std::to_string(port)});
  wait_until([port] { return is_listening(port); });
  CameraOptions camera;
  camera.name = "web";
  camera.source = "http://127.0.0.1:" + std::to_string(port) + "/file.ts";
  camera.store = folder.path() / "store";
  const CameraResult result = record_one(camera);
  CHECK(result.error == "");  // NOLINT(readability-container-size-empty): shows it
  CHECK(result.end == RecordEnd::source_ended);
  CHECK(result.frames == 20);
  CHECK(result.gaps.empty());
}

// --- Rigs in files ---

TEST_CASE("a rig is read from a file") {
  const TemporaryFolder folder;
  write_text(folder.path() / "rig.yaml", R"(
# two cameras
duration: 12.5
frames: 100
min-free: 10%
status-interval: 0.5
store: "/data/{camera}_{time}"
format: h264/mkv
metadata: {lab: 3, subject: {id: 7}}
option: {tune: film}
cameras:
  - name: left
    source: /dev/video0
    input-format: v4l2
    size: 1280x720
    pixel-format: gray8
    fps: 29.97
    quality: 80
    threads: 2
    when-full: drop
    queue: 32
    metadata: {subject: {id: 8}, side: left}
  - name: right
    source: rtsp://10.0.0.5/stream
    store: elsewhere
    format: ffv1/mkv
    clock: source
    reconnect: 60
    silence: 5
    overwrite: true
    chunk-size: 500
    timing: real
    keyframe-interval: 20
    option: {slices: 4}
    input-option: {rtsp_transport: tcp}
)");
  const RecordOptions rig = avstore::read_rig(folder.path() / "rig.yaml");
  CHECK(rig.duration == 12.5);
  CHECK(rig.frames == 100);
  CHECK(rig.min_free.fraction == Approx(0.1));
  CHECK(rig.status_interval == 0.5);
  REQUIRE(rig.cameras.size() == 2);
  const CameraOptions& left = rig.cameras[0];
  CHECK(left.name == "left");
  CHECK(left.source == "/dev/video0");
  CHECK(left.input_format == "v4l2");
  CHECK(left.store == "/data/{camera}_{time}");
  CHECK(left.size == std::pair(1280, 720));
  CHECK(left.pixel_format == pixel::gray8);
  CHECK(left.writer.format == "h264/mkv");
  CHECK(left.writer.encoder.frame_rate == avstore::Rational{2997, 100});
  CHECK(left.writer.encoder.quality == 80);
  CHECK(left.writer.encoder.threads == 2);
  CHECK(left.writer.encoder.options == std::map<std::string, std::string>{{"tune", "film"}});
  CHECK(left.writer.when_full == avstore::WhenFull::drop);
  CHECK(left.writer.queue_frames == 32);
  CHECK(left.writer.metadata_yaml == "lab: 3\nsubject:\n  id: 8\nside: left\n");
  CHECK_FALSE(left.clock.has_value());
  const CameraOptions& right = rig.cameras[1];
  CHECK(right.store == "elsewhere");
  CHECK(right.writer.format == "ffv1/mkv");
  CHECK(right.clock == FrameClock::source);
  CHECK(right.reconnect == 60.0);
  CHECK(right.silence == 5);
  CHECK(right.writer.overwrite);
  CHECK(right.writer.chunk_size == 500);
  CHECK(right.writer.timing == avstore::Timing::real);
  CHECK(right.writer.encoder.keyframe_interval == 20);
  CHECK(right.writer.encoder.options ==
        std::map<std::string, std::string>{{"tune", "film"}, {"slices", "4"}});
  CHECK(right.input_options == std::map<std::string, std::string>{{"rtsp_transport", "tcp"}});
  CHECK(right.writer.metadata_yaml == "lab: 3\nsubject:\n  id: 7\n");
}

TEST_CASE("what is wrong in a rig's file is said with line, camera and key") {
  const std::string good = "cameras:\n- name: left\n  source: a\n  store: b\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "line 1: is no description of a rig"},
      {"[1, 2]", "line 1: is no description of a rig"},
      {"a: {", "line "},
      {"frames: 5\n", "needs a list 'cameras'"},
      {"cameras: []\n", "line 1: needs a list 'cameras'"},
      {"cameras: {left: {source: a}}\n", "line 1: needs a list 'cameras'"},
      {"cameras:\n- left\n", "line 2: a camera must be a map"},
      {"colour: red\n" + good, "line 1: unknown key 'colour'"},
      {"frames: -1\n" + good, "line 1: frames: -1 is too small"},
      {"frames: many\n" + good, "line 1: frames: 'many' is no number"},
      {"duration: 0\n" + good, "line 1: duration: 0 is too small"},
      {"min-free: 200%\n" + good, "line 1: min-free: '200%'"},
      {good + "  formt: png\n",
       "line 5: camera 'left': unknown key 'formt'; known are name, source"},
      {good + "  fps: fast\n", "line 5: camera 'left': fps: 'fast' is no frame rate"},
      {good + "  size: [1, 2]\n", "line 5: camera 'left': size: must be a single value"},
      {good + "  pixel-format: nosuch\n", "line 5: camera 'left': pixel-format: "},
      {good + "  quality: 101\n", "line 5: camera 'left': quality: 101 is too large"},
      {good + "  overwrite: perhaps\n", "line 5: camera 'left': overwrite: must be true or false"},
      {good + "  metadata: 7\n", "line 5: camera 'left': metadata: must be a map"},
      {good + "  option: 7\n", "line 5: camera 'left': option: must be a map"},
      {good + "  when-full: maybe\n", "line 5: camera 'left': when-full: 'maybe'"},
      {good + "  timing: soon\n", "line 5: camera 'left': timing: 'soon'"},
      {good + "  clock: wall\n", "line 5: camera 'left': clock: 'wall'"},
      {good + "  format: vhs\n", "line 2: camera 'left': "},
      {good + "  reconnect: 5\n", "line 2: camera 'left': only sources on a network"},
      {good + "  input-format: rawvideo\n", "line 2: camera 'left': raw frames need a size"},
      {good + "- name: left\n  source: a\n  store: c\n",
       "line 5: camera 'left': another camera has the same name"},
      {"cameras:\n- source: a\n  store: b\n", "line 2: a camera: lacks the key name"},
      {"cameras:\n- name: left\n  store: b\n", "line 2: camera 'left': lacks the key source"},
      {"cameras:\n- name: left\n  source: a\n", "line 2: camera 'left': lacks the key store"},
  };
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "rig.yaml";
  for (const auto& [text, expected] : cases) {
    write_text(file, text);
    const Error error = error_of([&] { avstore::read_rig(file); });
    CAPTURE(text);
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), Contains(file.string() + ": ") && Contains(expected));
  }
  CHECK(error_of([&] { avstore::read_rig(folder.path() / "none"); }).kind() ==
        ErrorKind::not_found);
}

TEST_CASE("values are read as people write them") {
  using avstore::bytes_from_text;
  using avstore::min_free_from_text;
  CHECK(bytes_from_text("0") == 0);
  CHECK(bytes_from_text("1000") == 1000);
  CHECK(bytes_from_text("64K") == 65536);
  CHECK(bytes_from_text("1.5T") == 1649267441664);
  CHECK(min_free_from_text("20G").bytes == 21474836480);
  CHECK(min_free_from_text("2.5%").fraction == Approx(0.025));
  CHECK(min_free_from_text("0").bytes == 0);
  for (const std::string wrong : {"", "G", "-5", "5X", "1e400", "nan", "100%", "%", "-1%", "5 %"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(min_free_from_text(wrong), Error);
  }
}
