// Measures a rig: three writers at once, against three bare libav loops that encode the same.
//
//   rig_bench [FRAMES] [DIR] [TURN]
//
// Each writer gets FRAMES (default 3000) gray frames of 1280x720 as fast as it takes them, without
// being closed in between; 90000 are an hour's worth. They and the bare loops take turns of TURN
// frames (default 300), so that a machine whose speed changes within minutes is the same for both.
// A turn counts until the first of its cameras has done its frames, with what all of them have
// encoded by then: after that a core may be idle, which on a rig it never is.
#include <malloc.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "avstore/writer.h"
#include "bench/add_times.h"
#include "bench/bare_libav.h"
#include "bench/measure.h"
#include "bench/moving_texture.h"

namespace {

namespace fs = std::filesystem;
using avstore::bench::Arguments;
using avstore::bench::BareEncoder;
using avstore::bench::default_x264_options;
using avstore::bench::Handing;
using avstore::bench::median;
using avstore::bench::verdict;
using Frames = std::vector<std::vector<std::uint8_t>>;

constexpr int kWidth = 1280;
constexpr int kHeight = 720;
constexpr int kFps = 25;
constexpr int kGop = 25;
constexpr int kCameras = 3;
constexpr std::size_t kQueueFrames = 32;
constexpr int kFrames = 3000;
constexpr int kTurn = 300;

// What three cameras encoded in some time.
struct Throughput {
  std::int64_t frames = 0;
  double seconds = 0;

  double rate() const { return static_cast<double>(frames) / seconds; }
  Throughput& operator+=(const Throughput& other) {
    frames += other.frames;
    seconds += other.seconds;
    return *this;
  }
};

void for_each_camera(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int camera = 0; camera < kCameras; ++camera) {
    threads.emplace_back(work, camera);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

// Of what `encode` does for each camera, the time in which none was ready; `encoded` tells how many
// frames all of them have encoded so far.
Throughput throughput_of(const std::function<void(int)>& encode,
                         const std::function<std::int64_t()>& encoded) {
  Throughput turn;
  std::once_flag first_is_ready;
  const std::int64_t before = encoded();
  const auto start = std::chrono::steady_clock::now();
  for_each_camera([&](int camera) {
    encode(camera);
    std::call_once(first_is_ready, [&] {
      turn.frames = encoded() - before;
      turn.seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    });
  });
  return turn;
}

avstore::WriterOptions writer_options() {
  avstore::WriterOptions options;
  options.format = "avc1/mp4";
  options.overwrite = true;
  options.encoder.frame_rate = {kFps, 1};
  options.encoder.keyframe_interval = kGop;
  options.queue_frames = kQueueFrames;
  return options;
}

fs::path store_of(const fs::path& folder, int camera) {
  return folder / ("camera" + std::to_string(camera));
}

avstore::ImageView view_of(const Frames& frames, int i) {
  const auto& pixels = frames[static_cast<std::size_t>(i) % frames.size()];
  return avstore::packed_view(avstore::pixel::gray8, kWidth, kHeight, pixels.data());
}

// MiB of this process.
struct Memory {
  double allocated = 0;  // and not given back to the allocator
  double resident = 0;
};

Memory memory_now() {
  constexpr double kMiB = 1 << 20;
  const struct mallinfo2 heap = ::mallinfo2();
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return {static_cast<double>(heap.uordblks + heap.hblkhd) / kMiB,
          static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / kMiB};
}

// Looks every tenth of a second. What is resident is more than what is allocated where the
// allocator keeps free memory, and less where memory was never touched; libx264 asks for huge
// pages, and how many it gets, of which it touches but a part, differs from chunk to chunk.
class MemoryWatch {
 public:
  MemoryWatch() : thread_([this] { watch(); }) {}
  ~MemoryWatch() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    end_.notify_one();
    thread_.join();
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  // So far, each by itself.
  Memory most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    do {
      const Memory now = memory_now();
      most_.allocated = std::max(most_.allocated, now.allocated);
      most_.resident = std::max(most_.resident, now.resident);
    } while (!end_.wait_for(lock, std::chrono::milliseconds(100), [this] { return ended_; }));
  }

  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  Memory most_;
  std::thread thread_;
};

// Three writers, kept open.
class Rig {
 public:
  explicit Rig(const fs::path& folder) {
    for (int camera = 0; camera < kCameras; ++camera) {
      writers_.emplace_back(store_of(folder, camera), writer_options());
    }
  }

  Throughput record(const Frames& frames, int count) {
    const int end = recorded_ + count;
    const Throughput turn = throughput_of(
        [&](int camera) {
          avstore::Writer& writer = writers_[static_cast<std::size_t>(camera)];
          for (int i = recorded_; i < end; ++i) {
            // Taken over as they are: the bare loops copy none either before they encode.
            writer.add(avstore::Image(view_of(frames, i), nullptr), avstore::FrameNumber(i),
                       avstore::FrameTime(i / double{kFps}));
          }
          while (writer.statistics().frames_encoded < end) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
          }
        },
        [&] {
          std::int64_t encoded = 0;
          for (const avstore::Writer& writer : writers_) {
            encoded += writer.statistics().frames_encoded;
          }
          return encoded;
        });
    recorded_ = end;
    return turn;
  }

  void close() {
    for (avstore::Writer& writer : writers_) {
      writer.close();
      durable += writer.statistics().frames_durable;
      dropped += writer.statistics().frames_dropped;
    }
  }

  std::int64_t durable = 0;
  std::int64_t dropped = 0;

 private:
  std::vector<avstore::Writer> writers_;
  int recorded_ = 0;
};

class BareRig {
 public:
  explicit BareRig(const fs::path& folder) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    for (int camera = 0; camera < kCameras; ++camera) {
      encoders_.push_back(std::make_unique<BareEncoder>(
          (folder / ("bare" + std::to_string(camera) + ".mp4")).string(),
          avstore::bench::BareVideo{kWidth, kHeight, kFps, kGop, std::max(1, cores / kCameras),
                                    default_x264_options(), true}));
    }
  }

  Throughput record(const Frames& frames, int count) {
    return throughput_of(
        [&](int camera) { encoders_[static_cast<std::size_t>(camera)]->encode(frames, count); },
        [&] {
          std::int64_t encoded = 0;
          for (const auto& encoder : encoders_) {
            encoded += encoder->encoded();
          }
          return encoded;
        });
  }

  void close() {
    for (auto& encoder : encoders_) {
      encoder->finish();
    }
  }

 private:
  std::vector<std::unique_ptr<BareEncoder>> encoders_;
};

// Bare loops in a process of their own: their memory is not ours.
class BareProcess {
 public:
  // Before there are other threads: it forks.
  BareProcess(const fs::path& folder, const Frames& frames) {
    if (::pipe(orders_) != 0 || ::pipe(answers_) != 0 || (child_ = ::fork()) < 0) {
      throw std::runtime_error("cannot start another process");
    }
    if (child_ == 0) {
      serve(folder, frames);
      std::_Exit(0);
    }
    ::close(orders_[0]);
    ::close(answers_[1]);
  }
  ~BareProcess() {
    ::close(orders_[1]);
    ::close(answers_[0]);
    ::waitpid(child_, nullptr, 0);
  }
  BareProcess(const BareProcess&) = delete;
  BareProcess& operator=(const BareProcess&) = delete;

  Throughput record(int count) {
    Throughput turn;
    if (::write(orders_[1], &count, sizeof count) != sizeof count ||
        ::read(answers_[0], &turn, sizeof turn) != sizeof turn) {
      throw std::runtime_error("the process of the bare loops has ended");
    }
    return turn;
  }

 private:
  void serve(const fs::path& folder, const Frames& frames) {
    ::close(orders_[1]);
    ::close(answers_[0]);
    BareRig rig(folder);
    int count = 0;
    while (::read(orders_[0], &count, sizeof count) == sizeof count) {
      const Throughput turn = rig.record(frames, count);
      if (::write(answers_[1], &turn, sizeof turn) != sizeof turn) {
        std::_Exit(1);
      }
    }
    rig.close();
  }

  int orders_[2] = {};
  int answers_[2] = {};
  pid_t child_ = -1;
};

// Cameras out of step with each other, `rate` frames a second each.
void measure_add(const fs::path& folder, const Frames& frames, int count, double rate,
                 Handing handing) {
  std::vector<avstore::ImageView> views;
  for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
    views.push_back(view_of(frames, i));
  }
  std::vector<double> times;
  std::mutex mutex;
  for_each_camera([&](int camera) {
    avstore::Writer writer(store_of(folder, camera), writer_options());
    const double delay = camera / double{kCameras} / rate;
    const std::vector<double> mine =
        times_of_add(writer, views, count, rate, delay, kQueueFrames, handing);
    writer.close();
    const std::lock_guard lock(mutex);
    times.insert(times.end(), mine.begin(), mine.end());
  });
  print_times_of_add(handing, times);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments =
      avstore::bench::parse_arguments(argc, argv, "rig-bench", {kFrames, {}, kTurn});
  const int count = arguments.frames;
  const int turn = std::clamp(arguments.repeat, 1, count);
  const fs::path& folder = arguments.folder;
  const Frames frames = avstore::bench::moving_texture(120, kWidth, kHeight, 1);

  Throughput ours, theirs;
  std::vector<double> ratios;
  Memory early;
  BareProcess bare(folder, frames);
  Rig rig(folder);
  MemoryWatch memory;
  for (int done = 0; done < count; done += turn) {
    const int frames_now = std::min(turn, count - done);
    const Throughput mine = rig.record(frames, frames_now);
    if (done <= count / 4) {
      early = memory.most();
    }
    const Throughput other = bare.record(frames_now);
    ratios.push_back(mine.rate() / other.rate());
    ours += mine;
    theirs += other;
  }
  rig.close();
  const double ratio = ours.rate() / theirs.rate();
  std::printf("three writers of gray 1280x720, %d frames each, in turns of %d\n", count, turn);
  std::printf(
      "throughput             %8.1f f/s, bare %8.1f f/s  %.2fx (median of turns %.2fx)  >= 0.95x "
      "%s\n",
      ours.rate(), theirs.rate(), ratio, median(ratios), verdict(ratio >= 0.95));
  std::printf("frames dropped         %8lld of %lld  0 %s\n", static_cast<long long>(rig.dropped),
              static_cast<long long>(rig.durable + rig.dropped),
              verdict(rig.dropped == 0 && rig.durable == std::int64_t{kCameras} * count));
  const Memory most = memory.most();
  const auto print_memory = [](const char* name, double in_first_quarter, double in_all) {
    std::printf("memory %-9s       %8.1f MiB at most in the first quarter, %.1f MiB in all", name,
                in_first_quarter, in_all);
  };
  print_memory("allocated", early.allocated, most.allocated);
  std::printf("  <= 16 MiB more %s\n", verdict(most.allocated - early.allocated <= 16));
  print_memory("resident", early.resident, most.resident);
  std::printf("\n");
  // A little less than they could: queues that are full are another matter.
  const double rate = 0.95 * ours.rate() / kCameras;
  std::printf("cameras of %.0f f/s each:\n", rate);
  for (const Handing handing : avstore::bench::kHandings) {
    measure_add(folder, frames, avstore::bench::kAddedFrames, rate, handing);
  }
  return 0;
}
