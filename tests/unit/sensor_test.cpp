// Raw sensor data become the pictures that OpenCV makes of them.
#include <map>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "chunk/sensor_image.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::ImageView;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::TemporaryFolder;
using Catch::Matchers::ContainsSubstring;

constexpr int kWidth = 22;
constexpr int kHeight = 18;

// The same bytes on every machine.
std::vector<std::uint8_t> noise(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::uint32_t state = 12345;
  for (std::uint8_t& byte : bytes) {
    state = (state * 1103515245U + 12345U) & 0x7FFFFFFFU;
    byte = static_cast<std::uint8_t>(state >> 16U);
  }
  return bytes;
}

// What is stored for an encoding: one, two, three or four bytes a pixel.
Image stored_noise(const std::string& encoding) {
  const bool packed_yuv = encoding.starts_with("cv_yuv_y") || encoding.starts_with("cv_yuv_u");
  const bool two = packed_yuv && encoding != "cv_yuv_yv12";
  const bool three = encoding == "cv_rgb" || encoding == "cv_bgr";
  const bool four = encoding == "cv_rgba" || encoding == "cv_bgra";
  const int bytes = four ? 4 : three ? 3 : two ? 2 : 1;
  const auto owner = std::make_shared<std::vector<std::uint8_t>>(
      noise(static_cast<std::size_t>(kWidth * kHeight * bytes)));
  ImageView view;
  view.format = four ? pixel::bgra : three ? pixel::bgr24 : two ? pixel::array : pixel::gray8;
  view.width = kWidth;
  view.height = kHeight;
  view.planes[0] = owner->data();
  view.strides[0] = std::ptrdiff_t{kWidth} * bytes;
  if (two) {
    view.array = {"|u1", {kHeight, kWidth, 2}};
  }
  return {view, owner};
}

// The MD5 of what cv2.cvtColor (OpenCV 4.6) makes of stored_noise().
const std::map<std::string, std::string> kPictures{
    {"cv_bayerbg", "581872de4cbf4d6995dcd598cd8391fa"},
    {"cv_bayergb", "72b6a9b267c53e656aec6feacf1af77d"},
    {"cv_bayergr", "86228b8de1c67aa6d15d781a8b6c9a25"},
    {"cv_bayerrg", "f71e336ffa939e92b0af8f12ab326244"},
    {"cv_bayerrggb", "581872de4cbf4d6995dcd598cd8391fa"},
    {"cv_bayergrbg", "72b6a9b267c53e656aec6feacf1af77d"},
    {"cv_bayergbrg", "86228b8de1c67aa6d15d781a8b6c9a25"},
    {"cv_bayerbggr", "f71e336ffa939e92b0af8f12ab326244"},
    {"cv_yuv_i420", "8225b23ed24a3fb78d61d43159a6f45c"},
    {"cv_yuv_iyuv", "8225b23ed24a3fb78d61d43159a6f45c"},
    {"cv_yuv_yv12", "b2a7a054e9af48b2412f809b248e02d3"},
    {"cv_yuv_nv12", "18806c2e50e8daa9141b658764ec0d4b"},
    {"cv_yuv_nv21", "af79a86b3e3360a43896b5086e9fea75"},
    {"cv_yuv420p", "b2a7a054e9af48b2412f809b248e02d3"},
    {"cv_yuv420sp", "af79a86b3e3360a43896b5086e9fea75"},
    {"cv_yuv_yuy2", "4e00779d48f73e5d09a4cca21a7f6280"},
    {"cv_yuv_yuyv", "4e00779d48f73e5d09a4cca21a7f6280"},
    {"cv_yuv_yunv", "4e00779d48f73e5d09a4cca21a7f6280"},
    {"cv_yuv_uyvy", "186649da71a2ef2b0a43bd3c5a385071"},
    {"cv_yuv_y422", "186649da71a2ef2b0a43bd3c5a385071"},
    {"cv_yuv_uynv", "186649da71a2ef2b0a43bd3c5a385071"},
    {"cv_yuv_yvyu", "356b931748f0a64f573d88279c7ecf81"},
    {"cv_gray", "77fb6077e8b5d67253b200f5060b0b36"},
    {"cv_rgb", "0179c7b77a0f9fe4cccd1f16b40315b6"},
    {"cv_bgr", "8f409362834f5c8d6cfa19f46033c952"},
    {"cv_rgba", "5d1aea254809ca96d15b66232ab37ea8"},
    {"cv_bgra", "4741ef7004f34bdb8d4e12bddfa71577"},
};

// The same of 16-bit mosaics.
const std::map<std::string, std::string> kDeepPictures{
    {"cv_bayerbg", "b951baaaf3d0bd75d35654c096a8db20"},
    {"cv_bayergb", "7fe3a804dffb7ae24f01a56437de9ff6"},
    {"cv_bayergr", "21ffc1afc226c9fb4f604fde1c2ba809"},
    {"cv_bayerrg", "50cc7cf5e504d784e05fd07ee8661c08"},
};

// A store of one frame.
fs::path store_of(const TemporaryFolder& folder, const Image& image, const std::string& format,
                  const std::string& encoding) {
  WriterOptions options;
  options.format = format;
  options.encoding = encoding;
  const fs::path path = folder.path() / "sensor.store";
  options.overwrite = true;
  Writer writer(path, options);
  writer.add(image.view(), FrameNumber(1), FrameTime(2));
  writer.close();
  return path;
}

}  // namespace

TEST_CASE("Sensor data decode to the pixels that OpenCV gives", "[sensor]") {
  for (const auto& [encoding, picture] : kPictures) {
    CAPTURE(encoding);
    REQUIRE(avstore::chunk::knows_encoding(encoding));
    const Image image = avstore::chunk::decode_sensor(stored_noise(encoding), encoding, "test");
    CHECK(image.format() == pixel::bgr24);
    CHECK(image.height() == avstore::chunk::picture_rows(encoding, kHeight));
    CHECK(avstore::md5(image.view()) == picture);
  }
}

TEST_CASE("Mosaics of 16 bit stay 16 bit", "[sensor]") {
  const auto bytes = noise(std::size_t{kWidth} * kHeight * 2);
  const Image deep(avstore::packed_view(pixel::gray16, kWidth, kHeight, bytes.data()), nullptr);
  for (const auto& [encoding, picture] : kDeepPictures) {
    CAPTURE(encoding);
    const Image image = avstore::chunk::decode_sensor(deep, encoding, "test");
    CHECK(image.format().name() == "bgr48le");
    CHECK(avstore::md5(image.view()) == picture);
  }
}

TEST_CASE("Mosaics without inner pixels are black", "[sensor]") {
  const auto bytes = noise(64);
  for (const auto& [width, height] : {std::pair(2, 9), std::pair(9, 2), std::pair(1, 1)}) {
    const Image tiny(avstore::packed_view(pixel::gray8, width, height, bytes.data()), nullptr);
    const Image image = avstore::chunk::decode_sensor(tiny, "cv_bayerbg", "test");
    const auto pixels = avstore::pack(image.view());
    CHECK(pixels == std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3)));
  }
}

TEST_CASE("Pixels that cannot be of an encoding are refused", "[sensor][hostile]") {
  const auto bytes = noise(1000);
  const auto refused = [&](avstore::PixelFormat format, int width, int height,
                           const std::string& encoding) {
    const Image image(avstore::packed_view(format, width, height, bytes.data()), nullptr);
    CHECK_THROWS_WITH(avstore::chunk::decode_sensor(image, encoding, "a.store"),
                      ContainsSubstring("a.store") && ContainsSubstring(encoding));
  };
  refused(pixel::bgr24, 6, 6, "cv_bayerbg");
  refused(pixel::gray8, 7, 6, "cv_yuv_i420");
  refused(pixel::gray8, 6, 7, "cv_yuv_nv12");
  refused(pixel::gray16, 6, 6, "cv_yuv_nv12");
  refused(pixel::gray8, 6, 6, "cv_yuv_yuyv");
  refused(pixel::bgra, 6, 6, "cv_rgb");
  refused(pixel::gray8, 6, 6, "cv_bayerbg_vng");
}

TEST_CASE("A reader gives the picture, or the sensor's data on request", "[sensor]") {
  const TemporaryFolder folder;
  for (const std::string format : {"npy", "png", "ffv1/mkv"}) {
    for (const std::string encoding : {"cv_bayerbg", "cv_yuv_nv21"}) {
      CAPTURE(format, encoding);
      const Image stored = stored_noise(encoding);
      const fs::path path = store_of(folder, stored, format, encoding);
      Reader reader(path);
      CHECK(reader.info().color);
      CHECK(reader.info().height == avstore::chunk::picture_rows(encoding, kHeight));
      const Image picture = reader.read(FrameIndex(0)).image;
      CHECK(avstore::md5(picture.view()) == kPictures.at(encoding));
      const std::vector<FrameIndex> same{FrameIndex(0), FrameIndex(0)};
      CHECK(avstore::md5(reader.read_many(same)[1].image.view()) == kPictures.at(encoding));

      ReaderOptions options;
      options.raw_sensor = true;
      Reader raw(path, options);
      CHECK_FALSE(raw.info().color);
      CHECK(raw.info().height == kHeight);
      CHECK(avstore::md5(raw.read(FrameIndex(0)).image.view()) == avstore::md5(stored.view()));
    }
  }
}

TEST_CASE("An encoding that is not known is named, and its data are read all the same",
          "[sensor]") {
  const TemporaryFolder folder;
  const Image stored = stored_noise("cv_gray");
  const fs::path path = store_of(folder, stored, "npy", "cv_gray");
  avstore::test::run("sed -i 's/encoding: cv_gray/encoding: cv_bayerbg_vng/' " +
                     avstore::test::quoted(path / "metadata.yaml"));
  Reader reader(path);
  CHECK(reader.info().encoding == "cv_bayerbg_vng");
  CHECK_THROWS_WITH(reader.read(FrameIndex(0)),
                    ContainsSubstring("cv_bayerbg_vng") && ContainsSubstring("sensor.store"));
  ReaderOptions options;
  options.raw_sensor = true;
  Reader raw(path, options);
  CHECK(avstore::md5(raw.read(FrameIndex(0)).image.view()) == avstore::md5(stored.view()));
}

TEST_CASE("Transcoding keeps sensor data where images have the channels, and the picture elsewhere",
          "[sensor]") {
  const TemporaryFolder folder;
  const fs::path path = store_of(folder, stored_noise("cv_bayergb"), "png", "cv_bayergb");
  const auto transcoded = [&](const std::string& format) {
    avstore::TranscodeOptions options;
    options.writer.format = format;
    options.writer.overwrite = true;
    avstore::transcode(path, folder.path() / "made.store", options);
    return Reader(folder.path() / "made.store");
  };
  for (const std::string format : {"npy", "tif"}) {
    Reader raw = transcoded(format);
    CHECK(raw.info().encoding == "cv_bayergb");
    CHECK(avstore::md5(raw.read(FrameIndex(0)).image.view()) == kPictures.at("cv_bayergb"));
  }
  Reader pictures = transcoded("ppm");
  CHECK(pictures.info().encoding.empty());
  const Image bgr = avstore::convert(pictures.read(FrameIndex(0)).image.view(), pixel::bgr24);
  CHECK(avstore::md5(bgr.view()) == kPictures.at("cv_bayergb"));
}
