// How long Writer::add() keeps a camera waiting while the queue has room.
#pragma once

#include <vector>

#include "avstore/writer.h"

namespace avstore::bench {

enum class Handing {
  over,              // add(Image)
  copied,            // add(const ImageView&)
  copied_real_time,  // the same, by a thread of real-time priority
  plain_copy  // a peer of these: std::memcpy() into memory in use is timed, and add(Image) is not
};
inline constexpr Handing kHandings[] = {Handing::over, Handing::copied, Handing::copied_real_time,
                                        Handing::plain_copy};

// As many frames as it takes to tell a 99.9th percentile, however many the rest is measured with.
inline constexpr int kAddedFrames = 3000;

// Adds `count` frames, these again and again, as a camera with a clock of its own sends them:
// `rate` a second, the first `delay` seconds from now. The frames have no padding. Returns what
// each add() took, in seconds, but for those that found the writer's `queue_frames` all in use.
// Empty if this thread may not have the priority asked for.
std::vector<double> times_of_add(Writer& writer, const std::vector<ImageView>& frames, int count,
                                 double rate, double delay, std::size_t queue_frames,
                                 Handing handing);

// A line: the 99.9th percentile and what else is telling.
void print_times_of_add(Handing handing, std::vector<double> times);

}  // namespace avstore::bench
