#include "tools/timeline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "avstore/error.h"

namespace avstore::tools {
namespace {

// From the first frame, seconds: in milliseconds these are exact still.
constexpr double kLongest = 1e12;
// What MP4 has room for from a frame to the next.
constexpr std::int64_t kMostTicks = std::numeric_limits<std::int32_t>::max() - 1;
// From the decoding of a frame to its showing there is as much room, but libavformat reads only
// these.
constexpr std::int64_t kMostTicksAhead = 1 << 28;
// In a second.
constexpr std::int64_t kMatroskaTicks = 1000;

std::vector<double> read_times(const Reader& reader, IndexRange range) {
  std::vector<double> times;
  reader.for_each_info(range, [&](const FrameInfo& info) {
    times.push_back(info.time.seconds);
    return true;
  });
  return times;
}

std::vector<double> even_times(std::int64_t count, Rational frame_rate) {
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) {
    times.push_back(static_cast<double>(i) / frame_rate.value());
  }
  return times;
}

// The median of what lies between frames; `otherwise` if nothing does.
double usual_distance(const std::vector<double>& times, double otherwise) {
  std::vector<double> distances;
  for (std::size_t i = 1; i < times.size(); ++i) {
    const double distance = times[i] - times[i - 1];
    if (std::isfinite(distance) && distance > 0) {
      distances.push_back(distance);
    }
  }
  if (distances.empty()) {
    return otherwise;
  }
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return *middle;
}

// Where a kind of trouble begins, and how often there is any.
struct Trouble {
  std::size_t first = 0;
  std::int64_t count = 0;

  void note(std::size_t frame) {
    first = count == 0 ? frame : first;
    ++count;
  }
};

// Makes times that ascend of those of a store.
class Straightener {
 public:
  Straightener(std::string store, std::int64_t first_index, const std::vector<double>& times,
               double nominal)
      : store_(std::move(store)),
        first_index_(first_index),
        times_(times),
        step_(usual_distance(times, nominal)) {}

  // From the first frame on, in seconds.
  std::vector<double> straighten() {
    follow();
    spread();
    return made_;
  }

  std::vector<std::string> notices() const {
    std::vector<std::string> all;
    const auto add = [&](const Trouble& trouble, const std::string& what, const std::string& then) {
      if (trouble.count > 0) {
        const std::string more =
            trouble.count > 1 ? fmt::format(" and {} more", trouble.count - 1) : "";
        all.push_back(fmt::format("{}: {} at frame {}{}; {}", store_, what,
                                  first_index_ + static_cast<std::int64_t>(trouble.first), more,
                                  then));
      }
    };
    add(backwards_, "times run backwards",
        fmt::format("such frames follow {:.6g} s after the one before, and those behind them at "
                    "their own distances",
                    step_));
    const std::string spread = "such frames are spread up to the next that has a time of its own";
    add(timeless_, "there is no time", spread);
    add(equal_, "there is the time of the frame before", spread);
    return all;
  }

 private:
  // Each at its distance from the one before; in the same place where there is no such distance.
  void follow() {
    const auto known =
        std::find_if(times_.begin(), times_.end(), [](double time) { return std::isfinite(time); });
    const double origin = known == times_.end() ? 0 : *known;
    double shift = static_cast<double>(known - times_.begin()) * step_;  // room for those before it
    std::optional<double> last;
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (!std::isfinite(times_[i])) {
        timeless_.note(i);
        made_.push_back(made_.empty() ? 0 : made_.back());
        continue;
      }
      const double time = times_[i] - origin;
      if (!(std::abs(time) <= kLongest)) {
        throw Error(
            ErrorKind::invalid_argument,
            fmt::format("{}: frame {} has the time {:g}, and the first one {:g}; no video "
                        "lasts so long; export with nominal timing",
                        store_, first_index_ + static_cast<std::int64_t>(i), times_[i], origin));
      }
      if (last && time < *last) {
        backwards_.note(i);
        shift = made_.back() + step_ - time;
      } else if (last && time == *last) {
        equal_.note(i);
      }
      last = time;
      made_.push_back(time + shift);
    }
  }

  void spread() {
    for (std::size_t begin = 0; begin < made_.size();) {
      std::size_t end = begin + 1;
      while (end < made_.size() && made_[end] <= made_[begin]) {
        ++end;
      }
      const auto frames = static_cast<double>(end - begin);
      const double room = end < made_.size() ? (made_[end] - made_[begin]) / frames : step_;
      for (std::size_t i = begin + 1; i < end; ++i) {
        made_[i] = made_[begin] + static_cast<double>(i - begin) * std::min(step_, room);
      }
      begin = end;
    }
  }

  std::string store_;
  std::int64_t first_index_;
  const std::vector<double>& times_;
  double step_;  // seconds
  std::vector<double> made_;
  Trouble backwards_, timeless_, equal_;
};

// Ticks a second, the best first. Milliseconds, which every player takes and Matroska counts in; in
// MP4 what frames that lie closer need.
std::vector<std::int64_t> ticks_for(double shortest, const std::string& muxer) {
  if (muxer == "mp4" && shortest < 1.0 / kMatroskaTicks) {
    return {1'000'000, 100'000, 10'000, kMatroskaTicks};
  }
  return {kMatroskaTicks};
}

double shortest_distance(const std::vector<double>& times) {
  double shortest = std::numeric_limits<double>::max();
  for (std::size_t i = 1; i < times.size(); ++i) {
    shortest = std::min(shortest, times[i] - times[i - 1]);
  }
  return shortest;
}

}  // namespace

Timeline::Timeline(const Reader& reader, IndexRange range, Timing timing, Rational frame_rate,
                   const std::string& muxer, const std::vector<std::int64_t>& order)
    : store_(reader.info().path.string()),
      first_index_(range.begin),
      time_base_{frame_rate.den, frame_rate.num} {
  for (const std::int64_t index : order) {
    const auto packet = static_cast<std::int64_t>(order_.size());
    order_.push_back(index - first_index_);
    delay_ = std::max(delay_, packet - order_.back());
  }
  if (timing == Timing::real) {
    const std::vector<double> times = read_times(reader, range);
    Straightener straightener(store_, first_index_, times, 1 / frame_rate.value());
    place(straightener.straighten(), muxer);
    const auto told = straightener.notices();
    notices_.insert(notices_.begin(), told.begin(), told.end());
    return;
  }
  if (muxer != "mp4" && 1 / frame_rate.value() < 1.0 / kMatroskaTicks) {
    place(even_times(range.size(), frame_rate), muxer);
    return;
  }
  for (std::int64_t i = 0; i < range.size(); ++i) {
    ticks_.push_back(i);
  }
}

void Timeline::place(const std::vector<double>& times, const std::string& muxer) {
  std::int64_t late = 0;
  std::optional<Span> too_long;
  for (const std::int64_t ticks : ticks_for(shortest_distance(times), muxer)) {
    late = place_at(times, ticks);
    too_long = muxer == "mp4" ? find_too_long() : std::nullopt;
    if (!too_long) {
      break;
    }
  }
  const double tick = time_base_.value();
  if (too_long) {
    const std::string to = too_long->to == too_long->from + 1
                               ? "the next"
                               : fmt::format("frame {}, which is decoded before those between them",
                                             first_index_ + too_long->to);
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: {:.6g} s lie between frame {} and {}, more than an MP4 can "
                            "hold; export to .mkv, or with nominal timing",
                            store_, static_cast<double>(too_long->ticks) * tick,
                            first_index_ + too_long->from, to));
  }
  if (late > 1) {
    notices_.push_back(fmt::format(
        "{}: frames lie closer together than the {:g} ms in which {} counts their times; they are "
        "shown up to {:g} s late{}",
        store_, 1000 * tick, muxer == "mp4" ? "this MP4" : "Matroska",
        static_cast<double>(late) * tick, muxer == "mp4" ? "" : "; MP4 counts in smaller steps"));
  }
}

// Returns by how many ticks a frame comes too late, at the most.
std::int64_t Timeline::place_at(const std::vector<double>& times, std::int64_t ticks) {
  time_base_ = {1, ticks};
  ticks_.clear();
  std::int64_t late = 0;
  for (const double time : times) {
    const std::int64_t wanted = std::llround(time * static_cast<double>(ticks));
    ticks_.push_back(ticks_.empty() ? wanted : std::max(wanted, ticks_.back() + 1));
    late = std::max(late, ticks_.back() - wanted);
  }
  step_ = std::max<std::int64_t>(
      1, std::llround(usual_distance(times, 0) * static_cast<double>(ticks)));
  return late;
}

// The first that an MP4 has no room for.
std::optional<Timeline::Span> Timeline::find_too_long() const {
  for (std::int64_t i = 0; i + 1 < count(); ++i) {
    if (duration(i) > kMostTicks) {
      return Span{i, i + 1, duration(i)};
    }
  }
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const auto packet = static_cast<std::int64_t>(i);
    const std::int64_t ahead = pts(order_[i]) - dts(packet);
    if (ahead > kMostTicksAhead) {
      return Span{std::max<std::int64_t>(0, packet - delay_), order_[i], ahead};
    }
  }
  return std::nullopt;
}

Rational Timeline::mean_rate() const {
  constexpr double kFastest = 1e6;
  const std::int64_t ticks = ticks_.empty() ? 0 : ticks_.back() - ticks_.front();
  if (ticks == 0) {
    return {0, 1};
  }
  const double rate =
      static_cast<double>(count() - 1) / (static_cast<double>(ticks) * time_base_.value());
  return {std::max<std::int64_t>(1, std::llround(std::min(rate, kFastest) * 1000)), 1000};
}

std::int64_t Timeline::dts(std::int64_t packet) const {
  const std::int64_t frame = packet - delay_;
  return frame >= 0 ? pts(frame) : pts(0) + frame * step_;
}

std::int64_t Timeline::duration(std::int64_t frame) const {
  return frame + 1 < count() ? pts(frame + 1) - pts(frame) : step_;
}

}  // namespace avstore::tools
