// Measures a rig: three writers at once, against three bare libav loops that encode the same.
//
//   rig_bench [FRAMES] [DIR] [ROUNDS]
//
// Each writer gets FRAMES (default 600) gray frames of 1280x720 as fast as it takes them; 90000 are
// an hour's worth. Ratios printed are medians of ROUNDS (default 3) pairs.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "avstore/reader.h"
#include "avstore/writer.h"
#include "bench/add_times.h"
#include "bench/bare_libav.h"
#include "bench/measure.h"
#include "bench/moving_texture.h"

namespace {

namespace fs = std::filesystem;
using avstore::bench::Arguments;
using avstore::bench::default_x264_options;
using avstore::bench::Handing;
using avstore::bench::median;
using avstore::bench::seconds;
using avstore::bench::verdict;
using Frames = std::vector<std::vector<std::uint8_t>>;

constexpr int kWidth = 1280;
constexpr int kHeight = 720;
constexpr int kFps = 25;
constexpr int kGop = 25;
constexpr int kCameras = 3;
constexpr std::size_t kQueueFrames = 32;

void for_each_camera(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int camera = 0; camera < kCameras; ++camera) {
    threads.emplace_back(work, camera);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
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

// MiB of this process in memory.
double resident() {
  long pages = 0, of_these = 0;
  std::ifstream("/proc/self/statm") >> pages >> of_these;
  return static_cast<double>(of_these) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

struct Recording {
  std::int64_t frames = 0;
  std::int64_t dropped = 0;
  double memory_early = 0;  // MiB, after a quarter
  double memory_late = 0;   // and before the end
};

Recording record(const fs::path& folder, const Frames& frames, int count) {
  std::vector<avstore::Writer> writers;
  for (int camera = 0; camera < kCameras; ++camera) {
    writers.emplace_back(store_of(folder, camera), writer_options());
  }
  Recording recording;
  std::mutex mutex;
  for_each_camera([&](int camera) {
    avstore::Writer& writer = writers[static_cast<std::size_t>(camera)];
    for (int i = 0; i < count; ++i) {
      // Taken over as they are: the bare loops copy none either before they encode.
      writer.add(avstore::Image(view_of(frames, i), nullptr), avstore::FrameNumber(i),
                 avstore::FrameTime(i / double{kFps}));
      if (camera == 0 && i == count / 4) {
        recording.memory_early = resident();
      }
    }
    if (camera == 0) {
      recording.memory_late = resident();
    }
    writer.close();
    const std::lock_guard lock(mutex);
    recording.frames += writer.statistics().frames_durable;
    recording.dropped += writer.statistics().frames_dropped;
  });
  return recording;
}

void encode_bare(const fs::path& folder, const Frames& frames, int count) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  for_each_camera([&](int camera) {
    avstore::bench::bare_encode((folder / ("bare" + std::to_string(camera) + ".mp4")).string(),
                                frames, count, kWidth, kHeight, kFps, kGop,
                                std::max(1, cores / kCameras), default_x264_options(), true);
  });
}

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
  const Arguments arguments = avstore::bench::parse_arguments(argc, argv, "rig-bench", 3);
  const int count = arguments.frames;
  const int rounds = arguments.rounds;
  const fs::path& folder = arguments.folder;
  const Frames frames = avstore::bench::moving_texture(120, kWidth, kHeight, 1);

  std::vector<double> ours, theirs, ratios;
  Recording recording;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(seconds([&] { recording = record(folder, frames, count); }));
    theirs.push_back(seconds([&] { encode_bare(folder, frames, count); }));
    ratios.push_back(theirs.back() / ours.back());
  }
  const double all = double{kCameras} * count;
  std::printf("three writers of gray 1280x720, %d frames each\n", count);
  std::printf("throughput             %8.1f f/s, bare %8.1f f/s  %.2fx  >= 0.95x %s\n",
              all / median(ours), all / median(theirs), median(ratios),
              verdict(median(ratios) >= 0.95));
  std::printf("frames dropped         %8lld of %lld  0 %s\n",
              static_cast<long long>(recording.dropped),
              static_cast<long long>(recording.frames + recording.dropped),
              verdict(recording.dropped == 0 && recording.frames == kCameras * count));
  const double grown = recording.memory_late - recording.memory_early;
  std::printf(
      "memory                 %8.1f MiB after a quarter, %.1f MiB at the end  <= 16 MiB more %s\n",
      recording.memory_early, recording.memory_late, verdict(grown <= 16));
  // A little less than they could: queues that are full are another matter.
  const double rate = 0.95 * count / median(ours);
  std::printf("cameras of %.0f f/s each:\n", rate);
  for (const Handing handing : avstore::bench::kHandings) {
    measure_add(folder, frames, avstore::bench::kAddedFrames, rate, handing);
  }
  return 0;
}
