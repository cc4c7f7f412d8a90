// Recording while each call that changes the disk fails in turn: the recording ends with an error
// that says so, what was durable stays readable, and nothing hangs.
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "support/cameras.h"
#include "support/catch.h"
#include "support/disk_calls.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

constexpr int kFrames = 14;

WriterOptions options_for(const std::string& format, Durability durability) {
  WriterOptions options = options_of(format, 6);
  if (is_video(format)) {
    options.encoder.keyframe_interval = 4;
  }
  options.durability = durability;
  return options;
}

WriterOptions options_for_repair(const std::string& format) {
  WriterOptions options = options_of(format, 100);
  options.encoder.threads = 1;
  return options;
}

struct Outcome {
  std::int64_t durable = 0;  // before the error, as the writer said
  std::optional<Error> error;
};

Outcome record(const fs::path& store, const WriterOptions& options) {
  Outcome outcome;
  std::optional<Writer> writer;
  try {
    writer.emplace(store, options);
    for (int i = 0; i < kFrames; ++i) {
      add(*writer, i);
      if (i % 5 == 0) {
        writer->add_extra("{\"place\": " + std::to_string(i) + "}");
      }
      if (i == 8) {
        writer->sync();
      }
      outcome.durable = writer->durable_count();
    }
    writer->close();
    outcome.durable = kFrames;
  } catch (const Error& error) {
    outcome.error = error;
    if (writer) {
      outcome.durable = std::max(outcome.durable, writer->durable_count());
    }
  }
  return outcome;
}

void check_what_is_left(const fs::path& store, const Outcome& outcome) {
  if (outcome.durable == 0 && !fs::exists(store / "metadata.yaml")) {
    return;
  }
  Reader reader(store);
  const std::int64_t count = reader.info().frame_count;
  CHECK(count >= outcome.durable);
  CHECK(count <= kFrames);
  CHECK(wrong_codes(store).empty());
  repair(store, {});
  const VerifyResult found = verify(store, {true, {}});
  CAPTURE(found.findings, found.repairs);
  CHECK(found.findings.empty());
  CHECK(found.repairs.empty());
  CHECK(found.frames == count);
}

std::int64_t count_calls(const WriterOptions& options) {
  const TemporaryFolder folder;
  const DiskCalls calls(folder.path());
  REQUIRE(!record(folder.path() / "store", options).error);
  return calls.count();
}

void fill_up_at_each(const std::string& format, Durability durability) {
  const std::initializer_list<DiskCall> kinds{DiskCall::open, DiskCall::write, DiskCall::pwrite,
                                              DiskCall::mkdir};
  const WriterOptions options = options_for(format, durability);
  std::int64_t calls = 0;
  {
    const TemporaryFolder folder;
    const DiskCalls counted(folder.path(), kinds);
    REQUIRE(!record(folder.path() / "store", options).error);
    calls = counted.count();
  }
  REQUIRE(calls > 20);
  for (const std::int64_t place : sample("full disks", calls, 5)) {
    const std::int64_t nth = place + 1;
    CAPTURE(format, nth, calls);
    const TemporaryFolder folder;
    const fs::path store = folder.path() / "store";
    Outcome outcome;
    {
      DiskCalls faults(folder.path(), kinds);
      faults.fail_from(nth, ENOSPC);
      outcome = record(store, options);
    }
    REQUIRE(outcome.error);
    CHECK(outcome.error->kind() == ErrorKind::io);
    CHECK_FALSE(fs::exists(store / ".lock"));
    if (outcome.durable == 0) {
      CHECK_FALSE(fs::exists(store));
    }
    check_what_is_left(store, outcome);
  }
}

// The calls that may fail without an error, because nothing is lost:
// - Those on a file without a name, and its linkat(): `.lock` is then made under its name at once.
// - unlink() of `.lock`: the next writer sees that its owner is gone.
// - unlink() of SQLite's journal, log and index of the log: the next opening takes them up.
// - fdatasync() of the folder: SQLite ignores its result (os_unix.c, unixSync). At level `power`
//   the writer syncs the folder itself, with fsync(), whose failure is an error.
// - Writing to the database and its journal: SQLite answers `PRAGMA journal_mode=DELETE`, with
//   which closing ends, by leaving the mode as it is (Database::merge_log). The database has
//   everything then, and the next opening to write tries again.
bool may_fail_silently(const DiskFailure& failure) {
  const std::string name = failure.path.substr(failure.path.find('/') + 1);
  const bool nameless =
      name.starts_with("#") || (failure.call == DiskCall::open && name == "store");
  switch (failure.call) {
    case DiskCall::linkat:
      return name == ".lock";
    case DiskCall::unlink:
      return name == ".lock" || name.starts_with(".index.sqlite-");
    case DiskCall::fdatasync:
      return nameless || name == "store" || name.starts_with(".index.sqlite");
    case DiskCall::pwrite:
    case DiskCall::ftruncate:
      return nameless || name == ".index.sqlite" || name == ".index.sqlite-journal";
    default:
      return nameless;
  }
}

void fail_each(const std::string& format, Durability durability, int error) {
  const WriterOptions options = options_for(format, durability);
  const std::int64_t calls = count_calls(options);
  REQUIRE(calls > 20);
  for (const std::int64_t place : sample("failing calls", calls, 8)) {
    const std::int64_t nth = place + 1;
    const TemporaryFolder folder;
    const fs::path store = folder.path() / "store";
    Outcome outcome;
    std::vector<DiskFailure> failures;
    {
      DiskCalls faults(folder.path());
      faults.fail(nth, error);
      outcome = record(store, options);
      failures = faults.failures();
    }
    // Where threads share the work, a run may make a call fewer than the one that was counted.
    const std::string failed = failures.empty() ? "no call" : describe(failures.front());
    CAPTURE(format, nth, calls, std::strerror(error), failed);
    if (outcome.error) {
      CAPTURE(outcome.error->what());
      CHECK(outcome.error->kind() == ErrorKind::io);
      CHECK(std::string(outcome.error->what()).find(folder.path().string()) != std::string::npos);
    } else if (!failures.empty()) {
      CHECK(may_fail_silently(failures.front()));
    }
    check_what_is_left(store, outcome);
  }
}

}  // namespace

TEST_CASE("Any call that fails for want of room ends a recording well") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  fail_each(format, Durability::process, ENOSPC);
}

TEST_CASE("A disk that fills up at any call, and stays full, ends a recording well") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  fill_up_at_each(format, Durability::process);
}

namespace {

// Changes a copy of a store, in a process that is killed at the nth call. Its exit status: 42 if
// there was such a call.
int change_copy_until(std::int64_t nth, const fs::path& original, const fs::path& store,
                      const std::function<void()>& change) {
  fs::copy(original, store, fs::copy_options::recursive);
  return run_child([&] {
    DiskCalls calls(store);
    calls.exit(nth, 42);
    change();
    return 0;
  });
}

// How many calls the change of a copy makes if nobody kills it.
std::int64_t count_calls_of(const fs::path& original, const fs::path& store,
                            const std::function<void()>& change) {
  fs::copy(original, store, fs::copy_options::recursive);
  const std::string count = in_child([&] {
    const DiskCalls calls(store);
    change();
    return std::to_string(calls.count());
  });
  fs::remove_all(store);
  return std::stoll(count);
}

}  // namespace

TEST_CASE("A repair that is killed at any call is ended by the next") {
  const std::string format = GENERATE("avc1/mp4", "png");
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  // One keyframe interval, or one group of images, is durable, and more than that in the chunk.
  REQUIRE(run_child([&]() -> int {
            Writer writer(original, options_for_repair(format));
            for (int i = 0; i < 45; ++i) {
              add(writer, i);
            }
            while (writer.statistics().frames_encoded < 45) {
              std::this_thread::yield();
            }
            std::raise(SIGKILL);
            return 0;
          }) == -SIGKILL);
  const std::int64_t durable = Reader(original).frame_count();
  REQUIRE(durable > 0);
  REQUIRE(durable < 45);
  const fs::path store = folder.path() / "killed";
  const auto change = [&] { repair(store, {}); };
  const std::int64_t calls = count_calls_of(original, store, change);
  REQUIRE(calls > 20);
  for (const std::int64_t place : sample("killed repairs", calls + 1, 8)) {
    const std::int64_t nth = place + 1;
    const int status = change_copy_until(nth, original, store, change);
    CAPTURE(format, nth, status);
    REQUIRE((status == 42 || status == 0));
    CHECK(Reader(store).frame_count() == durable);
    if (status != 0) {
      repair(store, {});
    }
    const VerifyResult found = verify(store, {true, {}});
    CAPTURE(found.findings, found.repairs);
    CHECK(found.findings.empty());
    CHECK(found.repairs.empty());
    CHECK(found.frames == durable);
    CHECK(wrong_codes(store).empty());
    CHECK_FALSE(fs::exists(store / ".lock"));
    fs::remove_all(store);
  }
}

TEST_CASE("A recording that goes on with a store, killed at any call, can be gone on with") {
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  write_store(original, options_for("avc1/mp4", Durability::process), 10);
  const fs::path store = folder.path() / "killed";
  const auto change = [&] {
    Writer writer = Writer::append(store, {});
    add(writer, 10);
    writer.close();
  };
  const std::int64_t calls = count_calls_of(original, store, change);
  REQUIRE(calls > 20);
  int more = 0;
  for (const std::int64_t place : sample("killed appends", calls + 1, 10)) {
    const std::int64_t nth = place + 1;
    const int status = change_copy_until(nth, original, store, change);
    CAPTURE(nth, status);
    REQUIRE((status == 42 || status == 0));
    if (status != 0) {
      repair(store, {});
    }
    const auto frames = static_cast<int>(Reader(store).frame_count());
    CHECK((frames == 10 || frames == 11));
    more += frames - 10;
    Writer writer = Writer::append(store, {});
    add(writer, frames);
    writer.close();
    CHECK(verify(store, {true, {}}).findings.empty());
    CHECK(wrong_codes(store).empty());
    fs::remove_all(store);
  }
  CHECK(more > 0);
}

// Which store it is then is told by its format.
TEST_CASE("A recording that replaces a store, killed at any call, leaves the one or the other") {
  const bool given_up = GENERATE(false, true);
  WriterOptions options = options_for("avc1/mp4", Durability::process);
  options.overwrite = true;
  const std::initializer_list<DiskCall> kinds{DiskCall::open,   DiskCall::mkdir,
                                              DiskCall::rename, DiskCall::remove,
                                              DiskCall::unlink, DiskCall::unlinkat};
  const auto replace = [&](const fs::path& store) {
    Writer writer(store, options);
    add(writer, 0);
    if (given_up) {
      writer.abandon();
    } else {
      writer.sync();
      writer.close();
    }
  };
  const TemporaryFolder counted;
  write_store(counted.path() / "store", options_of("png", 4), 10);
  const std::int64_t calls = std::stoll(in_child([&] {
    const DiskCalls all(counted.path(), kinds);
    replace(counted.path() / "store");
    return std::to_string(all.count());
  }));
  REQUIRE(calls > 10);
  int old_ones = 0, new_ones = 0;
  for (const std::int64_t place : sample("killed replacements", calls + 1, 12)) {
    const std::int64_t nth = place + 1;
    const TemporaryFolder folder;
    const fs::path store = folder.path() / "store";
    write_store(store, options_of("png", 4), 10);
    const int status = run_child([&] {
      DiskCalls killed(folder.path(), kinds);
      killed.exit(nth, 42);
      replace(store);
      return 0;
    });
    CAPTURE(given_up, nth, status);
    REQUIRE((status == 42 || status == 0));
    if (!fs::exists(store / ".lock") && fs::exists(store / "metadata.yaml")) {
      CHECK(verify(store, {true, {}}).findings.empty());
    }
    repair(store, {});
    CHECK(verify(store, {true, {}}).findings.empty());
    CHECK(wrong_codes(store).empty());
    const Reader reader(store);
    const bool is_old = reader.info().format == "png";
    CHECK(reader.frame_count() == (is_old ? 10 : 1));
    ++(is_old ? old_ones : new_ones);
    if (status == 0) {
      CHECK(is_old == given_up);
      CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
      CHECK_FALSE(fs::exists(store / ".replaced"));
    }
  }
  CHECK(old_ones > 0);
  CHECK((given_up ? new_ones == 0 : new_ones > 0));
}

TEST_CASE("Any call that fails with an I/O error ends a recording well") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  fail_each(format, Durability::power, EIO);
}

TEST_CASE("A camera whose disk fails tells how many of its frames are in the store") {
  const auto record_to = [](const fs::path& store) {
    CameraOptions camera = lavfi("cam", "testsrc=size=96x64:rate=25", store, "avc1/mp4");
    camera.writer.encoder.keyframe_interval = 4;
    RecordOptions rig = rig_of({camera});
    rig.frames = 60;
    return avstore::record(rig).front();
  };
  const auto check = [](const CameraResult& result) {
    if (result.frames == 0) {
      CHECK_FALSE(fs::exists(result.store));
    } else {
      CHECK(result.frames == Reader(result.store).frame_count());
    }
  };
  std::int64_t calls = 0;
  {
    const TemporaryFolder folder;
    const DiskCalls all(folder.path());
    const CameraResult result = record_to(folder.path() / "store");
    CHECK(result.frames == 60);
    check(result);
    calls = all.count();
  }
  int fewer = 0;
  for (const std::int64_t place : sample("cameras with failing disks", calls, 12)) {
    const std::int64_t nth = place + 1;
    CAPTURE(nth, calls);
    const TemporaryFolder folder;
    CameraResult result;
    {
      DiskCalls faults(folder.path());
      faults.fail(nth, ENOSPC);
      result = record_to(folder.path() / "store");
    }
    CAPTURE(result.error);
    check(result);
    fewer += result.frames < 60 ? 1 : 0;
  }
  CHECK(fewer > 0);
}

TEST_CASE("A camera whose disk fails ends though its source says nothing more") {
  const TemporaryFolder folder;
  const fs::path disk = folder.path() / "disk";
  fs::create_directory(disk);
  const fs::path sent = folder.path() / "sent";
  const fs::path fifo = folder.path() / "fifo";
  write_text(sent, gray_header() + raw_frame(0, 0, 100));
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const Program source(
      {"sh", "-c",
       "exec 3>'" + fifo.string() + "' && cat '" + sent.string() + "' >&3 && exec sleep 60"});
  RecordOptions rig = rig_of({raw_camera(fifo, disk / "store")});
  const double begin = unix_now();
  bool waited_for_ever = false;
  rig.go_on = [&] { return !(waited_for_ever = unix_now() > begin + 30); };
  DiskCalls faults(disk, {DiskCall::write});
  faults.fail_from(1, ENOSPC);
  const CameraResult result = avstore::record(rig).front();
  CHECK_FALSE(waited_for_ever);
  CHECK(result.end == RecordEnd::failed);
  CHECK_THAT(result.error, Catch::Matchers::ContainsSubstring("No space left"));
  CHECK_FALSE(fs::exists(disk / "store/.lock"));
}

TEST_CASE("A file that is moved into a store is there or here, whatever fails") {
  const auto insert = [](const fs::path& file, const fs::path& store) {
    Writer writer(store, options_of("avc1/mp4"));
    std::vector<FrameNames> names;
    for (int i = 0; i < kFrames; ++i) {
      names.push_back({FrameNumber(i), FrameTime(i)});
    }
    writer.insert_chunk(file, names, true);
    writer.close();
  };
  const TemporaryFolder made;
  write_store(made.path() / "store", options_of("avc1/mp4", kFrames), kFrames);
  const fs::path original = made.path() / "store/000000.mp4";
  std::int64_t calls = 0;
  {
    const TemporaryFolder folder;
    fs::copy_file(original, folder.path() / "file.mp4");
    const DiskCalls all(folder.path());
    insert(folder.path() / "file.mp4", folder.path() / "store");
    calls = all.count();
  }
  int kept = 0;
  for (const std::int64_t place : sample("failing calls of insert_chunk", calls, 24)) {
    const std::int64_t nth = place + 1;
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "file.mp4";
    const fs::path store = folder.path() / "store";
    fs::copy_file(original, file);
    std::string outcome;
    {
      DiskCalls faults(folder.path());
      faults.fail(nth, EIO);
      outcome = outcome_of([&] { insert(file, store); });
    }
    CAPTURE(nth, outcome);
    if (fs::exists(file)) {
      ++kept;
      CHECK(read_text(file) == read_text(original));
    } else {
      CHECK(wrong_codes(store).empty());
      CHECK(Reader(store).frame_count() == kFrames);
    }
  }
  CHECK(kept > 0);
}

TEST_CASE("A camera whose disk fails lets go of its store while the others go on") {
  const TemporaryFolder folder;
  const fs::path disk = folder.path() / "disk";
  fs::create_directory(disk);
  // Far more frames come than are encoded: some of which the store has no record yet.
  CameraOptions camera =
      lavfi("cam", "testsrc2=size=640x480:rate=200", disk / "store", "mjpeg/avi");
  camera.writer.when_full = WhenFull::drop;
  camera.writer.queue_frames = 1;
  camera.writer.chunk_size = 30;  // its end is what fails
  RecordOptions rig = rig_of(
      {camera, lavfi("well", "testsrc=size=64x48:rate=20,realtime", folder.path() / "well")});
  bool ended = false;
  bool let_go = false;
  rig.status_interval = 0.01;
  rig.status = [&](const RecordStatus& status) {
    if (!ended && status.cameras[0].state == CameraState::ended) {
      ended = true;
      let_go =
          status.cameras[1].state == CameraState::recording && !fs::exists(disk / "store/.lock");
    }
  };
  rig.go_on = [&ended] { return !ended; };
  DiskCalls faults(disk, {DiskCall::write});
  faults.fail_from(3, ENOSPC);
  const auto results = avstore::record(rig);
  CHECK(results[0].end == RecordEnd::failed);
  CHECK_THAT(results[0].error, Catch::Matchers::ContainsSubstring("No space left"));
  CHECK(results[1].end == RecordEnd::stopped);
  CHECK(let_go);
}
