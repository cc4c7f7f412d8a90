// Presentation times for streams whose packets state times in decode order only: AVI, and
// elementary streams whose packets are counted.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace avstore::media {

// Frames come out in presentation order, so each takes the earliest time not taken yet. A packet
// that gives no frame must take its time with it, else all frames after it are too early. That it
// gives none shows by what comes out instead: with B-frames perhaps a frame late, and at the next
// keyframe for sure.
class DecodeOrderTimes {
 public:
  // A packet went into the decoder.
  void send(std::int64_t pts);
  // The frame which that packet began came out; of those decoded before it, `may_follow` may still
  // come, at most. Returns the times of packets that, as this shows, give no frame. Where the
  // decoder does not tell the packet, the earliest is taken for it.
  std::vector<std::int64_t> come(std::optional<std::int64_t> pts, int may_follow);
  // The time of the frame that came; none if there were more frames than packets.
  std::optional<std::int64_t> take();
  // All frames came. Returns the times that are left.
  std::vector<std::int64_t> end();

 private:
  std::vector<std::int64_t> take(std::size_t count);

  std::multiset<std::int64_t> unanswered_;  // packets of which no frame came, by PTS
  std::multiset<std::int64_t> times_;       // not taken
};

}  // namespace avstore::media
