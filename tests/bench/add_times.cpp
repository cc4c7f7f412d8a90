#include "bench/add_times.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
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

std::string name_of(Handing handing) {
  switch (handing) {
    case Handing::over:
      return "add(), handed over";
    case Handing::copied:
      return "add(), copied";
    case Handing::copied_real_time:
      return "add(), copied, real-time thread";
    case Handing::plain_copy:
      return "std::memcpy() of a frame";
  }
  return "";
}

// What copying itself costs beside the encoders: frames go round a few buffers that were written to
// before, as they do in the writer.
class PlainCopy {
 public:
  double seconds_for(const ImageView& frame) {
    std::vector<std::uint8_t>& buffer = buffers_[next_++ % buffers_.size()];
    buffer.resize(packed_size(frame));
    return seconds([&] { std::memcpy(buffer.data(), frame.planes[0], buffer.size()); });
  }

 private:
  std::array<std::vector<std::uint8_t>, 4> buffers_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<double> times_of_add(Writer& writer, const std::vector<ImageView>& frames, int count,
                                 double rate, double delay, std::size_t queue_frames,
                                 Handing handing) {
  using Clock = std::chrono::steady_clock;
  std::optional<RealTime> priority;
  if (handing == Handing::copied_real_time && !priority.emplace().granted()) {
    return {};
  }
  PlainCopy plain_copy;
  const Clock::time_point begin = Clock::now();
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const std::chrono::duration<double> due(delay + i / rate);
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due));
    const bool has_room = writer.statistics().queue_frames < queue_frames;
    const ImageView& frame = frames[static_cast<std::size_t>(i) % frames.size()];
    const double copying = handing == Handing::plain_copy ? plain_copy.seconds_for(frame) : 0;
    const double adding = seconds([&] {
      if (handing == Handing::over || handing == Handing::plain_copy) {
        writer.add(Image(frame, nullptr), FrameNumber(i), FrameTime(i / rate));
      } else {
        writer.add(frame, FrameNumber(i), FrameTime(i / rate));
      }
    });
    if (has_room) {
      times.push_back(handing == Handing::plain_copy ? copying : adding);
    }
  }
  return times;
}

void print_times_of_add(Handing handing, std::vector<double> times) {
  const bool is_peer = handing == Handing::plain_copy;
  const std::string name = name_of(handing);
  if (times.empty()) {
    std::printf("%-31s  found no room, or no permission\n", name.c_str());
    return;
  }
  std::sort(times.begin(), times.end());
  const double p999 = percentile_999(times) * 1e3;
  const std::string what =
      is_peer ? "the peer of copied ones" : std::string("<= 1 ms ") + verdict(p999 <= 1);
  std::printf("%-31s  99.9th percentile %.3f ms (median %.3f ms, worst %.3f ms, %zu frames)  %s\n",
              name.c_str(), p999, median(times) * 1e3, times.back() * 1e3, times.size(),
              what.c_str());
}

}  // namespace avstore::bench
