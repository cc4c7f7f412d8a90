// Rigs as YAML files describe them.

#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "support/cameras.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::CameraOptions;
using avstore::Error;
using avstore::ErrorKind;
using avstore::FrameClock;
using avstore::RecordOptions;
using avstore::test::error_of;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

}  // namespace

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
    queue-bytes: 64M
    encoder: libx264
    encoder-device: /dev/dri/renderD129
    preset: superfast
    b-frames: 2
    durability: power
    append: true
    stream: 1
    encoding: cv_bayerrg
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
  CHECK(left.writer.queue_bytes == 64U << 20U);
  CHECK(left.writer.encoder.encoder == "libx264");
  CHECK(left.writer.encoder.device == "/dev/dri/renderD129");
  CHECK(left.writer.encoder.preset == "superfast");
  CHECK(left.writer.encoder.b_frames == 2);
  CHECK(left.writer.durability == avstore::Durability::power);
  CHECK(left.append);
  CHECK(left.stream == 1);
  CHECK(left.writer.encoding == "cv_bayerrg");
  CHECK(left.writer.metadata_yaml == "lab: 3\nsubject:\n  id: 8\nside: left\n");
  CHECK_FALSE(left.clock.has_value());
  CHECK_FALSE(left.writer.overwrite);
  const CameraOptions& right = rig.cameras[1];
  CHECK(right.store == "elsewhere");
  CHECK(right.writer.format == "ffv1/mkv");
  CHECK(right.clock == FrameClock::source);
  CHECK(right.reconnect == 60.0);
  CHECK(right.silence == 5);
  CHECK(right.writer.overwrite);
  CHECK_FALSE(right.append);
  CHECK(right.writer.durability == avstore::Durability::process);
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
      {good + "  queue-bytes: much\n", "line 5: camera 'left': queue-bytes: 'much'"},
      {good + "  format: vhs\n", "line 2: camera 'left': "},
      {good + "  reconnect: 5\n", "line 2: camera 'left': only sources on a network"},
      {good + "  input-format: rawvideo\n", "line 2: camera 'left': raw frames need a size"},
      {good + "  fps: 10\n  fps: 20\n", "line 6, column 3: the key 'fps' is in line 5 already"},
      {"frames: 5\n" + good + "frames: 6\n", "line 6, column 1: the key 'frames' is in line 1"},
      {good + "  metadata: {a: 1, b: 2, a: 3}\n", "the key 'a' is in line 5 already"},
      {good + "  append: true\n  overwrite: true\n", "line 2: camera 'left': a store is either"},
      {good + "- name: left\n  source: a\n  store: c\n",
       "line 5: camera 'left': another camera has the same name"},
      {good + "- name: right\n  source: a\n  store: ./b\n",
       "line 7: camera 'right': store: camera 'left' has the same store"},
      {"store: \"{time}\"\n" + good + "- name: right\n  source: a\n- name: up\n  source: a\n",
       "line 8: camera 'up': store: camera 'right' has the same store"},
      {good + "- name: right\n  source: a\n  store: \"{date}\"\n",
       "line 7: camera 'right': store: {date}: there is no {date} in names"},
      {"cameras:\n- name: a b\n  source: a\n  store: b\n",
       "line 2: camera 'a b': name: 'a b' is no name"},
      {good + "  encoder: nosuch\n",
       "line 5: camera 'left': encoder: encoder nosuch: not in this build of FFmpeg"},
      {"encoder: nosuch\n" + good, "line 1: encoder: encoder nosuch: not in this build"},
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
    CHECK_THAT(error.what(),
               ContainsSubstring(file.string() + ": ") && ContainsSubstring(expected));
  }
  CHECK(error_of([&] { avstore::read_rig(folder.path() / "none"); }).kind() ==
        ErrorKind::not_found);
}

TEST_CASE("what rigs merge in may be said otherwise") {
  const TemporaryFolder folder;
  write_text(folder.path() / "rig.yaml",
             "cameras:\n- &left {name: left, source: a, store: b, quality: 50}\n"
             "- {<<: *left, name: right, store: c}\n");
  const RecordOptions rig = avstore::read_rig(folder.path() / "rig.yaml");
  REQUIRE(rig.cameras.size() == 2);
  CHECK(rig.cameras[1].name == "right");
  CHECK(rig.cameras[1].writer.encoder.quality == 50);
}

TEST_CASE("addresses are shown without user and password") {
  using avstore::without_passwords;
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"http://admin:S3cret@cam/video", "http://cam/video"},
           {"rtsp://admin@cam:554/a@b", "rtsp://cam:554/a@b"},
           {"http://a:p@ss@cam?x=@", "http://cam?x=@"},
           {"http://cam/a", "http://cam/a"},
           {"http://cam:80/a@b", "http://cam:80/a@b"},
           {"rtsp://me:se/cr@cam:1/x: cannot open", "rtsp://cam:1/x: cannot open"},
           {"me@home: lost tcp://u:p@h:1: http://v:q@i: gone",
            "me@home: lost tcp://h:1: http://i: gone"},
           {"http://u:p@", "http://"},
           {"rtmp://cam/live?channel=1&user=admin&Password=a=b#c: gone",
            "rtmp://cam/live?channel=1&user=...&Password=...#c: gone"},
           {"http://cam/?pwd=x and http://cam/?id=x&&token=y&z",
            "http://cam/?pwd=... and http://cam/?id=x&&token=...&z"},
           {"http://cam/?pwd&key=", "http://cam/?pwd&key=..."},
           {"what? pwd=x http://cam/x", "what? pwd=x http://cam/x"},
           {"://", "://"},
           {"", ""}}) {
    CHECK(without_passwords(text) == expected);
  }
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
