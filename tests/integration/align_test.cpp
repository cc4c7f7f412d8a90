// Aligning the stores of several cameras by number and by time, and what is written of it; videos
// are looked at with ffmpeg.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;
using namespace avstore::test;  // NOLINT
using avstore::AlignBy;
using avstore::AlignedFrame;
using avstore::Alignment;
using avstore::AlignOptions;
using avstore::AlignPolicy;
using avstore::ExtraData;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using Catch::Matchers::ContainsSubstring;

// The number shown by the picture that begins at column `left` of an image in gray; 0 where it is
// black.
int code_at(const Image& image, int left) {
  avstore::ImageView picture = image.view();
  picture.planes[0] += left;
  picture.width = kWidth;
  return code_of(picture);
}

// Camera 1 lacks number 12, camera 2 begins later and has one more.
struct TwoCameras {
  TemporaryFolder folder;
  fs::path left = folder.path() / "left";
  fs::path right = folder.path() / "right";

  explicit TwoCameras(const std::string& format = "png") {
    write_extra_store(left, {{10, 5.0}, {11, 5.1}, {13, 5.3}, {14, 5.4}}, 1,
                      vienna_options(format));
    write_extra_store(right, {{11, 5.11}, {12, 5.19}, {13, 5.32}, {14, 5.41}, {15, 5.5}}, 101,
                      vienna_options(format));
  }
  Alignment aligned(AlignBy by, AlignPolicy policy, std::optional<double> tolerance = {}) const {
    AlignOptions options;
    options.by = by;
    options.policy = policy;
    options.tolerance = tolerance;
    return avstore::align({left, right}, options);
  }
};

// "10:0-. 11:1-0": number, then what each store shows: an index, held ones in brackets, black ".".
std::string text_of(const Alignment& alignment) {
  std::string text;
  for (std::size_t place = 0; place < alignment.places.size(); ++place) {
    text += (text.empty() ? "" : " ") + std::to_string(alignment.places[place].number.value);
    for (std::size_t s = 0; s < alignment.stores.size(); ++s) {
      const AlignedFrame& frame = alignment.frame(place, s);
      const std::string index = std::to_string(frame.index.value);
      text += (s == 0 ? ":" : "-") + (frame.kind == AlignedFrame::Kind::match  ? index
                                      : frame.kind == AlignedFrame::Kind::hold ? "(" + index + ")"
                                                                               : ".");
    }
  }
  return text;
}

}  // namespace

TEST_CASE("align matches frames by number") {
  const TwoCameras cameras;
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::drop)) == "11:1-0 13:2-2 14:3-3");
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::hold)) ==
        "10:0-. 11:1-0 12:(1)-1 13:2-2 14:3-3 15:(3)-4");
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::black)) ==
        "10:0-. 11:1-0 12:.-1 13:2-2 14:3-3 15:.-4");
}

TEST_CASE("align matches frames by time, within a tolerance") {
  const TwoCameras cameras;
  const Alignment usual = cameras.aligned(AlignBy::time, AlignPolicy::hold);
  CHECK(usual.tolerance == Approx(0.045));
  CHECK(text_of(usual) == "0:0-. 1:1-0 2:(1)-1 3:2-2 4:3-3 5:(3)-4");
  CHECK(usual.places[2].time == FrameTime(5.19));
  CHECK(text_of(cameras.aligned(AlignBy::time, AlignPolicy::drop, 0.015)) == "0:1-0 1:3-3");
  CHECK(text_of(cameras.aligned(AlignBy::time, AlignPolicy::black, 0)) ==
        "0:0-. 1:1-. 2:.-0 3:.-1 4:2-. 5:.-2 6:3-. 7:.-3 8:.-4");
}

TEST_CASE("align takes the first of repeated numbers, sorts, and leaves out times that are none") {
  const TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  write_extra_store(folder.path() / "a", {{2, 3.0}, {1, nan}, {2, 1.0}}, 1, vienna_options("png"));
  write_extra_store(folder.path() / "b", {{1, 1.0}, {2, 3.0}}, 1, vienna_options("png"));
  std::vector<std::string> notices;
  AlignOptions options;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  CHECK(text_of(avstore::align({folder.path() / "a", folder.path() / "b"}, options)) ==
        "1:1-0 2:0-1");
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], ContainsSubstring("1 frames with a repeated number"));
  options.by = AlignBy::time;
  CHECK(text_of(avstore::align({folder.path() / "a", folder.path() / "b"}, options)) ==
        "0:2-0 1:0-1");
  CHECK_THAT(notices.back(), ContainsSubstring("1 frames without a time"));
  CHECK_THAT(error_of([&] { avstore::align({folder.path() / "a"}, options); }).what(),
             ContainsSubstring("two stores"));
}

TEST_CASE("aligned stores have the same numbers, and their own times and extra data") {
  const std::string format = GENERATE("png", "avc1/mp4");
  const TwoCameras cameras(format);
  const Alignment alignment = cameras.aligned(AlignBy::number, AlignPolicy::hold);
  const fs::path left = cameras.folder.path() / "new-left";
  const fs::path right = cameras.folder.path() / "new-right";
  avstore::AlignedWriterOptions options;
  options.writer = vienna_options(format);
  avstore::write_aligned(alignment, {left, right}, options);

  CHECK(numbers(left) == std::vector<std::int64_t>{10, 11, 12, 13, 14, 15});
  CHECK(numbers(right) == numbers(left));
  std::vector<int> codes;
  for (const fs::path& store : {left, right}) {
    Reader reader(store);
    while (const auto frame = reader.next()) {
      codes.push_back(code_of(frame->image.view()));
    }
  }
  CHECK(codes == std::vector<int>{1, 2, 2, 3, 4, 4, 0, 101, 102, 103, 104, 105});
  CHECK(Reader(left).find(FrameNumber(11)).time == FrameTime(5.1));
  CHECK(Reader(left).find(FrameNumber(12)).time == FrameTime(5.19));
  const ExtraData extra = avstore::read_extra(left);
  CHECK(extra.frame_index ==
        std::vector<FrameIndex>{FrameIndex(0), FrameIndex(1), FrameIndex(3), FrameIndex(4)});
  CHECK(std::get<std::vector<std::int64_t>>(extra.find("k")->values) ==
        std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(Reader(left).info().timezone_local == "Europe/Vienna");
}

TEST_CASE("black is black in colour too") {
  const std::string format = GENERATE("avc1/mp4", "png", "ffv1/mkv");
  const TemporaryFolder folder;
  for (const auto& [name, number] : {std::pair("a", 1), std::pair("b", 2)}) {
    Writer writer(folder.path() / name, vienna_options(format));
    const std::vector<std::uint8_t> pixels(std::size_t{3} * kWidth * kHeight, 200);
    writer.add(avstore::packed_view(pixel::bgr24, kWidth, kHeight, pixels.data()),
               FrameNumber(number), FrameTime(number));
    writer.close();
  }
  AlignOptions options;
  options.policy = AlignPolicy::black;
  const Alignment alignment = avstore::align({folder.path() / "a", folder.path() / "b"}, options);
  avstore::AlignedWriterOptions writing;
  writing.writer = vienna_options(format);
  avstore::write_aligned(alignment, {folder.path() / "c", folder.path() / "d"}, writing);
  ReaderOptions reading;
  reading.pixel_format = pixel::bgr24;
  Reader reader(folder.path() / "c", reading);
  CHECK(reader.info().color);
  CHECK(std::abs(int{*reader.read(FrameIndex(0)).image.data()} - 200) < 10);  // lossy
  CHECK(int{*reader.read(FrameIndex(1)).image.data()} < 4);
}

TEST_CASE("side by side, as a store and as a video") {
  const TwoCameras cameras("ffv1/mkv");
  const Alignment alignment = cameras.aligned(AlignBy::number, AlignPolicy::black);
  avstore::AlignedWriterOptions options;
  options.writer = vienna_options("ffv1/mkv");
  const fs::path both = cameras.folder.path() / "both";
  avstore::write_side_by_side(alignment, both, options);
  Reader reader(both);
  CHECK(reader.info().width == 2 * kWidth);
  std::vector<std::pair<int, int>> codes;
  while (const auto frame = reader.next()) {
    codes.emplace_back(code_at(frame->image, 0), code_at(frame->image, kWidth));
  }
  CHECK(codes ==
        std::vector<std::pair<int, int>>{{1, 0}, {2, 101}, {0, 102}, {3, 103}, {4, 104}, {0, 105}});

  options.writer = vienna_options("avc1/mp4");
  const fs::path video = cameras.folder.path() / "both.mp4";
  avstore::write_side_by_side(alignment, video, options);
  const std::string raw = run("ffmpeg -v error -i " + quoted(video) +
                              " -fps_mode passthrough -f rawvideo -pix_fmt gray -");
  constexpr std::size_t kFrameBytes = std::size_t{2} * kWidth * kHeight;
  REQUIRE(raw.size() == 6 * kFrameBytes);
  const Image second = avstore::copy(
      avstore::packed_view(pixel::gray8, 2 * kWidth, kHeight, raw.data() + kFrameBytes));
  CHECK(code_at(second, 0) == 2);
  CHECK(code_at(second, kWidth) == 101);
  CHECK_THAT(error_of([&] { avstore::write_side_by_side(alignment, video, options); }).what(),
             ContainsSubstring("is there already"));
  for (const auto& entry : fs::directory_iterator(cameras.folder.path())) {
    CHECK_THAT(entry.path().filename().string(), !ContainsSubstring("partial"));
  }
}

TEST_CASE("aligning what never matches writes nothing") {
  const TemporaryFolder folder;
  write_extra_store(folder.path() / "a", {{1, 1.0}}, 1, vienna_options("png"));
  write_extra_store(folder.path() / "b", {{2, 2.0}}, 1, vienna_options("png"));
  const Alignment alignment = avstore::align({folder.path() / "a", folder.path() / "b"}, {});
  CHECK(alignment.places.empty());
  CHECK_THAT(
      error_of([&] { avstore::write_side_by_side(alignment, folder.path() / "c", {}); }).what(),
      ContainsSubstring("no frame of it matches"));
  CHECK_FALSE(fs::exists(folder.path() / "c"));
}

TEST_CASE("an alignment of no stores writes nothing") {
  const TemporaryFolder folder;
  const Alignment none;
  CHECK_THAT(error_of([&] { avstore::write_aligned(none, {}, {}); }).what(),
             ContainsSubstring("no stores"));
  CHECK_THAT(error_of([&] { avstore::write_side_by_side(none, folder.path() / "c", {}); }).what(),
             ContainsSubstring("no stores"));
  CHECK_FALSE(fs::exists(folder.path() / "c"));
}
