// What reading costs, by the reader's own counters: no frame is decoded that need not be.
#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "avstore/format.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;

using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::Reader;
using avstore::ReadStatistics;
using avstore::test::TemporaryFolder;

constexpr int kWidth = 96;
constexpr int kHeight = 64;

struct Recording {
  std::string format;
  int frames = 0;
  std::int64_t chunk_size = 1000;
  int keyframe_interval = 0;
  int b_frames = 0;
};

void write_store(const fs::path& store, const Recording& recording) {
  avstore::WriterOptions options;
  options.format = recording.format;
  options.chunk_size = recording.chunk_size;
  options.encoder.keyframe_interval = recording.keyframe_interval;
  options.encoder.b_frames = recording.b_frames;
  avstore::Writer writer(store, options);
  std::vector<std::uint8_t> pixels(std::size_t{kWidth} * kHeight);
  for (int i = 0; i < recording.frames; ++i) {
    std::iota(pixels.begin(), pixels.end(), static_cast<std::uint8_t>(3 * i));
    writer.add(avstore::packed_view(avstore::pixel::gray8, kWidth, kHeight, pixels.data()),
               avstore::FrameNumber(i), avstore::FrameTime(0.04 * i));
  }
  writer.close();
}

Reader open(const fs::path& store, int threads) {
  avstore::ReaderOptions options;
  options.threads = threads;
  return Reader(store, options);
}

// What the calls in between have cost.
class Meter {
 public:
  explicit Meter(const Reader& reader) : reader_(reader), before_(reader.statistics()) {}
  ReadStatistics cost() {
    const ReadStatistics now = reader_.statistics();
    ReadStatistics cost;
    cost.seeks = now.seeks - before_.seeks;
    cost.packets_read = now.packets_read - before_.packets_read;
    cost.frames_decoded = now.frames_decoded - before_.frames_decoded;
    cost.seek_recoveries = now.seek_recoveries - before_.seek_recoveries;
    cost.files_opened = now.files_opened - before_.files_opened;
    before_ = now;
    return cost;
  }

 private:
  const Reader& reader_;
  ReadStatistics before_;
};

// The keyframe that each frame needs, by frame_index.
std::vector<std::int64_t> keyframes_before(const Reader& reader) {
  std::vector<std::int64_t> keys;
  std::int64_t key = 0;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    if (info.keyframe) {
      key = info.index.value;
    }
    keys.push_back(key);
  }
  return keys;
}

std::vector<FrameIndex> shuffled(std::int64_t count, unsigned seed) {
  std::vector<FrameIndex> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.emplace_back(i);
  }
  std::shuffle(all.begin(), all.end(), std::mt19937(seed));
  return all;
}

std::vector<std::string> video_formats() {
  std::vector<std::string> names;
  for (const avstore::Format& format : avstore::formats()) {
    if (format.video) {
      names.push_back(format.name);
    }
  }
  return names;
}

// Distinct frames from each keyframe in question to the last one wanted after it.
std::int64_t least_to_decode(const std::vector<FrameIndex>& wanted,
                             const std::vector<std::int64_t>& keys) {
  std::map<std::int64_t, std::int64_t> last_by_key;
  for (const FrameIndex index : wanted) {
    std::int64_t& last = last_by_key[keys[static_cast<std::size_t>(index.value)]];
    last = std::max(last, index.value);
  }
  std::int64_t frames = 0;
  for (const auto& [key, last] : last_by_key) {
    frames += last - key + 1;
  }
  return frames;
}

}  // namespace

TEST_CASE("the next frame costs one frame") {
  for (const std::string& format : video_formats()) {
    for (const int threads : {1, 2, 4}) {
      for (const int b_frames : {0, 2}) {
        if (b_frames > 0 && format != "avc1/mp4" && format != "h264/mkv") {
          continue;
        }
        DYNAMIC_SECTION(format << ", " << threads << " threads, B-frames " << b_frames) {
          const TemporaryFolder folder;
          write_store(folder.path() / "store", {format, 70, 30, 0, b_frames});
          Reader reader = open(folder.path() / "store", threads);
          Meter meter(reader);
          reader.next();
          CHECK(meter.cost().frames_decoded == 1);
          for (int i = 1; i < 70; ++i) {
            CAPTURE(i);
            REQUIRE(reader.next().has_value());
            const ReadStatistics cost = meter.cost();
            CHECK(cost.frames_decoded == 1);
            CHECK(cost.files_opened == (i % 30 == 0 ? 1 : 0));
            CHECK((i % 30 == 0 || cost.seeks == 0));
            CHECK(cost.seek_recoveries == 0);
          }
          CHECK_FALSE(reader.next().has_value());
          CHECK(meter.cost().frames_decoded == 0);
          CHECK(reader.statistics().packets_read <= 70 + 3 * 8);
        }
      }
    }
  }
}

TEST_CASE("reading one index after another costs the same as next") {
  for (const std::string& format : video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 60});
      Reader reader = open(folder.path() / "store", 2);
      for (std::int64_t i = 0; i < 60; ++i) {
        reader.read(FrameIndex(i));
      }
      CHECK(reader.statistics().frames_decoded == 60);
      // One to begin with, and one where the decoder for reading on and on takes over.
      CHECK(reader.statistics().seeks <= 2);
      CHECK(reader.statistics().seek_recoveries == 0);
    }
  }
}

TEST_CASE("a random read decodes from the keyframe before it to the frame and no further") {
  for (const std::string& format : video_formats()) {
    for (const int threads : {1, 2, 4}) {
      DYNAMIC_SECTION(format << ", " << threads << " threads") {
        const TemporaryFolder folder;
        write_store(folder.path() / "store", {format, 60});
        const auto keys = keyframes_before(Reader(folder.path() / "store"));
        for (const std::int64_t index : {0, 1, 12, 13, 14, 25, 26, 37, 38, 39, 58, 59}) {
          Reader reader = open(folder.path() / "store", threads);
          reader.read(FrameIndex(index));
          const ReadStatistics cost = reader.statistics();
          CAPTURE(index, keys[static_cast<std::size_t>(index)]);
          CHECK(cost.frames_decoded == index - keys[static_cast<std::size_t>(index)] + 1);
          CHECK(cost.packets_read <= cost.frames_decoded + 1);
          CHECK(cost.seeks <= 1);
          CHECK(cost.seek_recoveries == 0);
          CHECK(cost.files_opened == 1);
        }
      }
    }
  }
}

TEST_CASE("random reads on and on cost no more than from the keyframe, or from where decoding is") {
  for (const std::string& format : video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 90});
      Reader reader = open(folder.path() / "store", 2);
      const auto keys = keyframes_before(reader);
      Meter meter(reader);
      for (const FrameIndex index : shuffled(90, 4)) {
        reader.read(index);
        const ReadStatistics cost = meter.cost();
        CAPTURE(index.value);
        CHECK(cost.frames_decoded <= index.value - keys[static_cast<std::size_t>(index.value)] + 1);
        CHECK(cost.packets_read <= cost.frames_decoded + 1);
        CHECK(cost.seeks <= 1);
        CHECK(cost.seek_recoveries == 0);
      }
      CHECK(reader.statistics().files_opened == 1);
    }
  }
}

// Also where keyframes have leading pictures, frames are hidden or fields are packets of their own.
TEST_CASE("a frame of any test video costs no more than the frames from its keyframe on") {
  const auto videos = avstore::test::test_videos();
  for (const std::int64_t place :
       avstore::test::sample("cost of frames", static_cast<std::int64_t>(videos.size()), 16)) {
    const avstore::test::TestVideo& video = videos.at(static_cast<std::size_t>(place));
    if (video.name.find("-change") != std::string::npos) {
      continue;  // no store holds them
    }
    const TemporaryFolder folder;
    avstore::ImportOptions options;
    options.copy = true;
    options.allow_truncated = true;
    avstore::import_file(video.path, folder.path() / "store", options);
    Reader reader = open(folder.path() / "store", 2);
    const auto keys = keyframes_before(reader);
    // Presented before the keyframe but decodable from it, so they come out on the way.
    const std::int64_t leading = video.name == "hevc-radl.mp4" ? 2 : 0;
    Meter meter(reader);
    for (const FrameIndex index : shuffled(reader.frame_count(), 4)) {
      reader.read(index);
      const ReadStatistics cost = meter.cost();
      CAPTURE(video.name, index.value);
      CHECK(cost.frames_decoded <=
            leading + index.value - keys[static_cast<std::size_t>(index.value)] + 1);
      CHECK(cost.seeks <= 1);
    }
    // And on and on, from the beginning: one each.
    Reader forward = open(folder.path() / "store", 2);
    std::int64_t count = 0;
    while (forward.next()) {
      ++count;
      CAPTURE(video.name, count);
      CHECK(forward.statistics().frames_decoded == count);
    }
    CHECK(count == reader.frame_count());
  }
}

TEST_CASE("going backwards decodes each keyframe interval once") {
  for (const std::string& format : video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 60, 30});
      Reader reader = open(folder.path() / "store", 2);
      for (std::int64_t i = 59; i >= 0; --i) {
        CHECK(reader.read(FrameIndex(i)).info.index.value == i);
      }
      CHECK(reader.statistics().frames_decoded == 60);
    }
  }
}

TEST_CASE("where each frame is a keyframe, any read decodes one") {
  for (const std::string format : {"mjpeg/avi", "ffv1/mkv", "avc1/mp4", "h264/mkv", "hevc/mp4"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 60, 20, 1});
      Reader reader = open(folder.path() / "store", 2);
      Meter meter(reader);
      for (const FrameIndex index : shuffled(60, 8)) {
        reader.read(index);
        CHECK(meter.cost().frames_decoded == 1);
      }
      CHECK(reader.statistics().seek_recoveries == 0);
    }
  }
}

TEST_CASE("with B-frames a random read decodes no frame beyond the one wanted") {
  for (const std::string format : {"avc1/mp4", "h264/mkv"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 90, 1000, 12, 2});
      Reader reader = open(folder.path() / "store", 2);
      const auto keys = keyframes_before(reader);
      Meter meter(reader);
      for (const FrameIndex index : shuffled(90, 4)) {
        reader.read(index);
        const ReadStatistics cost = meter.cost();
        CHECK(cost.frames_decoded <= index.value - keys[static_cast<std::size_t>(index.value)] + 1);
        CHECK(cost.seek_recoveries == 0);
        CHECK(cost.seeks <= 1);
      }
    }
  }
}

TEST_CASE("a small jump ahead goes on decoding, a jump over a keyframe seeks to it") {
  const TemporaryFolder folder;
  write_store(folder.path() / "store", {"h264/mkv", 100, 1000, 20});
  Reader reader = open(folder.path() / "store", 2);
  reader.read(FrameIndex(22));
  Meter meter(reader);
  reader.read(FrameIndex(27));
  CHECK(meter.cost().frames_decoded == 5);
  CHECK(reader.statistics().seeks == 1);
  reader.read(FrameIndex(39));
  CHECK(meter.cost().frames_decoded == 12);
  CHECK(reader.statistics().seeks == 1);
  reader.read(FrameIndex(63));
  const ReadStatistics over = meter.cost();
  CHECK(over.frames_decoded == 4);
  CHECK(over.seeks == 1);
}

TEST_CASE("reading a frame again costs no more than the first time") {
  for (const std::string& format : video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", {format, 40, 1000, 10});
      Reader reader = open(folder.path() / "store", 2);
      const auto keys = keyframes_before(reader);
      Meter meter(reader);
      for (int i = 0; i < 3; ++i) {
        const auto frame = reader.read(FrameIndex(25));
        CHECK(frame.info.index.value == 25);
        CHECK(meter.cost().frames_decoded <= 25 - keys[25] + 1);
      }
      CHECK(reader.statistics().files_opened == 1);
    }
  }
}

TEST_CASE("looking up names decodes nothing") {
  const TemporaryFolder folder;
  write_store(folder.path() / "store", {"avc1/mp4", 40, 7});
  const Reader reader = open(folder.path() / "store", 2);
  CHECK(reader.infos({0, 40}).size() == 40);
  CHECK(reader.find(avstore::FrameNumber(31)).chunk == 4);
  CHECK(reader.find(avstore::FrameTime(0.5)).index.value == 12);
  const ReadStatistics cost = reader.statistics();
  CHECK(cost.frames_decoded == 0);
  CHECK(cost.packets_read == 0);
  CHECK(cost.files_opened == 0);
}

TEST_CASE("many at once: no frame is decoded twice, and none that is not needed") {
  for (const std::string& format : video_formats()) {
    for (const int threads : {1, 2, 5}) {
      DYNAMIC_SECTION(format << ", " << threads << " threads") {
        const TemporaryFolder folder;
        write_store(folder.path() / "store", {format, 130, 50});
        Reader reader = open(folder.path() / "store", threads);
        const auto keys = keyframes_before(reader);
        Meter meter(reader);

        reader.read_many(shuffled(130, 6));
        const ReadStatistics all = meter.cost();
        CHECK(all.frames_decoded == 130);
        CHECK(all.seek_recoveries == 0);

        // One keyframe interval, backwards, each frame three times.
        std::vector<FrameIndex> interval;
        for (std::int64_t i = 129; i >= 0; --i) {
          if (keys[static_cast<std::size_t>(i)] == keys[60]) {
            interval.insert(interval.end(), 3, FrameIndex(i));
          }
        }
        reader.read_many(interval);
        CHECK(meter.cost().frames_decoded == static_cast<std::int64_t>(interval.size() / 3));

        std::vector<FrameIndex> some = shuffled(130, 9);
        some.resize(25);
        some.insert(some.end(), some.begin(), some.begin() + 10);
        reader.read_many(some);
        const ReadStatistics few = meter.cost();
        CHECK(few.frames_decoded == least_to_decode(some, keys));
        CHECK(few.seek_recoveries == 0);

        reader.read_many(std::vector<FrameIndex>());
        CHECK(meter.cost().frames_decoded == 0);
      }
    }
  }
}

TEST_CASE("the chunks used last stay open") {
  const TemporaryFolder folder;
  write_store(folder.path() / "store", {"avc1/mp4", 60, 20});
  Reader reader = open(folder.path() / "store", 2);
  for (const FrameIndex index : shuffled(60, 2)) {
    reader.read(index);
  }
  CHECK(reader.statistics().files_opened == 3);
}

TEST_CASE("an image costs its one file") {
  for (const std::string format : {"png", "npy"}) {
    const TemporaryFolder folder;
    write_store(folder.path() / "store", {format, 30, 7});
    Reader reader = open(folder.path() / "store", 2);
    Meter meter(reader);
    for (const FrameIndex index : shuffled(30, 2)) {
      reader.read(index);
      const ReadStatistics cost = meter.cost();
      CHECK(cost.frames_decoded == 1);
      CHECK(cost.files_opened == 1);
    }
    std::vector<FrameIndex> wanted(4, FrameIndex(3));
    wanted.emplace_back(9);
    reader.read_many(wanted);
    CHECK(meter.cost().frames_decoded == 2);
  }
}
