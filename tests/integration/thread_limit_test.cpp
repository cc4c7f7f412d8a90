// Where the system has no thread left, as on a rig with many processes: whatever needs one is an
// Error, and what was begun is as it was before.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/thread_limit.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::FrameIndex;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::in_child;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::TemporaryFolder;
using avstore::test::ThreadLimit;
using avstore::test::write_store;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

// What comes of `work` with 0, 1, 2 ... threads left, until it needs no more; each time in a
// process of its own. The last one is "no error".
std::vector<std::string> outcomes(const std::function<void()>& work) {
  constexpr int kMost = 100;
  std::vector<std::string> all;
  bool is_enough = false;
  for (int left = 0; left < kMost && !is_enough; ++left) {
    const std::string outcome = in_child([&] {
      const ThreadLimit limit(left);
      const std::string ends_with = outcome_of(work);
      return (limit.refused() == 0 ? "enough: " : "") + ends_with;
    });
    is_enough = outcome.starts_with("enough: ");
    all.push_back(is_enough ? outcome.substr(8) : outcome);
  }
  CHECK(is_enough);
  return all;
}

}  // namespace

TEST_CASE("read_many() without a thread left is an Error") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("png", "ffv1/mkv", "avc1/mp4");
  WriterOptions options = options_of(format, 10);
  options.encoder.keyframe_interval = format == "png" ? 0 : 5;
  write_store(store, options, 40);
  ReaderOptions reading;
  reading.threads = 4;
  const auto all = outcomes([&] {
    Reader reader(store, reading);
    std::vector<FrameIndex> indices;
    for (int i = 0; i < 40; i += 3) {
      indices.emplace_back(i);
    }
    reader.read_many(indices);
  });
  REQUIRE(all.size() > 1);
  CHECK_THAT(all.front(),
             StartsWith("io: " + store.string()) && ContainsSubstring("cannot start a thread"));
  for (const std::string& outcome : all) {
    CAPTURE(outcome);
    CHECK((avstore::test::is_an_error(outcome) || outcome == "no error"));
  }
  CHECK(all.back() == "no error");
}

TEST_CASE("a reader goes on after a read_many() that had no thread") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 20);
  ReaderOptions reading;
  reading.threads = 3;
  Reader reader(store, reading);
  const auto indices = avstore::test::shuffled_indices(20);
  {
    const ThreadLimit limit(1);
    CHECK_THAT(outcome_of([&] { reader.read_many(indices); }), StartsWith("io: "));
  }
  CHECK(reader.read_many(indices).size() == 20);
}

TEST_CASE("a writer without a thread left is an Error, and leaves nothing") {
  const TemporaryFolder folder;
  const std::string format = GENERATE("png", "ffv1/mkv");
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of(format);
  options.encoder.threads = 1;
  const std::string none = in_child([&] {
    const ThreadLimit limit(0);
    return outcome_of([&] { Writer(store, options); });
  });
  CHECK_THAT(none,
             StartsWith("io: " + store.string()) && ContainsSubstring("cannot start a thread"));
  CHECK(names_in(folder.path()).empty());
  const auto all = outcomes([&] {
    fs::remove_all(store);
    write_store(store, options, 10);
    Reader(store).read(FrameIndex(9));
  });
  for (const std::string& outcome : all) {
    CAPTURE(outcome);
    CHECK((avstore::test::is_an_error(outcome) || outcome == "no error"));
  }
  CHECK(all.back() == "no error");
}

TEST_CASE("recording without a thread left is an Error, and ends the cameras that have one") {
  const TemporaryFolder folder;
  avstore::RecordOptions options;
  for (const std::string name : {"one", "two", "three"}) {
    avstore::CameraOptions camera;
    camera.name = name;
    camera.source = "testsrc=size=32x32:rate=25,format=gray";
    camera.input_format = "lavfi";
    camera.store = folder.path() / name;
    camera.writer.format = "png";
    options.cameras.push_back(camera);
  }
  options.frames = 2;
  // The first camera's and its writer's; whichever other asks then.
  const std::string none = in_child([&] {
    const ThreadLimit limit(0);
    return outcome_of([&] { avstore::record(options); });
  });
  CHECK_THAT(none, StartsWith("io: ") && ContainsSubstring("cannot start a thread"));
  CHECK(names_in(folder.path()).empty());
  const std::string some = in_child([&] {
    const ThreadLimit limit(1);
    return outcome_of([&] { avstore::record(options); });
  });
  CHECK_THAT(some, StartsWith("io: ") && ContainsSubstring("cannot start a thread"));
  CHECK(names_in(folder.path()).empty());
}
