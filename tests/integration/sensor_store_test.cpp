// Stores of raw sensor data: frames that are such data, and frames that cannot be.
#include <cstring>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/image_stores.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::WriterOptions;
using avstore::test::all_of;
using avstore::test::golden_copy;
using avstore::test::into;
using avstore::test::Lines;
using avstore::test::noise;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::packed;
using avstore::test::quoted;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_images;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

constexpr int kWide = 32;
constexpr int kHigh = 24;

// Raw frames of kWide x kHigh. Throws what the recording failed with.
void record_raw(const fs::path& raw, const fs::path& store, const std::string& encoding,
                const std::string& pixels) {
  avstore::CameraOptions camera;
  camera.name = "raw";
  camera.source = raw.string();
  camera.input_format = "rawvideo";
  camera.size = {kWide, kHigh};
  camera.pixel_format = PixelFormat::from_name(pixels);
  camera.store = store;
  camera.writer = options_of("npy");
  camera.writer.encoding = encoding;
  avstore::RecordOptions options;
  options.cameras = {camera};
  options.min_free = {0, 0};
  const avstore::CameraResult result = avstore::record(options).at(0);
  if (!result.error.empty()) {
    throw avstore::Error(avstore::ErrorKind::io, result.error);
  }
}

}  // namespace

TEST_CASE("frames of the layout that an encoding means are taken as the sensor's data") {
  struct Case {
    std::string encoding, pixels;
  };
  // Each is a way of writing the same picture down; ffmpeg makes the frames of it.
  const auto one = GENERATE(Case{"cv_rgb", "rgb24"}, Case{"cv_yuv_yuyv", "yuyv422"},
                            Case{"cv_yuv_uyvy", "uyvy422"}, Case{"cv_yuv_nv12", "nv12"},
                            Case{"cv_yuv_nv21", "nv21"}, Case{"cv_yuv_i420", "yuv420p"},
                            Case{"cv_rgba", "rgba"}, Case{"cv_bayerrggb", "bayer_rggb8"});
  const TemporaryFolder folder;
  const fs::path raw = folder.path() / "frame.raw";
  if (one.pixels == "bayer_rggb8") {  // which ffmpeg reads but does not make
    std::string mosaic;
    for (int y = 0; y < kHigh; ++y) {
      for (int x = 0; x < kWide; ++x) {
        mosaic += y % 2 == 0 ? (x % 2 == 0 ? '\xC0' : '\x30') : x % 2 == 0 ? '\x30' : '\x20';
      }
    }
    write_text(raw, mosaic);
  } else {
    run("ffmpeg -v error -f lavfi -i color=c=0xC03020:s=32x24 -frames:v 1 -f rawvideo -pix_fmt " +
        one.pixels + " " + quoted(raw));
  }
  record_raw(raw, folder.path() / "store", one.encoding, one.pixels);
  const auto picture = packed(folder.path() / "store", pixel::bgr24);
  CAPTURE(one.encoding);
  const std::size_t inside = 3 * (10 * kWide + 10);  // B, G, R
  CHECK(std::abs(picture[inside] - 0x20) < 8);
  CHECK(std::abs(picture[inside + 1] - 0x30) < 8);
  CHECK(std::abs(picture[inside + 2] - 0xC0) < 8);
  const Reader reader(folder.path() / "store");
  CHECK(reader.info().width == 32);
  CHECK(reader.info().height == 24);
  CHECK(avstore::verify(folder.path() / "store", {.deep = true, .progress = {}}).findings.empty());
}

TEST_CASE("frames that cannot be data of the encoding are refused, and so are formats for them") {
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{4} * kWide * kHigh);
  const auto attempt = [&](const std::string& format, const std::string& encoding,
                           PixelFormat pixels) {
    WriterOptions options = options_of(format);
    options.encoding = encoding;
    const std::string outcome = outcome_of([&] {
      write_images(folder.path() / "store", options,
                   avstore::contiguous_view(pixels, kWide, kHigh, bytes.data()));
    });
    fs::remove_all(folder.path() / "store");
    return outcome;
  };
  CHECK_THAT(attempt("npy", "cv_bayerbg", pixel::bgr24), ContainsSubstring("no cv_bayerbg data"));
  CHECK_THAT(attempt("npy", "cv_bayerbg", PixelFormat::from_name("yuyv422")),
             ContainsSubstring("no cv_bayerbg data"));
  CHECK_THAT(attempt("npy", "cv_rgb", pixel::gray8), ContainsSubstring("no cv_rgb data"));
  CHECK_THAT(attempt("npy", "cv_yuv_nv12", pixel::yuv420p),
             ContainsSubstring("no cv_yuv_nv12 data"));
  CHECK_THAT(attempt("ppm", "cv_bayerbg", pixel::gray8), ContainsSubstring("cannot hold"));
  CHECK_THAT(attempt("pgm", "cv_rgb", pixel::bgr24), ContainsSubstring("cannot hold"));
  CHECK_THAT(attempt("png", "cv_yuv_yuyv", PixelFormat::from_name("yuyv422")),
             ContainsSubstring("cannot hold"));
  CHECK_THAT(attempt("npy", "cv_bayerxy", pixel::gray8),
             ContainsSubstring("encoding cv_bayerxy is not known"));
  CHECK(attempt("png", "cv_bayerbg", pixel::gray8) == "no error");
  CHECK(attempt("npy", "cv_hsv", pixel::bgr24) == "no error");
}

TEST_CASE("a source whose pixels have another order than the encoding is refused") {
  const TemporaryFolder folder;
  write_text(folder.path() / "raw", std::string(std::size_t{3} * 32 * 24, 'x'));
  CHECK_THAT(outcome_of([&] {
               record_raw(folder.path() / "raw", folder.path() / "store", "cv_rgb", "bgr24");
             }),
             ContainsSubstring("bgr24, not cv_rgb"));
}

TEST_CASE("coded video that is copied is no sensor data") {
  const TemporaryFolder folder;
  avstore::ImportOptions options;
  options.copy = true;
  options.writer.encoding = "cv_bayerbg";
  CHECK_THAT(outcome_of([&] {
               avstore::import_file(fs::path(AVSTORE_DATA) / "clip.mp4", folder.path() / "store",
                                    options);
             }),
             ContainsSubstring("invalid_argument: ") && ContainsSubstring("cv_bayerbg"));
  CHECK_FALSE(fs::exists(folder.path() / "store"));
}

TEST_CASE("verify finds frames that are no data of the store's encoding") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("png", "ffv1/mkv");
  write_store(store, options_of(format), pixel::bgr24, avstore::test::plain_names(3));
  run("sed -i 's/encoding: null/encoding: cv_bayerbg/' " + quoted(store / "metadata.yaml"));
  const auto findings = avstore::verify(store, {.deep = true, .progress = {}}).findings;
  CHECK_THAT(all_of(findings), ContainsSubstring("holds no cv_bayerbg data"));
  run("sed -i 's/cv_bayerbg/cv_nonsense/' " + quoted(store / "metadata.yaml"));
  CHECK_THAT(all_of(avstore::verify(store, {}).findings),
             ContainsSubstring("cv_nonsense is not known"));
}

TEST_CASE("channels of 16 bit are put in order as those of 8 bit") {
  const TemporaryFolder folder;
  struct Case {
    std::string encoding;
    int channels;
    std::vector<int> order;  // of blue, green and red
  };
  const auto one = GENERATE(Case{"cv_gray", 1, {0, 0, 0}}, Case{"cv_rgb", 3, {2, 1, 0}},
                            Case{"cv_rgba", 4, {2, 1, 0}}, Case{"cv_bgra", 4, {0, 1, 2}});
  const auto bytes = noise(std::size_t{2} * static_cast<std::size_t>(one.channels) * kWide * kHigh);
  WriterOptions options = options_of("npy");
  options.encoding = one.encoding;
  const PixelFormat format = one.channels == 1   ? pixel::gray16
                             : one.channels == 3 ? pixel::bgr48
                                                 : pixel::bgra64;
  write_images(folder.path() / "store", options,
               avstore::packed_view(format, kWide, kHigh, bytes.data()));
  const auto picture = packed(folder.path() / "store", {});
  REQUIRE(picture.size() == std::size_t{6} * kWide * kHigh);
  const auto value = [](const std::vector<std::uint8_t>& all, std::size_t i) {
    return all[2 * i] | all[2 * i + 1] << 8;
  };
  int wrong = 0;
  for (std::size_t p = 0; p < std::size_t{kWide} * kHigh; ++p) {
    for (std::size_t c = 0; c < 3; ++c) {
      const auto from =
          static_cast<std::size_t>(one.channels) * p + static_cast<std::size_t>(one.order[c]);
      wrong += value(picture, 3 * p + c) == value(bytes, from) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE(
    "transcoding sensor data keeps them raw in images without loss, and tells of it elsewhere") {
  const TemporaryFolder folder;
  const fs::path source = golden_copy("bayer_bg_png", folder.path());
  const auto copy = [&](const std::string& format, Lines& notices) {
    avstore::TranscodeOptions options;
    options.writer = options_of(format);
    options.notice = into(notices);
    avstore::transcode(source, folder.path() / "copy", options);
    return Reader(folder.path() / "copy").info().encoding;
  };
  for (const std::string format : {"png", "tif", "npy"}) {
    Lines notices;
    CHECK(copy(format, notices) == "cv_bayerbg");
    CHECK(notices.empty());
    CHECK(packed(folder.path() / "copy", {}, true) == packed(source, {}, true));
    CHECK(packed(folder.path() / "copy", {}) == packed(source, {}));
    fs::remove_all(folder.path() / "copy");
  }
  for (const std::string format : {"ffv1/mkv", "ppm", "jpg"}) {
    Lines notices;
    CHECK(copy(format, notices).empty());
    CHECK_THAT(all_of(notices),
               ContainsSubstring("raw cv_bayerbg data become pictures in " + format));
    fs::remove_all(folder.path() / "copy");
  }
  Lines notices;
  CHECK(copy("png+color", notices).empty());
  CHECK(notices.empty());
  CHECK(packed(folder.path() / "copy", pixel::bgr24) == packed(source, pixel::bgr24));
}
