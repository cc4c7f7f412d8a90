// What waits for the writer, frames and extra data: how much may, what becomes of what does not
// fit, and what the writer tells of it.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/reader.h"
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
using Catch::Matchers::Contains;

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
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  options.queue_frames = 3;
  options.when_full = avstore::WhenFull::drop;
  std::vector<Drawn> drawn;
  for (int i = 0; i < 4; ++i) {
    drawn.push_back(draw(pixel::gray8, i));
  }
  Obstacle obstacle;
  Writer writer(store, options);
  const auto add_number = [&](int place, int number) {
    return writer.add(drawn[static_cast<std::size_t>(place)].view, FrameNumber(number),
                      FrameTime(number / 4.0));
  };
  CHECK(writer.add(obstacle.image(drawn[0]), FrameNumber(10), FrameTime(2.5)));
  obstacle.wait_until_reached();
  CHECK(add_number(1, 11));
  CHECK(add_number(2, 12));
  CHECK_FALSE(add_number(3, 13));
  CHECK_FALSE(add_number(3, 14));
  auto statistics = writer.statistics();
  CHECK(statistics.frames_added == 3);
  CHECK(statistics.frames_dropped == 2);
  CHECK(statistics.queue_frames == 3);
  CHECK(statistics.queue_bytes == 3 * drawn[0].bytes.size());
  obstacle.release();
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
  CHECK(numbers_of(Reader(store).infos({0, 10})) == std::vector<std::int64_t>{10, 11, 12, 15});
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("extra data wait for room in the queue, and none are lost") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  options.when_full = GENERATE(avstore::WhenFull::block, avstore::WhenFull::drop);
  Drawn first = draw(pixel::gray8, 0);
  Obstacle obstacle;
  Writer writer(store, options);
  writer.add(obstacle.image(first), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
  writer.add_extra(half_of_room(0));
  CHECK_FALSE(writer.try_add_extra(half_of_room(-1)));  // has half of it only
  writer.add_extra(half_of_room(1));
  const std::size_t full = writer.statistics().queue_bytes;
  CHECK(full <= first.bytes.size() + kExtraRoom);
  std::atomic<bool> is_in{false};
  std::thread waiting([&] {
    writer.add_extra(half_of_room(2));
    is_in = true;
  });
  // Whatever it does: nothing more goes in.
  for (int i = 0; i < 1000 && !is_in; ++i) {
    std::this_thread::yield();
  }
  CHECK(writer.statistics().queue_bytes == full);
  obstacle.release();
  waiting.join();
  CHECK(is_in);
  writer.sync();
  CHECK(writer.try_add_extra(half_of_room(3)));
  writer.close();
  CHECK(writer.statistics().queue_bytes == 0);
  CHECK(sqlite(store, "SELECT group_concat(json_extract(json, '$.n')) FROM extra_data") ==
        std::vector<std::string>{"0,1,2,3"});
}

TEST_CASE("extra data for which there is no room are an error if that is to fail") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  options.when_full = avstore::WhenFull::fail;
  Drawn first = draw(pixel::gray8, 0);
  Obstacle obstacle;
  Writer writer(store, options);
  writer.add(obstacle.image(first), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
  writer.add_extra(half_of_room(0));
  writer.add_extra(half_of_room(1));
  const avstore::Error error = error_of([&] { writer.add_extra(half_of_room(2)); });
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.what(), Contains(store.string()) && Contains("queue is full"));
  obstacle.release();
  writer.sync();
  writer.add_extra(half_of_room(3));
  writer.close();
  CHECK(sqlite(store, "SELECT group_concat(json_extract(json, '$.n')) FROM extra_data") ==
        std::vector<std::string>{"0,1,3"});
}

TEST_CASE("who waits with extra data for a writer that is given up is let go") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("png");
  options.queue_bytes = kExtraRoom;
  Drawn first = draw(pixel::gray8, 0);
  Obstacle obstacle;
  Writer writer(folder.path() / "store", options);
  writer.add(obstacle.image(first), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
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
  CHECK_THAT(outcome, Contains("the writer is closed"));
  obstacle.release();
  giving_up.join();
}

TEST_CASE("of very many dropped frames the first are listed, and all counted") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("png");
  options.queue_frames = 1;
  options.when_full = avstore::WhenFull::drop;
  Drawn first = draw(pixel::gray8, 0);
  const Drawn second = draw(pixel::gray8, 1);
  Obstacle obstacle;
  Writer writer(folder.path() / "store", options);
  writer.add(obstacle.image(first), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
  for (int i = 1; i <= 10005; ++i) {
    writer.add(second.view, FrameNumber(i), FrameTime(i));
  }
  CHECK(writer.statistics().frames_dropped == 10005);
  const auto dropped = writer.dropped();
  REQUIRE(dropped.size() == 10000);
  CHECK(dropped.back().number == FrameNumber(10000));
  obstacle.release();
  writer.close();
}

TEST_CASE("a full queue fails if it is to, and takes frames again when there is room") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("png");
  options.queue_frames = 1;
  options.when_full = avstore::WhenFull::fail;
  Drawn first = draw(pixel::gray8, 0);
  const Drawn second = draw(pixel::gray8, 1);
  Obstacle obstacle;
  Writer writer(store, options);
  writer.add(obstacle.image(first), FrameNumber(0), FrameTime(0));
  obstacle.wait_until_reached();
  const auto add_second = [&] { writer.add(second.view, FrameNumber(1), FrameTime(1)); };
  const avstore::Error error = error_of(add_second);
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.what(), Contains(store.string()) && Contains("queue is full"));
  CHECK(writer.dropped().empty());
  obstacle.release();
  writer.sync();
  add_second();
  writer.close();
  CHECK(wrong_codes(store).empty());
  CHECK(Reader(store).frame_count() == 2);
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
