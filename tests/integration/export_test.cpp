// Exported videos hold what was asked for, as ffprobe and ffmpeg see them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
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
using Catch::Matchers::Contains;

// Frames that come out of a decoder.
std::int64_t decoded_frames(const fs::path& video) {
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

ExportOptions options_without_saving() {
  ExportOptions options;
  options.save_index = false;
  return options;
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
    CHECK(decoded_frames(video) == 25);
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

// What a cut falls into is encoded anew, with other headers than what is copied after it.
TEST_CASE("players can begin at each keyframe of an exported range") {
  const TemporaryFolder folder;
  avstore::ImportOptions copy;
  copy.copy = true;
  avstore::import_file(media_file("h264-no-bframes.mp4"), folder.path() / "store", copy);
  const fs::path video = folder.path() / "out.mp4";
  ExportOptions options;
  options.range = {8, 120};
  CHECK(avstore::export_video(folder.path() / "store", video, options).frames_encoded == 17);
  const auto oracle = frame_md5s(video);
  REQUIRE(oracle.size() == 112);
  avstore::import_file(video, folder.path() / "again", copy);
  avstore::Reader again(folder.path() / "again");
  const auto infos = again.infos({0, 112});
  const auto packets = probe(video, "-show_entries packet=flags");
  CHECK(std::count_if(infos.begin(), infos.end(), [](const auto& i) { return i.keyframe; }) ==
        std::count_if(packets.begin(), packets.end(), [](const auto& i) { return i[0] == 'K'; }));
  for (std::int64_t i = 111; i >= 0; --i) {
    CAPTURE(i);
    CHECK(avstore::md5(again.read(avstore::FrameIndex(i)).image.view()) ==
          oracle[static_cast<std::size_t>(i)]);
  }
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
  CHECK(decoded_frames(video) == 40);
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
      CHECK(decoded_frames(video) == 35);
      CHECK(notices.empty());
    }
    avstore::export_video(make("ffv1" + ending, "-c:v ffv1"), video, options);
    CHECK(stream(video, "pix_fmt") == "yuv420p");
    REQUIRE(notices.size() == 1);
    CHECK_THAT(notices[0], Contains("8 bit"));
    notices.clear();
  }
}
