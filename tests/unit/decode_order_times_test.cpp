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
      for (const std::int64_t time : times_.send(sent_)) {
        lost.push_back(time);
      }
    }
  }
  void refuse(std::int64_t pts) { times_.refuse(pts); }
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
    stream.send(6);  // I0 P1 B2 P3 B4 B5 P6
    stream.come(0, 0);
    stream.come(2, 1);
    stream.come(1, 0);
    stream.come(5, 1);
    stream.come(3, 0);
    CHECK(stream.taken == Times{0, 1, 2, 4, 5});
    CHECK(stream.lost == Times{3});
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

TEST_CASE("a packet that is refused takes its time along once a later one gives a frame") {
  Stream stream;
  SECTION("with frames held back that may still follow") {
    stream.send(5);  // I0 P1 B2 B3 P4 B5, of a decoder that says it may hold back two
    stream.refuse(2);
    stream.come(0, 0);
    stream.come(3, 2);
    stream.come(1, 2);
    stream.come(5, 2);
    stream.come(4, 2);
    CHECK(stream.taken == Times{0, 2, 3, 4, 5});
  }
  SECTION("before the end") {
    stream.send(2);
    stream.refuse(2);
    stream.come(0, 0);
    stream.come(1, 0);
    CHECK(stream.taken == Times{0, 1});
  }
  SECTION("unless its frame comes all the same") {
    stream.send(3);
    stream.refuse(1);
    stream.come(0, 0);
    stream.come(1, 0);
    stream.come(2, 0);
    stream.come(3, 0);
    CHECK(stream.taken == Times{0, 1, 2, 3});
  }
  stream.end();
  CHECK(stream.lost.empty());  // who refuses them tells of them
}

TEST_CASE("pictures that are presented before the first, and cannot be decoded, leave no gap") {
  Stream stream;  // I0 B1 B2 P3 B4 B5 P6, of which B1 and B2 give nothing
  stream.send(4);
  stream.come(0, 0);
  stream.come(4, 1);
  stream.send(6);
  stream.come(5, 1);
  stream.come(3, 0);
  stream.come(6, 0);
  stream.end();
  CHECK(stream.taken == Times{0, 1, 2, 3, 4});
  CHECK(stream.lost.empty());
}

TEST_CASE("packets of which no frame comes are not waited for longer than any decoder needs") {
  Stream stream;
  SECTION("without a word") {
    stream.send(9999);
    CHECK(stream.lost.size() > 9000);
    stream.come(9999, 0);
    stream.end();
    CHECK(stream.taken == Times{9999});
    CHECK(stream.lost.size() == 9999);
  }
  SECTION("because they are refused") {
    for (std::int64_t i = 0; i < 9999; ++i) {
      stream.send(i);
      stream.refuse(i);
    }
    stream.send(9999);
    stream.come(9999, 0);
    CHECK(stream.taken == Times{9999});
    CHECK(stream.lost.empty());
  }
}

TEST_CASE("a frame that was given up and comes after all") {
  Stream stream;
  stream.send(5);
  stream.come(0, 0);
  stream.come(1, 0);
  stream.come(4, 1);  // 2 or 3 is lost, and taken to be 3
  stream.come(3, 1);  // it was 2
  stream.come(5, 0);
  stream.end();
  CHECK(stream.taken == Times{0, 1, 3, 4, 5});
  CHECK(stream.lost == Times{2});
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
  stream.come(std::nullopt, 0);
  stream.come(1, 0);
  stream.come(std::nullopt, 0);
  stream.end();
  CHECK(stream.taken == Times{0, 1, 2});
  CHECK(stream.lost.empty());
  DecodeOrderTimes none;
  CHECK(none.come(std::nullopt, 0).empty());
}
