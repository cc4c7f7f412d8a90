// What the settings of encoders do to the files, against ffmpeg and ffprobe.
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
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
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::chunk_file;
using avstore::test::decoded_frames;
using avstore::test::draw;
using avstore::test::Drawn;
using avstore::test::error_of;
using avstore::test::formats_with_real_timing;
using avstore::test::frame_md5s;
using avstore::test::in_child;
using avstore::test::is_intra_only;
using avstore::test::lossy_video_formats;
using avstore::test::Name;
using avstore::test::odd_names;
using avstore::test::open_as;
using avstore::test::options_of;
using avstore::test::packets_of;
using avstore::test::plain_names;
using avstore::test::quoted;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::video_formats;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

}  // namespace

namespace {

// Frame-by-frame keyframe flags as the oracle sees them, in presentation order.
std::vector<bool> probed_keyframes(const fs::path& file) {
  std::map<std::int64_t, bool> by_pts;
  for (const auto& packet : packets_of(file)) {
    by_pts[packet.pts] = packet.is_keyframe;
  }
  std::vector<bool> keys;
  for (const auto& [pts, key] : by_pts) {
    keys.push_back(key);
  }
  return keys;
}

std::int64_t b_frames_in(const fs::path& file) {
  const auto frames = decoded_frames(file);
  return std::count_if(frames.begin(), frames.end(),
                       [](const auto& frame) { return frame.picture_type == 'B'; });
}

// In file order. AVI has no PTS.
std::vector<double> packet_times(const fs::path& file, const std::string& format) {
  std::vector<double> times;
  for (const auto& packet : packets_of(file)) {
    times.push_back(format == "mjpeg/avi" ? packet.dts_seconds : packet.pts_seconds);
  }
  return times;
}

std::vector<bool> keyframes_of(const Reader& reader, std::int64_t chunk) {
  std::vector<bool> keys;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    if (info.chunk == chunk) {
      keys.push_back(info.keyframe);
    }
  }
  return keys;
}

// Where flags are set.
std::vector<std::size_t> places(const std::vector<bool>& flags) {
  std::vector<std::size_t> set;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) {
      set.push_back(i);
    }
  }
  return set;
}

}  // namespace

TEST_CASE("keyframes come at the interval asked for, and the index knows them") {
  for (const auto& [format, interval] : avstore::test::sampled_pairs(
           "keyframe intervals", video_formats(), std::vector<int>{0, 1, 5, 1000}, 14)) {
    CAPTURE(format, interval);
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of(format, 40);
    options.encoder.keyframe_interval = interval;
    write_store(store, options, pixel::gray8, plain_names(55));
    const Reader reader(store);
    const auto keys = probed_keyframes(chunk_file(store, format, 0));
    CHECK(keyframes_of(reader, 0) == keys);
    CHECK(keyframes_of(reader, 1) == probed_keyframes(chunk_file(store, format, 1)));
    // Half a second at 25 frames/s.
    const std::size_t step = is_intra_only(format) ? 1
                             : interval == 0       ? 13
                                                   : static_cast<std::size_t>(interval);
    std::vector<std::size_t> expected;
    for (std::size_t i = 0; i < 40; i += step) {
      expected.push_back(i);
    }
    CHECK(places(keys) == expected);
    CHECK(wrong_codes(store).empty());
  }
}

TEST_CASE("with B-frames any frame comes out as a linear decode has it") {
  for (const auto& [format, b_frames] :
       avstore::test::sampled_pairs("B-frames", video_formats(), std::vector<int>{1, 2, 5}, 12)) {
    CAPTURE(format, b_frames);
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of(format, 25);
    options.encoder.b_frames = b_frames;
    options.encoder.keyframe_interval = 12;
    write_store(store, options, pixel::gray8, plain_names(40));
    CHECK(wrong_codes(store).empty());
    Reader reader(store);
    const auto oracle = frame_md5s(chunk_file(store, format, 0));
    REQUIRE(oracle.size() == 25);
    for (std::int64_t i = 24; i >= 0; --i) {
      CHECK(avstore::md5(reader.read(FrameIndex(i)).image.view()) ==
            oracle[static_cast<std::size_t>(i)]);
    }
    if (format.find("264/") != std::string::npos || format.starts_with("avc1") ||
        format.starts_with("hevc")) {
      CHECK(b_frames_in(chunk_file(store, format, 0)) > 0);
    }
  }
}

TEST_CASE("by default there are no B-frames") {
  for (const std::string format : {"avc1/mp4", "hevc/mkv"}) {
    const TemporaryFolder folder;
    write_store(folder.path() / "store", options_of(format, 100), pixel::gray8, plain_names(30));
    CAPTURE(format);
    CHECK(b_frames_in(chunk_file(folder.path() / "store", format, 0)) == 0);
  }
}

TEST_CASE("timestamps are evenly spaced at the nominal rate, whatever the times") {
  const std::vector<avstore::Rational> rates{{25, 1}, {30000, 1001}, {500, 1}, {1, 2}};
  for (const auto& [format, rate] :
       avstore::test::sampled_pairs("frame rates", video_formats(), rates, 14)) {
    CAPTURE(format, rate.num, rate.den);
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of(format, 23);
    options.encoder.frame_rate = rate;
    write_store(store, options, pixel::gray8, odd_names());
    const auto times = packet_times(chunk_file(store, format, 0), format);
    REQUIRE(times.size() == 23);
    for (std::size_t i = 0; i < times.size(); ++i) {
      CAPTURE(i);
      CHECK(times[i] - times[0] == Approx(static_cast<double>(i) / rate.value()).margin(0.00051));
    }
    CHECK(wrong_codes(store).empty());
  }
}

namespace {

// A camera that is triggered by an animal: bursts, pauses, an hour of nothing, a clock set back.
const std::vector<double>& irregular_times() {
  static const std::vector<double> kTimes{0,     0.002, 0.004,  0.1,     0.1,  0.25,   1.75,
                                          1.751, 70,    70.04,  70.08,   3670, 3670.5, 3670.4,
                                          3669,  3671,  3671.1, 3671.11, 7300, 7300,   7301};
  return kTimes;
}

std::vector<Name> irregular_names(double start) {
  std::vector<Name> names;
  for (const double time : irregular_times()) {
    names.push_back({static_cast<std::int64_t>(names.size()), start + time});
  }
  return names;
}

}  // namespace

TEST_CASE("AVI refuses real timing, which it cannot hold") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("mjpeg/avi");
  options.timing = avstore::Timing::real;
  CHECK_THROWS_WITH(Writer(folder.path() / "store", options), ContainsSubstring("AVI"));
}

TEST_CASE("with real timing chunks carry the frames' own times") {
  for (const std::string& format : formats_with_real_timing()) {
    for (const int b_frames : {0, 2}) {
      DYNAMIC_SECTION(format << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 100);
        options.timing = avstore::Timing::real;
        options.encoder.b_frames = b_frames;
        const auto names = irregular_names(1.7e9);
        write_store(store, options, pixel::gray8, names);
        Reader reader(store);
        check_names(reader, names);
        CHECK(wrong_codes(store).empty());
        // Ascending, and right wherever the times themselves ascend (to AVI's or Matroska's tick).
        auto seconds = packet_times(chunk_file(store, format, 0), format);
        std::sort(seconds.begin(), seconds.end());
        REQUIRE(seconds.size() == names.size());
        CHECK(std::adjacent_find(seconds.begin(), seconds.end(), std::greater_equal<>()) ==
              seconds.end());
        for (const std::size_t i : {0U, 1U, 2U, 3U, 5U, 6U, 8U, 9U, 11U, 12U, 15U, 16U, 18U, 20U}) {
          CAPTURE(i);
          CHECK(seconds[i] - seconds[0] == Approx(irregular_times()[i]).margin(0.0021));
        }
      }
    }
  }
}

TEST_CASE("with real timing, times that no clock has lose no frame") {
  for (const std::string& format : formats_with_real_timing()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.timing = avstore::Timing::real;
      write_store(store, options, pixel::gray8, odd_names());
      Reader reader(store);
      check_names(reader, odd_names());
      CHECK(wrong_codes(store).empty());
    }
  }
}

TEST_CASE("quality goes from small files to good pictures") {
  for (const std::string& format : lossy_video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      std::vector<std::uintmax_t> sizes;
      for (const double quality : {0.0, 40.0, 75.0, 100.0}) {
        const auto store = folder.path() / std::to_string(static_cast<int>(quality));
        WriterOptions options = options_of(format);
        options.encoder.quality = quality;
        write_store(store, options, pixel::bgr24, plain_names(7));
        sizes.push_back(fs::file_size(chunk_file(store, format, 0)));
      }
      CAPTURE(sizes);
      CHECK(std::is_sorted(sizes.begin(), sizes.end()));
      CHECK(sizes.back() > sizes.front() * 5 / 4);
    }
  }
}

TEST_CASE("options of the encoder go by libav's names") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4", 100);
  SECTION("a generic one") {
    options.encoder.options = {{"g", "4"}, {"keyint_min", "4"}};
    write_store(store, options, pixel::gray8, plain_names(9));
    CHECK(places(keyframes_of(Reader(store), 0)) == std::vector<std::size_t>{0, 4, 8});
  }
  SECTION("the encoder's own") {
    options.encoder.options = {{"crf", "0"}, {"profile", "high444"}};
    options.encoder.preset = "ultrafast";
    write_store(store, options, pixel::gray8, plain_names(9));
    Reader reader = open_as(store, pixel::gray8);
    while (const auto frame = reader.next()) {
      const Drawn drawn = draw(pixel::gray8, static_cast<int>(frame->info.index.value));
      CHECK(avstore::md5(frame->image.view()) == avstore::md5(drawn.view));
    }
  }
  SECTION("B-frames") {
    using Options = std::map<std::string, std::string>;
    const std::string format = GENERATE("avc1/mp4", "h264/mkv");
    options = options_of(format, 100);
    options.encoder.encoder = "libx264";
    options.encoder.options = GENERATE(Options{{"bf", "2"}}, Options{{"bf", "16"}},
                                       Options{{"x264-params", "bframes=3:b-adapt=0"}});
    CAPTURE(format, options.encoder.options.begin()->second);
    write_store(store, options, pixel::gray8, plain_names(40));
    CHECK(wrong_codes(store).empty());
    CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
    CHECK(b_frames_in(chunk_file(store, format, 0)) > 0);
  }
  SECTION("intra refresh, from whose keyframes decoding recovers only gradually") {
    options.encoder.options = {{"intra-refresh", "1"}};
    options.encoder.keyframe_interval = 10;
    write_store(store, options, pixel::gray8, plain_names(40));
    CHECK(places(keyframes_of(Reader(store), 0)) == std::vector<std::size_t>{0});
    CHECK(wrong_codes(store).empty());
    Reader reader(store);
    for (const FrameIndex index : avstore::test::shuffled_indices(40)) {
      reader.read(index);
    }
    CHECK(reader.statistics().seek_recoveries == 0);
  }
  SECTION("of images") {
    options.format = "jpg";
    options.encoder.options = {{"huffman", "default"}};
    write_store(store, options, pixel::gray8, plain_names(2));
    CHECK(Reader(store).frame_count() == 2);
  }
}

// It is the program's that uses the library, and another thread of it may read it just then.
TEST_CASE("no encoder changes the environment") {
  const std::string format = GENERATE("av1/mkv", "hevc/mkv", "avc1/mp4", "mjpeg/avi", "jpg");
  const TemporaryFolder folder;
  CHECK(in_child([&] {
          const auto variables = [] {
            std::vector<std::string> all;
            for (char** variable = environ; *variable != nullptr; ++variable) {
              all.emplace_back(*variable);
            }
            return all;
          };
          const auto before = variables();
          write_store(folder.path() / "store", options_of(format), 2);
          return variables() == before ? "unchanged" : variables().back();
        }) == "unchanged");
}

// The encoder writes its settings into the video. With more than one such thread it may never end.
TEST_CASE("x265 encodes one frame at a time, with as many threads as it was given") {
  for (const std::string format : {"hevc/mkv", "hevc/mp4"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.encoder.threads = 3;
      write_store(store, options, pixel::gray8, plain_names(3));
      const auto settings = run("grep -a -o -E 'frame-threads=[0-9]+|numa-pools=[0-9]+' " +
                                quoted(chunk_file(store, format, 0)) + " | sort -u");
      CHECK(settings == "frame-threads=1\nnuma-pools=3\n");
    }
  }
}

// Threads of this process while a store is written.
std::ptrdiff_t threads_while_encoding(const std::string& format, int threads) {
  const TemporaryFolder folder;
  WriterOptions options = options_of(format);
  options.encoder.threads = threads;
  Writer writer(folder.path() / "store", options);
  for (int i = 0; i < 8; ++i) {
    add(writer, i, 640, 368);
  }
  writer.sync();
  const fs::directory_iterator tasks("/proc/self/task");
  const auto count = std::distance(begin(tasks), end(tasks));
  writer.close();
  return count;
}

TEST_CASE("an encoder has no more threads than it was given") {
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  if (cores < 2) {
    SKIP("needs two cores");
  }
  for (const std::string format : {"avc1/mp4", "hevc/mp4", "av1/mp4", "ffv1/mkv", "mjpeg/avi"}) {
    CAPTURE(format);
    CHECK(threads_while_encoding(format, 1) < threads_while_encoding(format, cores));
  }
}

TEST_CASE("each format's encoders say whether they open") {
  for (const avstore::Format& format : avstore::formats()) {
    CAPTURE(format.name);
    const std::string outcome = in_child([&] {
      std::string found;
      for (const auto& encoder : avstore::probe_encoders(format)) {
        found += encoder.encoder + (encoder.available ? " opens " : encoder.why_not);
      }
      return found;
    });
    CHECK_THAT(outcome, ContainsSubstring(format.video ? " opens " : ""));
  }
}

TEST_CASE("an encoder may be chosen by name") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("av1/mkv");
  options.encoder.encoder = "libaom-av1";
  write_store(store, options, pixel::gray8, plain_names(9));
  CHECK(Reader(store).info().encoder == "libaom-av1");
  CHECK(wrong_codes(store).empty());
}

namespace {

// The error of writing one frame with these options, at whichever call it comes.
avstore::Error error_of_options(const fs::path& store, const WriterOptions& options) {
  return error_of([&] {
    Writer writer(store, options);
    add(writer, draw(pixel::gray8, 0).view, {0, 0});
    writer.close();
  });
}

}  // namespace

TEST_CASE("options that cannot be are errors which name them") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  SECTION("unknown format") {
    options.format = "betamax/reel";
    const auto error = error_of_options(store, options);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), ContainsSubstring("betamax/reel"));
    for (const avstore::Format& format : avstore::formats()) {
      CHECK_THAT(error.what(), ContainsSubstring(format.name));
    }
    CHECK_FALSE(fs::exists(store));
  }
  SECTION("unknown option") {
    for (const avstore::Format& format : avstore::formats()) {
      // SVT-AV1 waits forever if it is closed before it has had a frame.
      const std::string outcome = in_child([&] {
        WriterOptions with_unknown = options_of(format.name);
        with_unknown.encoder.options = {{"no_such_option", "1"}};
        const auto error = error_of_options(
            folder.path() / std::to_string(&format - avstore::formats().data()), with_unknown);
        return (error.kind() == ErrorKind::invalid_argument ? "invalid: " : "other: ") +
               std::string(error.what());
      });
      CAPTURE(format.name);
      CHECK_THAT(outcome,
                 Catch::Matchers::StartsWith("invalid: ") && ContainsSubstring("no_such_option"));
    }
  }
  SECTION("unknown preset") {
    for (const std::string format : {"avc1/mp4", "hevc/mp4", "av1/mp4", "mjpeg/avi", "ffv1/mkv"}) {
      options = options_of(format);
      options.encoder.preset = "warpspeed";
      const auto error = error_of_options(folder.path() / format.substr(0, 4), options);
      CAPTURE(format, error.what());
      CHECK(
          (error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
      CHECK_THAT(error.what(), ContainsSubstring("preset") || ContainsSubstring("warpspeed"));
    }
  }
  SECTION("more B-frames than the encoder makes") {
    for (const std::string format : {"avc1/mp4", "h264/mkv", "h264-lossless/mkv"}) {
      options = options_of(format);
      options.encoder.encoder = "libx264";
      options.encoder.options = {{"bf", "17"}};
      const auto error = error_of_options(folder.path() / format.substr(0, 5), options);
      CAPTURE(format);
      CHECK(error.kind() == ErrorKind::invalid_argument);
      CHECK_THAT(error.what(), ContainsSubstring("at most 16 B-frames"));
    }
  }
  SECTION("options that would make frames something else than they are") {
    for (const std::string format :
         {"avc1/mp4", "av1/mp4", "ffv1/mkv", "mjpeg/avi", "png", "jpg"}) {
      for (const auto& [name, value] :
           {std::pair("pixel_format", "yuv422p10"), std::pair("video_size", "1920x1080")}) {
        options = options_of(format);
        options.encoder.options = {{name, value}};
        const auto error = error_of_options(folder.path() / (format.substr(0, 3) + name), options);
        CAPTURE(format, name, error.what());
        CHECK((error.kind() == ErrorKind::invalid_argument ||
               error.kind() == ErrorKind::unsupported));
      }
    }
    options = options_of("avc1/mp4");
    options.encoder.options = {{"pixel_format", "yuv444p"}};
    CHECK_THAT(error_of_options(store, options).what(), ContainsSubstring("pixel_format"));
  }
  SECTION("B-frames that x265 does not tell of") {
    for (const auto& [name, value] :
         {std::pair("bf", "2"), std::pair("x265-params", "bframes=2")}) {
      options = options_of("hevc/mp4");
      options.encoder.encoder = "libx265";
      options.encoder.options = {{name, value}};
      const auto error = error_of_options(store, options);
      CHECK(error.kind() == ErrorKind::invalid_argument);
      CHECK_THAT(error.what(), ContainsSubstring("--b-frames"));
    }
  }
  SECTION("frames too far apart for MP4") {
    options.encoder.frame_rate = {1, 1'000'000};
    const auto error = error_of_options(store, options);
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), ContainsSubstring("higher nominal rate"));
    options.encoder.frame_rate = {1, 100'000};
    options.encoder.b_frames = 2;  // their PTS are several frames from their DTS
    CHECK(error_of_options(folder.path() / "reordered", options).kind() ==
          ErrorKind::invalid_argument);
    options.encoder.b_frames = 0;
    options.format = "h264/mkv";
    write_store(store, options, pixel::gray8, plain_names(9));
    CHECK(wrong_codes(store).empty());
  }
  SECTION("unknown encoder") {
    options.encoder.encoder = "libx263";
    const auto error = error_of_options(store, options);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), ContainsSubstring("libx263"));
  }
  SECTION("an encoder of another codec") {
    options.encoder.encoder = "ffv1";
    const auto error = error_of_options(store, options);
    CHECK((error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
    CHECK_THAT(error.what(), ContainsSubstring("ffv1"));
  }
  SECTION("not an encoder of video at all") {
    options.encoder.encoder = "aac";
    const auto error = error_of_options(store, options);
    CHECK((error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
    CHECK_THAT(error.what(), ContainsSubstring("aac"));
  }
  SECTION("numbers out of range") {
    const std::vector<std::function<void(WriterOptions&)>> changes{
        [](WriterOptions& o) { o.encoder.quality = -1; },
        [](WriterOptions& o) { o.encoder.quality = 100.5; },
        [](WriterOptions& o) { o.encoder.quality = std::nan(""); },
        [](WriterOptions& o) { o.encoder.keyframe_interval = -1; },
        [](WriterOptions& o) { o.encoder.b_frames = -1; },
        [](WriterOptions& o) { o.encoder.b_frames = 17; },
        [](WriterOptions& o) { o.encoder.threads = -1; },
        [](WriterOptions& o) {
          o.encoder.frame_rate = {25, 0};
        },
        [](WriterOptions& o) {
          o.encoder.frame_rate = {-25, 1};
        },
        [](WriterOptions& o) { o.chunk_size = -1; },
        [](WriterOptions& o) { o.queue_frames = 0; },
        [](WriterOptions& o) { o.metadata_yaml = "- a\n- list\n"; },
        [](WriterOptions& o) { o.metadata_yaml = "a: [1, 2"; },
        [](WriterOptions& o) { o.metadata_yaml = "__store: {}"; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
      options = options_of("avc1/mp4");
      changes[i](options);
      CAPTURE(i);
      // Before anything is made.
      CHECK(error_of([&] { Writer(store, options); }).kind() == ErrorKind::invalid_argument);
      CHECK_FALSE(fs::exists(store));
    }
  }
}
