// What waits for the writer, frames and extra data: how much may, what becomes of what does not
// fit, and what the writer tells of it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::draw;
using avstore::test::Drawn;
using avstore::test::error_of;
using avstore::test::numbers_of;
using avstore::test::options_of;
using avstore::test::plain_names;
using avstore::test::python;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

// Holds the writer up while it lets go of a frame's pixels, until release() or its own end.
class Obstacle {
 public:
  ~Obstacle() { release(); }
  Image image(Drawn& drawn) {
    return {drawn.view, std::shared_ptr<const void>(&drawn, [this](const void*) {
              reached_.set_value();
              released_.get_future().wait();
            })};
  }
  void wait_until_reached() { reached_.get_future().wait(); }
  void release() {
    if (!is_released_) {
      is_released_ = true;
      released_.set_value();
    }
  }

 private:
  std::promise<void> reached_;
  std::promise<void> released_;
  bool is_released_ = false;
};

// A store whose writer is held up with its first frame, until release() or the end.
struct HeldUp {
  explicit HeldUp(const WriterOptions& options, FrameNumber number = FrameNumber(0),
                  FrameTime time = FrameTime(0))
      : store(folder.path() / "store"), writer(store, options) {
    writer.add(obstacle.image(first), number, time);
    obstacle.wait_until_reached();
  }
  ~HeldUp() { release(); }  // before the writer closes
  HeldUp(const HeldUp&) = delete;
  HeldUp& operator=(const HeldUp&) = delete;

  void release() { obstacle.release(); }

  TemporaryFolder folder;
  fs::path store;
  Drawn first = draw(pixel::gray8, 0);
  Obstacle obstacle;
  Writer writer;
};

// What a camera's release callback may come upon: a lock whose holder asks the writer.
class CameraLock {
 public:
  explicit CameraLock(const Writer& writer) : writer_(writer) {}
  ~CameraLock() {
    for (std::thread& holder : holders_) {
      holder.join();
    }
  }
  CameraLock(const CameraLock&) = delete;
  CameraLock& operator=(const CameraLock&) = delete;

  // An image that waits for this lock when it is let go.
  Image image(const Drawn& drawn) {
    return {drawn.view,
            std::shared_ptr<const void>(&drawn, [this](const void*) { wait_for_holder(); })};
  }
  // Threads that let go of images.
  const std::vector<std::thread::id>& let_go_by() const { return let_go_by_; }
  bool holder_was_kept() const { return holder_was_kept_; }

 private:
  void wait_for_holder() {
    let_go_by_.push_back(std::this_thread::get_id());
    auto answered = std::make_shared<std::promise<void>>();
    auto answer = answered->get_future();
    holders_.emplace_back([this, answered] {
      static_cast<void>(writer_.statistics());
      answered->set_value();
    });
    // One that is kept is kept until this returns: how long it waits is the limit of a failure.
    const auto limit = std::chrono::seconds(holder_was_kept_ ? 0 : 20);
    holder_was_kept_ = answer.wait_for(limit) != std::future_status::ready || holder_was_kept_;
  }

  const Writer& writer_;
  std::vector<std::thread> holders_;
  std::vector<std::thread::id> let_go_by_;
  bool holder_was_kept_ = false;
};

// Whether it becomes true before a test has failed.
bool comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  return condition();
}

// Half as large as extra data may be that wait.
constexpr std::size_t kExtraRoom = 4000;
std::string half_of_room(int number) {
  return "{\"n\":" + std::to_string(number) + ",\"text\":\"" +
         std::string(kExtraRoom / 2 - 500, 'x') + "\"}";
}

}  // namespace

TEST_CASE("a queue of any size takes all frames") {
  for (const std::size_t frames : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of("avc1/mp4", 50);
    options.queue_frames = frames;
    options.queue_bytes = 1;  // smaller than one frame
    write_store(store, options, pixel::gray8, plain_names(60));
    CHECK(Reader(store).frame_count() == 60);
    CHECK(wrong_codes(store).empty());
  }
}

TEST_CASE("a full queue drops frames, and says which") {
  WriterOptions options = options_of("avc1/mp4");
  options.queue_frames = 3;
  options.when_full = avstore::WhenFull::drop;
  HeldUp held(options, FrameNumber(10), FrameTime(2.5));
  Writer& writer = held.writer;
  const auto add_number = [&](int place, int number) {
    return writer.add(draw(pixel::gray8, place).view, FrameNumber(number), FrameTime(number / 4.0));
  };
  CHECK(add_number(1, 11));
  CHECK(add_number(2, 12));
  CHECK_FALSE(add_number(3, 13));
  CHECK_FALSE(add_number(3, 14));
  auto statistics = writer.statistics();
  CHECK(statistics.frames_added == 3);
  CHECK(statistics.frames_dropped == 2);
  CHECK(statistics.queue_frames == 3);
  CHECK(statistics.queue_bytes == 3 * held.first.bytes.size());
  held.release();
  writer.sync();
  CHECK(add_number(3, 15));
  writer.close();
  const auto dropped = writer.dropped();
  REQUIRE(dropped.size() == 2);
  CHECK(dropped[0].number == FrameNumber(13));
  CHECK(dropped[0].time.seconds == 3.25);
  CHECK(dropped[1].number == FrameNumber(14));
  statistics = writer.statistics();
  CHECK(statistics.frames_added == 4);
  CHECK(statistics.queue_frames == 0);
  CHECK(statistics.queue_bytes == 0);
  CHECK(numbers_of(Reader(held.store).infos({0, 10})) == std::vector<std::int64_t>{10, 11, 12, 15});
  CHECK(wrong_codes(held.store).empty());
}

TEST_CASE("extra data wait for room in the queue, and none are lost") {
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  options.when_full = GENERATE(avstore::WhenFull::block, avstore::WhenFull::drop);
  HeldUp held(options);
  Writer& writer = held.writer;
  writer.add_extra(half_of_room(0));
  CHECK_FALSE(writer.try_add_extra(half_of_room(-1)));  // has half of it only
  writer.add_extra(half_of_room(1));
  const std::size_t full = writer.statistics().queue_bytes;
  CHECK(full <= held.first.bytes.size() + kExtraRoom);
  std::atomic<bool> is_in{false};
  std::thread waiting([&] {
    writer.add_extra(half_of_room(2));
    is_in = true;
  });
  CHECK(comes_true([&] { return writer.statistics().queue_bytes > full; }));
  CHECK_FALSE(is_in);
  held.release();
  waiting.join();
  CHECK(is_in);
  writer.sync();
  CHECK(writer.try_add_extra(half_of_room(3)));
  writer.close();
  CHECK(writer.statistics().queue_bytes == 0);
  CHECK(sqlite(held.store, "SELECT group_concat(json_extract(json, '$.n')) FROM extra_data") ==
        std::vector<std::string>{"0,1,2,3"});
}

TEST_CASE("extra data that wait belong to the frame that was the newest when they were told") {
  WriterOptions options = options_of("png", 2);
  options.queue_bytes = 100'000;
  const std::string large = R"({"n": 1, "text": ")" + std::string(options.queue_bytes, 'x') + "\"}";
  HeldUp held(options, FrameNumber(10), FrameTime(0.5));
  Writer& writer = held.writer;
  writer.add_extra(R"({"n": 0})");
  std::atomic<bool> is_in{false};
  std::thread waiting([&] {
    writer.add_extra(large);
    is_in = true;
  });
  CHECK(comes_true([&] { return writer.statistics().queue_bytes > options.queue_bytes; }));
  CHECK_FALSE(writer.try_add_extra("{}"));  // nobody comes before who waits
  // There is room for them, and their chunk is another one.
  for (int i = 1; i < 5; ++i) {
    writer.add(draw(pixel::gray8, i).view, FrameNumber(10 + i), FrameTime(i));
  }
  CHECK_FALSE(is_in);
  held.release();
  waiting.join();
  writer.add_extra(R"({"n": 2})");
  writer.close();
  CHECK(sqlite(held.store,
               "SELECT frame_index || ' ' || frame_number || ' ' || frame_time || ' ' || "
               "json_extract(json, '$.n') FROM extra_data") ==
        std::vector<std::string>{"0 10 0.5 0", "0 10 0.5 1", "4 14 4.0 2"});
  CHECK(python("import json, sys; print([r['n'] for r in json.load(open(sys.argv[1]))])",
               held.store / "000000" / "index.extra.json") == "[0, 1]\n");
  CHECK(avstore::verify(held.store, {.deep = true, .progress = {}}).findings.empty());
}

TEST_CASE("extra data that wait are kept when the writer is closed") {
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  HeldUp held(options);
  Writer& writer = held.writer;
  writer.add_extra(half_of_room(0));
  writer.add_extra(half_of_room(1));
  const std::size_t full = writer.statistics().queue_bytes;
  std::string outcome;
  std::thread waiting(
      [&] { outcome = avstore::test::outcome_of([&] { writer.add_extra(half_of_room(2)); }); });
  CHECK(comes_true([&] { return writer.statistics().queue_bytes > full; }));
  std::thread closing([&] { writer.close(); });
  waiting.join();
  CHECK(outcome == "no error");
  held.release();
  closing.join();
  CHECK(writer.statistics().queue_bytes == 0);
  CHECK(sqlite(held.store, "SELECT group_concat(json_extract(json, '$.n')) FROM extra_data") ==
        std::vector<std::string>{"0,1,2"});
}

TEST_CASE("extra data for which there is no room are an error if that is to fail") {
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  options.when_full = avstore::WhenFull::fail;
  HeldUp held(options);
  Writer& writer = held.writer;
  writer.add_extra(half_of_room(0));
  writer.add_extra(half_of_room(1));
  const avstore::Error error = error_of([&] { writer.add_extra(half_of_room(2)); });
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.what(),
             ContainsSubstring(held.store.string()) && ContainsSubstring("queue is full"));
  held.release();
  writer.sync();
  writer.add_extra(half_of_room(3));
  writer.close();
  CHECK(sqlite(held.store, "SELECT group_concat(json_extract(json, '$.n')) FROM extra_data") ==
        std::vector<std::string>{"0,1,3"});
}

TEST_CASE("a writer whose folder was moved away leaves alone what has its place") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer moved(store, options_of("png"));
  fs::rename(store, folder.path() / "moved");
  Writer writer(store, options_of("png"));
  add(writer, 0);
  writer.sync();
  moved.abandon();
  CHECK(fs::exists(store / ".lock"));
  CHECK_FALSE(avstore::test::outcome_of([&] { Writer::append(store, {}); }) == "no error");
  writer.close();
  CHECK(Reader(store).frame_count() == 1);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("who waits with extra data for a writer that is given up is let go") {
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  HeldUp held(options);
  Writer& writer = held.writer;
  std::string outcome;
  std::thread waiting([&] {
    // More than there is room for, whenever the writer is given up.
    outcome = avstore::test::outcome_of([&] {
      for (int i = 0; i < 10; ++i) {
        writer.add_extra(half_of_room(i));
      }
    });
  });
  std::thread giving_up([&] { writer.abandon(); });
  waiting.join();
  CHECK_THAT(outcome, ContainsSubstring("the writer is closed"));
  held.release();
  giving_up.join();
}

TEST_CASE("of very many dropped frames the first are listed, and all counted") {
  WriterOptions options = options_of("png");
  options.queue_frames = 1;
  options.when_full = avstore::WhenFull::drop;
  const Drawn second = draw(pixel::gray8, 1);
  HeldUp held(options);
  Writer& writer = held.writer;
  for (int i = 1; i <= 10005; ++i) {
    writer.add(second.view, FrameNumber(i), FrameTime(i));
  }
  CHECK(writer.statistics().frames_dropped == 10005);
  const auto dropped = writer.dropped();
  REQUIRE(dropped.size() == 10000);
  CHECK(dropped.back().number == FrameNumber(10000));
  held.release();
  writer.close();
}

TEST_CASE("a full queue fails if it is to, and takes frames again when there is room") {
  WriterOptions options = options_of("png");
  options.queue_frames = 1;
  options.when_full = avstore::WhenFull::fail;
  const Drawn second = draw(pixel::gray8, 1);
  HeldUp held(options);
  Writer& writer = held.writer;
  const auto add_second = [&] { writer.add(second.view, FrameNumber(1), FrameTime(1)); };
  const avstore::Error error = error_of(add_second);
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.what(),
             ContainsSubstring(held.store.string()) && ContainsSubstring("queue is full"));
  CHECK(writer.dropped().empty());
  held.release();
  writer.sync();
  add_second();
  writer.close();
  CHECK(wrong_codes(held.store).empty());
  CHECK(Reader(held.store).frame_count() == 2);
}

TEST_CASE("the writer tells how far it is, and how long frames take") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    const TemporaryFolder folder;
    Writer writer(folder.path() / "store", options_of(format, 20));
    CHECK(writer.durable_count() == 0);
    CHECK(writer.statistics().total_latency.max == 0);
    for (int i = 0; i < 50; ++i) {
      add(writer, i);
    }
    writer.sync();
    CHECK(writer.durable_count() == 50);
    const auto statistics = writer.statistics();
    CHECK(statistics.frames_durable == 50);
    CHECK(statistics.frames_encoded == 50);
    CHECK(statistics.frames_dropped == 0);
    for (const avstore::Latency& latency : {statistics.encode_latency, statistics.total_latency}) {
      CHECK(latency.median > 0);
      CHECK(latency.p99 >= latency.median);
      CHECK(latency.max >= latency.p99);
    }
    CHECK(statistics.total_latency.max >= statistics.encode_latency.max);
    // What this process says is durable, another one finds.
    Reader reader(folder.path() / "store");
    CHECK(reader.frame_count() == 50);
    writer.close();
  }
}

TEST_CASE("extra data and questions may come from any thread while frames are added") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("avc1/mp4", 20));
  add(writer, 0);
  std::atomic<bool> done{false};
  std::vector<std::thread> others;
  others.emplace_back([&] {
    for (int i = 0; i < 100; ++i) {
      writer.add_extra("{\"event\": " + std::to_string(i) + "}");
    }
  });
  others.emplace_back([&] {
    std::int64_t before = 0;
    std::int64_t backwards = 0;
    while (!done) {
      const std::int64_t now = writer.durable_count();
      backwards += now < before ? 1 : 0;
      before = now;
      static_cast<void>(writer.statistics());
      static_cast<void>(writer.dropped());
    }
    CHECK(backwards == 0);
  });
  for (int i = 1; i < 60; ++i) {
    add(writer, i);
  }
  others[0].join();
  writer.sync();
  done = true;
  others[1].join();
  writer.close();
  CHECK(wrong_codes(store).empty());
  std::int64_t events = 0;
  for (const auto& entry : fs::directory_iterator(store)) {
    if (entry.path().string().ends_with(".extra.json")) {
      events += std::stoll(
          python("import json, sys; print(len(json.load(open(sys.argv[1]))))", entry.path()));
    }
  }
  CHECK(events == 100);
}

TEST_CASE("who waits for a writer that is given up is let go") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("avc1/mp4");
  options.encoder.preset = "veryslow";
  Writer writer(folder.path() / "store", options);
  const std::vector<std::uint8_t> gray(std::size_t{640} * 480, 99);
  for (int i = 0; i < 50; ++i) {
    writer.add(avstore::packed_view(pixel::gray8, 640, 480, gray.data()), FrameNumber(i),
               FrameTime(i));
  }
  std::promise<void> about_to_wait;
  std::thread waiting([&] {
    about_to_wait.set_value();
    try {
      writer.sync();
    } catch (const avstore::Error&) {
      // Frames were given up.
    }
  });
  about_to_wait.get_future().wait();
  writer.abandon();
  waiting.join();
}

TEST_CASE("pixels of frames that are thrown away are let go by the writer, and hold nobody up") {
  const bool fails = GENERATE(true, false);
  CAPTURE(fails);
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  std::vector<Drawn> drawn;
  for (int i = 0; i < 4; ++i) {
    drawn.push_back(draw(pixel::gray8, i));
  }
  Obstacle obstacle;
  Writer writer(store, options_of("png", 1));
  CameraLock camera(writer);
  writer.add(obstacle.image(drawn[0]), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
  for (std::size_t i = 1; i < drawn.size(); ++i) {
    writer.add(camera.image(drawn[i]), FrameNumber(1), FrameTime(1));
  }
  if (fails) {
    std::ofstream(store / "000001") << "where the next chunk is to be";
    obstacle.release();
    CHECK_THAT(avstore::test::outcome_of([&] { writer.close(); }), ContainsSubstring("000001"));
  } else {
    std::thread other([&] {
      // Frames are thrown away by then.
      while (avstore::test::outcome_of([&] { writer.try_add_extra("{}"); }) == "no error") {
        std::this_thread::yield();
      }
      obstacle.release();
    });
    writer.abandon();
    other.join();
  }
  CHECK_FALSE(camera.holder_was_kept());
  const auto& by = camera.let_go_by();
  CHECK(by.size() == 3);
  CHECK(std::count(by.begin(), by.end(), std::this_thread::get_id()) == 0);
}
