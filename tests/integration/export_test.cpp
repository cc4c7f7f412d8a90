// Exported videos hold what was asked for, as ffprobe and ffmpeg see them.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::ExportOptions;
using avstore::ExportResult;
using avstore::IndexRange;
using Catch::Matchers::ContainsSubstring;

// Frames that come out of a decoder.
std::int64_t frame_count_in(const fs::path& video) {
  return static_cast<std::int64_t>(frame_md5s(video).size());
}

std::string stream(const fs::path& video, const std::string& field) {
  return probe(video, "-show_entries stream=" + field).at(0);
}

// What others write: nothing knows the PTS but the chunks themselves.
void forget_pts(const fs::path& store) {
  fs::remove(store / ".index.sqlite");
}

// As nobody writes them any more: the database is there, but without PTS.
void save_without_pts(const fs::path& store) {
  forget_pts(store);
  const avstore::Reader makes_it(store);
}

void write_plain_store(const fs::path& store, int frames) {
  auto options = options_of("h264/mkv", 20);
  options.encoder.keyframe_interval = 6;
  write_store(store, options, frames);
}

// Frames whose seek point is their own.
std::int64_t keyframes_in(const avstore::Reader& reader) {
  const auto infos = reader.infos({0, reader.frame_count()});
  return std::count_if(infos.begin(), infos.end(), [](const auto& i) { return i.keyframe; });
}

std::int64_t keyframes_stated(const fs::path& video) {
  const auto packets = packets_of(video);
  return std::count_if(packets.begin(), packets.end(), [](const auto& i) { return i.is_keyframe; });
}

ExportOptions options_without_saving() {
  ExportOptions options;
  options.save_index = false;
  return options;
}

void import_copy(const fs::path& video, const fs::path& store) {
  avstore::ImportOptions options;
  options.copy = true;
  avstore::import_file(video, store, options);
}

}  // namespace

TEST_CASE("export copies every frame where PTS cannot be kept in the store") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_plain_store(store, 50);
  std::vector<std::string> expected;
  for (int chunk = 0; chunk < 3; ++chunk) {
    const auto md5s = frame_md5s(chunk_file(store, "h264/mkv", chunk));
    expected.insert(expected.end(), md5s.begin(), md5s.end());
  }
  REQUIRE(expected.size() == 50);
  const auto state = GENERATE(as<std::string>{}, "no database", "a database without PTS");
  CAPTURE(state);
  state == "no database" ? forget_pts(store) : save_without_pts(store);

  SECTION("by choice") {
    const fs::path video = folder.path() / "out.mp4";
    const ExportResult result = avstore::export_video(store, video, options_without_saving());
    CHECK(result.frames == 50);
    CHECK(result.frames_encoded == 0);
    CHECK(frame_md5s(video) == expected);
    ExportOptions cut = options_without_saving();
    cut.range = {8, 33};
    cut.overwrite = true;
    avstore::export_video(store, video, cut);
    CHECK(frame_count_in(video) == 25);
  }
  SECTION("in a folder that cannot be written") {
    fs::create_directory(folder.path() / "out");
    fs::permissions(folder.path() / "out", fs::perms(0777));
    fs::permissions(store, fs::perms(0555));
    const fs::path video = folder.path() / "out" / "out.mp4";
    CHECK(run_child([&] {
            become_nobody();
            avstore::export_video(store, video, {});
            return 0;
          }) == 0);
    CHECK(frame_md5s(video) == expected);
  }
}

// By whatever option they are asked for: only the encoder knows.
TEST_CASE("export makes no B-frames") {
  const TemporaryFolder folder;
  import_copy(media_file("h264-no-bframes.mp4"), folder.path() / "store");
  const fs::path video = folder.path() / "out.mp4";
  ExportOptions options;
  options.range = {8, 120};
  SECTION("two") {
    options.encoder.b_frames = 2;
  }
  SECTION("a number that cannot be") {
    options.encoder.b_frames = -1;
  }
  SECTION("libavcodec's option") {
    options.encoder.options = {{"bf", "2"}};
  }
  SECTION("the encoder's own option") {
    options.encoder.options = {{"x264-params", "bframes=2"}};
  }
  const auto error =
      error_of([&] { avstore::export_video(folder.path() / "store", video, options); });
  CHECK(error.kind() == avstore::ErrorKind::invalid_argument);
  CHECK_THAT(error.what(),
             ContainsSubstring(video.string()) && ContainsSubstring("makes no B-frames"));
  CHECK_FALSE(fs::exists(video));
}

// What a cut falls into is encoded anew, with other headers than what is copied after it.
TEST_CASE("players can begin at each keyframe of an exported range") {
  const TemporaryFolder folder;
  import_copy(media_file("h264-no-bframes.mp4"), folder.path() / "store");
  const fs::path video = folder.path() / "out.mp4";
  ExportOptions options;
  options.range = {8, 120};
  CHECK(avstore::export_video(folder.path() / "store", video, options).frames_encoded == 17);
  const auto oracle = frame_md5s(video);
  REQUIRE(oracle.size() == 112);
  import_copy(video, folder.path() / "again");
  avstore::Reader again(folder.path() / "again");
  CHECK(keyframes_in(again) == keyframes_stated(video));
  for (std::int64_t i = 111; i >= 0; --i) {
    CAPTURE(i);
    CHECK(avstore::md5(again.read(avstore::FrameIndex(i)).image.view()) ==
          oracle[static_cast<std::size_t>(i)]);
  }
}

namespace {

std::vector<std::string> from(std::vector<std::string> lines, std::int64_t first) {
  lines.erase(lines.begin(), lines.begin() + first);
  return lines;
}

// Frames of the source from `first` on were exported: those that were copied, behind the ones that
// were encoded, are as they were.
void check_export(const fs::path& video, const std::vector<std::string>& source, std::int64_t first,
                  const ExportResult& result) {
  const auto exported = frame_md5s(video);
  REQUIRE(exported.size() == source.size() - static_cast<std::size_t>(first));
  CHECK(from(exported, result.frames_encoded) == from(source, first + result.frames_encoded));
}

}  // namespace

TEST_CASE("what is copied keeps the headers that come within it") {
  const std::string name = GENERATE("headers-once.h264", "headers-once.hevc");
  const auto [chunk_size, ending] =
      GENERATE(table<std::int64_t, std::string>({{20, ".mp4"}, {1000, ".mkv"}}));
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  avstore::ImportOptions copy;
  copy.copy = true;
  copy.writer.chunk_size = chunk_size;
  avstore::import_file(media_file(name), store, copy);
  const auto source = frame_md5s(media_file(name));
  for (const std::int64_t first : {0, 1, 3, 12, 24, 60}) {
    CAPTURE(name, chunk_size, first, ending);
    const fs::path video = folder.path() / (std::to_string(first) + ending);
    ExportOptions options;
    options.range = {first, static_cast<std::int64_t>(source.size())};
    check_export(video, source, first, avstore::export_video(store, video, options));
    // Players can begin at each keyframe.
    const fs::path again = folder.path() / (std::to_string(first) + ".store");
    avstore::import_file(video, again, copy);
    CHECK(keyframes_in(avstore::Reader(again)) == keyframes_stated(video));
  }
}

// The second chunk's pictures need what the container states, and the first one brings others.
TEST_CASE("a chunk's headers do not last beyond its end") {
  const auto [name, kinds] = GENERATE(table<std::string, std::string>(
      {{"headers-once.h264", "7-8"}, {"headers-once.hevc", "32-34"}}));
  CAPTURE(name);
  const TemporaryFolder folder;
  const auto import = [&](const fs::path& file, const std::string& store) {
    import_copy(file, folder.path() / store);
    return folder.path() / store / "000000";
  };
  const std::string joined = import(media_file(name), "store").string();
  const std::string plain = (folder.path() / "plain").string();
  const std::string ending = fs::exists(joined + ".mp4") ? ".mp4" : ".mkv";
  const std::string copying = "ffmpeg -loglevel error -i " + quoted(joined + ending) + " -c copy ";
  run(copying + "-frames:v 60 -bsf:v filter_units=remove_types=" + kinds + " " +
      quoted(plain + ending));
  const std::string second = import(plain + ending, "second").string();
  const std::string place = (folder.path() / "store" / "000001").string();
  fs::copy(plain + ending, place + ending);
  fs::copy(second + ".npz", place + ".npz");
  forget_pts(folder.path() / "store");
  auto source = frame_md5s(joined + ending);
  for (const std::string& md5 : frame_md5s(plain + ending)) {
    source.push_back(md5);
  }
  REQUIRE(source.size() == 180);
  const fs::path video = folder.path() / ("out" + ending);
  check_export(video, source, 0, avstore::export_video(folder.path() / "store", video, {}));
}

TEST_CASE("export of a chunk that has lost its end is an error, not a shorter video") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_plain_store(store, 50);
  const fs::path chunk = chunk_file(store, "h264/mkv", 1);
  fs::resize_file(chunk, fs::file_size(chunk) / 2);
  const fs::path video = folder.path() / "out.mp4";
  CHECK_ERROR(corrupt, avstore::export_video(store, video, {}));
  CHECK_FALSE(fs::exists(video));
}

TEST_CASE("a store that is being recorded is exported as far as it is durable") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  auto options = options_of("avc1/mp4", 1000);
  options.encoder.keyframe_interval = 6;
  avstore::Writer writer(store, options);
  for (int i = 0; i < 40; ++i) {
    add(writer, i);
  }
  writer.sync();
  const std::int64_t durable = avstore::Reader(store).frame_count();
  REQUIRE(durable == 40);
  // The head of a fragment, as a reader may find it at any time: libavformat opens no such file.
  const fs::path chunk = chunk_file(store, "avc1/mp4", 0);
  const std::string bytes = read_text(chunk);
  std::ofstream(chunk, std::ios::binary | std::ios::app)
      << bytes.substr(bytes.find("moof") - 4, 120);
  REQUIRE_FALSE(succeeds("ffprobe -loglevel quiet " + quoted(chunk.string())));
  const fs::path video = folder.path() / "out.mp4";
  CHECK(avstore::export_video(store, video, {}).frames == 40);
  CHECK(frame_count_in(video) == 40);
}

TEST_CASE("a cut through 10 bit stays 10 bit, or it is told") {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name, const std::string& codec) {
    const fs::path file = folder.path() / (name + ".mkv");
    run("ffmpeg -loglevel error -f lavfi -i testsrc=size=96x64:rate=25:duration=2 "
        "-pix_fmt yuv420p10le " +
        codec + " " + quoted(file.string()));
    avstore::ImportOptions copying;
    copying.copy = true;
    avstore::import_file(file, folder.path() / name, copying);
    return folder.path() / name;
  };
  std::vector<std::string> notices;
  ExportOptions options;
  options.range = {5, 40};
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  for (const std::string ending : {".mp4", ".mkv"}) {
    const fs::path video = folder.path() / ("out" + ending);
    options.overwrite = true;
    // Closed GOPs: copied but for the ends. An open GOP: nothing can be copied.
    const std::string x265 = "-c:v libx265 -x265-params log-level=error:keyint=12:open-gop=";
    for (const std::string open : {"0", "1"}) {
      CAPTURE(ending, open);
      const ExportResult result =
          avstore::export_video(make("hevc" + open + ending, x265 + open), video, options);
      CHECK((result.frames_encoded < 35) == (open == "0"));
      CHECK(stream(video, "codec_name") == "hevc");
      CHECK(stream(video, "pix_fmt") == "yuv420p10le");
      CHECK(frame_count_in(video) == 35);
      CHECK(notices.empty());
    }
    avstore::export_video(make("ffv1" + ending, "-c:v ffv1"), video, options);
    CHECK(stream(video, "pix_fmt") == "yuv420p");
    REQUIRE(notices.size() == 1);
    CHECK_THAT(notices[0], ContainsSubstring("8 bit"));
    notices.clear();
  }
}

// No encoder of ours takes gray of 10 bit.
TEST_CASE("a cut through what nothing encodes alike is encoded as a whole, and it is told") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "gray10.mkv";
  run("ffmpeg -loglevel error -f lavfi -i testsrc=size=96x64:rate=25:duration=2 -pix_fmt gray10le "
      "-c:v libx265 -x265-params log-level=error:keyint=12:open-gop=0:bframes=0 " +
      quoted(file.string()));
  avstore::ImportOptions copying;
  copying.copy = true;
  avstore::import_file(file, folder.path() / "store", copying);
  std::vector<std::string> notices;
  ExportOptions options;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  for (const std::string ending : {".mp4", ".mkv"}) {
    CAPTURE(ending);
    const auto export_range = [&](const std::string& name, IndexRange range) {
      notices.clear();
      options.range = range;
      return avstore::export_video(folder.path() / "store", folder.path() / (name + ending),
                                   options);
    };
    CHECK(export_range("cut", {5, 40}).frames_encoded == 35);
    CHECK(frame_count_in(folder.path() / ("cut" + ending)) == 35);
    CHECK(stream(folder.path() / ("cut" + ending), "codec_name") == "h264");
    REQUIRE(notices.size() == 1);
    CHECK_THAT(notices[0], ContainsSubstring("8 bit"));
    CHECK(export_range("whole", {0, 50}).frames_encoded == 0);
    CHECK(stream(folder.path() / ("whole" + ending), "pix_fmt") == "gray10le");
    CHECK(notices.empty());
  }
}

// ---- Real times ----------------------------------------------------------------------------

namespace {

constexpr double kNever = std::numeric_limits<double>::quiet_NaN();

void write_timed_store(const fs::path& store, const std::vector<double>& times, int b_frames = 0) {
  auto options = options_of("h264/mkv", 20);
  options.encoder.keyframe_interval = 6;
  options.encoder.b_frames = b_frames;
  std::vector<Name> names;
  for (std::size_t i = 0; i < times.size(); ++i) {
    names.push_back({static_cast<std::int64_t>(i), times[i]});
  }
  write_store(store, options, avstore::pixel::gray8, names);
}

struct Exported {
  std::vector<double> times;  // from the first frame on, as ffprobe has them
  std::vector<std::string> notices;
};

Exported export_times(const std::vector<double>& times, const std::string& ending,
                      int b_frames = 0) {
  const TemporaryFolder folder;
  write_timed_store(folder.path() / "store", times, b_frames);
  Exported made;
  ExportOptions options;
  options.notice = [&](const std::string& text) { made.notices.push_back(text); };
  const fs::path video = folder.path() / ("out" + ending);
  avstore::export_video(folder.path() / "store", video, options);
  for (const auto& packet : packets_of(video)) {
    made.times.push_back(packet.pts_seconds);
  }
  std::sort(made.times.begin(), made.times.end());  // packets come in the order of decoding
  const double first = made.times.at(0);
  for (double& time : made.times) {
    time -= first;
  }
  return made;
}

void check_times(const std::vector<double>& found, const std::vector<double>& expected,
                 double margin) {
  CAPTURE(found, expected);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(std::abs(found[i] - expected[i]) < margin);
  }
}

// `count` times from `first` on.
std::vector<double> every(double distance, int count, double first = 0) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    times.push_back(first + i * distance);
  }
  return times;
}

}  // namespace

TEST_CASE("an exported video has the frames' own times") {
  const std::string ending = GENERATE(".mp4", ".mkv");
  CAPTURE(ending);
  const double half_ms = 0.00051;
  SECTION("as they are") {
    const std::vector<double> times{5, 5.04, 5.05, 7, 7.0333};
    const auto made = export_times(times, ending);
    CHECK(made.notices.empty());
    check_times(made.times, {0, 0.04, 0.05, 2, 2.0333}, half_ms);
  }
  SECTION("that step back: these go on, and keep their distances behind that") {
    auto times = every(0.04, 30, 1000);
    const auto again = every(0.04, 30, 1000);
    times.insert(times.end(), again.begin(), again.end());
    times.push_back(1000 + 0.04 * 29 + 0.5);
    const auto made = export_times(times, ending);
    auto expected = every(0.04, 60);
    expected.push_back(expected.back() + 0.5);
    check_times(made.times, expected, half_ms);
    REQUIRE(made.notices.size() == 1);
    CHECK_THAT(made.notices[0], ContainsSubstring("store: times run backwards at frame 30"));
  }
  SECTION("that are missing or the same: these are spread") {
    const auto made =
        export_times({kNever, 3, 3.04, 3.04, kNever, kNever, 3.2, 3.24, 3.24}, ending);
    check_times(made.times, {0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32}, half_ms);
    REQUIRE(made.notices.size() == 2);
    CHECK_THAT(made.notices[0], ContainsSubstring("no time at frame 0 and 2 more"));
    CHECK_THAT(made.notices[1],
               ContainsSubstring("time of the frame before at frame 3 and 1 more"));
  }
  SECTION("that are all the same or none: at the nominal rate") {
    const double time = GENERATE(7.0, kNever);
    const auto made = export_times(std::vector<double>(10, time), ending);
    check_times(made.times, every(0.04, 10), half_ms);
    CHECK(made.notices.size() == 1);
  }
}

TEST_CASE("frames closer than a millisecond keep their times in MP4; in Matroska it is told") {
  const auto times = every(0.00025, 40, 1700000000);
  const auto fine = export_times(times, ".mp4");
  CHECK(fine.notices.empty());
  check_times(fine.times, every(0.00025, 40), 0.000002);
  const auto coarse = export_times(times, ".mkv");
  REQUIRE(coarse.notices.size() == 1);
  CHECK_THAT(coarse.notices[0],
             ContainsSubstring("closer together than the 1 ms") && ContainsSubstring("MP4"));
  CHECK(coarse.times.size() == 40);
}

TEST_CASE("nominal rates that Matroska has no ticks for: every frame has its own, and it is told") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int b_frames = GENERATE(0, 2);
  CAPTURE(b_frames);
  write_timed_store(store, every(0.04, 40), b_frames);
  std::vector<std::string> notices;
  const auto export_at = [&](std::int64_t rate, const std::string& name) {
    notices.clear();
    ExportOptions options;
    options.timing = avstore::Timing::nominal;
    options.encoder.frame_rate = {rate, 1};
    options.notice = [&](const std::string& text) { notices.push_back(text); };
    avstore::export_video(store, folder.path() / name, options);
    std::vector<double> times;
    for (const auto& packet : packets_of(folder.path() / name)) {
      times.push_back(packet.pts_seconds);
    }
    std::sort(times.begin(), times.end());
    const double first = times.at(0);
    std::for_each(times.begin(), times.end(), [first](double& time) { time -= first; });
    return times;
  };
  check_times(export_at(2000, "fast.mkv"), every(0.001, 40), 0.0001);
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0],
             ContainsSubstring("closer together than the 1 ms") && ContainsSubstring("MP4"));
  check_times(export_at(2000, "fast.mp4"), every(0.0005, 40), 0.0001);
  CHECK(notices.empty());
  check_times(export_at(1000, "slower.mkv"), every(0.001, 40), 0.0001);
  CHECK(notices.empty());
}

TEST_CASE("MP4 has room for long gaps, and it is told which are too long") {
  constexpr double kTwoDays = 2 * 86400.0;
  constexpr double kLongest = 2147483.646;
  const auto with_gap = [](double gap) {
    auto times = every(0.04, 10);
    const auto later = every(0.04, 10, times.back() + gap);
    times.insert(times.end(), later.begin(), later.end());
    return times;
  };
  const auto check_kept = [](const std::vector<double>& times, int b_frames) {
    CAPTURE(b_frames);
    const auto made = export_times(times, ".mp4", b_frames);
    CHECK(made.notices.empty());
    check_times(made.times, times, 0.00051);
  };
  const auto check_refused = [](const std::vector<double>& times, int b_frames,
                                const std::string& what) {
    CAPTURE(b_frames);
    const auto error = error_of([&] { export_times(times, ".mp4", b_frames); });
    CHECK(error.kind() == avstore::ErrorKind::invalid_argument);
    CAPTURE(error.what());
    CHECK(says(error, what));
    CHECK(says(error, "export to .mkv, or with nominal timing"));
  };
  SECTION("without B-frames: from a frame to the next") {
    check_kept(with_gap(kTwoDays), 0);
    check_kept(with_gap(kLongest), 0);
    check_refused(with_gap(kLongest + 0.001), 0, "between frame 9 and the next");
  }
  SECTION("with B-frames: from the decoding of a frame to its showing") {
    check_kept(with_gap(kTwoDays), 2);
    // What libavformat reads: 2^28 ms. A frame behind the gap is decoded at the time of one before
    // it: of which, the encoder decides.
    constexpr double kLongestAhead = 268435.456;
    constexpr double kReordered = 5 * 0.04;
    check_kept(with_gap(kLongestAhead - kReordered), 2);
    check_refused(with_gap(kLongestAhead + 0.001), 2, "s lie between frame ");
    export_times(with_gap(kLongest), ".mkv", 2);
  }
  SECTION("frames closer than that are counted in coarser steps") {
    auto times = every(0.0005, 10);
    times.push_back(times.back() + 3000);
    times.push_back(times.back() + 0.0005);
    const auto made = export_times(times, ".mp4");
    CHECK(made.notices.empty());
    check_times(made.times, times, 0.00001);
  }
}

TEST_CASE("times that no video can have are errors which name them") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const auto export_to = [&](const std::string& name, avstore::Timing timing) {
    ExportOptions options;
    options.timing = timing;
    avstore::export_video(store, folder.path() / name, options);
  };
  SECTION("in any") {
    write_timed_store(store, {0, 1, GENERATE(1e300, -1e300, 1e18)});
    const auto error = error_of([&] { export_to("out.mkv", avstore::Timing::real); });
    CHECK(error.kind() == avstore::ErrorKind::invalid_argument);
    CHECK(says(error, "frame 2 has the time"));
  }
  SECTION("in MP4") {
    write_timed_store(store, {0, 1700000000, 1700000001});
    const auto error = error_of([&] { export_to("out.mp4", avstore::Timing::real); });
    CHECK(error.kind() == avstore::ErrorKind::invalid_argument);
    CHECK(says(error, "between frame 0 and the next"));
    export_to("out.mkv", avstore::Timing::real);
    CHECK(packets_of(folder.path() / "out.mkv").at(1).pts_seconds == 1700000000);
  }
  CHECK_FALSE(fs::exists(folder.path() / "out.mp4"));
  export_to("nominal.mp4", avstore::Timing::nominal);
  CHECK(frame_count_in(folder.path() / "nominal.mp4") == 3);
}
