// Measures reading and writing of video against bare libav loops doing the same work.
//
//   video_bench [FRAMES] [DIR] [ROUNDS]
//
// Writes a store of FRAMES (default 600) moving textures of 1280x720 into DIR (default: a fresh
// folder below TMPDIR). Each measure runs ROUNDS times (default 5) in turn with what it is compared
// to; the ratios printed are medians of the pairs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
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

constexpr int kWidth = 1280;
constexpr int kHeight = 720;
constexpr int kFps = 30;
constexpr int kGop = 30;
constexpr int kRandomReads = 40;

struct Pair {
  double ours = 0;    // median seconds
  double theirs = 0;  // median seconds
  double speed = 0;   // median of theirs / ours
};

Pair compare(int rounds, const std::function<void()>& ours, const std::function<void()>& theirs) {
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> ratio;
  for (int i = 0; i < rounds; ++i) {
    a.push_back(seconds(ours));
    b.push_back(seconds(theirs));
    ratio.push_back(b.back() / a.back());
  }
  return {median(a), median(b), median(ratio)};
}

void print_heading() {
  std::printf("%-46s %12s %12s %8s  %s\n", "measure", "avstore", "bare libav", "speed", "target");
}

void print_pair(const char* name, const Pair& pair, int frames, double target) {
  std::printf("%-46s %8.1f f/s %8.1f f/s %7.2fx  >= %.2fx %s\n", name, frames / pair.ours,
              frames / pair.theirs, pair.speed, target, verdict(pair.speed >= target));
  std::fflush(stdout);
}

avstore::WriterOptions writer_options() {
  avstore::WriterOptions options;
  options.format = "avc1/mp4";
  options.overwrite = true;
  options.encoder.frame_rate = {kFps, 1};
  options.encoder.keyframe_interval = kGop;
  return options;
}

void write_store(const fs::path& store, const std::vector<std::vector<std::uint8_t>>& frames,
                 int count) {
  avstore::Writer writer(store, writer_options());
  for (int i = 0; i < count; ++i) {
    const auto& pixels = frames[static_cast<std::size_t>(i) % frames.size()];
    writer.add(avstore::packed_view(avstore::pixel::bgr24, kWidth, kHeight, pixels.data()),
               avstore::FrameNumber(i), avstore::FrameTime(i / double{kFps}));
  }
  writer.close();
}

void measure_add(const fs::path& store, const std::vector<std::vector<std::uint8_t>>& frames,
                 int count, double rate) {
  std::vector<avstore::ImageView> views;
  for (const auto& pixels : frames) {
    views.push_back(avstore::packed_view(avstore::pixel::bgr24, kWidth, kHeight, pixels.data()));
  }
  std::printf("a camera of %.0f f/s:\n", rate);
  for (const Handing handing : avstore::bench::kHandings) {
    const avstore::WriterOptions options = writer_options();
    avstore::Writer writer(store, options);
    const std::vector<double> times =
        times_of_add(writer, views, count, rate, 0, options.queue_frames, handing);
    writer.close();
    print_times_of_add(handing, times);
  }
}

avstore::Reader open_store(const fs::path& store) {
  avstore::ReaderOptions options;
  options.pixel_format = avstore::pixel::bgr24;
  return avstore::Reader(store, options);
}

void measure_many(const fs::path& store, const std::vector<int>& wanted, double single) {
  avstore::Reader reader = open_store(store);
  std::vector<avstore::FrameIndex> indices;
  for (const int i : wanted) {
    indices.emplace_back(i);
  }
  const double time = seconds([&] { reader.read_many(indices); });
  std::printf("%-46s %8.1f f/s  %.2fx of one by one; decoded %lld frames\n",
              "the same, many at once", static_cast<double>(wanted.size()) / time, single / time,
              static_cast<long long>(reader.statistics().frames_decoded));
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = avstore::bench::parse_arguments(argc, argv, "video-bench");
  const int count = arguments.frames;
  const int rounds = arguments.repeat;
  const fs::path& folder = arguments.folder;
  const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const fs::path store = folder / "store";
  const fs::path chunk = store / "000000.mp4";
  const auto frames = avstore::bench::moving_texture(120, kWidth, kHeight, 3);

  print_heading();
  const Pair writing = compare(
      rounds, [&] { write_store(store, frames, count); },
      [&] {
        avstore::bench::BareEncoder bare(
            (folder / "bare.mp4").string(),
            {kWidth, kHeight, kFps, kGop, threads, default_x264_options()});
        bare.encode(frames, count);
        bare.finish();
      });
  print_pair("write bgr24 as H.264", writing, count, 0.97);
  // A little less than it could: a queue that is full is another matter.
  measure_add(folder / "added", frames, avstore::bench::kAddedFrames, 0.95 * count / writing.ours);

  const Pair sequential = compare(
      rounds,
      [&] {
        avstore::Reader reader = open_store(store);
        while (reader.next()) {
        }
      },
      [&] { avstore::bench::bare_decode(chunk.string(), threads); });
  print_pair("read on and on, to bgr24", sequential, count, 1.0);

  std::vector<int> wanted;
  std::mt19937 random(5);
  for (int i = 0; i < kRandomReads; ++i) {
    wanted.push_back(static_cast<int>(random() % static_cast<unsigned>(count)));
  }
  avstore::Reader reader = open_store(store);
  const auto read_random = [&] {
    for (const int i : wanted) {
      reader.read(avstore::FrameIndex(i));
    }
  };
  for (const bool slices : {true, false}) {
    const Pair pair = compare(rounds, read_random, [&] {
      avstore::bench::bare_random(chunk.string(), wanted, slices, threads);
    });
    print_pair(slices ? "read at random; bare: threads share a frame"
                      : "read at random; bare: threads take frames",
               pair, kRandomReads, 1 / 1.1);
    if (!slices) {
      measure_many(store, wanted, pair.ours);
    }
  }
  std::printf("chunk for the peer: %s\n", chunk.c_str());
  return 0;
}
