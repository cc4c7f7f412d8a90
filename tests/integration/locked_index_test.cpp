// A recording while another program has its index database locked: it waits, says so, and can be
// given up.
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "index/index.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;

using avstore::ErrorKind;
using avstore::FrameIndex;
using avstore::Reader;
using avstore::WhenFull;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::index::Index;
using avstore::test::add;
using avstore::test::code_of;
using avstore::test::error_of;
using avstore::test::options_of;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

using Strings = std::vector<std::string>;

// Has a store's index database locked, as another program would, until its end.
class Lock {
 public:
  explicit Lock(const fs::path& store) : index_(Index::open_for_writing(store / ".index.sqlite")) {
    index_.set_information("test", "never committed");
  }
  ~Lock() { index_.rollback(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Index index_;
};

// A recording with a durable frame, and what its user is told.
struct Recording {
  explicit Recording(WhenFull when_full = WhenFull::block) {
    options = options_of("mjpeg/avi", 5);
    options.queue_frames = 3;
    options.when_full = when_full;
    options.on_warning = [this](const std::string& text) {
      const std::lock_guard lock(mutex);
      warnings.push_back(text);
    };
    writer.emplace(store, options);
    add(*writer, 0);
    writer->sync();
  }

  Strings told() {
    const std::lock_guard lock(mutex);
    return warnings;
  }

  // Until the user is told of something, or `work` ends.
  void wait_until_told(const std::future<void>& work) {
    using namespace std::chrono_literals;
    while (told().empty() && work.wait_for(1ms) == std::future_status::timeout) {
    }
  }

  std::future<void> start(const std::function<void(Writer&)>& work) {
    return std::async(std::launch::async, [this, work] { work(*writer); });
  }

  TemporaryFolder folder;
  fs::path store = folder.path() / "store";
  WriterOptions options;
  std::mutex mutex;
  Strings warnings;
  std::optional<Writer> writer;
};

}  // namespace

TEST_CASE("a recording waits for whoever has its index database locked") {
  Recording recording(WhenFull::drop);
  Writer& writer = *recording.writer;
  auto locked = std::make_unique<Lock>(recording.store);
  add(writer, 1);
  std::future<void> synced = recording.start([](Writer& w) { w.sync(); });
  recording.wait_until_told(synced);
  if (avstore::test::is_full_run()) {
    // Longer than SQLite waits by itself, which must change nothing.
    std::this_thread::sleep_for(std::chrono::seconds(6));
  }
  REQUIRE(recording.told().size() == 1);
  CHECK_THAT(recording.told()[0], ContainsSubstring("locked") && ContainsSubstring("wait"));
  CHECK(writer.durable_count() == 1);
  // Frames wait, as many as the queue has room for.
  int taken = 2;
  while (writer.add(avstore::test::draw(avstore::pixel::gray8, taken).view,
                    avstore::FrameNumber(taken), avstore::FrameTime(taken / 25.0))) {
    ++taken;
  }
  CHECK(taken > 2);
  CHECK(writer.statistics().frames_dropped == 1);
  locked.reset();
  synced.get();
  CHECK(writer.durable_count() >= 2);
  writer.close();
  REQUIRE(recording.told().size() == 2);
  CHECK_THAT(recording.told()[1], ContainsSubstring("free again"));
  CHECK(Reader(recording.store).frame_count() == taken);
  CHECK(wrong_codes(recording.store).empty());
  CHECK(avstore::verify(recording.store, {}).findings == Strings{});
}

TEST_CASE("a recording that waits for a locked index database can be given up") {
  Recording recording;
  Writer& writer = *recording.writer;
  const Lock locked(recording.store);
  add(writer, 1);
  SECTION("before it is closed") {
    std::future<void> synced = recording.start([](Writer& w) { w.sync(); });
    recording.wait_until_told(synced);
    writer.abandon();
    CHECK(error_of([&] { synced.get(); }).kind() == ErrorKind::invalid_argument);
  }
  SECTION("while it is being closed") {
    std::future<void> closed = recording.start([](Writer& w) { w.close(); });
    recording.wait_until_told(closed);
    writer.abandon();
    const auto error = error_of([&] { closed.get(); });
    CHECK(error.kind() == ErrorKind::io);
    CHECK_THAT(error.what(), ContainsSubstring("another program has it locked"));
  }
  CHECK(recording.told().size() == 1);
  CHECK(Reader(recording.store).frame_count() == 1);
}

TEST_CASE("a reader keeps nothing in the database of a store that is being recorded") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("mjpeg/avi"), 5);
  fs::remove(store / ".index.sqlite");
  CHECK(Reader(store).frame_count() == 5);  // and makes one that knows no PTS yet
  const auto packets = [&store] {
    return sqlite(store, "SELECT packet_count FROM chunks WHERE chunk = 0").front();
  };
  REQUIRE(packets() == "0");
  Writer writer = Writer::append(store, {});
  add(writer, 5);
  writer.sync();
  CHECK(code_of(Reader(store).read(FrameIndex(3)).image.view()) == 3);
  CHECK(packets() == "0");
  writer.close();
  CHECK(code_of(Reader(store).read(FrameIndex(3)).image.view()) == 3);
  CHECK(packets() == "5");
}
