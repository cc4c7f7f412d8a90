// Images in memory: against numbers worked out by hand, and against what the ffmpeg program makes
// of the same bytes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "support/catch.h"
#include "support/image_bytes.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::test::Bytes;
using avstore::test::converted;
using avstore::test::ffmpeg_name;
using avstore::test::kind_of_error;
using avstore::test::kPixelFormats;
using avstore::test::quoted;
using avstore::test::random_bytes;
using avstore::test::read_bytes;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::view_of;
using avstore::test::write_bytes;

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
    CHECK(kind_of_error([&, w = width, h = height] { avstore::packed_size(pixel::bgra, w, h); }) ==
          ErrorKind::invalid_argument);
    CHECK(kind_of_error([&, w = width, h = height] {
            avstore::packed_view(pixel::gray8, w, h, "x");
          }) == ErrorKind::invalid_argument);
    CHECK(kind_of_error([&, w = width, h = height] {
            avstore::contiguous_view(pixel::nv12, w, h, "x");
          }) == ErrorKind::invalid_argument);
  }
  CHECK(kind_of_error([] { avstore::packed_size(pixel::array, 3, 3); }) ==
        ErrorKind::invalid_argument);
  CHECK(kind_of_error([] { avstore::packed_size(PixelFormat("vaapi"), 3, 3); }) ==
        ErrorKind::invalid_argument);
  CHECK(kind_of_error([] { avstore::packed_size(PixelFormat("mauve"), 3, 3); }) ==
        ErrorKind::invalid_argument);
  CHECK(kind_of_error([] { avstore::packed_size(PixelFormat(), 3, 3); }) ==
        ErrorKind::invalid_argument);
}

TEST_CASE("arrays that are no images") {
  const Bytes bytes(64);
  ImageView view;
  view.format = pixel::array;
  view.width = 2;
  view.height = 2;
  view.planes[0] = bytes.data();
  view.strides[0] = 32;
  for (const std::string dtype :
       {"<f4", "=f8", ">u2", "|b1", "u1", "<f2", "<f16", "<c8", "<c16", "<i8"}) {
    view.array = {dtype, {2, 2}};
    const std::size_t element = std::stoul(dtype.substr(dtype.find_first_of("0123456789")));
    CAPTURE(dtype);
    CHECK(avstore::packed_size(view) == 4 * element);
    CHECK(avstore::pack(view).size() == 4 * element);
  }
  for (const std::string dtype :
       {"|O", "O8", "", "<", "|V0", "|V3", "|S5", "|S0", "<U2", "<M8[25s]", "<m8", "<f3", "<u16",
        "u", "<i99999999999999999999", "uint8", "[('x', '|u1')]"}) {
    view.array = {dtype, {2, 2}};
    CAPTURE(dtype);
    CHECK(kind_of_error([&] { avstore::packed_size(view); }) == ErrorKind::invalid_argument);
    CHECK(kind_of_error([&] { avstore::pack(view); }) == ErrorKind::invalid_argument);
    CHECK(kind_of_error([&] { avstore::copy(view); }) == ErrorKind::invalid_argument);
    CHECK(kind_of_error([&] { avstore::md5(view); }) == ErrorKind::invalid_argument);
  }
  using Shape = std::vector<std::int64_t>;
  for (const Shape& shape :
       {Shape{}, Shape{2}, Shape{2, 0}, Shape{0, 2}, Shape{2, 2, 0}, Shape{2, 2, -1}, Shape{3, 2},
        Shape{2, 3}, Shape{2, 2, 1, 1}, Shape{2, 2, INT64_MAX}, Shape{2, 2, INT64_MAX / 4}}) {
    view.array = {"<f4", shape};
    CAPTURE(shape);
    CHECK(kind_of_error([&] { avstore::packed_size(view); }) == ErrorKind::invalid_argument);
  }
}

TEST_CASE("names of pixel formats") {
  for (const PixelFormat format : kPixelFormats) {
    CHECK(PixelFormat::from_name(format.name()) == format);
  }
  CHECK(PixelFormat::from_name("array") == pixel::array);
  CHECK(PixelFormat::from_name("gray") == pixel::gray8);
  CHECK(PixelFormat::from_name("gray16le") == pixel::gray16);
  CHECK(PixelFormat::from_name("yuv444p10le").name() == "yuv444p10le");
  for (const char* name : {"", "mauve", "GRAY8 ", "bgr24\n"}) {
    CAPTURE(name);
    CHECK(kind_of_error([&] { PixelFormat::from_name(name); }) == ErrorKind::invalid_argument);
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
    CHECK(kind_of_error([&] { avstore::packed_view(planar, 4, 4, bytes.data()); }) ==
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
  for (const PixelFormat format : kPixelFormats) {
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
  for (const PixelFormat format : kPixelFormats) {
    const Bytes bytes = random_bytes(avstore::packed_size(format, 33, 21), 2);
    write_bytes(folder.path() / "raw", bytes);
    CHECK(avstore::md5(view_of(format, 33, 21, bytes)) ==
          run("md5sum < " + quoted(folder.path() / "raw")).substr(0, 32));
  }
}

TEST_CASE("a copy is independent of its source") {
  for (const PixelFormat format : kPixelFormats) {
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
    for (const PixelFormat from : kPixelFormats) {
      // Smooth, because chroma is interpolated in one way or another.
      Bytes bytes(avstore::packed_size(from, width, height));
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(90 + i * 70 / bytes.size());
      }
      write_bytes(raw, bytes);
      std::string program = fmt::format("ffmpeg -v error -y -f rawvideo -pix_fmt {} -s {}x{} -i {}",
                                        ffmpeg_name(from), width, height, quoted(raw));
      std::map<std::string, Bytes> all;
      for (const PixelFormat to : kPixelFormats) {
        const Image image = avstore::convert(view_of(from, width, height, bytes), to);
        all[ffmpeg_name(to)] = avstore::pack(image.view());
        // Gray becomes full range; the program has to be told.
        const bool full = image.view().color.full_range;
        // From gray to interleaved chroma libswscale leaves the chroma out; a detour helps.
        const bool is_gray = from == pixel::gray8 || from == pixel::gray16;
        const std::string detour = is_gray && to == pixel::nv12 ? "format=yuv420p," : "";
        program += (full ? " -vf " + detour + "scale=out_range=full" : "") +
                   fmt::format(" -f rawvideo -pix_fmt {0} {1}", ffmpeg_name(to),
                               quoted(folder.path() / ffmpeg_name(to)));
      }
      run(program);
      for (const PixelFormat to : kPixelFormats) {
        const Bytes& found = all.at(ffmpeg_name(to));
        const Bytes expected = read_bytes(folder.path() / ffmpeg_name(to));
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
    for (const PixelFormat to : kPixelFormats) {
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
  CHECK(kind_of_error([&] { avstore::convert(array, pixel::gray8); }) == ErrorKind::unsupported);
  CHECK(kind_of_error([&] {
          avstore::convert(view_of(pixel::gray8, 4, 4, bytes), pixel::array);
        }) == ErrorKind::unsupported);
  CHECK(avstore::pack(avstore::convert(array, pixel::array).view()) == bytes);
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
