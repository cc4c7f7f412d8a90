// Presentation times for streams whose packets state times in decode order only: AVI, and
// elementary streams whose packets are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace avstore::media {

// Frames come out in presentation order, so each takes the earliest time not taken yet. A packet
// that gives no frame must take its time with it, else all frames after it are too early. When that
// is due shows by the frames that come out instead: of a packet that the decoder refused, as soon
// as one comes that was decoded later; of one that gave none without a word, perhaps a frame late,
// or where frames are reordered freely at the next keyframe.
class DecodeOrderTimes {
 public:
  // A packet went into the decoder. Returns the time of one that can give no frame any more, since
  // more packets came after it than any decoder holds back.
  std::vector<std::int64_t> send(std::int64_t pts);
  // The decoder refused that packet. Its time is not among those that the others return.
  void refuse(std::int64_t pts);
  // The frame which that packet began came out; of those decoded before it, `may_follow` may still
  // come, at most. Returns the times of packets that, as this shows, give no frame. Where the
  // decoder does not tell the packet, the earliest is taken for it.
  std::vector<std::int64_t> come(std::optional<std::int64_t> pts, int may_follow);
  // The time of the frame that came; none if there were more frames than packets.
  std::optional<std::int64_t> take();
  // All frames came. Returns the times that are left.
  std::vector<std::int64_t> end();

 private:
  void note_answered(std::int64_t pts);
  void drop_refused_before(std::int64_t pts);
  std::vector<std::int64_t> take(std::size_t count);

  std::multiset<std::int64_t> unanswered_;  // packets of which no frame came, by PTS
  std::multiset<std::int64_t> refused_;     // of which none will, and whose time is not taken yet
  std::multiset<std::int64_t> times_;       // not taken
  std::int64_t came_ = 0;                   // frames
  std::size_t spare_ = 0;                   // times of packets that have none
};

}  // namespace avstore::media
