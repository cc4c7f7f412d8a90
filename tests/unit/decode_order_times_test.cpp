// Times of frames whose packets state times in decoding order only.
#include "media/decode_order_times.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "support/catch.h"

namespace {

using avstore::media::DecodeOrderTimes;
using Times = std::vector<std::int64_t>;

// Frames come out of a decoder that holds back one: B-frames stand behind the frame they precede.
class Stream {
 public:
  void send(std::int64_t last) {
    for (; sent_ <= last; ++sent_) {
      times_.send(sent_);
    }
  }
  void come(std::optional<std::int64_t> pts, int may_follow) {
    for (const std::int64_t time : times_.come(pts, may_follow)) {
      lost.push_back(time);
    }
    taken.push_back(times_.take().value());
  }
  void end() {
    for (const std::int64_t time : times_.end()) {
      lost.push_back(time);
    }
  }

  Times taken, lost;

 private:
  DecodeOrderTimes times_;
  std::int64_t sent_ = 0;
};

}  // namespace

TEST_CASE("frames take times in the order in which they come") {
  Stream stream;  // I0 P1 B2 B3 P4 B5
  stream.send(3);
  stream.come(0, 0);
  stream.come(2, 1);
  stream.come(3, 1);
  stream.send(5);
  stream.come(1, 0);
  stream.come(5, 1);
  stream.come(4, 0);
  stream.end();
  CHECK(stream.taken == Times{0, 1, 2, 3, 4, 5});
  CHECK(stream.lost.empty());
}

TEST_CASE("a packet without a frame takes its time with it") {
  Stream stream;
  SECTION("without reordering: at once") {
    stream.send(5);
    stream.come(0, 0);
    stream.come(1, 0);
    stream.come(3, 0);
    stream.come(5, 0);
    CHECK(stream.taken == Times{0, 1, 3, 5});
    CHECK(stream.lost == Times{2, 4});
  }
  SECTION("the first of B-frames in a row: with the next") {
    stream.send(4);  // I0 P1 B2 B3 P4
    stream.come(0, 0);
    stream.come(3, 1);
    stream.come(1, 0);
    CHECK(stream.taken == Times{0, 2, 3});
    CHECK(stream.lost == Times{1});
  }
  SECTION("the last of them: behind the frame that comes next") {
    stream.send(5);  // I0 P1 B2 B3 P4 B5
    stream.come(0, 0);
    stream.come(2, 1);
    stream.come(1, 0);
    stream.come(5, 1);
    stream.come(4, 0);
    CHECK(stream.taken == Times{0, 1, 2, 4, 5});
    CHECK(stream.lost == Times{3});
  }
  SECTION("where several may still come: at the next keyframe") {
    stream.send(9);
    stream.come(0, 0);
    stream.come(2, 2);
    stream.come(4, 2);  // 1 and 3 may follow
    stream.come(6, 0);  // a keyframe: 1, 3 and 5 do not
    stream.come(7, 2);
    CHECK(stream.taken == Times{0, 1, 2, 6, 7});
    CHECK(stream.lost == Times{3, 4, 5});
  }
  SECTION("at the end") {
    stream.send(2);
    stream.come(0, 0);
    stream.end();
    CHECK(stream.taken == Times{0});
    CHECK(stream.lost == Times{1, 2});
  }
}

TEST_CASE("a frame that was given up and comes after all") {
  Stream stream;
  stream.send(4);
  stream.come(0, 0);
  stream.come(3, 1);  // 1 or 2 is lost, and taken to be 2
  stream.come(2, 1);  // it was 1
  stream.come(4, 0);
  stream.end();
  CHECK(stream.taken == Times{0, 2, 3, 4});
  CHECK(stream.lost == Times{1});
}

TEST_CASE("more frames than packets have no times left") {
  DecodeOrderTimes times;
  times.send(7);
  CHECK(times.come(7, 0).empty());
  CHECK(times.take() == 7);
  CHECK(times.come(7, 0).empty());
  CHECK(times.take() == std::nullopt);
}

TEST_CASE("frames of which the decoder does not tell the packet are those of the earliest") {
  Stream stream;
  stream.send(2);
  stream.come(std::nullopt, 1);
  stream.come(1, 1);
  stream.come(std::nullopt, 1);
  stream.end();
  CHECK(stream.taken == Times{0, 1, 2});
  CHECK(stream.lost.empty());
  DecodeOrderTimes none;
  CHECK(none.come(std::nullopt, 0).empty());
}
