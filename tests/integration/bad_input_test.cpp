// Sources that cannot be read as they are: each gives an error of the right kind that names the
// path, and leaves nothing behind that looks whole.
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "media/demuxer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::ErrorKind;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::ImportOptions;
using avstore::Reader;
using avstore::media::Demuxer;
using avstore::media::DemuxerOptions;
using avstore::test::become_nobody;
using avstore::test::frame_md5s;
using avstore::test::import_options;
using avstore::test::in_child;
using avstore::test::kind_of_error;
using avstore::test::media_file;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::probe;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

// A copy of the first part of a file.
fs::path cut(const fs::path& from, const fs::path& to, double part) {
  std::string bytes = read_text(from);
  REQUIRE(bytes.size() > 1000);
  // Not at the border of a transport stream's packet.
  bytes.resize(static_cast<std::size_t>(part * static_cast<double>(bytes.size())) / 188 * 188 +
               100);
  write_text(to, bytes);
  return to;
}

}  // namespace

// --- Sources that are no video ---

TEST_CASE("what is no video cannot be imported") {
  const std::map<std::string, std::set<std::string>> expected{
      {"empty.mp4", {"corrupt"}},
      {"text.mp4", {"corrupt"}},
      {"audio-only.mp4", {"corrupt", "not_found"}},
      {"audio-only.wav", {"corrupt", "not_found"}},
      {"header-only.mkv", {"corrupt"}},  // though libavformat calls the early end an I/O error
      {"moov-cut-off.mp4", {"corrupt"}},
      {"truncated-no-moov.mp4", {"corrupt"}},
      {"random.bin", {"corrupt"}},
      {"random.mp4", {"corrupt"}},
      {"zero-frames.avi", {"corrupt"}},
      {"zero-frames.mkv", {"corrupt"}},
      {"zero-frames.mp4", {"corrupt"}},
      {"directory.mp4", {"invalid_argument"}},
      {"no-such-file.mp4", {"not_found"}},
      {"text.mp4/below-a-file.mp4", {"not_found", "io"}},
  };
  // Whatever else the folder holds is no video either.
  for (const auto& entry : fs::directory_iterator(media_file("bad"))) {
    INFO(entry.path());
    CHECK(expected.contains(entry.path().filename()));
  }
  for (const auto& [name, kinds] : expected) {
    for (const bool copy : {false, true}) {
      for (const bool allow_truncated : {false, true}) {
        DYNAMIC_SECTION(name << (copy ? ", copied" : "")
                             << (allow_truncated ? ", truncated allowed" : "")) {
          const TemporaryFolder folder;
          const fs::path file = media_file("bad") / name;
          const std::string outcome = in_child([&, file = file] {
            ImportOptions options = import_options(copy);
            options.allow_truncated = allow_truncated;
            return outcome_of(
                [&] { avstore::import_file(file, folder.path() / "store", options); });
          });
          CAPTURE(outcome);
          CHECK(kinds.contains(outcome.substr(0, outcome.find(':'))));
          CHECK_THAT(outcome, ContainsSubstring(file.string()));
          CHECK(names_in(folder.path()).empty());
        }
      }
    }
  }
}

TEST_CASE("a video of which no frame can be decoded cannot be imported") {
  const TemporaryFolder folder;
  std::vector<fs::path> files{folder.path() / "a.264", folder.path() / "a.m4v"};
  // A parameter set that is damaged, and the beginning of a picture.
  write_text(files[0], std::string("\0\0\0\1\x67\xf4\0\x0a\x91\x9b\x2b\x3d\x08\x80\0\0\3\0\x80"
                                   "\0\0\xbf\x07\x89\x12\xcb\0\0\0\1\x68\xeb\xe3\xc4\x48"
                                   "\x44\0\0\1\x65\x88\x84\0\x35\xff\xd5\xae",
                                   47));
  // A video object layer without a picture.
  write_text(files[1], std::string("\0\0\1\xb0\1\0\0\1\xb5\x89\x13\0\0\1\0\0\0\1\x20\0\xc4\x8d"
                                   "\x88\0\xcd\0\x84\2",
                                   28));
  for (const std::string codec : {"libx264", "mpeg4"}) {
    for (const std::string extension : {".mp4", ".mkv", ".avi"}) {
      files.push_back(folder.path() / (codec + extension));
      run("ffmpeg -nostdin -v error -f lavfi -i testsrc=size=32x32:rate=25 -frames:v 3 -c:v " +
          codec + " " + quoted(files.back()));
      std::string bytes = read_text(files.back());
      Demuxer demuxer(files.back());
      avstore::media::Packet packet;
      while (demuxer.read(packet)) {
        const std::string coded(packet.bytes().begin(), packet.bytes().end());
        const std::size_t place = bytes.find(coded);
        REQUIRE(place != std::string::npos);
        bytes.replace(place, coded.size(), coded.size(), '\xff');
      }
      write_text(files.back(), bytes);
    }
  }
  for (const fs::path& file : files) {
    for (const bool copy : {false, true}) {
      CAPTURE(file, copy);
      const fs::path store = folder.path() / "store";
      const std::string outcome = in_child([&] {
        return outcome_of([&] { avstore::import_file(file, store, import_options(copy)); });
      });
      CHECK_THAT(outcome, StartsWith("corrupt: ") && ContainsSubstring(file.string()));
      CHECK_FALSE(fs::exists(store));
    }
  }
}

TEST_CASE("a video that may not be read cannot be imported") {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0777));
  const fs::path file = folder.path() / "secret.mp4";
  fs::copy_file(media_file("h264-no-bframes.mp4"), file);
  fs::permissions(file, fs::perms(0000));
  for (const bool copy : {false, true}) {
    CAPTURE(copy);
    const std::string outcome = in_child([&] {
      become_nobody();
      return outcome_of(
          [&] { avstore::import_file(file, folder.path() / "store", import_options(copy)); });
    });
    CHECK_THAT(outcome, StartsWith("io: ") && ContainsSubstring(file.string()) &&
                            ContainsSubstring("Permission denied"));
    CHECK_FALSE(fs::exists(folder.path() / "store"));
  }
}

TEST_CASE("probing what is no video") {
  for (const std::string name : {"empty.mp4", "text.mp4", "audio-only.mp4", "random.bin",
                                 "directory.mp4", "no-such-file.mp4", "truncated-no-moov.mp4"}) {
    const fs::path file = media_file("bad") / name;
    const std::string outcome =
        in_child([&] { return outcome_of([&] { avstore::probe_source(file); }); });
    CHECK_THAT(outcome,
               StartsWith("corrupt") || StartsWith("not_found") || StartsWith("invalid_argument"));
    CHECK_THAT(outcome, ContainsSubstring(file.string()));
  }
}

TEST_CASE("what is no store cannot be opened") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "empty");
  for (const fs::path& path :
       {media_file("bad/text.mp4"), media_file("h264-no-bframes.mp4"), folder.path() / "empty",
        folder.path() / "missing", folder.path() / "empty" / "metadata.yaml",
        media_file("bad/text.mp4") / "below"}) {
    CHECK_THAT(outcome_of([&] { Reader reader(path); }),
               StartsWith("not_found: ") && ContainsSubstring(path.string()));
    CHECK_THAT(outcome_of([&] { avstore::verify(path, {}); }), StartsWith("not_found: "));
    CHECK_THAT(outcome_of([&] { avstore::rebuild_index(path, {}); }), StartsWith("not_found: "));
    CHECK_THAT(outcome_of([&] { avstore::transcode(path, folder.path() / "new", {}); }),
               StartsWith("not_found: "));
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"empty"});
}

TEST_CASE("devices and pipes are no video files") {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  const fs::path fifo = elsewhere.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  for (const fs::path& file : {fs::path("/dev/null"), fs::path("/dev/zero"), fs::path("/dev/full"),
                               fs::path("/dev/urandom"), fifo}) {
    for (const bool copy : {false, true}) {
      DYNAMIC_SECTION(file.filename() << (copy ? ", copied" : "")) {
        // Expected: an error at once. A pipe that nobody writes to must not be waited for, and none
        // can be read twice, as copying packets needs.
        const std::string outcome = in_child([&] {
          return outcome_of(
              [&] { avstore::import_file(file, folder.path() / "store", import_options(copy)); });
        });
        CHECK_THAT(outcome, StartsWith("corrupt: ") || StartsWith("invalid_argument: ") ||
                                StartsWith("io: ") || StartsWith("unsupported: "));
        CHECK_THAT(outcome, ContainsSubstring(file.string()));
        CHECK(names_in(folder.path()).empty());
      }
    }
  }
}

TEST_CASE("streams that are not there, or no video") {
  const TemporaryFolder folder;
  for (const int stream : {-1, 0, 7}) {  // 0 is the sound
    for (const bool copy : {false, true}) {
      ImportOptions options = import_options(copy);
      options.stream = stream;
      const fs::path file = media_file("audio-video.mp4");
      const std::string outcome =
          outcome_of([&] { avstore::import_file(file, folder.path() / "store", options); });
      CAPTURE(stream, copy);
      CHECK_THAT(outcome, (StartsWith("not_found: ") || StartsWith("invalid_argument: ")) &&
                              ContainsSubstring(file.string()) &&
                              ContainsSubstring(std::to_string(stream)));
      CHECK(names_in(folder.path()).empty());
    }
  }
}

// --- Files that were cut off ---

namespace {

// Imports what there is of a file that was cut off. All but its last frames are whole.
std::vector<std::string> check_rest(const fs::path& file, const fs::path& store, bool copy) {
  ImportOptions options = import_options(copy, "ffv1/mkv");
  options.allow_truncated = true;
  std::vector<std::string> notices;
  options.notice = [&](const std::string& line) { notices.push_back(line); };
  const auto oracle =
      avstore::test::read_lines(media_file("framemd5") / (file.filename().string() + ".md5"));
  const auto result = avstore::import_file(file, store, options);
  CHECK(result.frames < static_cast<std::int64_t>(oracle.size()));
  CHECK(result.frames > static_cast<std::int64_t>(oracle.size() / 4));
  Reader reader(store);
  CHECK(reader.frame_count() == result.frames);
  std::vector<std::int64_t> wrong;
  for (std::int64_t i = 0; i < result.frames - 20; ++i) {
    const auto md5 = avstore::md5(reader.read(FrameIndex(i)).image.view());
    if (md5 != oracle[static_cast<std::size_t>(i)]) {
      wrong.push_back(i);
    }
  }
  CAPTURE(wrong);
  CHECK(wrong.empty());
  return notices;
}

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) {
    number = number << 8 | static_cast<unsigned char>(bytes.at(at + i));
  }
  return number;
}

void add_at(std::string& bytes, std::size_t at, std::uint32_t more) {
  const std::uint32_t number = number_at(bytes, at) + more;
  for (std::size_t i = 0; i < 4; ++i) {
    bytes.at(at + i) = static_cast<char>(number >> 8 * i);
  }
}

// Behind the last frame of an AVI file of video only.
void add_empty_chunks(const fs::path& file, std::uint32_t count) {
  std::string bytes = read_text(file);
  const std::size_t movi = bytes.find("movi");
  const std::size_t end = movi + number_at(bytes, movi - 4);
  for (std::uint32_t i = 0; i < count; ++i) {
    bytes.insert(end, std::string("00dc\0\0\0\0", 8));
  }
  add_at(bytes, movi - 4, 8 * count);
  add_at(bytes, 4, 8 * count);  // the whole file's
  constexpr std::size_t kLengthInHeader = 40;
  add_at(bytes, bytes.find("strh") + kLengthInHeader, count);
  write_text(file, bytes);
}

}  // namespace

TEST_CASE("files that were cut off are refused, unless that is allowed") {
  // libavformat says so of all of these: in its log at the end, by the number of frames stated, or
  // (FLV, IVF) by AV_PKT_FLAG_CORRUPT on the last packet, of which only a part is there.
  for (const std::string name :
       {"mp4-faststart.mp4", "h264-bframes16.mkv", "h264-bframes.avi", "mjpeg-420-fullrange.avi",
        "ffv1-gray.mkv", "fragmented.mp4", "h264.flv", "av1.ivf"}) {
    for (const bool copy : {false, true}) {
      DYNAMIC_SECTION(name << (copy ? ", copied" : "")) {
        const TemporaryFolder folder;
        const TemporaryFolder source;
        const fs::path file = cut(media_file(name), source.path() / name, 0.6);
        const fs::path store = folder.path() / "store";
        const std::string outcome = in_child([&] {
          return outcome_of([&] { avstore::import_file(file, store, import_options(copy)); });
        });
        CHECK_THAT(outcome, StartsWith("corrupt: ") && ContainsSubstring(file.string()));
        CHECK(names_in(folder.path()).empty());
        fs::remove_all(store);
        const auto notices = check_rest(file, store, copy);
        REQUIRE_FALSE(notices.empty());
        CHECK_THAT(notices[0], ContainsSubstring(file.string()));
      }
    }
  }
}

TEST_CASE("a file that was cut off is told of once, though its packets cannot be kept either") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "cut.mov";
  run("ffmpeg -loglevel error -i " + quoted(media_file("qtrle.mov").string()) +
      " -c copy -movflags faststart " + quoted(file.string()));
  cut(file, file, 0.6);
  ImportOptions options = import_options(true);
  options.allow_truncated = true;
  std::vector<std::string> notices;
  options.notice = [&](const std::string& line) { notices.push_back(line); };
  avstore::import_file(file, folder.path() / "store", options);
  CAPTURE(notices);
  const auto told = [&](const std::string& what) {
    return std::count_if(notices.begin(), notices.end(),
                         [&](const auto& line) { return line.find(what) != std::string::npos; });
  };
  CHECK(told("packets cannot be kept") == 1);
  CHECK(told("cut off") == 1);
}

TEST_CASE("AVI files with empty chunks for dropped frames are whole, and cut off ones are not") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "gap.avi";
  constexpr int kShown = 79;
  run("ffmpeg -loglevel error -f lavfi -i testsrc2=size=64x48:rate=25:duration=4 "
      "-vf \"select='not(between(n,20,40))'\" -fps_mode vfr -c:v mjpeg " +
      quoted(file.string()));
  REQUIRE(probe(file, "-show_entries stream=nb_frames").at(0) == "100");
  REQUIRE(frame_md5s(file).size() == kShown);
  const fs::path store = folder.path() / "store";
  const auto import = [&](bool copy) {
    ImportOptions options = import_options(copy, "ffv1/mkv");
    options.writer.overwrite = true;
    return avstore::import_file(file, store, options).frames;
  };
  for (const bool copy : {false, true}) {
    CAPTURE(copy);
    CHECK(import(copy) == kShown);
    Reader reader(store);
    CHECK(reader.read(FrameIndex(19)).info.time.seconds == Approx(19 / 25.0));
    CHECK(reader.read(FrameIndex(20)).info.time.seconds == Approx(41 / 25.0));
  }
  SECTION("also empty ones behind the last frame") {
    constexpr int kMore = 5;
    add_empty_chunks(file, kMore);
    REQUIRE(probe(file, "-show_entries stream=nb_frames").at(0) == std::to_string(100 + kMore));
    REQUIRE(frame_md5s(file).size() == kShown);
    for (const bool copy : {false, true}) {
      CAPTURE(copy);
      CHECK(import(copy) == kShown);
    }
  }
  SECTION("cut off") {
    // Where the stream begins, in frames; libavformat's timestamps begin there.
    const std::uint32_t start = GENERATE(0, 40);
    constexpr std::size_t kStartInHeader = 36;
    std::string bytes = read_text(file);
    add_at(bytes, bytes.find("strh") + kStartInHeader, start);
    write_text(file, bytes);
    CHECK(import(true) == kShown);
    // Between two frames, so that nothing else tells of it.
    fs::resize_file(file, bytes.rfind("00dc", bytes.size() / 10 * 9));
    for (const bool copy : {false, true}) {
      CAPTURE(copy);
      CHECK_THAT(outcome_of([&] { import(copy); }),
                 StartsWith("corrupt: ") && ContainsSubstring("of 100 frames"));
    }
  }
}

TEST_CASE("what is left of files that do not tell that they were cut off is imported") {
  for (const std::string name : {"h264.ts", "nut.nut", "mpeg2.mpg", "h264-raw.h264"}) {
    for (const bool copy : {false, true}) {
      DYNAMIC_SECTION(name << (copy ? ", copied" : "")) {
        const TemporaryFolder folder;
        const TemporaryFolder source;
        const fs::path file = cut(media_file(name), source.path() / name, 0.6);
        check_rest(file, folder.path() / "store", copy);
      }
    }
  }
}

TEST_CASE("a picture that changes its size midway is refused, saying where") {
  for (const std::string name : {"size-change.h264", "size-change.ts"}) {
    for (const bool copy : {false, true}) {
      DYNAMIC_SECTION(name << (copy ? ", copied" : "")) {
        const TemporaryFolder folder;
        const std::string outcome = in_child([&] {
          return outcome_of([&] {
            avstore::import_file(media_file(name), folder.path() / "store", import_options(copy));
          });
        });
        // As many frames as before the change.
        const auto frames =
            avstore::test::read_lines(media_file("framemd5") / (name + ".md5")).size();
        CHECK_THAT(outcome, StartsWith("invalid_argument: ") &&
                                ContainsSubstring(media_file(name).string()) &&
                                ContainsSubstring("frame " + std::to_string(frames)));
        CHECK(names_in(folder.path()).empty());
      }
    }
  }
}

TEST_CASE("a pixel format that changes midway is converted to the first, with a notice") {
  const TemporaryFolder folder;
  ImportOptions options = import_options(false, "h264-lossless/mkv");
  options.writer.chunk_size = 1000;
  std::vector<std::string> notices;
  options.notice = [&](const std::string& line) { notices.push_back(line); };
  const fs::path file = media_file("format-change.h264");
  const auto result = avstore::import_file(file, folder.path() / "store", options);
  const auto all = avstore::test::read_lines(media_file("framemd5-all") / "format-change.h264.md5");
  CHECK(result.frames == static_cast<std::int64_t>(all.size()));
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], ContainsSubstring(file.string()));
  Reader reader(folder.path() / "store");
  std::set<std::string_view> formats;
  while (const auto frame = reader.next()) {
    formats.insert(frame->image.format().name());
  }
  CHECK(formats.size() == 1);
  // Chroma alone is converted, and nothing is lost after that.
  const auto luma = [](const fs::path& video) {
    return avstore::test::run_lines("ffmpeg -nostdin -v error -i " + quoted(video) +
                                    " -vf extractplanes=y -fps_mode passthrough -f framemd5 - | "
                                    "grep -v '#' | sed 's/.* //'");
  };
  CHECK(luma(folder.path() / "store" / "000000.mkv") == luma(file));
}

TEST_CASE("too few or too many names, and an import that is stopped") {
  for (const bool copy : {false, true}) {
    DYNAMIC_SECTION((copy ? "copied" : "encoded")) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      const fs::path file = media_file("h264-no-bframes.mp4");
      for (const int count : {1, 119, 121}) {
        ImportOptions options = import_options(copy);
        for (int i = 0; i < count; ++i) {
          options.names.push_back({FrameNumber(i), FrameTime(i)});
        }
        CAPTURE(count);
        CHECK_THAT(outcome_of([&] { avstore::import_file(file, store, options); }),
                   StartsWith("invalid_argument: ") && ContainsSubstring(file.string()) &&
                       ContainsSubstring(std::to_string(count)));
        CHECK(names_in(folder.path()).empty());
      }
      ImportOptions options = import_options(copy);
      options.progress = [](std::int64_t, std::int64_t) { return false; };
      CHECK_THROWS_AS(avstore::import_file(file, store, options), avstore::Interrupted);
      CHECK(names_in(folder.path()).empty());
    }
  }
}

TEST_CASE("a video that only names other files is refused, and those are not read") {
  const TemporaryFolder folder;
  fs::copy_file(fs::path(AVSTORE_DATA) / "clip.mp4", folder.path() / "clip.mp4");
  const fs::path list = folder.path() / "000000.mp4";
  for (const std::string text :
       {"ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"}) {
    write_text(list, text);
    CAPTURE(text);
    CHECK(kind_of_error([&] { const Demuxer demuxer(list.string()); }) == ErrorKind::unsupported);
  }
  // Whoever records names the source, and may name a list of them.
  write_text(list, "ffconcat version 1.0\nfile clip.mp4\n");
  DemuxerOptions options;
  options.leads_elsewhere = true;
  CHECK(Demuxer(list.string(), options).container() == "concat");
}
