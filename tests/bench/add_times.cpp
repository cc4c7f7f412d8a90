#include "bench/add_times.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "bench/measure.h"

namespace avstore::bench {
namespace {

// Sets the priority of the calling thread, and sets it back.
class RealTime {
 public:
  RealTime() {
    sched_param lowest{};
    lowest.sched_priority = 1;
    granted_ = ::pthread_getschedparam(::pthread_self(), &policy_, &before_) == 0 &&
               ::pthread_setschedparam(::pthread_self(), SCHED_RR, &lowest) == 0;
  }
  ~RealTime() {
    if (granted_) {
      static_cast<void>(::pthread_setschedparam(::pthread_self(), policy_, &before_));
    }
  }
  RealTime(const RealTime&) = delete;
  RealTime& operator=(const RealTime&) = delete;

  bool granted() const { return granted_; }

 private:
  int policy_ = 0;
  sched_param before_{};
  bool granted_ = false;
};

const char* name_of(Handing handing) {
  switch (handing) {
    case Handing::over:
      return "handed over";
    case Handing::copied:
      return "copied";
    case Handing::copied_real_time:
      return "copied, real-time thread";
  }
  return "";
}

}  // namespace

std::vector<double> times_of_add(Writer& writer, const std::vector<ImageView>& frames, int count,
                                 double rate, double delay, std::size_t queue_frames,
                                 Handing handing) {
  using Clock = std::chrono::steady_clock;
  std::optional<RealTime> priority;
  if (handing == Handing::copied_real_time && !priority.emplace().granted()) {
    return {};
  }
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
  const char* name = name_of(handing);
  if (times.empty()) {
    std::printf("add(), %-24s  found no room, or no permission\n", name);
    return;
  }
  std::sort(times.begin(), times.end());
  const double p999 = percentile_999(times) * 1e3;
  std::printf(
      "add(), %-24s  99.9th percentile %.3f ms (median %.3f ms, worst %.3f ms, %zu frames)  "
      "<= 1 ms %s\n",
      name, p999, median(times) * 1e3, times.back() * 1e3, times.size(), verdict(p999 <= 1));
}

}  // namespace avstore::bench
