// Where stores go: what lies there already, what cannot be written, disks that fill up.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
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
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::in_child;
using avstore::test::kBarRows;
using avstore::test::kHeight;
using avstore::test::kWidth;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::read_text;
using avstore::test::TemporaryFolder;
using avstore::test::tree;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

}  // namespace

namespace {

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

TEST_CASE("tools leave no frame out, whatever a full queue is said to do") {
  const TemporaryFolder folder;
  const fs::path source = folder.path() / "source";
  const fs::path made = folder.path() / "made";
  write_store(source, options_of("png"), 60);
  WriterOptions hasty = options_of("avc1/mp4");  // slower than reading PNG
  hasty.queue_frames = 1;
  hasty.when_full = avstore::WhenFull::drop;
  SECTION("transcode") {
    avstore::TranscodeOptions transcode;
    transcode.writer = hasty;
    CHECK(avstore::transcode(source, made, transcode) == 60);
  }
  SECTION("import") {
    ImportOptions import;
    import.writer = hasty;
    CHECK(avstore::import_file(media("h264-intra-only.mp4"), made, import).frames == 60);
  }
  SECTION("align") {
    avstore::AlignedWriterOptions aligned;
    aligned.writer = hasty;
    const avstore::Alignment alignment = avstore::align({source, source}, {});
    avstore::write_aligned(alignment, {made, folder.path() / "other"}, aligned);
    CHECK(Reader(folder.path() / "other").frame_count() == 60);
  }
  SECTION("side by side") {
    avstore::AlignedWriterOptions aligned;
    aligned.writer = hasty;
    avstore::write_side_by_side(avstore::align({source, source}, {}), made, aligned);
  }
  CHECK(Reader(made).frame_count() == 60);
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

TEST_CASE("a recording that comes to nothing leaves the store that it should have replaced") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 7), 20);
  write_text(store / "notes.txt", "mine");
  const auto before = tree(folder.path());
  WriterOptions options = options_of("avc1/mp4");
  options.overwrite = true;
  SECTION("an encoder that there is not") {
    options.encoder.encoder = "nosuch";
    CHECK_THAT(outcome_of([&] { write_store(store, options, 3); }), Contains("nosuch"));
  }
  SECTION("an option that the encoder does not know") {
    options.encoder.options["nosuch"] = "1";
    CHECK_THAT(outcome_of([&] { write_store(store, options, 3); }), Contains("nosuch"));
  }
  SECTION("given up before a frame is durable") {
    Writer writer(store, options);
    add(writer, 0);
    writer.abandon();
  }
  SECTION("killed before a frame is durable") {
    REQUIRE(avstore::test::run_child([&]() -> int {
              Writer writer(store, options);
              add(writer, 0);
              std::raise(SIGKILL);
              return 0;
            }) == -SIGKILL);
    CHECK_FALSE(fs::exists(store / "metadata.yaml"));
    SECTION("and repaired") {
      const auto repaired =
          avstore::repair(GENERATE(false, true) ? store / "metadata.yaml" : store, {});
      CHECK(repaired.frames == 20);
      REQUIRE_FALSE(repaired.steps.empty());
      CHECK_THAT(repaired.steps.front(), Contains("brought back"));
      fs::remove_all(store / ".put-aside");
    }
    SECTION("and repaired by its name within the folder") {
      CHECK(avstore::test::in_child([&] {
              fs::current_path(store);
              return std::to_string(avstore::repair("metadata.yaml", {}).frames);
            }) == "20");
      fs::remove_all(store / ".put-aside");
    }
    SECTION("and once more") {
      Writer again(store, options);
      again.abandon();
    }
  }
  CHECK(tree(folder.path()) == before);
}

TEST_CASE("a store that was replaced is gone once the new one has a frame") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 20);
  WriterOptions options = options_of("avc1/mp4");
  options.overwrite = true;
  REQUIRE(avstore::test::run_child([&]() -> int {
            Writer writer(store, options);
            add(writer, 0);
            writer.sync();
            std::raise(SIGKILL);
            return 0;
          }) == -SIGKILL);
  CHECK(Reader(store).frame_count() == 1);
  CHECK(avstore::repair(store, {}).frames == 1);
  write_store(store, options, 3);
  CHECK(Reader(store).frame_count() == 3);
  CHECK_FALSE(fs::exists(store / ".replaced"));
}

TEST_CASE("a chunk that the database knows nothing of is not written over") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("avc1/mp4", "png");
  write_store(store, options_of(format, 5), 15);
  const fs::path chunk = store / (format == "png" ? "000002" : "000002.mp4");
  fs::remove(format == "png" ? chunk / "index.npz" : store / "000002.npz");
  fs::remove(store / ".index.sqlite");
  const auto contents = [&chunk] {
    return fs::is_directory(chunk) ? tree(chunk) : decltype(tree(chunk)){{"", read_text(chunk)}};
  };
  const auto before = contents();
  REQUIRE(Reader(store).frame_count() == 10);
  CHECK_THAT(avstore::verify(store, {}).findings.front(),
             StartsWith(chunk.filename().string()) && Contains("is in no row"));
  {
    Writer writer = Writer::append(store, {});
    add(writer, 10);
    writer.close();
  }
  CHECK(contents() == before);
  CHECK(Reader(store).find(FrameIndex(10)).chunk == 3);
}

TEST_CASE("repair leaves video alone whose index is gone") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 10);
  for (const char* name : {"000000.npz", "000001.npz", ".index.sqlite"}) {
    fs::remove(store / name);
  }
  const std::string video = read_text(store / "000001.mp4");
  avstore::repair(store, {});
  CHECK(read_text(store / "000001.mp4") == video);
  CHECK_FALSE(avstore::verify(store, {}).findings.empty());
}

TEST_CASE("the numbers of chunks go by chunks, not by other files") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 5);
  for (const char* name : {"20240131.txt", "9223372036854775807.txt", "9223372036854775807.mp4"}) {
    write_text(store / name, "mine");
  }
  Writer writer = Writer::append(store, {});
  add(writer, 5);
  writer.close();
  CHECK(fs::exists(store / "000001.mp4"));
  CHECK(Reader(store).find(FrameIndex(5)).chunk == 1);
}

TEST_CASE("nothing is written through links that lead out of a store") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 5), 5);
  const fs::path outside = folder.path() / "outside";
  SECTION(".lock") {
    fs::create_symlink(outside, store / ".lock");
    CHECK_THAT(outcome_of([&] { Writer::append(store, {}); }), StartsWith("io: "));
    CHECK_FALSE(fs::exists(outside));
  }
  SECTION("a store that is to be replaced") {
    const std::string name = GENERATE(".replaced", ".replaced.partial", ".replaced.dropped");
    write_store(outside, options_of("avc1/mp4", 5), 7);
    const auto before = tree(outside);
    fs::create_directory_symlink(outside, store / name);
    const auto mine = read_text(store / "000000.mp4");
    avstore::repair(store, {});
    CHECK(read_text(store / "000000.mp4") == mine);
    WriterOptions options = options_of("png");
    options.overwrite = true;
    write_store(store, options, 3);
    CHECK(Reader(store).frame_count() == 3);
    CHECK(tree(outside) == before);
  }
  SECTION("a chunk") {
    write_text(outside, "precious");
    fs::create_symlink(outside, store / "000001.mp4");
    Writer writer = Writer::append(store, {});
    add(writer, 5);
    writer.close();
    CHECK(read_text(outside) == "precious");
  }
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
  const auto code = draw(avstore::pixel::gray8, number).bytes;
  std::copy_n(code.begin(), kBarRows * kWidth, pixels.begin());
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
            const std::string again = outcome_of([&] { writer.sync(); });
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
          writer.sync();
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
  CHECK_FALSE(avstore::verify(store, {}).repairs.empty());
}

TEST_CASE("a store that is being recorded is neither replaced nor indexed") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("avc1/mp4"));
  for (int i = 0; i < 10; ++i) {
    add(writer, i);
  }
  writer.sync();
  WriterOptions other = options_of("png");
  other.overwrite = true;
  for (const std::function<void()>& attempt : std::vector<std::function<void()>>{
           [&] { avstore::rebuild_index(store, {}); }, [&] { Writer second(store, other); },
           [&] { avstore::empty_store(store); }}) {
    CHECK_THAT(outcome_of(attempt), StartsWith("exists: ") && Contains(store.string()));
  }
  for (int i = 10; i < 20; ++i) {
    add(writer, i);
  }
  writer.close();
  CHECK(Reader(store).frame_count() == 20);
  CHECK(avstore::rebuild_index(store, {}) == 20);
}

TEST_CASE("files of the user's are no chunks, whatever their number") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 20);
  write_text(store / "20190523.txt", "notes of that day");
  write_text(store / "000001.mp4.bak", "a copy");
  write_text(store / "000001.npz.tmp12-0", "left by the dead");
  SECTION("replaced") {
    WriterOptions options = options_of("png");
    options.overwrite = true;
    write_store(store, options, 3);
  }
  SECTION("emptied") {
    avstore::empty_store(store);
  }
  CHECK(read_text(store / "20190523.txt") == "notes of that day");
  CHECK(read_text(store / "000001.mp4.bak") == "a copy");
  CHECK_FALSE(fs::exists(store / "000001.npz.tmp12-0"));
  CHECK_FALSE(fs::exists(store / "000001.mp4"));
  CHECK_FALSE(fs::exists(store / "000002.npz"));
}
