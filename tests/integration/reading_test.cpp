// Reading many frames, on and on, and by several readers.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/reader.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::frame_md5s;
using avstore::test::options_of;
using avstore::test::plain_names;
using avstore::test::probe;
using avstore::test::shuffled_indices;
using avstore::test::TemporaryFolder;
using avstore::test::video_formats;
using avstore::test::write_store;

}  // namespace

TEST_CASE("many frames at once, in any order with repeats, are those read one by one") {
  for (const avstore::Format& format : avstore::formats()) {
    DYNAMIC_SECTION(format.name) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format.name, 20), pixel::gray8, plain_names(50));
      std::vector<FrameIndex> wanted = shuffled_indices(50, 5);
      wanted.resize(30);
      const auto again = wanted;
      wanted.insert(wanted.end(), again.begin(), again.begin() + 10);
      wanted.insert(wanted.end(), 3, FrameIndex(49));
      Reader many(store);
      const auto frames = many.read_many(wanted);
      REQUIRE(frames.size() == wanted.size());
      Reader single(store);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Frame frame = single.read(wanted[i]);
        CHECK(frames[i].info.index == wanted[i]);
        CHECK(frames[i].info.number.value == wanted[i].value);
        CHECK(avstore::md5(frames[i].image.view()) == avstore::md5(frame.image.view()));
        CHECK(code_of(frames[i].image.view()) == wanted[i].value);
      }
      // Each frame is handed over once for each place it was asked at.
      std::vector<int> visits(wanted.size());
      many.read_many(wanted, [&](std::size_t position, const Frame& frame) {
        ++visits.at(position);
        CHECK(frame.info.index == wanted[position]);
      });
      CHECK(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; }));
    }
  }
}

TEST_CASE("what a visitor throws comes out of read_many") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 20), pixel::gray8, plain_names(50));
  Reader reader(store);
  CHECK_THROWS_AS(reader.read_many(shuffled_indices(50),
                                   [](std::size_t, const Frame&) { throw std::out_of_range("x"); }),
                  std::out_of_range);
  CHECK(code_of(reader.read(FrameIndex(33)).image.view()) == 33);
}

TEST_CASE("next continues after the frame read last, and ends") {
  for (const std::string format : {"h264/mkv", "png"}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    write_store(store, options_of(format), pixel::gray8, plain_names(16));
    Reader reader(store);
    const auto next = [&reader]() -> std::int64_t {
      const auto frame = reader.next();
      if (!frame) {
        return -1;
      }
      CHECK(code_of(frame->image.view()) == frame->info.index.value);
      return frame->info.index.value;
    };
    CHECK(next() == 0);
    CHECK(next() == 1);
    reader.read(FrameNumber(12));
    CHECK(next() == 13);
    CHECK(next() == 14);
    CHECK(next() == 15);
    CHECK(next() == -1);
    CHECK(next() == -1);
    reader.read(FrameTime(1000 + 0.04 * 6));
    CHECK(next() == 7);
    Reader moved(std::move(reader));
    CHECK(moved.next()->info.index.value == 8);
    Reader other(store);
    other = std::move(moved);
    CHECK(other.next()->info.index.value == 9);
    CHECK(other.frame_count() == 16);
  }
}

TEST_CASE("frames outlive their reader") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "png", "npy"}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    write_store(store, options_of(format), pixel::gray8, plain_names(16));
    std::vector<Frame> frames;
    {
      Reader reader(store);
      while (auto frame = reader.next()) {
        frames.push_back(std::move(*frame));
      }
    }
    REQUIRE(frames.size() == 16);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      CHECK(code_of(frames[i].image.view()) == static_cast<int>(i));
    }
  }
}

TEST_CASE("several readers of one store do not disturb each other") {
  for (const bool has_index : {true, false}) {
    for (const std::string format : {"avc1/mp4", "mjpeg/avi", "tif"}) {
      DYNAMIC_SECTION(format << (has_index ? "" : " without index")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format), pixel::gray8, plain_names(40));
        if (!has_index) {
          fs::remove(store / ".index.sqlite");
        }
        std::array<int, 4> wrong{};
        std::array<std::string, 4> failures;
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < wrong.size(); ++t) {
          threads.emplace_back([&, t] {
            try {
              Reader reader(store);
              for (const FrameIndex index : shuffled_indices(40, t)) {
                wrong[t] += code_of(reader.read(index).image.view()) != index.value ? 1 : 0;
              }
            } catch (const std::exception& error) {
              failures[t] = error.what();
            }
          });
        }
        for (std::thread& thread : threads) {
          thread.join();
        }
        CHECK(wrong == std::array<int, 4>{});
        CHECK(failures == std::array<std::string, 4>{});
      }
    }
  }
}

TEST_CASE("every chunk's frames, read backwards, are those that ffmpeg decodes") {
  for (const std::string& format : video_formats()) {
    for (const PixelFormat pixels : {pixel::gray8, pixel::bgr24}) {
      DYNAMIC_SECTION(format << " from " << pixels.name()) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format, 30), pixels, plain_names(41));
        std::vector<std::string> oracle = frame_md5s(chunk_file(store, format, 0));
        const auto second = frame_md5s(chunk_file(store, format, 1));
        oracle.insert(oracle.end(), second.begin(), second.end());
        REQUIRE(oracle.size() == 41);
        Reader reader(store);
        for (std::int64_t i = 40; i >= 0; --i) {
          CHECK(avstore::md5(reader.read(FrameIndex(i)).image.view()) ==
                oracle[static_cast<std::size_t>(i)]);
        }
      }
    }
  }
}

TEST_CASE("what is written to pixels of one's own shows in no other frame") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const PixelFormat wanted : {PixelFormat(), pixel::gray8}) {
      DYNAMIC_SECTION(format.name << (wanted.empty() ? " as decoded" : " as gray")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format.name, 20), pixel::gray8, plain_names(30));
        Reader untouched = avstore::test::open_as(store, wanted);
        avstore::ReaderOptions options;
        options.pixel_format = wanted;
        options.own_pixels = true;
        Reader reader(store, options);
        std::vector<FrameIndex> twice = shuffled_indices(30);
        twice.insert(twice.end(), twice.begin(), twice.begin() + 10);
        const auto scribble = [&](const Frame& frame) {
          const std::string expected = avstore::md5(untouched.read(frame.info.index).image.view());
          CHECK(avstore::md5(frame.image.view()) == expected);
          const avstore::ImageView& image = frame.image.view();
          for (int y = 0; y < image.height; ++y) {
            std::memset(const_cast<std::uint8_t*>(image.planes[0]) + y * image.strides[0], y, 96);
          }
        };
        reader.read_many(twice, [&](std::size_t, const Frame& frame) { scribble(frame); });
        while (const auto frame = reader.next()) {
          scribble(*frame);
        }
        for (const FrameIndex index : twice) {
          scribble(reader.read(index));
        }
      }
    }
  }
}

TEST_CASE("keyframes are those that ffprobe finds, also where nothing was read before") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  auto options = options_of("h264/mkv", 25);
  options.encoder.keyframe_interval = 7;
  write_store(store, options, pixel::gray8, plain_names(60));
  std::vector<FrameIndex> expected;
  for (int chunk = 0; chunk < 3; ++chunk) {
    std::int64_t frame = 25 * chunk;
    for (const std::string& key :
         probe(chunk_file(store, "h264/mkv", chunk), "-show_entries frame=key_frame")) {
      if (key.empty() || (key.front() != '0' && key.front() != '1')) {
        continue;  // ffprobe tells of side data too
      }
      if (key.front() == '1') {
        expected.emplace_back(frame);
      }
      ++frame;
    }
  }
  REQUIRE(expected.size() == 10);
  for (const bool has_index : {true, false}) {
    if (!has_index) {
      fs::remove(store / ".index.sqlite");
    }
    Reader reader(store);
    CHECK(reader.keyframes({0, INT64_MAX}) == expected);
    CHECK(reader.keyframes({7, 29}) ==
          std::vector{FrameIndex(7), FrameIndex(14), FrameIndex(21), FrameIndex(25)});
    CHECK(reader.keyframes({60, 70}).empty());
  }
  write_store(folder.path() / "images", options_of("png"), pixel::gray8, plain_names(9));
  CHECK(Reader(folder.path() / "images").keyframes({7, 20}) ==
        std::vector{FrameIndex(7), FrameIndex(8)});
}

TEST_CASE("the usual pixel format holds what was written") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  for (const auto& [format, pixels, shape] :
       std::vector<std::tuple<std::string, PixelFormat, std::vector<std::int64_t>>>{
           {"ffv1/mkv", pixel::gray8, {64, 96}},
           {"ffv1/mkv", pixel::gray16, {64, 96}},
           {"ffv1/mkv", pixel::bgr24, {64, 96, 3}},
           {"png", pixel::gray16, {64, 96}},
           {"jpg", pixel::bgr24, {64, 96, 3}}}) {
    auto options = options_of(format);
    options.overwrite = true;
    write_store(store, options, pixels, plain_names(2));
    avstore::ReaderOptions reading;
    reading.packed = true;
    Reader reader(store, reading);
    CHECK(usual_pixel_format(reader.info()) == pixels);
    CHECK(reader.info().shape == shape);
    CHECK(reader.read(FrameIndex(1)).image.format() == pixels);
  }
}

TEST_CASE("PTS and keyframes of a store that others wrote are known once its chunks were read") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  auto options = options_of("h264/mkv", 25);
  options.encoder.keyframe_interval = 7;
  write_store(store, options, pixel::gray8, plain_names(60));
  const auto expected = Reader(store).infos({0, 60});  // its writer knew them
  REQUIRE(expected[7].keyframe);
  fs::remove(store / ".index.sqlite");
  avstore::ReaderOptions reading;
  const auto same = [](const avstore::FrameInfo& a, const avstore::FrameInfo& b) {
    return a.index == b.index && a.pts == b.pts && a.keyframe == b.keyframe;
  };
  for (const std::string kept : {"in memory", "in no database", "in the database"}) {
    DYNAMIC_SECTION(kept) {
      reading.save_index = kept == "in the database";
      if (kept == "in no database") {
        const Reader makes_it(store);
      }
      // What read() says of a frame, the first one of its chunk too.
      Reader reader(store, reading);
      CHECK_FALSE(reader.find(FrameIndex(32)).pts);
      for (const int index : {32, 0, 59, 7}) {
        const auto place = static_cast<std::size_t>(index);
        CHECK(same(reader.read(FrameIndex(index)).info, expected[place]));
        CHECK(same(reader.find(FrameIndex(index)), expected[place]));
      }
      const auto infos = reader.infos({0, 60});
      CHECK(std::equal(infos.begin(), infos.end(), expected.begin(), expected.end(), same));
      // And by the ways that read none.
      Reader fresh(store, reading);
      const avstore::IndexRange chunk = fresh.prepare(FrameIndex(30));
      CHECK(chunk.begin == 25);
      CHECK(chunk.end == 50);
      CHECK(same(fresh.find(FrameIndex(28)), expected[28]));
      CHECK(fresh.keyframes({0, 60}).size() == 10);
      CHECK(fresh.statistics().frames_decoded == 0);
      Reader many(store, reading);
      for (const Frame& frame : many.read_many(shuffled_indices(60))) {
        CHECK(same(frame.info, expected[static_cast<std::size_t>(frame.info.index.value)]));
      }
    }
  }
}

// A scan that was not kept could not tell that the file is another one than it was.
TEST_CASE("a chunk whose PTS cannot be saved is looked into once") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("h264/mkv", 10), pixel::gray8, plain_names(80));
  fs::remove(store / ".index.sqlite");
  { const Reader makes_it(store); }
  avstore::ReaderOptions reading;
  reading.save_index = false;
  Reader reader(store, reading);
  CHECK(reader.keyframes({0, 80}).size() >= 8);
  // With as many bytes, a file counts as what it was; scanned anew, it would be none.
  const auto chunk = chunk_file(store, "h264/mkv", 3);
  const auto size = fs::file_size(chunk);
  fs::resize_file(chunk, 0);
  fs::resize_file(chunk, size);
  CHECK(reader.keyframes({30, 40}).size() >= 1);
  CHECK(reader.find(FrameIndex(33)).pts);
}

TEST_CASE("next goes on behind a frame that cannot be read") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("png"), pixel::gray8, plain_names(16));
  fs::resize_file(store / "000001" / "000002.png", 20);  // frame 9
  Reader reader(store);
  std::vector<std::int64_t> read;
  int failures = 0;
  for (int calls = 0; calls < 20; ++calls) {
    try {
      const auto frame = reader.next();
      if (!frame) {
        break;
      }
      read.push_back(frame->info.index.value);
    } catch (const avstore::Error&) {
      ++failures;
    }
  }
  CHECK(failures == 1);
  CHECK(read == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15});
  CHECK_THROWS_AS(reader.read(FrameIndex(9)), avstore::Error);
  CHECK(reader.next()->info.index.value == 10);
  // One that is not there changes nothing.
  CHECK_THROWS_AS(reader.read(FrameNumber(99)), avstore::Error);
  CHECK(reader.next()->info.index.value == 11);
}
