// Importing with --copy: every frame of the store is what ffmpeg decodes from the source.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

using avstore::test::TestVideo;

// The picture changes its size, which no store can hold.
bool changes_size(const TestVideo& video) {
  return video.name.starts_with("size-change");
}

// Encoded without loss, but with the bytes of a pixel in another order.
bool changes_layout(const TestVideo& video) {
  static const std::set<std::string> kNames{"rawvideo-bottom-up.avi", "animation.apng",
                                            "qtrle.mov"};
  return kNames.contains(video.name);
}

// No container that we write can say which frames are hidden there, or hold this codec.
bool must_be_encoded(const TestVideo& video) {
  static const std::set<std::string> kNames{"mp4-empty-and-preroll-edit.mp4", "mp4-three-edits.mp4",
                                            "mp4-edits-out-of-order.mp4", "mp4-edits-with-gap.mp4"};
  return kNames.contains(video.name) || changes_layout(video);
}

avstore::ImportOptions copy_options(std::int64_t chunk_size) {
  avstore::ImportOptions options;
  options.copy = true;
  options.allow_truncated = true;
  options.writer.chunk_size = chunk_size;
  return options;
}

std::vector<std::size_t> wrong_frames(avstore::Reader& reader,
                                      const std::vector<std::string>& oracle) {
  std::vector<std::size_t> order(oracle.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::size_t> wrong;
  const auto read_all = [&] {
    for (const std::size_t i : order) {
      const auto frame = reader.read(avstore::FrameIndex(static_cast<std::int64_t>(i)));
      if (avstore::md5(frame.image.view()) != oracle[i]) {
        wrong.push_back(i);
      }
    }
  };
  read_all();
  // Few suffice: starting at a wrong place spoils every frame up to the next keyframe.
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  order.resize(std::min<std::size_t>(order.size(), 40));
  read_all();
  return wrong;
}

// Of the bytes of one of its packets, in decoding order, nothing can be decoded.
std::filesystem::path with_broken_packet(const std::filesystem::path& whole, std::size_t packet,
                                         const std::filesystem::path& file) {
  const auto packets = avstore::test::probe(whole, "-show_entries packet=size,pos");
  std::size_t size = 0, position = 0;
  REQUIRE(std::sscanf(packets.at(packet).c_str(), "%zu,%zu", &size, &position) == 2);
  std::string bytes = avstore::test::read_text(whole);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(position), size, '\x55');
  avstore::test::write_text(file, bytes);
  return file;
}

}  // namespace

TEST_CASE("copied packets give the frames of the source") {
  constexpr std::array<std::int64_t, 2> kChunkSizes{1, 37};
  const std::vector<TestVideo> videos = avstore::test::test_videos();
  // A sample copies every other video in chunks of one of the sizes.
  const auto count = static_cast<std::int64_t>(videos.size());
  for (const std::int64_t place : avstore::test::sample("copies", 2 * count, 32)) {
    const TestVideo& video = videos.at(static_cast<std::size_t>(place / 2));
    const std::int64_t chunk_size = kChunkSizes.at(static_cast<std::size_t>(place % 2));
    CAPTURE(video.name, chunk_size);
    const avstore::test::TemporaryFolder folder;
    const auto store = folder.path() / "store";
    if (video.name.starts_with("format-change")) {
      CHECK_THROWS_WITH(avstore::import_file(video.path, store, copy_options(chunk_size)),
                        Catch::Matchers::ContainsSubstring("pixel format changes at frame"));
      CHECK_FALSE(std::filesystem::exists(store));
      continue;
    }
    if (changes_size(video)) {
      CHECK_THROWS_WITH(avstore::import_file(video.path, store, copy_options(chunk_size)),
                        Catch::Matchers::ContainsSubstring("size"));
      CHECK_FALSE(std::filesystem::exists(store));
      continue;
    }
    const std::vector<std::string> oracle = avstore::test::read_lines(video.md5_list);
    const auto result = avstore::import_file(video.path, store, copy_options(chunk_size));
    avstore::Reader reader(store);
    CHECK(result.copied != must_be_encoded(video));
    CHECK(reader.frame_count() == static_cast<std::int64_t>(oracle.size()));
    if (!changes_layout(video)) {
      CHECK(wrong_frames(reader, oracle).empty());
    }
    CAPTURE(reader.statistics().seeks, reader.statistics().files_opened);
    CHECK(reader.statistics().seek_recoveries == 0);
    // Of a file that was cut off, the last frame is in part there.
    if (video.name != "avi-truncated.avi") {
      CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
    }
  }
}

// AVI and streams without a container state no presentation times.
TEST_CASE("frames have the times that the source states") {
  int checked = 0;
  const std::vector<TestVideo> videos = avstore::test::test_videos();
  const auto places =
      avstore::test::sample("times of videos", static_cast<std::int64_t>(videos.size()), 16);
  for (const std::int64_t place : places) {
    const TestVideo& video = videos.at(static_cast<std::size_t>(place));
    if (changes_size(video) || video.name.starts_with("format-change") ||
        video.path.extension() == ".avi") {
      continue;
    }
    // ffprobe puts lines of its own after frames that have side data.
    const auto stated = avstore::test::run_lines(
        "ffprobe -v error -select_streams v:0 -show_entries frame=pts_time -of default=nk=1 " +
        avstore::test::quoted(video.path) + " | grep -E '^(-?[0-9.]+|N/A)$'");
    if (std::find(stated.begin(), stated.end(), "N/A") != stated.end()) {
      continue;
    }
    for (const bool copy : {false, true}) {
      CAPTURE(video.name, copy);
      const avstore::test::TemporaryFolder folder;
      avstore::ImportOptions options = copy_options(37);
      options.copy = copy;
      options.start_time = 0;
      avstore::import_file(video.path, folder.path() / "store", options);
      const avstore::Reader reader(folder.path() / "store");
      REQUIRE(reader.frame_count() == static_cast<std::int64_t>(stated.size()));
      std::vector<std::int64_t> wrong;
      for (const auto& info : reader.infos({0, reader.frame_count()})) {
        const std::string& time = stated[static_cast<std::size_t>(info.index.value)];
        if (std::abs(info.time.seconds - std::stod(time)) > 1e-6) {
          wrong.push_back(info.index.value);
        }
      }
      CHECK(wrong.empty());
    }
    ++checked;
  }
  CHECK(checked > static_cast<int>(places.size()) / 2);
}

// Also where parameter sets change midway, and with them how far frames are reordered.
TEST_CASE("frames of streams without a container are a frame's time apart") {
  const std::string name =
      GENERATE("mjpeg-raw.mjpeg", "h264-raw.h264", "hevc-raw.hevc", "headers-once.h264",
               "headers-once.hevc", "headers-once.m2v", "paff.h264");
  const bool copy = GENERATE(false, true);
  CAPTURE(name, copy);
  const avstore::test::TemporaryFolder folder;
  const auto store = folder.path() / "store";
  avstore::ImportOptions options = copy_options(37);
  options.copy = copy;
  std::vector<std::string> notices;
  options.notice = [&notices](const std::string& text) { notices.push_back(text); };
  avstore::import_file(avstore::test::media_file(name), store, options);
  const avstore::Reader reader(store);
  std::vector<std::int64_t> wrong;
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    if (std::abs(info.time.seconds - static_cast<double>(info.index.value) / 25) > 1e-6) {
      wrong.push_back(info.index.value);
    }
  }
  CHECK(wrong.empty());
  // Why packets are not copied is told of, but no frame is lost.
  CHECK((copy || notices.empty()));
}

// libavformat makes up times for some of these, and not always even ones.
TEST_CASE("frames of elementary streams of other rates are a frame's time apart") {
  const auto [format, encoder, rate] = GENERATE(table<std::string, std::string, double>({
      {"h264", "libx264 -bf 3 -r 30", 30},
      {"hevc", "libx265 -x265-params log-level=error -bf 3 -r 30", 30},
      {"m4v", "mpeg4 -bf 2 -r 30", 30},
      {"mpeg2video", "mpeg2video -bf 2 -r 30", 30},
      {"h261", "h261", 30000.0 / 1001},
      {"h263", "h263", 30000.0 / 1001},
      {"dirac", "vc2 -r 30", 30},
  }));
  const bool copy = GENERATE(false, true);
  CAPTURE(format, copy);
  const avstore::test::TemporaryFolder folder;
  const auto file = folder.path() / "stream";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=176x144 -frames:v 40 -pix_fmt yuv420p "
      "-c:v " +
      encoder + " -f " + format + " " + avstore::test::quoted(file));
  avstore::ImportOptions options;
  options.copy = copy;
  options.start_time = 0;
  avstore::import_file(file, folder.path() / "store", options);
  const avstore::Reader reader(folder.path() / "store");
  REQUIRE(reader.frame_count() == 40);
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    CHECK(info.time.seconds == Approx(static_cast<double>(info.index.value) / rate));
  }
}

// Its first pictures refer to one that was cut away.
TEST_CASE(
    "a stream without a container that begins at an open GOP has no gap behind its keyframe") {
  const avstore::test::TemporaryFolder folder;
  const auto file = folder.path() / "cut.m2v";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x48:rate=25 -frames:v 60 -c:v "
      "mpeg2video -bf 2 -g 12 -f mpeg2video " +
      avstore::test::quoted(folder.path() / "whole.m2v"));
  const std::string bytes = avstore::test::read_text(folder.path() / "whole.m2v");
  const std::size_t second = bytes.find(std::string("\0\0\1\xB3", 4), 100);
  REQUIRE(second != std::string::npos);
  avstore::test::write_text(file, bytes.substr(second));
  avstore::ImportOptions options;
  options.writer.format = "h264-lossless/mkv";
  std::vector<std::string> notices;
  options.notice = [&notices](const std::string& text) { notices.push_back(text); };
  avstore::import_file(file, folder.path() / "store", options);
  const avstore::Reader reader(folder.path() / "store");
  CHECK(reader.frame_count() == static_cast<std::int64_t>(avstore::test::frame_md5s(file).size()));
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    CHECK(info.time.seconds - reader.info().time_min.seconds ==
          Approx(static_cast<double>(info.index.value) / 25));
  }
  CHECK(notices.empty());
}

// H.264 says that it reorders further than it does, so that it does not show at once which of the
// frames held back is missing.
TEST_CASE("a refused packet of H.264 in an AVI spoils the times of its neighbours at most") {
  const avstore::test::TemporaryFolder folder;
  const auto whole = avstore::test::media_file("h264-bframes.avi");
  const std::int64_t lost = GENERATE(28, 29, 30);
  CAPTURE(lost);
  const auto file =
      with_broken_packet(whole, static_cast<std::size_t>(lost), folder.path() / "lost.avi");
  avstore::ImportOptions options;
  options.writer.format = "h264-lossless/mkv";
  avstore::import_file(file, folder.path() / "store", options);
  const auto oracle = avstore::test::frame_md5s(whole);
  avstore::Reader reader(folder.path() / "store");
  REQUIRE(reader.frame_count() == static_cast<std::int64_t>(oracle.size()) - 1);
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    const auto place = std::lround(info.time.seconds * 25);
    CAPTURE(info.index.value, place);
    if (std::abs(info.index.value - lost) > 2) {
      CHECK(place == info.index.value + (info.index.value < lost ? 0 : 1));
    }
  }
}

// Xvid says so of frames that are like the one before. With B-frames packed, decoders make frames
// of that; without, they do not.
TEST_CASE("frames that are only said to be there once more are not lost by copying") {
  const avstore::test::TemporaryFolder folder;
  const auto file = folder.path() / "not-coded.avi";
  avstore::test::run(
      "ffmpeg -loglevel error -f lavfi -i testsrc2=size=64x48:rate=25:duration=4 -c:v libxvid "
      "-bf 2 -g 20 " +
      avstore::test::quoted(file.string()));
  const auto oracle = avstore::test::frame_md5s(file);
  avstore::ImportOptions options;
  options.copy = true;
  std::vector<std::string> notices;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  const auto result = avstore::import_file(file, folder.path() / "store", options);
  avstore::Reader reader(folder.path() / "store");
  CHECK(reader.frame_count() == static_cast<std::int64_t>(oracle.size()));
  CHECK(wrong_frames(reader, oracle).empty());
  CHECK(notices.size() == (result.copied ? 0 : 1));
}

// Its second half needs parameter sets that come only at its beginning.
TEST_CASE("keyframes at which decoding cannot start are found, and spoil no frame") {
  const avstore::test::TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const auto oracle = avstore::test::read_lines(avstore::test::media_folder() / "framemd5" /
                                                "headers-once.h264.md5");
  avstore::import_file(avstore::test::media_file("headers-once.h264"), store, copy_options(1000));
  avstore::test::sqlite(store,
                        "INSERT INTO keyframes SELECT chunk, frame_idx, pts, NULL, -1 FROM frames "
                        "WHERE frame_idx IN (72, 84, 96, 108)");
  const auto findings = avstore::verify(store, {.deep = true, .progress = {}}).findings;
  CHECK(findings.size() == 4);
  for (const std::string& finding : findings) {
    CHECK_THAT(finding,
               Catch::Matchers::ContainsSubstring("differs when decoding starts at its keyframe"));
  }
  avstore::Reader reader(store);
  for (std::size_t i = oracle.size(); i-- > 0;) {
    const auto frame = reader.read(avstore::FrameIndex(static_cast<std::int64_t>(i)));
    CAPTURE(i);
    CHECK(avstore::md5(frame.image.view()) == oracle[i]);
  }
}

// The file is read for the plan, and then for the packets.
TEST_CASE("a file that changes while its packets are copied is an error") {
  namespace fs = std::filesystem;
  const avstore::test::TemporaryFolder folder;
  const auto make = [&](const std::string& name, const std::string& option) {
    avstore::test::run(
        "ffmpeg -loglevel error -f lavfi -i testsrc=size=320x240:rate=25:duration=4 -c:v ffv1 " +
        option + " " + avstore::test::quoted((folder.path() / name).string()));
    return folder.path() / name;
  };
  const auto whole = make("whole.mkv", "");
  const auto later = make("later.mkv", "-output_ts_offset 7");
  const auto file = folder.path() / "source.mkv";
  for (const std::string change : {"cut off", "written anew"}) {
    CAPTURE(change);
    fs::copy_file(whole, file, fs::copy_options::overwrite_existing);
    auto options = copy_options(20);
    bool changed = false;
    options.progress = [&](std::int64_t, std::int64_t total) {
      if (total > 0 && !changed) {  // the plan is made
        changed = true;
        if (change == "cut off") {
          fs::resize_file(file, fs::file_size(file) / 2);
        } else {
          fs::copy_file(later, file, fs::copy_options::overwrite_existing);
        }
      }
      return true;
    };
    const auto store = folder.path() / "store";
    CHECK_THROWS_WITH(avstore::import_file(file, store, options),
                      Catch::Matchers::ContainsSubstring("changed while it was imported"));
    CHECK(changed);
    CHECK_FALSE(fs::exists(store));
  }
}

// What a codec depends on besides its packets: the tag that the container has for it, and headers
// that come anew with a packet.
TEST_CASE("copied packets give the same frames where these depend on the container") {
  const avstore::test::TemporaryFolder folder;
  const std::string at = "cd " + avstore::test::quoted(folder.path().string()) + " && ";
  const std::string ffmpeg = "ffmpeg -loglevel error -f lavfi -i testsrc2=size=64x48:rate=25 ";
  struct Case {
    std::string name;
    std::string command;
    bool copied;
  };
  const std::vector<Case> cases = {
      {"ut.avi", ffmpeg + "-frames:v 50 -c:v utvideo ut.avi", true},
      {"p4.mov", ffmpeg + "-frames:v 25 -c:v prores_ks -pix_fmt yuv444p10 p4.mov", true},
      {"ab.flv",
       ffmpeg + "-frames:v 50 -pix_fmt yuv420p -c:v libx264 -g 10 -bf 2 a.flv && " + ffmpeg +
           "-frames:v 50 -pix_fmt yuv420p -c:v libx264 -g 10 -bf 0 -x264-params "
           "cabac=0:ref=1:8x8dct=0:weightp=0 -output_ts_offset 2 b.flv && "
           "(cat a.flv; tail -c +14 b.flv) > ab.flv",
       false}};
  for (const Case& made : cases) {
    CAPTURE(made.name);
    avstore::test::run(at + made.command);
    const auto oracle = avstore::test::frame_md5s(folder.path() / made.name);
    const auto store = folder.path() / (made.name + ".store");
    CHECK(avstore::import_file(folder.path() / made.name, store, copy_options(20)).copied ==
          made.copied);
    avstore::Reader reader(store);
    REQUIRE(reader.frame_count() == static_cast<std::int64_t>(oracle.size()));
    CHECK(wrong_frames(reader, oracle).empty());
  }
}

TEST_CASE("frames that lie closer than the container can tell have their times in the index") {
  const avstore::test::TemporaryFolder folder;
  const auto file = folder.path() / "fast.nut";
  const auto store = folder.path() / "store";
  avstore::test::run(
      "ffmpeg -nostdin -v error -f lavfi -i testsrc=size=64x48:rate=2000 -frames:v 30 -c:v ffv1 "
      "-fps_mode passthrough " +
      avstore::test::quoted(file));
  avstore::import_file(file, store, copy_options(12));
  avstore::Reader reader(store);
  REQUIRE(reader.info().format == "ffv1/mkv");
  const auto infos = reader.infos({0, 30});
  const auto md5s = avstore::test::frame_md5s(file);
  REQUIRE(infos.size() == 30);
  for (std::size_t i = 0; i < infos.size(); ++i) {
    CHECK(infos[i].time.seconds == Approx(static_cast<double>(i) / 2000).margin(1e-9));
    CHECK(avstore::md5(reader.read(infos[i].index).image.view()) == md5s[i]);
  }
}

TEST_CASE("a frame that cannot be decoded is told of, and leaves the others their times") {
  const avstore::test::TemporaryFolder folder;
  const auto store = folder.path() / "store";
  avstore::ImportOptions options;
  options.copy = GENERATE(false, true);
  std::vector<std::string> notices;
  options.notice = [&notices](const std::string& text) { notices.push_back(text); };
  avstore::import_file(avstore::test::media_file("corrupt-packet-lost.avi"), store, options);
  const avstore::Reader reader(store);
  std::vector<int> places;
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    places.push_back(static_cast<int>(std::lround(info.time.seconds * 25)));
  }
  std::vector<int> expected(places.size() + 1);
  std::iota(expected.begin(), expected.end(), 0);
  expected.erase(expected.begin() + 29);
  CHECK(places == expected);
  if (!options.copy) {
    REQUIRE(notices.size() == 1);
    CHECK_THAT(notices[0],
               Catch::Matchers::ContainsSubstring(
                   "1 frame cannot be decoded or holds no picture, the first at 1.16 s"));
  }
}

// The container states times in decoding order only, and so does not say which time a lost frame
// had.
TEST_CASE("a lost frame of an AVI with B-frames takes its time with it") {
  struct Lost {
    std::size_t packet;         // in decoding order
    std::vector<int> in_doubt;  // places of frames whose time cannot be told
  };
  // Decoded there are P33 B31 B32 P36 B34 B35 ...
  const Lost lost = GENERATE(
      Lost{32, {}},    // the first of two B-frames
      Lost{33, {32}},  // the last: what comes next takes its place
      Lost{31, {31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50}});
  CAPTURE(lost.packet);
  const avstore::test::TemporaryFolder folder;
  const auto whole = avstore::test::media_file("mpeg4-asp-unpacked.avi");
  const auto file = with_broken_packet(whole, lost.packet, folder.path() / "lost.avi");
  const auto store = folder.path() / "store";
  avstore::ImportOptions options;
  options.writer.format = "h264-lossless/mkv";
  std::vector<std::string> notices;
  options.notice = [&notices](const std::string& text) { notices.push_back(text); };
  avstore::import_file(file, store, options);

  const auto oracle = avstore::test::frame_md5s(whole);
  avstore::Reader reader(store);
  std::set<std::int64_t> wrong;
  for (const auto& info : reader.infos({0, reader.frame_count()})) {
    const auto place = std::lround(info.time.seconds * 25);
    const auto md5 = avstore::md5(reader.read(info.index).image.view());
    if (md5 != oracle.at(static_cast<std::size_t>(place))) {
      wrong.insert(place);
    }
  }
  CAPTURE(wrong, notices);
  CHECK(std::includes(lost.in_doubt.begin(), lost.in_doubt.end(), wrong.begin(), wrong.end()));
  REQUIRE(notices.size() == 1);
  const auto count = static_cast<std::int64_t>(oracle.size()) - reader.frame_count();
  CHECK_THAT(notices[0], Catch::Matchers::ContainsSubstring(std::to_string(count) + " frame"));
}
