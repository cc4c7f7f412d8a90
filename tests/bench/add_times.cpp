#include "bench/add_times.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "bench/measure.h"

namespace avstore::bench {

std::vector<double> times_of_add(Writer& writer, const std::vector<ImageView>& frames, int count,
                                 double rate, double delay, std::size_t queue_frames,
                                 Handing handing) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const std::chrono::duration<double> due(delay + i / rate);
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due));
    const bool has_room = writer.statistics().queue_frames < queue_frames / 2;
    const ImageView& frame = frames[static_cast<std::size_t>(i) % frames.size()];
    const double took = seconds([&] {
      if (handing == Handing::over) {
        writer.add(Image(frame, nullptr), FrameNumber(i), FrameTime(i / rate));
      } else {
        writer.add(frame, FrameNumber(i), FrameTime(i / rate));
      }
    });
    if (has_room) {
      times.push_back(took);
    }
  }
  return times;
}

void print_times_of_add(Handing handing, std::vector<double> times) {
  const char* name = handing == Handing::over ? "handed over" : "copied";
  if (times.empty()) {
    std::printf("add(), %-11s  found no room\n", name);
    return;
  }
  std::sort(times.begin(), times.end());
  const double p999 = percentile_999(times) * 1e3;
  std::printf(
      "add(), %-11s  99.9th percentile %.3f ms (median %.3f ms, worst %.3f ms, %zu frames)  "
      "<= 1 ms %s\n",
      name, p999, median(times) * 1e3, times.back() * 1e3, times.size(), verdict(p999 <= 1));
}

}  // namespace avstore::bench
