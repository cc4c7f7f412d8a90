// Images in memory and in files, NAL units, time bases: against numbers worked out by hand, and
// against what the ffmpeg program and NumPy make of the same bytes.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "imgstore/npy.h"
#include "media/av.h"
#include "media/demuxer.h"
#include "media/nal_units.h"
#include "media/packet.h"
#include "media/random_access.h"
#include "media/rescale.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::test::quoted;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using Bytes = std::vector<std::uint8_t>;
using Catch::Matchers::Contains;

constexpr std::array kFormats{pixel::gray8, pixel::gray16,  pixel::bgr24, pixel::rgb24,
                              pixel::bgra,  pixel::yuv420p, pixel::nv12};

template <typename Call>
ErrorKind kind_of(const Call& call) {
  try {
    call();
  } catch (const avstore::Error& error) {
    return error.kind();
  }
  FAIL("no error");
  throw std::logic_error("not reached");
}

Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 dice(seed);
  Bytes bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&dice] { return static_cast<std::uint8_t>(dice()); });
  return bytes;
}

ImageView view_of(PixelFormat format, int width, int height, const Bytes& bytes) {
  return avstore::contiguous_view(format, width, height, bytes.data());
}

Bytes converted(const ImageView& image, PixelFormat format) {
  return avstore::pack(avstore::convert(image, format).view());
}

// --- Other programs ---

Bytes run_bytes(const std::string& command) {
  const std::string output = run(command);
  return {output.begin(), output.end()};
}

void write_bytes(const fs::path& file, const Bytes& bytes) {
  std::ofstream output(file, std::ios::binary | std::ios::trunc);
  output.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  REQUIRE(output.good());
}

Bytes read_bytes(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  std::ostringstream text;
  text << input.rdbuf();
  const std::string all = text.str();
  return {all.begin(), all.end()};
}

std::string ffmpeg_name(PixelFormat format) {
  return format == pixel::gray8    ? "gray"
         : format == pixel::gray16 ? "gray16le"
                                   : std::string(format.name());
}

// Raw pixels in a file as the ffmpeg program converts them, in one format or from an image file.
Bytes by_ffmpeg(const std::string& input, PixelFormat to) {
  return run_bytes("ffmpeg -v error " + input + " -f rawvideo -pix_fmt " + ffmpeg_name(to) + " -");
}

}  // namespace

// --- Geometry ---

TEST_CASE("sizes of images packed without padding") {
  CHECK(avstore::packed_size(pixel::gray8, 5, 3) == 15);
  CHECK(avstore::packed_size(pixel::gray16, 5, 3) == 30);
  CHECK(avstore::packed_size(pixel::bgr24, 5, 3) == 45);
  CHECK(avstore::packed_size(pixel::rgb24, 5, 3) == 45);
  CHECK(avstore::packed_size(pixel::bgra, 5, 3) == 60);
  // Chroma of odd sizes is rounded up: 3 columns, 2 rows.
  CHECK(avstore::packed_size(pixel::yuv420p, 5, 3) == 15 + 6 + 6);
  CHECK(avstore::packed_size(pixel::nv12, 5, 3) == 15 + 12);
  CHECK(avstore::packed_size(pixel::yuv420p, 1, 1) == 3);
  CHECK(avstore::packed_size(pixel::nv12, 1, 1) == 3);
  CHECK(avstore::packed_size(PixelFormat("yuv444p10le"), 5, 3) == 90);
  CHECK(avstore::packed_size(PixelFormat("yuv422p"), 5, 3) == 15 + 9 + 9);
  CHECK(avstore::packed_size(PixelFormat("yuva420p"), 5, 3) == 15 + 6 + 6 + 15);
  CHECK(avstore::packed_size(PixelFormat("pal8"), 5, 3) == 15 + 1024);
  CHECK(avstore::packed_size(PixelFormat("monob"), 9, 3) == 6);
  CHECK(avstore::packed_size(PixelFormat("gbrp"), 5, 3) == 45);
}

TEST_CASE("sizes that no image has") {
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{0, 3},
                                                                      {3, 0},
                                                                      {-1, 3},
                                                                      {3, -1},
                                                                      {1 << 30, 1 << 30},
                                                                      {INT32_MAX, INT32_MAX},
                                                                      {INT32_MIN, 1}}) {
    CAPTURE(width, height);
    CHECK(kind_of([&, w = width, h = height] { avstore::packed_size(pixel::bgra, w, h); }) ==
          ErrorKind::invalid_argument);
    CHECK(kind_of([&, w = width, h = height] { avstore::packed_view(pixel::gray8, w, h, "x"); }) ==
          ErrorKind::invalid_argument);
    CHECK(kind_of([&, w = width, h = height] {
            avstore::contiguous_view(pixel::nv12, w, h, "x");
          }) == ErrorKind::invalid_argument);
  }
  CHECK(kind_of([] { avstore::packed_size(pixel::array, 3, 3); }) == ErrorKind::invalid_argument);
  CHECK(kind_of([] { avstore::packed_size(PixelFormat("vaapi"), 3, 3); }) ==
        ErrorKind::invalid_argument);
  CHECK(kind_of([] { avstore::packed_size(PixelFormat("mauve"), 3, 3); }) ==
        ErrorKind::invalid_argument);
  CHECK(kind_of([] { avstore::packed_size(PixelFormat(), 3, 3); }) == ErrorKind::invalid_argument);
}

TEST_CASE("names of pixel formats") {
  for (const PixelFormat format : kFormats) {
    CHECK(PixelFormat::from_name(format.name()) == format);
  }
  CHECK(PixelFormat::from_name("array") == pixel::array);
  CHECK(PixelFormat::from_name("gray") == pixel::gray8);
  CHECK(PixelFormat::from_name("gray16le") == pixel::gray16);
  CHECK(PixelFormat::from_name("yuv444p10le").name() == "yuv444p10le");
  for (const char* name : {"", "mauve", "GRAY8 ", "bgr24\n"}) {
    CAPTURE(name);
    CHECK(kind_of([&] { PixelFormat::from_name(name); }) == ErrorKind::invalid_argument);
  }
}

TEST_CASE("views of one plane") {
  const Bytes bytes(100);
  const ImageView tight = avstore::packed_view(pixel::bgr24, 5, 3, bytes.data());
  CHECK(tight.format == pixel::bgr24);
  CHECK(tight.width == 5);
  CHECK(tight.height == 3);
  CHECK(tight.planes[0] == bytes.data());
  CHECK(tight.planes[1] == nullptr);
  CHECK(tight.strides[0] == 15);
  CHECK(avstore::packed_view(pixel::gray16, 5, 3, bytes.data()).strides[0] == 10);
  CHECK(avstore::packed_view(pixel::gray16, 5, 3, bytes.data(), 16).strides[0] == 16);
  CHECK(avstore::packed_view(pixel::gray8, 5, 3, bytes.data() + 10, -5).strides[0] == -5);
  for (const PixelFormat planar :
       {pixel::yuv420p, pixel::nv12, PixelFormat("gbrp"), pixel::array}) {
    CHECK(kind_of([&] { avstore::packed_view(planar, 4, 4, bytes.data()); }) ==
          ErrorKind::invalid_argument);
  }
}

TEST_CASE("views of planes one after another") {
  const Bytes bytes(100);
  const std::uint8_t* data = bytes.data();
  const ImageView yuv = view_of(pixel::yuv420p, 5, 3, bytes);
  CHECK(yuv.planes == std::array<const std::uint8_t*, 4>{data, data + 15, data + 21, nullptr});
  CHECK(yuv.strides == std::array<std::ptrdiff_t, 4>{5, 3, 3, 0});
  const ImageView nv12 = view_of(pixel::nv12, 5, 3, bytes);
  CHECK(nv12.planes == std::array<const std::uint8_t*, 4>{data, data + 15, nullptr, nullptr});
  CHECK(nv12.strides == std::array<std::ptrdiff_t, 4>{5, 6, 0, 0});
  const ImageView gray = view_of(pixel::gray16, 5, 3, bytes);
  CHECK(gray.planes == std::array<const std::uint8_t*, 4>{data, nullptr, nullptr, nullptr});
}

TEST_CASE("packing leaves padding out and keeps the order of rows") {
  const Bytes padded{1, 2, 3, 99, 4, 5, 6, 99};
  CHECK(avstore::pack(avstore::packed_view(pixel::gray8, 3, 2, padded.data(), 4)) ==
        Bytes{1, 2, 3, 4, 5, 6});
  CHECK(avstore::pack(avstore::packed_view(pixel::gray8, 3, 2, padded.data() + 4, -4)) ==
        Bytes{4, 5, 6, 1, 2, 3});
  ImageView yuv;
  yuv.format = pixel::yuv420p;
  yuv.width = 3;
  yuv.height = 3;
  const Bytes y{1, 2, 3, 99, 4, 5, 6, 99, 7, 8, 9, 99};
  const Bytes u{10, 11, 99, 12, 13, 99};
  const Bytes v{16, 17, 14, 15};
  yuv.planes = {y.data(), u.data(), v.data() + 2, nullptr};
  yuv.strides = {4, 3, -2, 0};
  CHECK(avstore::pack(yuv) == Bytes{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17});
  CHECK(avstore::packed_size(yuv) == 17);
  for (const PixelFormat format : kFormats) {
    const Bytes bytes = random_bytes(avstore::packed_size(format, 7, 5), 1);
    CHECK(avstore::pack(view_of(format, 7, 5, bytes)) == bytes);
  }
}

TEST_CASE("packing an array leaves padding between its rows out") {
  const Bytes padded{1, 2, 3, 4, 99, 99, 5, 6, 7, 8, 99, 99};
  ImageView view;
  view.format = pixel::array;
  view.width = 2;
  view.height = 2;
  view.array = {"<i2", {2, 2}};
  view.planes[0] = padded.data();
  view.strides[0] = 6;
  // ArrayType says how long a row is: 2 items of 2 bytes.
  CHECK(avstore::packed_size(view) == 8);
  CHECK(avstore::pack(view) == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(avstore::pack(avstore::copy(view).view()) == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("MD5 of the pixels alone") {
  // RFC 1321, A.5.
  CHECK(avstore::md5(avstore::packed_view(pixel::gray8, 1, 1, "a")) ==
        "0cc175b9c0f1b6a831c399e269772661");
  CHECK(avstore::md5(avstore::packed_view(pixel::gray8, 3, 1, "abc")) ==
        "900150983cd24fb0d6963f7d28e17f72");
  CHECK(avstore::md5(avstore::packed_view(pixel::gray8, 1, 3, "a..b..c", 3)) ==
        "900150983cd24fb0d6963f7d28e17f72");
  CHECK(avstore::md5(avstore::packed_view(pixel::gray16, 13, 1, "abcdefghijklmnopqrstuvwxyz")) ==
        "c3fcd3d76192e4007dfb496cca67e13b");
  const TemporaryFolder folder;
  for (const PixelFormat format : kFormats) {
    const Bytes bytes = random_bytes(avstore::packed_size(format, 33, 21), 2);
    write_bytes(folder.path() / "raw", bytes);
    CHECK(avstore::md5(view_of(format, 33, 21, bytes)) ==
          run("md5sum < " + quoted(folder.path() / "raw")).substr(0, 32));
  }
}

TEST_CASE("a copy is independent of its source") {
  for (const PixelFormat format : kFormats) {
    Bytes bytes = random_bytes(avstore::packed_size(format, 7, 5), 3);
    const Bytes before = bytes;
    ImageView view = view_of(format, 7, 5, bytes);
    view.color = {"bt709", true};
    const Image image = avstore::copy(view);
    std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
    CHECK(avstore::pack(image.view()) == before);
    CHECK(image.view().color == view.color);
    CHECK(image.width() == 7);
    CHECK(image.format() == format);
    const Image shared = image;  // NOLINT: the point is to copy
    CHECK(shared.data() == image.data());
  }
  CHECK(Image().empty());
}

// --- Conversion ---

TEST_CASE("the order of colours") {
  const Bytes bgr{1, 2, 3, 40, 50, 60};
  CHECK(converted(view_of(pixel::bgr24, 2, 1, bgr), pixel::rgb24) == Bytes{3, 2, 1, 60, 50, 40});
  CHECK(converted(view_of(pixel::rgb24, 2, 1, bgr), pixel::bgr24) == Bytes{3, 2, 1, 60, 50, 40});
  CHECK(converted(view_of(pixel::bgr24, 2, 1, bgr), pixel::bgra) ==
        Bytes{1, 2, 3, 255, 40, 50, 60, 255});
  const Bytes bgra{1, 2, 3, 7, 40, 50, 60, 0};
  CHECK(converted(view_of(pixel::bgra, 2, 1, bgra), pixel::bgr24) == bgr);
  CHECK(converted(view_of(pixel::bgra, 2, 1, bgra), pixel::bgra) == bgra);
}

TEST_CASE("gray is full range, and the luma of BT.601") {
  Bytes ramp(256);
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = static_cast<std::uint8_t>(i);
  }
  const ImageView gray = view_of(pixel::gray8, 256, 1, ramp);
  for (const PixelFormat color : {pixel::bgr24, pixel::rgb24}) {
    const Bytes bytes = converted(gray, color);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      REQUIRE(bytes[i] == i / 3);
    }
    const Bytes back = converted(view_of(color, 256, 1, bytes), pixel::gray8);
    for (std::size_t i = 0; i < back.size(); ++i) {
      CAPTURE(i);
      CHECK(std::abs(int{back[i]} - static_cast<int>(i)) <= 1);
    }
  }
  // B, G, R: 0.114, 0.587, 0.299.
  const Bytes primaries{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0};
  const Bytes luma = converted(view_of(pixel::bgr24, 5, 1, primaries), pixel::gray8);
  const std::array<int, 5> expected{29, 150, 76, 255, 0};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(int{luma[i]} - expected[i]) <= 1);
  }
}

TEST_CASE("gray of 8 and of 16 bits") {
  Bytes ramp(256);
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = static_cast<std::uint8_t>(i);
  }
  const Bytes wide = converted(view_of(pixel::gray8, 256, 1, ramp), pixel::gray16);
  const Bytes back = converted(view_of(pixel::gray16, 256, 1, wide), pixel::gray8);
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    const int value = wide[2 * i] + 256 * wide[2 * i + 1];
    CAPTURE(i, value);
    // White is white, whether the low byte repeats the high one or is 0.
    CHECK(std::abs(value - 257 * static_cast<int>(i)) <= 256);
    CHECK(back[i] == i);
  }
  CHECK(wide[510] + 256 * wide[511] == 65535);
}

TEST_CASE("YUV is converted by its own matrix and range") {
  struct Case {
    avstore::Colorimetry color;
    std::array<int, 3> yuv;
    std::array<int, 3> bgr;
  };
  // Worked out from the matrices' definitions (ITU-R BT.601, BT.709, BT.2020).
  const std::vector<Case> cases{
      {{"", false}, {16, 128, 128}, {0, 0, 0}},
      {{"", false}, {235, 128, 128}, {255, 255, 255}},
      {{"", false}, {126, 128, 128}, {128, 128, 128}},
      {{"", true}, {0, 128, 128}, {0, 0, 0}},
      {{"", true}, {255, 128, 128}, {255, 255, 255}},
      {{"", true}, {100, 128, 128}, {100, 100, 100}},
      {{"", false}, {81, 90, 240}, {0, 0, 255}},
      {{"smpte170m", false}, {145, 54, 34}, {0, 255, 0}},
      {{"bt470bg", false}, {41, 240, 110}, {255, 0, 0}},
      {{"bt709", false}, {63, 102, 240}, {0, 0, 255}},
      {{"bt709", false}, {173, 42, 26}, {0, 255, 0}},
      {{"bt709", false}, {32, 240, 118}, {255, 0, 0}},
      {{"bt709", true}, {54, 99, 255}, {0, 0, 255}},
      {{"smpte170m", true}, {76, 85, 255}, {0, 0, 254}},
      {{"bt2020nc", false}, {74, 97, 240}, {0, 0, 255}},
  };
  for (const Case& c : cases) {
    Bytes planes(64, static_cast<std::uint8_t>(c.yuv[0]));
    planes.insert(planes.end(), 16, static_cast<std::uint8_t>(c.yuv[1]));
    planes.insert(planes.end(), 16, static_cast<std::uint8_t>(c.yuv[2]));
    ImageView view = view_of(pixel::yuv420p, 8, 8, planes);
    view.color = c.color;
    const Bytes bgr = converted(view, pixel::bgr24);
    CAPTURE(c.color.matrix, c.color.full_range, c.yuv, c.bgr, int{bgr[0]}, int{bgr[1]},
            int{bgr[2]});
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(std::abs(int{bgr[i]} - c.bgr[i]) <= 3);
    }
    // And there again by way of RGB.
    Image image = avstore::convert(view, pixel::bgr24);
    CHECK(std::abs(int{converted(image.view(), pixel::gray8)[0]} -
                   (299 * c.bgr[2] + 587 * c.bgr[1] + 114 * c.bgr[0]) / 1000) <= 3);
  }
}

TEST_CASE("gray from YUV is its luma, at full range") {
  for (const bool full : {false, true}) {
    Bytes planes(8 * 8 + 32, 128);
    for (std::size_t i = 0; i < 64; ++i) {
      planes[i] = static_cast<std::uint8_t>(full ? 4 * i : 16 + 3 * i);
    }
    for (const PixelFormat format : {pixel::yuv420p, pixel::nv12}) {
      ImageView view = view_of(format, 8, 8, planes);
      view.color.full_range = full;
      const Bytes gray = converted(view, pixel::gray8);
      for (std::size_t i = 0; i < 64; ++i) {
        CAPTURE(format.name(), full, i);
        const double expected =
            full ? 4.0 * static_cast<double>(i) : 3 * static_cast<double>(i) * 255 / 219;
        CHECK(std::abs(gray[i] - expected) <= 1.5);
      }
    }
  }
}

TEST_CASE("planes of chroma apart or interleaved are the same samples") {
  for (const auto& [width, height] :
       std::vector<std::pair<int, int>>{{2, 2}, {8, 6}, {7, 5}, {97, 65}}) {
    const Bytes yuv = random_bytes(avstore::packed_size(pixel::yuv420p, width, height), 4);
    const Bytes nv12 = converted(view_of(pixel::yuv420p, width, height, yuv), pixel::nv12);
    const auto luma = static_cast<std::size_t>(width * height);
    const std::size_t chroma = (yuv.size() - luma) / 2;
    CAPTURE(width, height);
    REQUIRE(nv12.size() == yuv.size());
    CHECK(std::equal(yuv.begin(), yuv.begin() + static_cast<std::ptrdiff_t>(luma), nv12.begin()));
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < chroma; ++i) {
      wrong +=
          nv12[luma + 2 * i] != yuv[luma + i] || nv12[luma + 2 * i + 1] != yuv[luma + chroma + i];
    }
    CHECK(wrong == 0);
    CHECK(converted(view_of(pixel::nv12, width, height, nv12), pixel::yuv420p) == yuv);
  }
}

TEST_CASE("conversions agree with the ffmpeg program's") {
  const TemporaryFolder folder;
  const fs::path raw = folder.path() / "raw";
  for (const auto& [width, height] :
       std::vector<std::pair<int, int>>{{96, 64}, {97, 65}, {16, 2}}) {
    for (const PixelFormat from : kFormats) {
      // Smooth, because chroma is interpolated in one way or another.
      Bytes bytes(avstore::packed_size(from, width, height));
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(90 + i * 70 / bytes.size());
      }
      write_bytes(raw, bytes);
      for (const PixelFormat to : kFormats) {
        const std::string input = "-f rawvideo -pix_fmt " + ffmpeg_name(from) + " -s " +
                                  std::to_string(width) + "x" + std::to_string(height) + " -i " +
                                  quoted(raw);
        const Image image = avstore::convert(view_of(from, width, height, bytes), to);
        const Bytes found = avstore::pack(image.view());
        // Gray becomes full range; the program has to be told.
        const bool full = image.view().color.full_range;
        // From gray to interleaved chroma libswscale leaves the chroma out; a detour helps.
        const bool is_gray = from == pixel::gray8 || from == pixel::gray16;
        const std::string detour = is_gray && to == pixel::nv12 ? "format=yuv420p," : "";
        const Bytes expected =
            by_ffmpeg(input + (full ? " -vf " + detour + "scale=out_range=full" : ""), to);
        REQUIRE(found.size() == expected.size());
        int worst = 0;
        // Of 16-bit samples the high byte.
        for (std::size_t i = to == pixel::gray16 ? 1 : 0; i < found.size();
             i += to == pixel::gray16 ? 2 : 1) {
          worst = std::max(worst, std::abs(int{found[i]} - int{expected[i]}));
        }
        CAPTURE(from.name(), to.name(), width, height);
        // Gray has neutral chroma (128), in separate planes as in interleaved ones.
        CHECK(worst <= 3);
      }
    }
  }
}

TEST_CASE("rows that lie apart or upside down are converted alike") {
  for (const PixelFormat format : {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::bgra}) {
    constexpr int kWidth = 38;
    constexpr int kHeight = 11;
    const Bytes bytes = random_bytes(avstore::packed_size(format, kWidth, kHeight), 5);
    const std::size_t row = bytes.size() / kHeight;
    const std::size_t stride = row + 8;
    Bytes padded(stride * kHeight, 0xEE);
    Bytes flipped(stride * kHeight, 0xEE);
    for (std::size_t y = 0; y < kHeight; ++y) {
      std::copy_n(bytes.data() + y * row, row, padded.data() + y * stride);
      std::copy_n(bytes.data() + y * row, row, flipped.data() + (kHeight - 1 - y) * stride);
    }
    const ImageView apart = avstore::packed_view(format, kWidth, kHeight, padded.data(),
                                                 static_cast<std::ptrdiff_t>(stride));
    const ImageView upside_down =
        avstore::packed_view(format, kWidth, kHeight, flipped.data() + (kHeight - 1) * stride,
                             -static_cast<std::ptrdiff_t>(stride));
    for (const PixelFormat to : kFormats) {
      CAPTURE(format.name(), to.name());
      const Bytes expected = converted(view_of(format, kWidth, kHeight, bytes), to);
      const bool apart_same = converted(apart, to) == expected;
      CHECK(apart_same);
      const bool upside_down_same = converted(upside_down, to) == expected;
      CHECK(upside_down_same);
    }
  }
}

TEST_CASE("what lies beyond the end of a row has no part in it") {
  // Of an odd width, the last chroma sample has one pixel to be made of. Expected: the same pixels
  // give the same result wherever they lie; nothing behind the end of a row is read.
  constexpr int kWidth = 37;
  constexpr int kHeight = 4;
  for (const PixelFormat format : {pixel::bgr24, pixel::rgb24, pixel::bgra}) {
    for (const PixelFormat to : {pixel::yuv420p, pixel::nv12}) {
      const Bytes bytes = random_bytes(avstore::packed_size(format, kWidth, kHeight), 5);
      const std::size_t row = bytes.size() / kHeight;
      Bytes padded((row + 8) * kHeight, 0xEE);
      for (std::size_t y = 0; y < kHeight; ++y) {
        std::copy_n(bytes.data() + y * row, row, padded.data() + y * (row + 8));
      }
      const bool same = converted(avstore::packed_view(format, kWidth, kHeight, padded.data(),
                                                       static_cast<std::ptrdiff_t>(row + 8)),
                                  to) == converted(view_of(format, kWidth, kHeight, bytes), to);
      CAPTURE(format.name(), to.name());
      CHECK(same);
    }
  }
}

TEST_CASE("arrays have no conversion") {
  const Bytes bytes(64);
  ImageView array;
  array.format = pixel::array;
  array.width = 4;
  array.height = 4;
  array.array = {"<f4", {4, 4}};
  array.planes[0] = bytes.data();
  array.strides[0] = 16;
  CHECK(kind_of([&] { avstore::convert(array, pixel::gray8); }) == ErrorKind::unsupported);
  CHECK(kind_of([&] { avstore::convert(view_of(pixel::gray8, 4, 4, bytes), pixel::array); }) ==
        ErrorKind::unsupported);
  CHECK(avstore::pack(avstore::convert(array, pixel::array).view()) == bytes);
}

// --- Image files ---

namespace {

// Kinds of pixels that a kind of file keeps exactly.
const std::map<std::string, std::vector<PixelFormat>>& exact_formats() {
  static const std::map<std::string, std::vector<PixelFormat>> kFormatsOf{
      {".png", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
      {".tif", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
      {".bmp", {pixel::gray8, pixel::bgr24, pixel::rgb24}},
      {".ppm", {pixel::bgr24, pixel::rgb24}},
      {".pgm", {pixel::gray8, pixel::gray16}},
      {".npy", {pixel::gray8, pixel::gray16, pixel::bgr24, pixel::rgb24, pixel::bgra}},
  };
  return kFormatsOf;
}

}  // namespace

TEST_CASE("image files keep their pixels, and ffmpeg reads and writes the same") {
  for (const auto& [extension, formats] : exact_formats()) {
    for (const PixelFormat format : formats) {
      DYNAMIC_SECTION(extension << " " << format.name()) {
        const TemporaryFolder folder;
        for (const auto& [width, height] :
             std::vector<std::pair<int, int>>{{1, 1}, {7, 5}, {97, 65}, {256, 3}}) {
          const fs::path file = folder.path() / ("image" + extension);
          const Bytes bytes = random_bytes(avstore::packed_size(format, width, height), 6);
          avstore::write_image(file, view_of(format, width, height, bytes));
          CAPTURE(width, height);
          const Image image = avstore::read_image(file);
          CHECK(image.width() == width);
          CHECK(image.height() == height);
          const bool same = converted(image.view(), format) == bytes;
          CHECK(same);
          if (extension == ".npy") {
            continue;
          }
          // The program goes from a palette to gray by way of colour, and misses some values by
          // one.
          const PixelFormat compared =
              extension == ".bmp" && format == pixel::gray8 ? pixel::bgr24 : format;
          const bool ffmpeg_reads_same = by_ffmpeg("-i " + quoted(file), compared) ==
                                         converted(view_of(format, width, height, bytes), compared);
          CHECK(ffmpeg_reads_same);
          const fs::path raw = folder.path() / "raw";
          const fs::path theirs = folder.path() / ("theirs" + extension);
          write_bytes(raw, bytes);
          run("ffmpeg -v error -y -f rawvideo -pix_fmt " + ffmpeg_name(format) + " -s " +
              std::to_string(width) + "x" + std::to_string(height) + " -i " + quoted(raw) + " " +
              quoted(theirs));
          const bool reads_theirs = converted(avstore::read_image(theirs).view(), compared) ==
                                    by_ffmpeg("-i " + quoted(theirs), compared);
          CHECK(reads_theirs);
        }
        CHECK_FALSE(fs::exists(folder.path() / ("image" + extension + ".tmp")));
      }
    }
  }
}

TEST_CASE("16 bits of gray are kept whole") {
  Bytes values;
  for (int i = 0; i < 65536; ++i) {
    values.push_back(static_cast<std::uint8_t>(i & 255));
    values.push_back(static_cast<std::uint8_t>(i >> 8));
  }
  const TemporaryFolder folder;
  for (const std::string extension : {".png", ".tif", ".pgm", ".npy"}) {
    const fs::path file = folder.path() / ("image" + extension);
    avstore::write_image(file, view_of(pixel::gray16, 256, 256, values));
    const bool same = converted(avstore::read_image(file).view(), pixel::gray16) == values;
    CAPTURE(extension);
    CHECK(same);
  }
  CHECK(run("/usr/bin/python3 -c 'import sys, numpy as n; a = n.load(sys.argv[1]); "
            "print(a.dtype, a.shape, (a == n.arange(65536).reshape(256, 256)).all())' " +
            quoted(folder.path() / "image.npy")) == "uint16 (256, 256) True\n");
  for (const std::string extension : {".bmp", ".jpg"}) {
    const fs::path file = folder.path() / ("image" + extension);
    CHECK(kind_of([&] { avstore::write_image(file, view_of(pixel::gray16, 256, 256, values)); }) ==
          ErrorKind::unsupported);
    CHECK_FALSE(fs::exists(file));
  }
}

TEST_CASE("every gray value survives in every kind of file that keeps gray") {
  Bytes ramp(256);
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = static_cast<std::uint8_t>(i);
  }
  const TemporaryFolder folder;
  for (const std::string extension : {".png", ".tif", ".bmp", ".pgm", ".npy"}) {
    const fs::path file = folder.path() / ("image" + extension);
    avstore::write_image(file, view_of(pixel::gray8, 256, 1, ramp));
    CAPTURE(extension);
    CHECK(converted(avstore::read_image(file).view(), pixel::gray8) == ramp);
  }
}

TEST_CASE("colour as arrays is in B, G, R") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "image.npy";
  const std::string print =
      "/usr/bin/python3 -c 'import sys, numpy as n; a = n.load(sys.argv[1]); "
      "print(a.dtype, a.shape, a.tolist())' " +
      quoted(file);
  avstore::write_image(file, view_of(pixel::rgb24, 1, 2, {10, 20, 30, 40, 50, 60}));
  CHECK(run(print) == "uint8 (2, 1, 3) [[[30, 20, 10]], [[60, 50, 40]]]\n");
  avstore::write_image(file, view_of(pixel::bgra, 1, 1, {10, 20, 30, 40}));
  CHECK(run(print) == "uint8 (1, 1, 4) [[[10, 20, 30, 40]]]\n");
}

TEST_CASE("arrays without pixels, or of more than a picture can have, are no images") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "image.npy";
  using Shape = std::vector<std::int64_t>;
  for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 3'000'000'000}, Shape{2, 2, 0},
                             Shape{3'000'000'000, 1, 0}, Shape{1'000'000, 3'000'000'000, 0}}) {
    const Bytes header = avstore::imgstore::npy_header("|u1", shape);
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(header.data()),
               static_cast<std::streamsize>(header.size()));
    CAPTURE(shape);
    CHECK(kind_of([&] { avstore::read_image(file); }) == ErrorKind::corrupt);
  }
}

TEST_CASE("a video that only names other files is refused, and those are not read") {
  const TemporaryFolder folder;
  fs::copy_file(fs::path(AVSTORE_DATA) / "clip.mp4", folder.path() / "clip.mp4");
  const fs::path list = folder.path() / "000000.mp4";
  for (const std::string text :
       {"ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"}) {
    std::ofstream(list) << text;
    CAPTURE(text);
    CHECK(kind_of([&] { const avstore::media::Demuxer demuxer(list.string()); }) ==
          ErrorKind::unsupported);
  }
  // Whoever records names the source, and may name a list of them.
  std::ofstream(list) << "ffconcat version 1.0\nfile clip.mp4\n";
  avstore::media::DemuxerOptions options;
  options.leads_elsewhere = true;
  CHECK(avstore::media::Demuxer(list.string(), options).container() == "concat");
}

TEST_CASE("JPEG keeps pictures nearly") {
  const TemporaryFolder folder;
  for (const PixelFormat format : {pixel::gray8, pixel::bgr24, pixel::yuv420p, pixel::bgra}) {
    Bytes bytes(avstore::packed_size(format, 97, 65), 255);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (format != pixel::bgra || i % 4 != 3) {
        bytes[i] = static_cast<std::uint8_t>(90 + i * 70 / bytes.size());
      }
    }
    const fs::path file = folder.path() / "image.jpg";
    const ImageView view = view_of(format, 97, 65, bytes);
    avstore::write_image(file, view);
    const Bytes written = converted(view, pixel::bgr24);
    for (const Bytes& read : {converted(avstore::read_image(file).view(), pixel::bgr24),
                              by_ffmpeg("-i " + quoted(file), pixel::bgr24)}) {
      REQUIRE(read.size() == written.size());
      double sum = 0;
      for (std::size_t i = 0; i < read.size(); ++i) {
        sum += std::abs(int{read[i]} - int{written[i]});
      }
      CAPTURE(format.name());
      CHECK(sum / static_cast<double>(read.size()) < 3);
    }
  }
}

TEST_CASE("the extension tells the kind, in any spelling") {
  const TemporaryFolder folder;
  const Bytes bytes = random_bytes(35, 7);
  const ImageView view = view_of(pixel::gray8, 7, 5, bytes);
  for (const auto& [name, magic] : std::map<std::string, std::string>{
           {"a.PNG", "\x89PNG"}, {"a.Tiff", "II"}, {"a.jpeg", "\xff\xd8"}, {"a.b.pgm", "P5"}}) {
    avstore::write_image(folder.path() / name, view);
    const Bytes written = read_bytes(folder.path() / name);
    CAPTURE(name);
    CHECK(std::string(written.begin(),
                      written.begin() + static_cast<std::ptrdiff_t>(magic.size())) == magic);
    CHECK(avstore::read_image(folder.path() / name).width() == 7);
  }
  for (const char* name : {"a", "a.xyz", "png", ".png.", "a.mp4"}) {
    CAPTURE(name);
    const fs::path file = folder.path() / name;
    CHECK(kind_of([&] { avstore::write_image(file, view); }) == ErrorKind::unsupported);
    CHECK_FALSE(fs::exists(file));
  }
  // Expected: upper case for arrays as for all others.
  avstore::write_image(folder.path() / "b.npy", view);
  fs::rename(folder.path() / "b.npy", folder.path() / "b.NPY");
  CHECK_NOTHROW(avstore::read_image(folder.path() / "b.NPY"));
}

TEST_CASE("image files that cannot be read or written") {
  const TemporaryFolder folder;
  const Bytes bytes = random_bytes(35, 7);
  const ImageView view = view_of(pixel::gray8, 7, 5, bytes);
  for (const char* extension : {".png", ".tif", ".bmp", ".ppm", ".pgm", ".jpg", ".npy"}) {
    CAPTURE(extension);
    const auto path = [&](const std::string& name) { return folder.path() / (name + extension); };
    CHECK(kind_of([&] { avstore::read_image(path("missing")); }) == ErrorKind::not_found);
    write_bytes(path("empty"), {});
    CHECK(kind_of([&] { avstore::read_image(path("empty")); }) == ErrorKind::corrupt);
    write_bytes(path("text"), Bytes(500, 'x'));
    CHECK(kind_of([&] { avstore::read_image(path("text")); }) == ErrorKind::corrupt);
    fs::create_directory(path("folder"));
    CHECK(kind_of([&] { avstore::read_image(path("folder")); }) == ErrorKind::io);
    CHECK(kind_of([&] { avstore::write_image(path("folder"), view); }) == ErrorKind::io);
    CHECK(kind_of([&] { avstore::write_image(path("no/such/folder"), view); }) ==
          ErrorKind::not_found);
    CHECK(kind_of([&] {
            avstore::write_image(path("empty") / ("x" + std::string(extension)), view);
          }) == ErrorKind::io);
    // An empty image.
    CHECK(kind_of([&] { avstore::write_image(path("new"), ImageView()); }) != ErrorKind::io);
    CHECK_FALSE(fs::exists(path("new")));
  }
  // What fails leaves the file that was there, and nothing else.
  const fs::path file = folder.path() / "kept.bmp";
  avstore::write_image(file, view);
  const Bytes before = read_bytes(file);
  const Bytes wide(70);
  CHECK(kind_of([&] { avstore::write_image(file, view_of(pixel::gray16, 7, 5, wide)); }) ==
        ErrorKind::unsupported);
  CHECK(read_bytes(file) == before);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    CHECK_THAT(entry.path().filename().string(), !Contains(".tmp"));
  }
}

TEST_CASE("damaged image files are errors or images, never a crash") {
  const TemporaryFolder folder;
  const Bytes pixels = random_bytes(7 * 5 * 3, 8);
  for (const char* extension : {".png", ".tif", ".bmp", ".ppm", ".jpg", ".npy"}) {
    const fs::path good = folder.path() / (std::string("good") + extension);
    const fs::path bad = folder.path() / (std::string("bad") + extension);
    avstore::write_image(good, view_of(pixel::bgr24, 7, 5, pixels));
    const Bytes bytes = read_bytes(good);
    const auto check = [&](const Bytes& damaged) {
      write_bytes(bad, damaged);
      try {
        const Image image = avstore::read_image(bad);
        CHECK(avstore::pack(image.view()).size() == avstore::packed_size(image.view()));
      } catch (const avstore::Error& error) {
        CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported));
        CHECK_THAT(error.what(), Contains(bad.string()));
      }
    };
    CAPTURE(extension);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      check(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    std::mt19937 dice(9);
    for (int i = 0; i < 400; ++i) {
      Bytes damaged = bytes;
      for (int n = 0; n < 3; ++n) {
        damaged[dice() % std::min<std::size_t>(damaged.size(), 120)] =
            static_cast<std::uint8_t>(dice());
      }
      check(damaged);
    }
  }
}

TEST_CASE("files that claim more pixels than they can have") {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> files{
      {"a.ppm", "P6\n30000 30000\n255\nxyz"},
      {"b.ppm", "P6\n2000000000 2000000000\n255\nxyz"},
      {"c.pgm", "P5\n-5 7\n255\nxyz"},
      {"d.pgm", "P5\n0 0\n255\n"},
      {"e.pgm", "P5\n99999999999999999999 1\n255\n"},
  };
  for (const auto& [name, text] : files) {
    write_bytes(folder.path() / name, Bytes(text.begin(), text.end()));
    CAPTURE(name);
    CHECK(kind_of([&, name = name] { avstore::read_image(folder.path() / name); }) ==
          ErrorKind::corrupt);
  }
}

// --- NAL units ---

namespace {

using avstore::media::split_nal_units;

std::vector<Bytes> contents(const std::vector<avstore::media::Bytes>& units) {
  std::vector<Bytes> all;
  for (const auto& unit : units) {
    all.emplace_back(unit.begin(), unit.end());
  }
  return all;
}

std::vector<Bytes> split(const Bytes& packet, int length_size) {
  return contents(split_nal_units(packet, length_size));
}

avstore::media::CodecParametersPtr parameters_of(AVCodecID codec, const Bytes& extradata) {
  avstore::media::CodecParametersPtr parameters(avcodec_parameters_alloc());
  parameters->codec_id = codec;
  parameters->extradata =
      static_cast<std::uint8_t*>(av_mallocz(extradata.size() + AV_INPUT_BUFFER_PADDING_SIZE));
  std::copy(extradata.begin(), extradata.end(), parameters->extradata);
  parameters->extradata_size = static_cast<int>(extradata.size());
  return parameters;
}

std::vector<Bytes> parameter_sets_of(AVCodecID codec, const Bytes& extradata) {
  const auto parameters = parameters_of(codec, extradata);
  return contents(avstore::media::parameter_sets(*parameters));
}

int length_size_of(AVCodecID codec, const Bytes& extradata) {
  const auto parameters = parameters_of(codec, extradata);
  return avstore::media::nal_length_size(*parameters);
}

// avcC (ISO/IEC 14496-15, 5.3.3.1): version, profile, compatibility, level, 0xFC | length size - 1,
// 0xE0 | number of SPS, each with 16 bits of length, number of PPS, each likewise.
const Bytes kAvcc{1, 66, 0, 30, 0xFF, 0xE1, 0, 4, 0x67, 1, 2, 3, 2, 0, 2, 0x68, 5, 0, 1, 0x68};

// hvcC (8.3.3.1): 21 bytes, 0xFC | length size - 1 in the last of them, number of arrays; each
// array: type, 16 bits of count, each unit with 16 bits of length.
Bytes hvcc() {
  Bytes record(22, 0);
  record[0] = 1;
  record[21] = 0xFF;
  const Bytes arrays{2,    0x20, 0, 1, 0, 2,    0x40, 1,                  // one VPS
                     0x21, 0,    2, 0, 3, 0x42, 1,    7, 0, 2, 0x42, 2};  // two SPS
  record.insert(record.end(), arrays.begin(), arrays.end());
  return record;
}

}  // namespace

TEST_CASE("NAL units with their length before them") {
  CHECK(split({0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9}, 4) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 0, 2, 7, 8, 0, 0, 1, 9}, 3) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 2, 7, 8, 0, 1, 9}, 2) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({2, 7, 8, 1, 9}, 1) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({1, 0, 7}, 2).empty());
  CHECK(split({}, 4).empty());
}

TEST_CASE("what is damaged ends the list of NAL units") {
  // Too long, by one and by all there is.
  CHECK(split({0, 0, 0, 1, 7, 0, 0, 0, 3, 8, 9}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 0, 1, 7, 0xFF, 0xFF, 0xFF, 0xFF, 8, 9}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0x7F, 0xFF, 0xFF, 0xFF}, 4).empty());
  // A length that is cut off.
  CHECK(split({0, 0, 0, 1, 7, 0, 0, 0}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0}, 4).empty());
  // Of no bytes at all: nothing that a reader of NAL units may look into.
  CHECK(split({0, 0, 0, 0}, 4).empty());
  for (const Bytes& unit : split({0, 0, 0, 0, 0, 0, 0, 1, 7}, 4)) {
    CHECK_FALSE(unit.empty());
  }
}

TEST_CASE("NAL units with start codes") {
  CHECK(split({0, 0, 1, 7, 8, 0, 0, 1, 9}, 0) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9}, 0) == std::vector<Bytes>{{7, 8}, {9}});
  // Zeros before a start code belong to it, those at the end to nothing.
  CHECK(split({0, 0, 1, 7, 0, 0, 0, 0, 1, 9, 0, 0}, 0) == std::vector<Bytes>{{7}, {9}});
  // Bytes before the first start code are no unit; neither is nothing between two.
  CHECK(split({5, 6, 0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 1, 0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 1}, 0).empty());
  CHECK(split({7, 0, 0, 1}, 0).empty());
  CHECK(split({0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({7, 8, 9}, 0).empty());
  CHECK(split({0, 0}, 0).empty());
  CHECK(split({}, 0).empty());
  // 0 0 3 is an escape within a unit.
  CHECK(split({0, 0, 1, 7, 0, 0, 3, 1, 8}, 0) == std::vector<Bytes>{{7, 0, 0, 3, 1, 8}});
}

TEST_CASE("joined NAL units come apart again") {
  const Bytes a{1, 2, 3};
  const Bytes b{4};
  const std::vector<avstore::media::Bytes> units{a, b};
  const Bytes packet = avstore::media::join_nal_units(units);
  CHECK(packet == Bytes{0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 4});
  CHECK(split(packet, 4) == std::vector<Bytes>{a, b});
  CHECK(avstore::media::join_nal_units({}).empty());
  const Bytes large(70000, 9);
  const std::vector<avstore::media::Bytes> one{large};
  CHECK(avstore::media::join_nal_units(one).size() == 70004);
  CHECK(split(avstore::media::join_nal_units(one), 4) == std::vector<Bytes>{large});
}

TEST_CASE("parameter sets and framing, as the codec's header states them") {
  CHECK(length_size_of(AV_CODEC_ID_H264, kAvcc) == 4);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, kAvcc) ==
        std::vector<Bytes>{{0x67, 1, 2, 3}, {0x68, 5}, {0x68}});
  Bytes two = kAvcc;
  two[4] = 0xFD;
  CHECK(length_size_of(AV_CODEC_ID_H264, two) == 2);
  CHECK(length_size_of(AV_CODEC_ID_HEVC, hvcc()) == 4);
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hvcc()) ==
        std::vector<Bytes>{{0x40, 1}, {0x42, 1, 7}, {0x42, 2}});
  const Bytes annexb{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 5};
  CHECK(length_size_of(AV_CODEC_ID_H264, annexb) == 0);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, annexb) == std::vector<Bytes>{{0x67, 1, 2}, {0x68, 5}});
  CHECK(length_size_of(AV_CODEC_ID_H264, {}) == 0);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {}).empty());
}

TEST_CASE("headers that are cut off or lie about lengths") {
  for (std::size_t size = 0; size <= kAvcc.size(); ++size) {
    const auto sets = parameter_sets_of(
        AV_CODEC_ID_H264, {kAvcc.begin(), kAvcc.begin() + static_cast<std::ptrdiff_t>(size)});
    CHECK(sets.size() <= 3);
    CHECK((size < 12 || size == 0 || sets.empty() || sets[0] == Bytes{0x67, 1, 2, 3}));
  }
  const Bytes whole = hvcc();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CHECK(parameter_sets_of(AV_CODEC_ID_HEVC,
                            {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)})
              .size() <= 3);
  }
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {1, 66, 0, 30, 0xFF, 0xFF, 0xFF, 0xFF, 0x67}).empty());
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {1, 66, 0, 30, 0xFF, 0xFF}).empty());
  Bytes hostile = hvcc();
  hostile.resize(23);
  hostile[22] = 0xFF;
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hostile).empty());
  hostile.insert(hostile.end(), {0x20, 0xFF, 0xFF, 0xFF, 0xFF});
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hostile).empty());
}

TEST_CASE("no bytes make the splitting of NAL units leave the packet") {
  std::mt19937 dice(10);
  for (int round = 0; round < 20000; ++round) {
    Bytes packet(dice() % 40);
    for (std::uint8_t& byte : packet) {
      // Mostly what start codes and lengths are made of.
      byte = dice() % 4 == 0 ? static_cast<std::uint8_t>(dice())
                             : static_cast<std::uint8_t>(dice() % 4);
    }
    for (int length_size = 0; length_size <= 4; ++length_size) {
      const std::uint8_t* end = packet.data();
      for (const auto& unit : split_nal_units(packet, length_size)) {
        const bool inside =
            unit.data() >= end && unit.data() + unit.size() <= packet.data() + packet.size();
        REQUIRE(inside);
        REQUIRE_FALSE(unit.empty());
        end = unit.data() + unit.size();
      }
    }
    packet.resize(std::max<std::size_t>(packet.size(), 1));
    parameter_sets_of(AV_CODEC_ID_H264, packet);
    parameter_sets_of(AV_CODEC_ID_HEVC, packet);
    packet[0] = 1;
    parameter_sets_of(AV_CODEC_ID_H264, packet);
    packet.insert(packet.begin(), 21, 1);
    parameter_sets_of(AV_CODEC_ID_HEVC, packet);
  }
}

// --- Where decoding can start ---

namespace {

// Packets of H.264 in avcC framing: units with their lengths before them.
avstore::media::Packet key_packet(const std::vector<Bytes>& units) {
  const std::vector<avstore::media::Bytes> parts(units.begin(), units.end());
  avstore::media::Packet packet;
  packet.replace_bytes(avstore::media::join_nal_units(parts));
  packet.get()->flags |= AV_PKT_FLAG_KEY;
  return packet;
}

std::vector<bool> starts_of(const std::string& codec, const AVCodecParameters* parameters,
                            const std::vector<avstore::media::Packet>& packets) {
  avstore::media::RandomAccess access(codec, parameters);
  for (const auto& packet : packets) {
    access.take(packet);
  }
  return access.starts();
}

// Profile and level, then the number as Exp-Golomb code: 1 is 0, 010 is 1, 011 is 2.
const Bytes kSps0{0x67, 66, 0, 30, 0x80};
const Bytes kOtherSps0{0x67, 66, 0, 31, 0x80};
const Bytes kSps1{0x67, 66, 0, 30, 0x48};
// Its number and that of the SPS.
const Bytes kPps0{0x68, 0xC1};
const Bytes kOtherPps0{0x68, 0xC3};
const Bytes kPps1{0x68, 0x4B};  // 010 010 11
// First macroblock 0, type 7 (0001000), number of the PPS.
const Bytes kIdr0{0x65, 0x88, 0x80};
const Bytes kIdr1{0x65, 0x88, 0x40};

}  // namespace

TEST_CASE("decoding starts only where a fresh decoder has the headers that are in force") {
  const Bytes avcc{1, 66, 0, 30, 0xFF, 0xE1, 0, 5, 0x67, 66, 0, 30, 0x80, 1, 0, 2, 0x68, 0xC1};
  const auto parameters = parameters_of(AV_CODEC_ID_H264, avcc);
  const auto starts = [&](const std::vector<std::vector<Bytes>>& packets) {
    std::vector<avstore::media::Packet> all;
    for (const auto& units : packets) {
      all.push_back(key_packet(units));
    }
    return starts_of("h264", parameters.get(), all);
  };
  using Starts = std::vector<bool>;
  SECTION("there are none but the container's") {
    CHECK(starts({{kIdr0}, {kIdr0}}) == Starts{true, true});
  }
  SECTION("the same are repeated now and then") {
    CHECK(starts({{kIdr0}, {kSps0, kPps0, kIdr0}, {kIdr0}}) == Starts{true, true, true});
    const Bytes other_priority{0x27, 66, 0, 30, 0x80};
    CHECK(starts({{other_priority, kPps0, kIdr0}, {kIdr0}}) == Starts{true, true});
  }
  SECTION("others come once") {
    CHECK(starts({{kIdr0}, {kSps0, kOtherPps0, kIdr0}, {kIdr0}}) == Starts{true, true, false});
  }
  SECTION("others come with each keyframe") {
    CHECK(starts({{kIdr0}, {kOtherSps0, kPps0, kIdr0}, {kOtherSps0, kPps0, kIdr0}}) ==
          Starts{true, true, true});
  }
  SECTION("a changed SPS comes without the PPS that is understood by it") {
    CHECK(starts({{kOtherSps0, kPps0, kIdr0}, {kOtherSps0, kIdr0}}) == Starts{true, false});
  }
  SECTION("the container's come back") {
    CHECK(starts({{kIdr0}, {kSps0, kOtherPps0, kIdr0}, {kIdr0}, {kPps0, kIdr0}, {kIdr0}}) ==
          Starts{true, true, false, true, true});
  }
  SECTION("others of another number, which what follows does not need") {
    CHECK(starts({{kIdr0}, {kSps1, kPps1, kIdr1}, {kIdr0}, {kSps1, kPps1, kIdr1}}) ==
          Starts{true, true, true, true});
  }
  SECTION("others of another number, which a later picture needs") {
    CHECK(starts({{kIdr0}, {kSps1, kPps1, kIdr1}, {kIdr0}, {kIdr1}}) ==
          Starts{true, true, false, false});
  }
  SECTION("the container states them anew, which after a seek it may not") {
    avstore::media::Packet told = key_packet({kIdr0});
    Bytes other = avcc;
    other.back() = 0xC3;
    std::copy(other.begin(), other.end(),
              av_packet_new_side_data(told.get(), AV_PKT_DATA_NEW_EXTRADATA, other.size()));
    CHECK(starts_of("h264", parameters.get(),
                    {key_packet({kIdr0}), told, key_packet({kIdr0}),
                     key_packet({kSps0, kOtherPps0, kIdr0})}) == Starts{true, false, false, true});
  }
  SECTION("numbers beyond what there can be, and units cut off") {
    const Bytes far{0x68, 0, 0, 0, 0, 0, 1};
    CHECK(starts({{far, {0x67}, {0x68}, {0x65}, kIdr0}, {kIdr0}}).size() == 2);
  }
}

TEST_CASE("H.263 says in each picture whether it needs others") {
  const auto parameters = parameters_of(AV_CODEC_ID_H263, {});
  const auto starts = [&](const Bytes& bytes) {
    avstore::media::Packet packet;
    packet.replace_bytes(bytes);
    packet.get()->flags |= AV_PKT_FLAG_KEY;  // as libavformat marks each
    return starts_of("h263", parameters.get(), {packet}) == std::vector<bool>{true};
  };
  // Start code, temporal reference 5, PTYPE: 10000, format 011 (352x288), intra 0 or inter 1.
  CHECK(starts({0, 0, 0x80, 0x16, 0x0C, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x0E, 0, 0}));
  // Format 111: UFEP 001, 18 bits of OPPTYPE, then the type 000 or 001; or UFEP 000.
  CHECK(starts({0, 0, 0x80, 0x16, 0x1C, 0x80, 0, 0x00, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x1C, 0x80, 0, 0x04, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x1C, 0, 0, 0, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16}));
  CHECK_FALSE(starts({1, 2, 3, 4, 5, 6, 7, 8}));
}

// --- Time ---

TEST_CASE("timestamps from one time base to another") {
  using avstore::media::rescale;
  CHECK(rescale(1, {1, 25}, {1, 1000}) == 40);
  CHECK(rescale(7, {1, 25}, {1, 12800}) == 3584);
  CHECK(rescale(1000, {1, 1000}, {1, 25}) == 25);
  CHECK(rescale(1, {1001, 30000}, {1, 90000}) == 3003);
  CHECK(rescale(-5, {1, 25}, {1, 1000}) == -200);
  CHECK(rescale(0, {1, 3}, {1, 7}) == 0);
  // To nearest, halves away from zero.
  CHECK(rescale(1, {1, 2}, {1, 1}) == 1);
  CHECK(rescale(-1, {1, 2}, {1, 1}) == -1);
  CHECK(rescale(3, {1, 2}, {1, 1}) == 2);
  CHECK(rescale(1, {1, 3}, {1, 1}) == 0);
  CHECK(rescale(2, {1, 3}, {1, 1}) == 1);
  // A week of 500 frames/s in microseconds, and beyond 64 bits in between.
  CHECK(rescale(302'400'000, {1, 500}, {1, 1'000'000}) == 604'800'000'000);
  CHECK(rescale(INT64_MAX / 4, {1, 1'000'000'000}, {1, 1'000'000'000}) == INT64_MAX / 4);
  CHECK(rescale(9'000'000'000'000'000, {1, 1'000'000}, {1, 1000}) == 9'000'000'000'000);
}

TEST_CASE("what convert gives does not depend on what it was given") {
  // The same format, and luma of full range, which is gray as it stands.
  const Bytes bytes(avstore::packed_size(pixel::yuv420p, 16, 8), 77);
  ImageView full = view_of(pixel::yuv420p, 16, 8, bytes);
  full.color.full_range = true;
  for (const PixelFormat to : {pixel::yuv420p, pixel::gray8, pixel::bgr24}) {
    CAPTURE(to.name());
    CHECK(avstore::convert(full, to).data() != bytes.data());
  }
}
