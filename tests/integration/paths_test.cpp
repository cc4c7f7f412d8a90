// Names of files that look like something else: to libav, which takes addresses and patterns.
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::Reader;

// Names without a folder in front are the ones in question.
class WorkingFolder {
 public:
  WorkingFolder() : before_(fs::current_path()) { fs::current_path(folder_.path()); }
  ~WorkingFolder() { fs::current_path(before_); }
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;

 private:
  fs::path before_;
  TemporaryFolder folder_;
};

std::vector<std::string> md5s(const fs::path& store) {
  Reader reader(store);
  std::vector<std::string> all;
  while (const auto frame = reader.next()) {
    all.push_back(avstore::md5(frame->image.view()));
  }
  return all;
}

// Made under a plain name, as ffmpeg has the same trouble with others.
std::vector<std::string> make_video(const std::string& name) {
  run("ffmpeg -loglevel error -y -f lavfi -i testsrc=size=96x64:rate=25:duration=1 -c:v libx264 "
      "-pix_fmt yuv420p -g 5 plain.mp4");
  fs::copy_file("plain.mp4", name);
  return frame_md5s("plain.mp4");
}

}  // namespace

TEST_CASE("files and stores may have any name") {
  const std::string name =
      GENERATE(as<std::string>{}, "12:30:00", "http:", "file:x", "-dash", "50%done", "a%03d",
               "subfile,,start,0,end,9,,:x", "pipe:0", "#?");
  CAPTURE(name);
  const WorkingFolder folder;
  const std::string video = name + ".mp4";
  const auto expected = make_video(video);
  const std::string store = name + ".store";
  avstore::ImportOptions copying;
  copying.copy = true;
  CHECK(avstore::import_file(video, store, copying).copied);
  CHECK(md5s(store) == expected);
  CHECK(avstore::probe_source(video).codec == "h264");
  CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
  const std::string out = "out" + name + ".mkv";
  CHECK(avstore::export_video(store, out, {}).frames == 25);
  fs::copy_file(out, "plain.mkv");
  CHECK(frame_md5s("plain.mkv") == expected);
  avstore::TranscodeOptions transcoding;
  transcoding.writer.format = "ffv1/mkv";
  avstore::transcode(store, "other" + name, transcoding);
  CHECK(md5s("other" + name) == expected);
}

TEST_CASE("a video in the midst of being written may have any name") {
  const WorkingFolder folder;
  avstore::Writer writer("12:30:00.store", options_of("avc1/mp4", 100));
  for (int i = 0; i < 20; ++i) {
    add(writer, i);
  }
  writer.sync();
  CHECK(code_of(Reader("12:30:00.store").read(avstore::FrameIndex(13)).image.view()) == 13);
}

TEST_CASE("an image is imported alone, whatever its name counts") {
  const WorkingFolder folder;
  run("ffmpeg -loglevel error -f lavfi -i testsrc=size=64x48:rate=1:duration=3 still%d.png");
  const auto expected = frame_md5s("still2.png");
  for (const std::string name : {"p 50%done.png", "still%d.png", "still[1-3].png", "s:t.png"}) {
    CAPTURE(name);
    fs::copy_file("still2.png", name);
    avstore::ImportOptions options;
    options.writer.format = "ffv1/mkv";
    CHECK(avstore::import_file(name, name + ".store", options).frames == 1);
    CHECK(Reader(name + ".store").frame_count() == 1);
  }
  REQUIRE(expected.size() == 1);
}
