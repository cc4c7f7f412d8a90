// Disks that fill up.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
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
using avstore::test::add;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::import_options;
using avstore::test::in_child;
using avstore::test::kBarRows;
using avstore::test::kHeight;
using avstore::test::kWidth;
using avstore::test::media_file;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

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
              [&] { avstore::import_file(media_file(name), folder.path() / "store", options); });
        });
        CHECK_THAT(outcome, StartsWith("io: ") && ContainsSubstring(folder.path().string()));
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
            avstore::import_file(media_file("h264-bframes-gop250.mp4"), folder.path() / "store",
                                 options);
          });
          return said + (names_in(folder.path()).empty() ? "" : " (something is left)");
        });
        if (outcome == "no disk") {
          WARN("full disks are not checked: no small one can be mounted here");
          return;
        }
        CHECK_THAT(outcome, StartsWith("io: ") && ContainsSubstring(folder.path().string()) &&
                                !ContainsSubstring("something is left") &&
                                !ContainsSubstring("partial-"));
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
        REQUIRE_THAT(outcome, StartsWith("io: ") && ContainsSubstring(store.string()) &&
                                  !ContainsSubstring("BUT THEN"));
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
