// What cannot be: files that are no video, damaged stores, full disks. Each is an error of the
// right kind that names the path, and leaves nothing behind that looks whole.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "store/staged_change.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::ImportOptions;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::in_child;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

// --- Other programs and processes ---

void sqlite(const fs::path& store, const std::string& sql) {
  const std::string command = "sqlite3 " + quoted(store / ".index.sqlite") + " " + quoted(sql);
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

std::string name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::end_of_store:
      return "end_of_store";
    case ErrorKind::invalid_argument:
      return "invalid_argument";
    case ErrorKind::exists:
      return "exists";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::io:
      return "io";
  }
  return "?";
}

// "KIND: MESSAGE" of the error that the call ends with; "no error".
std::string outcome_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const avstore::Error& error) {
    return name_of(error.kind()) + ": " + error.what();
  }
  return "no error";
}

// Whether outcome_of() speaks of an avstore::Error: not of another type, a crash or a hang.
bool is_an_error(const std::string& outcome) {
  static const std::set<std::string> kKinds{
      "not_found", "end_of_store", "exists", "invalid_argument", "corrupt", "unsupported", "io"};
  return kKinds.contains(outcome.substr(0, outcome.find(':')));
}

// --- Files and folders ---

// Everything below a folder: relative path to contents.
std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    files[fs::relative(entry.path(), folder)] =
        entry.is_regular_file() ? read_text(entry.path()) : "";
  }
  return files;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

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

// --- Stores of frames that show their number in eight bars ---

constexpr int kWidth = 96;
constexpr int kHeight = 64;

std::vector<std::uint8_t> draw(int number, int width = kWidth, int height = kHeight) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < width * height; ++i) {
    const int bar = i % width * 8 / width;
    pixels.push_back((number >> (7 - bar) & 1) != 0 ? 220 : 30);
  }
  return pixels;
}

int code_of(const avstore::ImageView& image) {
  int number = 0;
  for (int bar = 0; bar < 8; ++bar) {
    const int x = (2 * bar + 1) * image.width / 16;
    number = number * 2 + (image.planes[0][image.height / 2 * image.strides[0] + x] > 125 ? 1 : 0);
  }
  return number;
}

WriterOptions options_of(const std::string& format, std::int64_t chunk_size = 7) {
  WriterOptions options;
  options.format = format;
  options.chunk_size = chunk_size;
  options.encoder.threads = 2;
  return options;
}

void add(Writer& writer, int number, int width = kWidth, int height = kHeight) {
  const auto pixels = draw(number, width, height);
  writer.add(avstore::packed_view(avstore::pixel::gray8, width, height, pixels.data()),
             FrameNumber(number), FrameTime(100 + 0.04 * number));
}

void write_store(const fs::path& store, const WriterOptions& options, int frames,
                 int width = kWidth, int height = kHeight) {
  Writer writer(store, options);
  for (int i = 0; i < frames; ++i) {
    add(writer, i, width, height);
  }
  writer.close();
}

fs::path media(const std::string& name) {
  return avstore::test::media_folder() / name;
}

ImportOptions import_options(bool copy, const std::string& format = "avc1/mp4") {
  ImportOptions options;
  options.copy = copy;
  options.writer = options_of(format);
  return options;
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
  for (const auto& entry : fs::directory_iterator(media("bad"))) {
    INFO(entry.path());
    CHECK(expected.contains(entry.path().filename()));
  }
  for (const auto& [name, kinds] : expected) {
    for (const bool copy : {false, true}) {
      for (const bool allow_truncated : {false, true}) {
        DYNAMIC_SECTION(name << (copy ? ", copied" : "")
                             << (allow_truncated ? ", truncated allowed" : "")) {
          const TemporaryFolder folder;
          const fs::path file = media("bad") / name;
          const std::string outcome = in_child([&, file = file] {
            ImportOptions options = import_options(copy);
            options.allow_truncated = allow_truncated;
            return outcome_of(
                [&] { avstore::import_file(file, folder.path() / "store", options); });
          });
          CAPTURE(outcome);
          CHECK(kinds.contains(outcome.substr(0, outcome.find(':'))));
          CHECK_THAT(outcome, Contains(file.string()));
          CHECK(names_in(folder.path()).empty());
        }
      }
    }
  }
}

TEST_CASE("probing what is no video") {
  for (const std::string name : {"empty.mp4", "text.mp4", "audio-only.mp4", "random.bin",
                                 "directory.mp4", "no-such-file.mp4", "truncated-no-moov.mp4"}) {
    const fs::path file = media("bad") / name;
    const std::string outcome =
        in_child([&] { return outcome_of([&] { avstore::probe_source(file); }); });
    CHECK_THAT(outcome,
               StartsWith("corrupt") || StartsWith("not_found") || StartsWith("invalid_argument"));
    CHECK_THAT(outcome, Contains(file.string()));
  }
}

TEST_CASE("what is no store cannot be opened") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "empty");
  for (const fs::path& path :
       {media("bad/text.mp4"), media("h264-no-bframes.mp4"), folder.path() / "empty",
        folder.path() / "missing", folder.path() / "empty" / "metadata.yaml",
        media("bad/text.mp4") / "below"}) {
    CHECK_THAT(outcome_of([&] { Reader reader(path); }),
               StartsWith("not_found: ") && Contains(path.string()));
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
        CHECK_THAT(outcome, Contains(file.string()));
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
      const fs::path file = media("audio-video.mp4");
      const std::string outcome =
          outcome_of([&] { avstore::import_file(file, folder.path() / "store", options); });
      CAPTURE(stream, copy);
      CHECK_THAT(outcome, (StartsWith("not_found: ") || StartsWith("invalid_argument: ")) &&
                              Contains(file.string()) && Contains(std::to_string(stream)));
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
      avstore::test::read_lines(media("framemd5") / (file.filename().string() + ".md5"));
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
        const fs::path file = cut(media(name), source.path() / name, 0.6);
        const fs::path store = folder.path() / "store";
        const std::string outcome = in_child([&] {
          return outcome_of([&] { avstore::import_file(file, store, import_options(copy)); });
        });
        CHECK_THAT(outcome, StartsWith("corrupt: ") && Contains(file.string()));
        CHECK(names_in(folder.path()).empty());
        fs::remove_all(store);
        const auto notices = check_rest(file, store, copy);
        REQUIRE_FALSE(notices.empty());
        CHECK_THAT(notices[0], Contains(file.string()));
      }
    }
  }
}

TEST_CASE("what is left of files that do not tell that they were cut off is imported") {
  for (const std::string name : {"h264.ts", "nut.nut", "mpeg2.mpg", "h264-raw.h264"}) {
    for (const bool copy : {false, true}) {
      DYNAMIC_SECTION(name << (copy ? ", copied" : "")) {
        const TemporaryFolder folder;
        const TemporaryFolder source;
        const fs::path file = cut(media(name), source.path() / name, 0.6);
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
            avstore::import_file(media(name), folder.path() / "store", import_options(copy));
          });
        });
        // As many frames as before the change.
        const auto frames = avstore::test::read_lines(media("framemd5") / (name + ".md5")).size();
        CHECK_THAT(outcome, StartsWith("invalid_argument: ") && Contains(media(name).string()) &&
                                Contains("frame " + std::to_string(frames)));
        CHECK(names_in(folder.path()).empty());
      }
    }
  }
}

TEST_CASE("a pixel format that changes midway is converted to the first, with a notice") {
  const TemporaryFolder folder;
  ImportOptions options = import_options(false);
  std::vector<std::string> notices;
  options.notice = [&](const std::string& line) { notices.push_back(line); };
  const fs::path file = media("format-change.h264");
  const auto result = avstore::import_file(file, folder.path() / "store", options);
  const auto all = avstore::test::read_lines(media("framemd5-all") / "format-change.h264.md5");
  CHECK(result.frames == static_cast<std::int64_t>(all.size()));
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], Contains(file.string()));
  Reader reader(folder.path() / "store");
  std::set<std::string_view> formats;
  while (const auto frame = reader.next()) {
    formats.insert(frame->image.format().name());
  }
  CHECK(formats.size() == 1);
}

TEST_CASE("too few or too many names, and an import that is stopped") {
  for (const bool copy : {false, true}) {
    DYNAMIC_SECTION((copy ? "copied" : "encoded")) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      const fs::path file = media("h264-no-bframes.mp4");
      for (const int count : {1, 119, 121}) {
        ImportOptions options = import_options(copy);
        for (int i = 0; i < count; ++i) {
          options.names.push_back({FrameNumber(i), FrameTime(i)});
        }
        CAPTURE(count);
        CHECK_THAT(outcome_of([&] { avstore::import_file(file, store, options); }),
                   StartsWith("invalid_argument: ") && Contains(file.string()) &&
                       Contains(std::to_string(count)));
        CHECK(names_in(folder.path()).empty());
      }
      ImportOptions options = import_options(copy);
      options.progress = [](std::int64_t, std::int64_t) { return false; };
      CHECK_THROWS_AS(avstore::import_file(file, store, options), avstore::Interrupted);
      CHECK(names_in(folder.path()).empty());
    }
  }
}

// --- Destinations ---

TEST_CASE("a store that exists is not overwritten unasked") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const fs::path source = folder.path() / "source";
  write_store(store, options_of("avc1/mp4"), 10);
  write_store(source, options_of("png"), 3);
  const auto before = tree(folder.path());
  const fs::path file = media("h264-no-bframes.mp4");
  avstore::TranscodeOptions transcode;
  transcode.writer = options_of("ffv1/mkv");
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { Writer writer(store, options_of("png")); },
           [&] { avstore::import_file(file, store, import_options(false)); },
           [&] { avstore::import_file(file, store, import_options(true)); },
           [&] { avstore::transcode(source, store, transcode); },
           [&] { avstore::transcode(source, source, transcode); },
           [&] { avstore::import_file(file, store / "", import_options(false)); }}) {
    CHECK_THAT(outcome_of(call), StartsWith("exists: ") && Contains(folder.path().string()));
    CHECK(tree(folder.path()) == before);
  }
}

TEST_CASE("a store that exists is replaced when asked") {
  for (const int way : {0, 1, 2, 3}) {
    DYNAMIC_SECTION(way) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of("png"), 300);
      WriterOptions options = options_of("ffv1/mkv");
      options.overwrite = true;
      ImportOptions import = import_options(way == 1);
      import.writer.overwrite = true;
      if (way < 2) {
        avstore::import_file(media("h264-intra-only.mp4"), store, import);
      } else if (way == 2) {
        write_store(store, options, 60);
      } else {
        write_store(folder.path() / "source", options_of("bmp"), 60);
        avstore::TranscodeOptions transcode;
        transcode.writer = options;
        avstore::transcode(folder.path() / "source", store, transcode);
        fs::remove_all(folder.path() / "source");
      }
      CHECK(Reader(store).frame_count() == 60);
      CHECK(Reader(store).info().store_class == "VideoImgStore");
      CHECK_FALSE(fs::exists(store / "000000" / "000000.png"));
      CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
    }
  }
}

TEST_CASE("an import that fails leaves the store that it should have replaced") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 10);
  const auto before = tree(folder.path());
  for (const bool copy : {false, true}) {
    ImportOptions options = import_options(copy);
    options.writer.overwrite = true;
    for (const fs::path& file : {media("bad/text.mp4"), media("bad/audio-only.mp4"),
                                 media("size-change.h264"), media("no-such-file.mp4")}) {
      CAPTURE(file, copy);
      CHECK(outcome_of([&] { avstore::import_file(file, store, options); }) != "no error");
      CHECK(tree(folder.path()) == before);
    }
    options.progress = [](std::int64_t, std::int64_t) { return false; };
    CHECK_THROWS_AS(avstore::import_file(media("h264-no-bframes.mp4"), store, options),
                    avstore::Interrupted);
    CHECK(tree(folder.path()) == before);
  }
  // Nor does a writer with options that cannot be.
  WriterOptions wrong = options_of("avc1/mp4");
  wrong.overwrite = true;
  wrong.encoder.quality = 1000;
  CHECK_THAT(outcome_of([&] { Writer writer(store, wrong); }), StartsWith("invalid_argument"));
  CHECK(tree(folder.path()) == before);
}

TEST_CASE("a store is its own source") {
  // The old store has to stay until the new one is whole.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 20);
  avstore::TranscodeOptions options;
  options.writer = options_of("ffv1/mkv");
  options.writer.overwrite = true;
  CHECK(avstore::transcode(store, store, options) == 20);
  Reader reader(store);
  CHECK(reader.frame_count() == 20);
  CHECK(reader.info().format == "ffv1/mkv");
  CHECK(code_of(reader.read(FrameIndex(17)).image.view()) == 17);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
}

TEST_CASE("what else lies in the folder of a store that is replaced is kept") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  for (const int way : {0, 1, 2}) {
    DYNAMIC_SECTION(way) {
      write_store(store, options_of("avc1/mp4"), 10);
      write_text(store / "notes.txt", "the only notes of that day");
      ImportOptions options = import_options(way == 1);
      options.writer.overwrite = true;
      // Expected: the new store stands in the folder, beside the notes. A refusal that leaves
      // everything as it was would do as well; to lose the old store and have no new one would not.
      const std::string outcome = outcome_of([&] {
        if (way < 2) {
          avstore::import_file(media("h264-intra-only.mp4"), store, options);
        } else {
          WriterOptions writer = options_of("avc1/mp4");
          writer.overwrite = true;
          write_store(store, writer, 60);
        }
      });
      CHECK(read_text(store / "notes.txt") == "the only notes of that day");
      CAPTURE(outcome);
      CHECK(outcome_of([&] {
              CHECK(Reader(store).frame_count() == (outcome == "no error" ? 60 : 10));
            }) == "no error");
      CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
    }
  }
}

TEST_CASE("what is no store is never replaced") {
  const TemporaryFolder folder;
  const fs::path home = folder.path() / "home";
  fs::create_directory(home);
  write_text(home / "thesis.tex", "all of it");
  write_text(folder.path() / "file", "a file");
  const auto before = tree(folder.path());
  for (const bool overwrite : {false, true}) {
    for (const fs::path& destination : {home, folder.path() / "file"}) {
      CAPTURE(overwrite, destination);
      WriterOptions writer = options_of("avc1/mp4");
      writer.overwrite = overwrite;
      ImportOptions options = import_options(false);
      options.writer.overwrite = overwrite;
      CHECK_THAT(outcome_of([&] { Writer made(destination, writer); }),
                 StartsWith("exists: ") && Contains(destination.string()));
      CHECK_THAT(outcome_of([&] {
                   avstore::import_file(media("h264-no-bframes.mp4"), destination, options);
                 }),
                 StartsWith("exists: ") && Contains(destination.string()));
      CHECK(tree(folder.path()) == before);
    }
  }
}

TEST_CASE("an empty folder that is there becomes the store") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "a");
  write_store(folder.path() / "a", options_of("png"), 3);
  fs::create_directory(folder.path() / "b");
  avstore::import_file(media("h264-intra-only.mp4"), folder.path() / "b" / "",
                       import_options(true));
  CHECK(Reader(folder.path() / "a").frame_count() == 3);
  CHECK(Reader(folder.path() / "b").frame_count() == 60);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("destinations that cannot be written") {
  const TemporaryFolder folder;
  write_text(folder.path() / "file", "a file");
  write_store(folder.path() / "source", options_of("png"), 3);
  const auto before = tree(folder.path());
  avstore::TranscodeOptions transcode;
  transcode.writer = options_of("ffv1/mkv");
  for (const fs::path& store :
       {fs::path("/proc/x/y"), fs::path("/proc/y"), folder.path() / "file" / "store",
        folder.path() / "no" / "such" / "folder", folder.path() / std::string(300, 'x')}) {
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { write_store(store, options_of("png"), 1); },
             [&] {
               avstore::import_file(media("h264-intra-only.mp4"), store, import_options(false));
             },
             [&] {
               avstore::import_file(media("h264-intra-only.mp4"), store, import_options(true));
             },
             [&] { avstore::transcode(folder.path() / "source", store, transcode); }}) {
      const std::string outcome = outcome_of(call);
      CHECK_THAT(outcome,
                 (StartsWith("io: ") || StartsWith("not_found: ")) && Contains(store.string()));
      CHECK(tree(folder.path()) == before);
    }
  }
}

TEST_CASE("a writer that failed does not stand in the way of the next one") {
  // What is wrong shows at the first frame only. Expected: nothing stays behind, or at least
  // `overwrite` takes what does for the store it was to become.
  for (const int way : {0, 1}) {
    DYNAMIC_SECTION((way == 0 ? "wrong option" : "pixels that the format cannot hold")) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      WriterOptions wrong = options_of("avc1/mp4");
      if (way == 0) {
        wrong.encoder.options = {{"crf", "abc"}};
      }
      const std::vector<std::uint8_t> pixels(std::size_t{2} * kWidth * kHeight);
      CHECK(outcome_of([&] {
              Writer writer(store, wrong);
              writer.add(
                  avstore::packed_view(way == 0 ? avstore::pixel::gray8 : avstore::pixel::gray16,
                                       kWidth, kHeight, pixels.data()),
                  FrameNumber(0), FrameTime(0));
              writer.close();
            }) != "no error");
      // Nothing that looks like a store.
      CHECK_THAT(outcome_of([&] { Reader reader(store); }), StartsWith("not_found: "));
      WriterOptions right = options_of("avc1/mp4");
      right.overwrite = true;
      CHECK(outcome_of([&] { write_store(store, right, 9); }) == "no error");
      CHECK(outcome_of([&] { CHECK(Reader(store).frame_count() == 9); }) == "no error");
    }
  }
}

// --- Full disks ---

namespace {

// From now on no file of this process can grow beyond that: writing gives EFBIG.
void limit_files(std::size_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  static_cast<void>(::setrlimit(RLIMIT_FSIZE, &limit));
}

// Frames of noise, which no codec makes small.
std::vector<std::uint8_t> noise(unsigned seed) {
  std::vector<std::uint8_t> pixels(std::size_t{kWidth} * kHeight);
  for (std::uint8_t& pixel : pixels) {
    seed = seed * 1664525 + 1013904223;
    pixel = static_cast<std::uint8_t>(seed >> 24);
  }
  return pixels;
}

void add_noise_with_code(Writer& writer, int number) {
  auto pixels = noise(static_cast<unsigned>(number));
  const auto code = draw(number & 255);
  constexpr std::size_t kFrom = std::size_t{kWidth} * 24;
  constexpr std::size_t kTo = std::size_t{kWidth} * 40;
  std::copy(code.begin() + kFrom, code.begin() + kTo, pixels.begin() + kFrom);
  writer.add(avstore::packed_view(avstore::pixel::gray8, kWidth, kHeight, pixels.data()),
             FrameNumber(number), FrameTime(0.04 * number));
}

std::vector<std::string> all_formats() {
  std::vector<std::string> names;
  for (const avstore::Format& format : avstore::formats()) {
    names.push_back(format.name);
  }
  return names;
}

// Runs `call` in a process of its own on a disk of that size mounted at `folder`; afterwards it is
// gone again. "no disk" where mounting is not possible.
std::string on_small_disk(const fs::path& folder, int kilobytes,
                          const std::function<std::string()>& call) {
  return in_child([&]() -> std::string {
    const std::string size = "size=" + std::to_string(kilobytes) + "k";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
        ::mount("none", folder.c_str(), "tmpfs", 0, size.c_str()) != 0) {
      return "no disk";
    }
    return call();
  });
}

}  // namespace

TEST_CASE("a file that cannot grow fails the import, and leaves nothing") {
  const TemporaryFolder folder;
  for (const auto& [name, format, copy] : std::vector<std::tuple<std::string, std::string, bool>>{
           {"h264-no-bframes.mp4", "avc1/mp4", true},
           {"h264-no-bframes.mp4", "avc1/mp4", false},
           {"h264-no-bframes.mp4", "h264/mkv", false},
           {"h264-no-bframes.mp4", "mjpeg/avi", false},
           {"h264-no-bframes.mp4", "hevc/mp4", false},
           {"h264-no-bframes.mp4", "av1/mp4", false},
           {"h264-no-bframes.mp4", "ffv1/mkv", false},
           {"h264-no-bframes.mp4", "h264-lossless/mkv", false},
           {"h264-no-bframes.mp4", "png", false},
           {"h264-no-bframes.mp4", "npy", false}}) {
    for (const std::size_t limit : {0, 100, 3000, 8000}) {
      DYNAMIC_SECTION(name << " to " << (copy ? "copy" : format) << ", " << limit << " bytes") {
        const std::string outcome = in_child([&, name = name, format = format, copy = copy] {
          ImportOptions options = import_options(copy, format);
          options.writer.chunk_size = 1000;
          limit_files(limit);
          return outcome_of(
              [&] { avstore::import_file(media(name), folder.path() / "store", options); });
        });
        CHECK_THAT(outcome, StartsWith("io: ") && Contains(folder.path().string()));
        CHECK(names_in(folder.path()).empty());
      }
    }
  }
}

TEST_CASE("a disk that is full fails the import, and leaves nothing") {
  const TemporaryFolder folder;
  for (const std::string format : {"copy", "avc1/mp4", "h264/mkv", "mjpeg/avi", "hevc/mkv",
                                   "av1/mkv", "ffv1/mkv", "png", "npy"}) {
    for (const int kilobytes : {8, 64, 100}) {
      DYNAMIC_SECTION(format << ", " << kilobytes << " KB") {
        const std::string outcome = on_small_disk(folder.path(), kilobytes, [&] {
          ImportOptions options =
              import_options(format == "copy", format == "copy" ? "avc1/mp4" : format);
          options.writer.encoder.quality = 100;
          const std::string said = outcome_of([&] {
            avstore::import_file(media("h264-bframes-gop250.mp4"), folder.path() / "store",
                                 options);
          });
          return said + (names_in(folder.path()).empty() ? "" : " (something is left)");
        });
        if (outcome == "no disk") {
          WARN("no small disk can be mounted here");
          continue;
        }
        CHECK_THAT(outcome, StartsWith("io: ") && Contains(folder.path().string()) &&
                                !Contains("something is left") && !Contains("partial-"));
      }
    }
  }
}

TEST_CASE("what was durable when the disk filled up can be read") {
  for (const std::string& format : all_formats()) {
    for (const std::size_t limit : {20'000, 60'000}) {
      DYNAMIC_SECTION(format << ", " << limit << " bytes a file") {
        const TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        const std::string outcome = in_child([&, limit = limit] {
          limit_files(limit);
          std::string said;
          std::int64_t durable = 0;
          {
            Writer writer(store, options_of(format, 100000));
            said = outcome_of([&] {
              // Up to the limit of one file: a chunk, or the database.
              for (int i = 0; i < 100'000; ++i) {
                add_noise_with_code(writer, i);
              }
            });
            // Every later call says the same.
            const std::string again = outcome_of([&] { writer.flush(); });
            const std::string closing = outcome_of([&] { writer.close(); });
            if (again != said || closing != said) {
              said += " BUT THEN " + again + " AND " + closing;
            }
            durable = writer.statistics().frames_durable;
          }
          return said + "\n" + std::to_string(durable);
        });
        CAPTURE(outcome);
        REQUIRE_THAT(outcome,
                     StartsWith("io: ") && Contains(store.string()) && !Contains("BUT THEN"));
        const std::int64_t durable = std::stoll(outcome.substr(outcome.find('\n') + 1));
        const std::string reading = in_child([&] {
          return outcome_of([&] {
            ReaderOptions options;
            options.pixel_format = avstore::pixel::gray8;
            Reader reader(store, options);
            if (reader.frame_count() < durable) {
              throw avstore::Error(ErrorKind::corrupt,
                                   "has " + std::to_string(reader.frame_count()) + " frames only");
            }
            for (std::int64_t i = 0; i < reader.frame_count();
                 i += std::max<std::int64_t>(1, reader.frame_count() / 50)) {
              if (code_of(reader.read(FrameIndex(i)).image.view()) != (i & 255)) {
                throw avstore::Error(ErrorKind::corrupt,
                                     "frame " + std::to_string(i) + " is wrong");
              }
            }
          });
        });
        if (durable == 0 && reading.starts_with("not_found: ")) {
          continue;  // it was full before the first frame
        }
        CHECK(reading == "no error");
      }
    }
  }
}

TEST_CASE("a writer that is given up keeps what is durable, and else leaves nothing") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "png"}) {
    for (const bool flushed : {false, true}) {
      DYNAMIC_SECTION(format << (flushed ? ", after a flush" : "")) {
        const TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        Writer writer(store, options_of(format, 1000));
        for (int i = 0; i < 10; ++i) {
          add(writer, i);
        }
        if (flushed) {
          writer.flush();
        }
        const std::int64_t durable = writer.statistics().frames_durable;
        writer.abandon();
        writer.abandon();
        writer.close();
        if (durable == 0) {
          CHECK(names_in(folder.path()).empty());
          continue;
        }
        Reader reader(store);
        CHECK(reader.frame_count() == 10);
        for (int i = 0; i < 10; ++i) {
          CHECK(code_of(reader.read(FrameIndex(i)).image.view()) == i);
        }
        CHECK_FALSE(reader.info().open_for_writing);
      }
    }
  }
}

// --- Damaged stores ---

TEST_CASE("an index made anew keeps the frames that only the old one knows") {
  // The index file of a chunk is written at its end; a writer that is killed before leaves the
  // numbers and times of the last chunk in the database only.
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      const std::string killed = in_child([&]() -> std::string {
        Writer writer(store, options_of(format));
        for (int i = 0; i < 10; ++i) {
          add(writer, i);
        }
        writer.add_extra(R"({"note": "before"})");
        writer.flush();
        ::raise(SIGKILL);
        return "alive";
      });
      REQUIRE(killed == "signal 9");
      std::vector<std::string> notices;
      CHECK(avstore::rebuild_index(
                store, [&](const std::string& text) { notices.push_back(text); }) == 10);
      REQUIRE_FALSE(notices.empty());
      CHECK_THAT(notices[0], Contains("000001"));
      Reader reader(store);
      REQUIRE(reader.frame_count() == 10);
      for (int i = 0; i < 10; ++i) {
        const Frame frame = reader.read(FrameNumber(i));
        CHECK(frame.info.index.value == i);
        CHECK(frame.info.time.seconds == 100 + 0.04 * i);
        CHECK(code_of(frame.image.view()) == i);
      }
    }
  }
}

TEST_CASE("stores of another version, or none") {
  // Expected: an avstore::Error of that kind when the store is opened, never an exception of
  // another type, and never a size that was cut down to fit into an int.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const fs::path metadata = store / "metadata.yaml";
  write_store(store, options_of("avc1/mp4"), 10);
  const std::string good = read_text(metadata);
  const auto replaced = [&good](const std::string& what, const std::string& with) {
    std::string text = good;
    REQUIRE(text.find(what) != std::string::npos);
    return text.replace(text.find(what), what.size(), with);
  };
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"version 3", replaced("version: 2", "version: 3"), "unsupported"},
      {"version 1", replaced("version: 2", "version: 1"), "unsupported"},
      {"version huge", replaced("version: 2", "version: 99999999999999999999"), "corrupt"},
      {"version is no number", replaced("version: 2", "version: two"), "corrupt"},
      {"no version", replaced("version: 2", "verse: 2"), "corrupt"},
      {"unknown class", replaced("VideoImgStore", "HologramImgStore"), "unsupported"},
      {"no class", replaced("class: VideoImgStore", "klass: VideoImgStore"), "corrupt"},
      {"no size", replaced("imgshape:", "shape:"), "corrupt"},
      {"one dimension", replaced("  - 64\n  - 96\n", "  - 64\n"), "corrupt"},
      {"size of nothing", replaced("- 64", "- -64"), "corrupt"},
      {"size beyond all bounds", replaced("- 64", "- 99999999999"), "corrupt"},
      {"chunks of nothing", replaced("chunksize: 7", "chunksize: 0"), "corrupt"},
      {"an extension that leads out", replaced("extension: .mp4", "extension: /../../x"),
       "corrupt"},
      {"empty", "", "corrupt"},
      {"a list", "- 1\n- 2\n", "corrupt"},
      {"no YAML", "{[}]: : :\n\t", "corrupt"},
      {"binary", std::string(2000, '\0') + "\xff\xfe\x80", "corrupt"},
      {"another YAML file", "experiment: 7\nversion: 2\n", "corrupt"},
      {"very deep", "__store: " + std::string(100'000, '['), "corrupt"},
      {"billion laughs",
       "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
       "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n"
       "f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n"
       "h: &h [*g,*g,*g,*g,*g,*g,*g,*g]\n",
       "corrupt"},
  };
  for (const auto& [name, text, kind] : cases) {
    DYNAMIC_SECTION(name) {
      write_text(metadata, text);
      const std::string outcome =
          in_child([&] { return outcome_of([&] { Reader reader(store); }); });
      CHECK_THAT(outcome, StartsWith(kind + ": ") && Contains(store.string()));
    }
  }
  SECTION("a message that says what to do about a newer version") {
    write_text(metadata, replaced("version: 2", "version: 3"));
    CHECK_THAT(outcome_of([&] { Reader reader(store); }),
               Contains(metadata.string()) && Contains("version 3") && Contains("newer"));
  }
  SECTION("missing") {
    fs::remove(metadata);
    CHECK_THAT(outcome_of([&] { Reader reader(store); }),
               StartsWith("not_found: ") && Contains(store.string()) && Contains("metadata.yaml"));
  }
  SECTION("a folder") {
    fs::remove(metadata);
    fs::create_directory(metadata);
    CHECK(outcome_of([&] { Reader reader(store); }) != "no error");
  }
  SECTION("a link to itself") {
    fs::remove(metadata);
    fs::create_symlink("metadata.yaml", metadata);
    CHECK(outcome_of([&] { Reader reader(store); }) != "no error");
  }
}

TEST_CASE("images of an unknown format are refused") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 10);
  std::string text = read_text(store / "metadata.yaml");
  text.replace(text.find("format: png"), 11, "format: betamax");
  write_text(store / "metadata.yaml", text);
  CHECK_THAT(outcome_of([&] {
               Reader reader(store);
               static_cast<void>(reader.read(FrameIndex(0)));
             }),
             StartsWith("unsupported: ") && Contains("betamax"));
}

TEST_CASE("a database of a newer version is refused, and left as it is") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 10);
  sqlite(store, "UPDATE index_information SET value = '99' WHERE name LIKE '%schema_version'");
  const auto before = tree(store);
  CHECK_THAT(outcome_of([&] { Reader reader(store); }),
             StartsWith("unsupported: ") && Contains((store / ".index.sqlite").string()) &&
                 Contains("newer") && Contains("99"));
  CHECK(tree(store) == before);
}

namespace {

struct Opened {
  std::vector<std::string> warnings;
  ReaderOptions options() {
    ReaderOptions made;
    made.on_warning = [this](const std::string& line) { warnings.push_back(line); };
    return made;
  }
};

// Opens the store and reads every frame by number: "right" if all are there and right, "warned:
// ..." if so after a warning, else the error; "WRONG ..." for frames that are missing or wrong
// without a word.
std::string read_everything(const fs::path& store, int frames) {
  return in_child([&] {
    Opened opened;
    std::string said = outcome_of([&] {
      Reader reader(store, opened.options());
      if (reader.frame_count() != frames && opened.warnings.empty()) {
        throw avstore::Error(ErrorKind::corrupt,
                             "WRONG count " + std::to_string(reader.frame_count()));
      }
      for (int i = 0; i < frames; ++i) {
        const Frame frame = reader.read(FrameNumber(i));
        if (code_of(frame.image.view()) != i || frame.image.width() != kWidth) {
          throw avstore::Error(ErrorKind::corrupt, "WRONG frame " + std::to_string(i));
        }
      }
    });
    if (said == "no error") {
      said = opened.warnings.empty() ? "right" : "warned: " + opened.warnings[0];
    }
    return said;
  });
}

}  // namespace

TEST_CASE("a database that is damaged is made anew") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    for (const std::string& damage :
         {std::string(), std::string("\0", 1), std::string("garbage"), std::string(100'000, 'x'),
          std::string(4096, '\0'), std::string("SQLite format 3\0 and nothing more", 33)}) {
      DYNAMIC_SECTION(format << ", " << damage.size() << " bytes") {
        const TemporaryFolder folder;
        const fs::path store = folder.path() / "store";
        write_store(store, options_of(format), 23);
        write_text(store / ".index.sqlite", damage);
        const std::string outcome = read_everything(store, 23);
        // To SQLite, a file of one byte at most is a database that was never begun.
        CHECK_THAT(outcome, StartsWith(damage.size() < 2 ? "right" : "warned: "));
        CHECK(read_everything(store, 23) == "right");
      }
    }
  }
}

TEST_CASE("a database that is damaged, where nothing is left to make it anew from") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_text(store / ".index.sqlite", "garbage garbage garbage garbage garbage");
  for (const char* name : {"000000.npz", "000001.npz", "000002.npz", "000003.npz"}) {
    write_text(store / name, "garbage");
  }
  // Either an error, or an empty store with warnings; never frames made up.
  Opened opened;
  const std::string outcome = outcome_of([&] {
    Reader reader(store, opened.options());
    CHECK(reader.frame_count() == 0);
  });
  CAPTURE(outcome);
  CHECK((outcome.starts_with("corrupt: ") || !opened.warnings.empty()));
}

TEST_CASE("a folder where the database should be") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  fs::remove(store / ".index.sqlite");
  fs::create_directory(store / ".index.sqlite");
  const std::string outcome = read_everything(store, 23);
  CHECK_THAT(outcome, StartsWith("right") || StartsWith("warned: ") || StartsWith("corrupt: ") ||
                          StartsWith("io: "));
}

TEST_CASE("a database that does not match its chunks gives no wrong frame") {
  // Expected after each: all frames right (the database made anew, with a warning), or an error;
  // never a frame that is not the one asked for, and never fewer frames without a word.
  const std::vector<std::string> changes{
      "DELETE FROM frames WHERE frame_index = 22",
      "DELETE FROM frames WHERE frame_index >= 14",
      "DELETE FROM frames WHERE frame_index = 5",
      "DELETE FROM frames WHERE frame_index < 7",
      "DELETE FROM frames",
      "INSERT INTO frames SELECT 23, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "INSERT INTO frames SELECT 99, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "INSERT INTO frames SELECT -1, 3, 2, 23, 101, pts + 1024 FROM frames WHERE frame_index = 22",
      "UPDATE frames SET frame_idx = frame_idx + 1",
      "UPDATE frames SET frame_idx = 6 - frame_idx WHERE chunk = 1",
      "UPDATE frames SET frame_idx = -5 WHERE frame_index = 3",
      "UPDATE frames SET frame_idx = 1000000000000 WHERE frame_index = 3",
      "UPDATE frames SET chunk = 3 - chunk",
      "UPDATE frames SET chunk = 77",
      "UPDATE frames SET pts = pts + 1",
      "UPDATE frames SET pts = NULL",
      "UPDATE frames SET pts = 9223372036854775807",
      "UPDATE frames SET pts = 'text'",
      "UPDATE frames SET pts = (1 - frame_idx % 2 * 2) * 9223372036854775807",
      "DELETE FROM chunks WHERE chunk = 1",
      "DELETE FROM chunks",
      "INSERT INTO chunks SELECT 4, '000004.mp4', 23, 10, 1, 12800, 'closed', 100, '', 0, 10",
      "UPDATE chunks SET chunk_path = '/etc/passwd'",
      "UPDATE chunks SET chunk_path = '../../../../etc/passwd'",
      "UPDATE chunks SET chunk_path = ''",
      "UPDATE chunks SET first_frame_index = first_frame_index + 1",
      "UPDATE chunks SET first_frame_index = -1",
      "UPDATE chunks SET first_frame_index = 9223372036854775807",
      "UPDATE chunks SET frame_count = frame_count - 1",
      "UPDATE chunks SET frame_count = 1000000000000000",
      "UPDATE chunks SET frame_count = -1",
      "UPDATE chunks SET time_base_num = 0",
      "UPDATE chunks SET time_base_den = 0",
      "UPDATE chunks SET stream = 5",
      "UPDATE chunks SET stream = -1",
      "UPDATE chunks SET state = 'open'",
      "UPDATE chunks SET state = 'nonsense'",
      "UPDATE chunks SET bytes = bytes + 1",
      "UPDATE chunks SET packet_count = 0",
      "UPDATE chunks SET packet_count = 3",
      "DELETE FROM keyframes",
      "UPDATE keyframes SET pts = pts + 1",
      "UPDATE keyframes SET dts = NULL",
      "UPDATE keyframes SET dts = 9223372036854775807",
      "INSERT INTO keyframes SELECT chunk, 3, pts, dts, position FROM keyframes",
      "INSERT INTO keyframes SELECT chunk, -3, pts, dts, position FROM keyframes",
      "DROP TABLE keyframes",
      "DROP TABLE chunks",
      "DROP TABLE frames",
      "DROP TABLE frames; CREATE TABLE frames (chunk, frame_idx, frame_number, frame_time)",
      "DROP TABLE summary",
      "DELETE FROM summary",
      "DELETE FROM index_information",
      "DROP TABLE index_information",
      "ALTER TABLE frames RENAME COLUMN pts TO point",
  };
  for (const std::string& change : changes) {
    DYNAMIC_SECTION(change) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of("avc1/mp4"), 23);
      sqlite(store, change);
      fs::copy(store, folder.path() / "copy", fs::copy_options::recursive);
      const std::string outcome = read_everything(store, 23);
      const std::string verifying = in_child([&] {
        std::size_t findings = 0;
        const std::string said = outcome_of([&] {
          findings = avstore::verify(folder.path() / "copy", {.deep = true, .progress = {}})
                         .findings.size();
        });
        return said == "no error" ? std::to_string(findings) + " findings" : said;
      });
      const std::string reading_many = in_child([&] {
        return outcome_of([&] {
          Reader reader(folder.path() / "copy");
          std::vector<FrameIndex> all;
          for (std::int64_t i = 0; i < std::min<std::int64_t>(reader.frame_count(), 23); ++i) {
            all.emplace_back(i);
          }
          reader.read_many(all);
          reader.infos({0, 100});
        });
      });
      CAPTURE(outcome, verifying, reading_many);
      CHECK((outcome == "right" || outcome.starts_with("warned: ") || is_an_error(outcome)));
      CHECK_THAT(outcome, !Contains("WRONG"));
      CHECK((verifying.ends_with(" findings") || is_an_error(verifying)));
      CHECK((outcome == "right" || verifying != "0 findings"));
      CHECK((reading_many == "no error" || is_an_error(reading_many)));
    }
  }
}

TEST_CASE("the database of another store is not taken for this one's") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of(format), 23);
      write_store(folder.path() / "other", options_of(format), 40);
      fs::copy_file(folder.path() / "other/.index.sqlite", store / ".index.sqlite",
                    fs::copy_options::overwrite_existing);
      CHECK_THAT(read_everything(store, 23), StartsWith("warned: "));
      CHECK(Reader(store).frame_count() == 23);
      CHECK(Reader(store).info().uuid == Reader(store).info().uuid);
    }
  }
}

TEST_CASE("a recording that failed does not look whole") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string outcome = in_child([&] {
    limit_files(60'000);
    Writer writer(store, options_of("avc1/mp4", 100000));
    return outcome_of([&] {
      for (int i = 0; i < 100'000; ++i) {
        add_noise_with_code(writer, i);
      }
    });
  });
  REQUIRE_THAT(outcome, StartsWith("io: "));
  Reader reader(store);
  CHECK(reader.frame_count() > 0);
  CHECK(reader.info().unfinished);
  CHECK_FALSE(avstore::verify(store, {}).findings.empty());
}

TEST_CASE("an index made anew remembers how the store was made") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  options.encoder.frame_rate = {30, 1};
  write_store(store, options, 23);
  avstore::rebuild_index(store, {});
  CHECK(Reader(store).info().encoder == "libx264");
  CHECK(Reader(store).info().nominal_frame_rate == avstore::Rational{30, 1});
  avstore::TranscodeOptions transcoding;
  transcoding.writer.format = "mjpeg/avi";
  avstore::transcode(store, folder.path() / "copy", transcoding);
  CHECK(avstore::probe_source(folder.path() / "copy/000000.avi").frame_rate ==
        avstore::Rational{30, 1});
}

TEST_CASE("a chunk that was replaced by another is noticed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  fs::path other;
  SECTION("another chunk of the store") {
    other = store / "000000.mp4";
  }
  SECTION("one of larger pictures") {
    write_store(folder.path() / "other", options_of("avc1/mp4"), 7, 128, 96);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of fewer frames") {
    write_store(folder.path() / "other", options_of("avc1/mp4"), 5);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of more frames") {
    write_store(folder.path() / "other", options_of("avc1/mp4", 100), 50);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("one of another codec") {
    write_store(folder.path() / "other", options_of("hevc/mp4"), 7);
    other = folder.path() / "other" / "000000.mp4";
  }
  SECTION("no video at all") {
    other = media("bad/text.mp4");
  }
  SECTION("nothing") {
    other = media("bad/empty.mp4");
  }
  SECTION("sound") {
    other = media("bad/audio-only.mp4");
  }
  REQUIRE_FALSE(other.empty());
  fs::copy_file(other, store / "000001.mp4", fs::copy_options::overwrite_existing);
  const std::string findings = in_child([&] {
    std::string all;
    for (const std::string& line :
         avstore::verify(store, {.deep = true, .progress = {}}).findings) {
      all += line + "\n";
    }
    return all;
  });
  CHECK_THAT(findings, Contains("000001.mp4"));
  const std::string outcome = in_child([&] {
    Opened opened;
    const std::string said = outcome_of([&] {
      Reader reader(store, opened.options());
      for (int i = 0; i < 23; ++i) {
        static_cast<void>(reader.read(FrameNumber(i)));
      }
    });
    return said + (opened.warnings.empty() ? "" : " warned: " + opened.warnings[0]);
  });
  CHECK_THAT(outcome, Contains("000001.mp4"));
  // The frames elsewhere are none the worse.
  CHECK(in_child([&] {
          return outcome_of([&] {
            Reader reader(store);
            for (const int i : {0, 6, 14, 22}) {
              if (code_of(reader.read(FrameNumber(i)).image.view()) != i) {
                throw avstore::Error(ErrorKind::corrupt, "WRONG frame " + std::to_string(i));
              }
            }
          });
        }) == "no error");
}

TEST_CASE("a frame is never handed out in another size than the store's") {
  // Expected: an error that names the chunk, as whoever reads has made room for frames of info()'s
  // size.
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 23);
  write_store(folder.path() / "other", options_of("avc1/mp4"), 7, 128, 96);
  fs::copy_file(folder.path() / "other" / "000000.mp4", store / "000001.mp4",
                fs::copy_options::overwrite_existing);
  const std::string outcome = outcome_of([&] {
    Reader reader(store);
    const Frame frame = reader.read(FrameNumber(9));
    CHECK(frame.image.width() == reader.info().width);
    CHECK(frame.image.height() == reader.info().height);
  });
  CHECK_THAT(outcome, StartsWith("no error") || StartsWith("corrupt: "));
}

TEST_CASE("damaged names of frames") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 23);
  const fs::path npz = store / "000001" / "index.npz";
  const std::string good = read_text(npz);
  for (const auto& [name, bytes] : std::map<std::string, std::string>{
           {"empty", ""},
           {"garbage", std::string(1000, 'g')},
           {"cut off", good.substr(0, good.size() / 2)},
           {"another chunk's", read_text(store / "000003" / "index.npz")}}) {
    DYNAMIC_SECTION(name) {
      write_text(npz, bytes);
      // The database has them all.
      CHECK(read_everything(store, 23) == "right");
      CHECK_FALSE(avstore::verify(store, {}).findings.empty());
      // Without it that chunk's are lost, with a warning.
      fs::remove(store / ".index.sqlite");
      Opened opened;
      Reader reader(store, opened.options());
      for (const int i : {0, 6, 14, 20}) {
        CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
      }
      if (name != "another chunk's") {
        REQUIRE_FALSE(opened.warnings.empty());
        CHECK_THAT(opened.warnings[0], Contains("000001"));
        CHECK(reader.frame_count() == 16);
      }
    }
  }
}

TEST_CASE("links in a store do not lead its changes out of it") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "links.store";
  const fs::path outside = folder.path() / "outside";
  fs::create_directories(store);
  fs::create_directories(outside / "000000");
  write_text(outside / "000000" / "index.npz", "somebody's work");
  const auto is_untouched = [&] {
    return read_text(outside / "000000" / "index.npz") == "somebody's work" &&
           std::distance(fs::directory_iterator(outside / "000000"), fs::directory_iterator()) == 1;
  };

  SECTION("a change that is a folder elsewhere") {
    fs::create_symlink(outside, store / ".staged");
    fs::create_directory(store / "000000");
    avstore::store::finish_staged_change(store);
    CHECK(is_untouched());
    CHECK(avstore::store::current_file(store, "000000/index.npz") == store / "000000/index.npz");
  }
  SECTION("a place that is a folder elsewhere") {
    fs::create_directories(store / ".staged" / "000000");
    write_text(store / ".staged" / "000000" / "index.npz", "evil");
    write_text(store / ".staged" / "000000" / ".profile", "evil");
    fs::create_symlink(outside / "000000", store / "000000");
    CHECK_THROWS_WITH(avstore::store::finish_staged_change(store),
                      Contains("no folder of the store"));
    CHECK(is_untouched());
  }
}
