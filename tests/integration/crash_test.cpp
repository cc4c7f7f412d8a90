// A recording that is killed with -9 at any moment: what the writer called durable is there, exact,
// without a repair; and a repair, killed itself perhaps, completes the store.
//
// Rounds are drawn at random (support/sample.h). In a full run AVSTORE_CRASH_ROUNDS says how
// many (default 60). tests/crash.sh runs as many as wanted.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "avstore/extra.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

constexpr std::size_t kMostCameras = 3;
constexpr std::int64_t kFrames = 400;
constexpr std::int64_t kExtraEvery = 3;  // frames

std::int64_t number_of(std::int64_t frame) {
  return 1000 + 3 * frame;
}

double time_of(std::int64_t frame) {
  return 1.7e9 + 0.04 * static_cast<double>(frame);
}

// What the child has come to, in memory that outlives it.
struct Log {
  struct Camera {
    std::atomic<std::int64_t> added{0};
    std::atomic<std::int64_t> durable{0};
  };
  std::array<Camera, kMostCameras> cameras;
  std::atomic<bool> closed{false};
};

class SharedLog {
 public:
  SharedLog()
      : memory_(::mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                       0)) {
    if (memory_ == MAP_FAILED) {
      throw std::bad_alloc();
    }
    log_ = new (memory_) Log;
  }
  ~SharedLog() { ::munmap(memory_, sizeof(Log)); }
  SharedLog(const SharedLog&) = delete;
  SharedLog& operator=(const SharedLog&) = delete;

  Log* operator->() const { return log_; }

 private:
  void* memory_;
  Log* log_;
};

struct Round {
  std::string format;
  std::size_t cameras = 1;
  WriterOptions options;
  std::int64_t kill_at = 0;  // frames added
  int longer = 0;            // microseconds after that
  bool kill_repair = false;
};

Round draw_round(std::mt19937& random) {
  const auto below = [&random](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  static const std::vector<std::string> kFormats{"avc1/mp4", "h264/mkv", "mjpeg/avi", "png", "npy"};
  Round round;
  round.format = kFormats.at(static_cast<std::size_t>(below(static_cast<int>(kFormats.size()))));
  round.cameras = below(3) == 0 ? kMostCameras : 1;
  round.options.format = round.format;
  round.options.chunk_size = 5 + below(60);
  if (is_video(round.format)) {
    round.options.encoder.keyframe_interval = 1 + below(20);
    round.options.encoder.b_frames = round.format == "mjpeg/avi" ? 0 : below(3);
  }
  round.options.durability = below(4) == 0 ? Durability::power : Durability::process;
  round.kill_at = below(static_cast<int>(kFrames) + 20);
  round.longer = below(3000);
  round.kill_repair = below(2) == 0;
  return round;
}

std::string describe(const Round& round) {
  return round.format + ", " + std::to_string(round.cameras) + " cameras, chunks of " +
         std::to_string(round.options.chunk_size) + ", killed at frame " +
         std::to_string(round.kill_at);
}

fs::path store_of(const fs::path& folder, std::size_t camera) {
  return folder / ("camera " + std::to_string(camera));
}

void record(const fs::path& folder, const Round& round, const SharedLog& log) {
  std::vector<Writer> writers;
  for (std::size_t i = 0; i < round.cameras; ++i) {
    writers.emplace_back(store_of(folder, i), round.options);
  }
  for (std::int64_t frame = 0; frame < kFrames; ++frame) {
    const Drawn drawn = draw(pixel::gray8, static_cast<int>(frame));
    for (std::size_t i = 0; i < writers.size(); ++i) {
      writers[i].add(drawn.view, FrameNumber(number_of(frame)), FrameTime(time_of(frame)));
      if (frame % kExtraEvery == 0) {
        writers[i].add_extra("{\"place\": " + std::to_string(frame) + "}");
      }
      log->cameras[i].durable = writers[i].durable_count();
      log->cameras[i].added = frame + 1;
    }
  }
  for (Writer& writer : writers) {
    writer.close();
  }
  log->closed = true;
}

// Until the recording has come so far, or ended.
void kill_recording(pid_t child, const Round& round, const SharedLog& log) {
  while (log->cameras[round.cameras - 1].added < round.kill_at && !log->closed &&
         is_running(child)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(round.longer);
  while (std::chrono::steady_clock::now() < end) {
  }
  ::kill(child, SIGKILL);
  wait_for(child);
}

// All frames there are: exact, and as the linear decode of the last chunk has them.
void check_frames(const fs::path& store, std::int64_t count) {
  Reader reader(store);
  REQUIRE(reader.info().frame_count == count);
  std::int64_t wrong = 0;
  for (const FrameInfo& info : reader.infos({0, count})) {
    wrong += info.number.value == number_of(info.index.value) &&
                     info.time.seconds == time_of(info.index.value)
                 ? 0
                 : 1;
  }
  CHECK(wrong == 0);
  CHECK(wrong_codes(store).empty());
}

void check_last_chunk(const fs::path& store, const std::string& format) {
  Reader reader(store);
  const std::int64_t count = reader.info().frame_count;
  if (count == 0 || !is_video(format)) {
    return;
  }
  const FrameInfo last = reader.infos({count - 1, count}).back();
  const auto md5s = frame_md5s(chunk_file(store, format, static_cast<int>(last.chunk)));
  REQUIRE(static_cast<std::int64_t>(md5s.size()) > last.frame_idx);
  for (std::int64_t i = 0; i <= last.frame_idx; ++i) {
    const std::int64_t backwards = last.frame_idx - i;
    const Frame frame = reader.read(FrameIndex(count - 1 - i));
    CHECK(md5(frame.image.view()) == md5s.at(static_cast<std::size_t>(backwards)));
  }
}

// Those of frames that others came after; and none of a frame that is not there.
void check_extra(const fs::path& store, std::int64_t count) {
  std::vector<std::int64_t> places;
  for (const std::string& line : sqlite(store, "SELECT frame_index, json FROM extra_data")) {
    const std::int64_t frame = std::stoll(line);
    CHECK(line == std::to_string(frame) + "|{\"place\": " + std::to_string(frame) + "}");
    places.push_back(frame);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    CHECK(places[i] == kExtraEvery * static_cast<std::int64_t>(i));
  }
  const std::int64_t due = count < 2 ? 0 : (count - 2) / kExtraEvery + 1;
  CHECK(static_cast<std::int64_t>(places.size()) >= due);
}

std::int64_t count_with_sqlite(const fs::path& store) {
  return std::stoll(sqlite(store, "SELECT count(*) FROM frames").at(0));
}

std::int64_t count_with_numpy(const fs::path& store) {
  return std::stoll(
      python("import glob, os, sys, numpy\n"
             "found = glob.glob(os.path.join(sys.argv[1], '*.npz')) + "
             "glob.glob(os.path.join(sys.argv[1], '*', '*.npz'))\n"
             "print(sum(len(numpy.load(f)['frame_number']) for f in found))",
             store));
}

void check_repair(const fs::path& store, const Round& round, std::int64_t count,
                  std::mt19937& random) {
  if (round.kill_repair) {
    const auto microseconds = static_cast<unsigned>(random() % 30000);
    const pid_t child = start_child([&store] {
      repair(store, {});
      return 0;
    });
    ::usleep(microseconds);  // it may be anywhere then, or done
    ::kill(child, SIGKILL);
    wait_for(child);
    check_frames(store, count);
  }
  const RepairResult result = repair(store, {});
  CHECK(result.frames == count);
  CHECK(!fs::exists(store / ".lock"));
  const VerifyResult found = verify(store, {true, {}});
  CAPTURE(found.findings, found.repairs);
  CHECK(found.findings.empty());
  CHECK(found.repairs.empty());
  CHECK(repair(store, {}).steps.empty());
  check_frames(store, count);
  CHECK(count_with_sqlite(store) == count);
  CHECK(count_with_numpy(store) == count);
}

void check_store(const fs::path& store, const Round& round, std::int64_t durable,
                 std::int64_t added, std::mt19937& random) {
  if (!fs::exists(store / "metadata.yaml")) {
    REQUIRE(durable == 0);
    return;
  }
  const std::int64_t count = Reader(store).info().frame_count;
  CHECK(count >= durable);
  CHECK(count <= added + 1);  // the child may have been killed before it noted one
  check_frames(store, count);
  check_last_chunk(store, round.format);
  if (count > 0) {
    check_extra(store, count);
  }
  check_repair(store, round, count, random);
  check_last_chunk(store, round.format);
}

}  // namespace

TEST_CASE("A recording that is killed loses no frame that was durable") {
  const char* rounds = std::getenv("AVSTORE_CRASH_ROUNDS");
  for (const std::int64_t i : sample("kills", rounds == nullptr ? 60 : std::atoi(rounds), 5)) {
    std::mt19937 random(1000 * sample_seed() + static_cast<std::uint32_t>(i));
    const TemporaryFolder folder;
    const Round round = draw_round(random);
    CAPTURE(sample_seed(), i, describe(round));
    const SharedLog log;
    const pid_t child = start_child([&] {
      record(folder.path(), round, log);
      return 0;
    });
    kill_recording(child, round, log);
    for (std::size_t camera = 0; camera < round.cameras; ++camera) {
      CAPTURE(camera);
      const fs::path store = store_of(folder.path(), camera);
      check_store(store, round, log->cameras[camera].durable, log->cameras[camera].added, random);
    }
  }
}
