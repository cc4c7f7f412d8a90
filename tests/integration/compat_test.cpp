// Stores that others change, write or read: pixels of 16 bit, raw sensor data, index files that
// were changed by others, damaged extra data, metadata that is not quite right.
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
#include "support/media_folder.h"
#include "support/outcome.h"
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
using avstore::PixelFormat;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::error_of;
using avstore::test::numbers_of;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::Contains;

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

using Lines = std::vector<std::string>;

std::string all_of(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

std::function<void(const std::string&)> into(Lines& lines) {
  return [&lines](const std::string& line) { lines.push_back(line); };
}

// All values of 16 bit, high and low bytes alike.
std::vector<std::uint8_t> noise(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::uint32_t state = 4711;
  for (std::uint8_t& byte : bytes) {
    state = (state * 1103515245U + 12345U) & 0x7FFFFFFFU;
    byte = static_cast<std::uint8_t>(state >> 16U);
  }
  return bytes;
}

void write_images(const fs::path& store, const WriterOptions& options, const ImageView& view,
                  int count = 3) {
  Writer writer(store, options);
  for (int i = 0; i < count; ++i) {
    writer.add(view, FrameNumber(i), FrameTime(i));
  }
  writer.close();
}

std::vector<std::int64_t> numbers(const fs::path& store, Lines& warnings, bool save = true) {
  ReaderOptions options;
  options.on_warning = into(warnings);
  options.save_index = save;
  const Reader reader(store, options);
  return numbers_of(reader.infos({0, reader.frame_count()}));
}

std::vector<std::uint8_t> packed(const fs::path& store, PixelFormat format, bool raw = false) {
  ReaderOptions options;
  options.pixel_format = format;
  options.raw_sensor = raw;
  return avstore::pack(Reader(store, options).read(FrameIndex(0)).image.view());
}

fs::path golden_copy(const std::string& name, const fs::path& folder) {
  fs::copy(fs::path(AVSTORE_DATA) / "golden" / name, folder / name, fs::copy_options::recursive);
  run("chmod -R u+w " + quoted(folder / name));
  return folder / name;
}

}  // namespace

// ---- 16 bit --------------------------------------------------------------------------------

TEST_CASE("colour of 16 bit stays 16 bit wherever the format can hold it") {
  const std::string format = GENERATE("png", "tif", "ppm", "npy", "ffv1/mkv");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{6} * kWide * kHigh);
  const ImageView view = avstore::packed_view(pixel::bgr48, kWide, kHigh, bytes.data());
  write_images(folder.path() / "store", options_of(format), view);
  CHECK((packed(folder.path() / "store", pixel::bgr48) == bytes));
  CHECK_THAT(read_text(folder.path() / "store" / "metadata.yaml"), Contains("imgdtype: uint16"));
  CHECK(avstore::verify(folder.path() / "store", {.deep = true, .progress = {}}).findings.empty());
  // What another program sees in the file: the first pixel's red, green and blue.
  if (format == "png" || format == "tif" || format == "ppm") {
    const fs::path file = folder.path() / "store" / "000000" / ("000000." + format);
    const fs::path raw = folder.path() / "raw";
    run("ffmpeg -v error -i " + quoted(file) + " -f rawvideo -pix_fmt bgr48le " + quoted(raw));
    CHECK(read_text(raw) == std::string(bytes.begin(), bytes.end()));
  }
}

TEST_CASE("alpha of 16 bit stays 16 bit") {
  const std::string format = GENERATE("png", "tif", "npy");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{8} * kWide * kHigh);
  const ImageView view = avstore::packed_view(pixel::bgra64, kWide, kHigh, bytes.data());
  write_images(folder.path() / "store", options_of(format), view);
  CHECK((packed(folder.path() / "store", pixel::bgra64) == bytes));
}

TEST_CASE("an npy of 16-bit colour is transcoded and written as a picture in 16 bit") {
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{6} * kWide * kHigh);
  ImageView view = avstore::packed_view(pixel::bgr48, kWide, kHigh, bytes.data());
  view.format = pixel::array;
  view.array = {"<u2", {kHigh, kWide, 3}};
  write_images(folder.path() / "npy", options_of("npy"), view);
  avstore::TranscodeOptions options;
  options.writer = options_of("png");
  avstore::transcode(folder.path() / "npy", folder.path() / "png", options);
  CHECK((packed(folder.path() / "png", pixel::bgr48) == bytes));
  const fs::path picture = folder.path() / "picture.npy";
  avstore::write_image(picture.string(),
                       Reader(folder.path() / "png").read(FrameIndex(0)).image.view());
  CHECK(python("import sys, numpy as n; a = n.load(sys.argv[1]); print(a.dtype, a.shape)",
               picture) == "uint16 (24, 32, 3)\n");
}

TEST_CASE("16 bit that becomes 8 bit is told of") {
  const std::string format = GENERATE("jpg", "bmp", "mjpeg/avi");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{6} * kWide * kHigh);
  Lines warnings;
  WriterOptions options = options_of(format);
  options.on_warning = into(warnings);
  write_images(folder.path() / "store", options,
               avstore::packed_view(pixel::bgr48, kWide, kHigh, bytes.data()));
  CHECK_THAT(all_of(warnings), Contains("bgr48le pixels become 8 bit"));
  CHECK_THAT(read_text(folder.path() / "store" / "metadata.yaml"), Contains("imgdtype: uint8"));

  write_images(folder.path() / "gray", options_of("png"),
               avstore::packed_view(pixel::gray16, kWide, kHigh, bytes.data()));
  Lines notices;
  avstore::TranscodeOptions transcoding;
  transcoding.writer = options_of(format);
  transcoding.notice = into(notices);
  avstore::transcode(folder.path() / "gray", folder.path() / "copy", transcoding);
  CHECK_THAT(all_of(notices), Contains("pixels become 8 bit"));
}

// ---- JPEG ----------------------------------------------------------------------------------

TEST_CASE("gray JPEG files are gray, with a JFIF header, and of the same luma as those of colour") {
  const int width = GENERATE(96, 95, 17, 8, 1);
  const int height = GENERATE(64, 49, 1);
  const TemporaryFolder folder;
  const auto drawn = avstore::test::draw(pixel::gray8, 5, std::max(width, 8), std::max(height, 16));
  const ImageView view = avstore::packed_view(pixel::gray8, width, height, drawn.view.planes[0],
                                              drawn.view.strides[0]);
  const fs::path jpg = folder.path() / "a.jpg";
  avstore::write_image(jpg.string(), view);
  CHECK(read_text(jpg).substr(2, 9) == std::string("\xFF\xE0\x00\x10JFIF\0", 9));
  CHECK(run("ffprobe -v error -show_entries stream=pix_fmt,width,height -of csv=p=0 " +
            quoted(jpg)) == std::to_string(width) + "," + std::to_string(height) + ",gray\n");
  const fs::path raw = folder.path() / "raw";
  run("ffmpeg -v error -i " + quoted(jpg) + " -f rawvideo -pix_fmt gray " + quoted(raw));
  const std::string read = read_text(raw);
  CHECK(avstore::test::mean_difference({read.begin(), read.end()}, avstore::pack(view)) < 1.5);

  // The encoder's own picture of the same gray has the same luma, bit for bit.
  const fs::path color = folder.path() / "c.jpg";
  avstore::write_image(color.string(), avstore::convert(view, pixel::yuv420p).view());
  const Image back = avstore::read_image(jpg.string());
  CHECK(back.format() == pixel::gray8);
  CHECK(avstore::test::mean_difference(avstore::pack(back.view()), {read.begin(), read.end()}) ==
        0);
}

TEST_CASE("files of colour JPEG have a JFIF header") {
  const TemporaryFolder folder;
  const auto drawn = avstore::test::draw(pixel::bgr24, 5);
  avstore::write_image((folder.path() / "a.jpg").string(), drawn.view);
  CHECK(read_text(folder.path() / "a.jpg").substr(2, 9) ==
        std::string("\xFF\xE0\x00\x10JFIF\0", 9));
}

TEST_CASE("gray of every value and any noise comes back from a JPEG") {
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{kWide} * kHigh);
  const ImageView view = avstore::packed_view(pixel::gray8, kWide, kHigh, bytes.data());
  for (const double quality : {0.0, 50.0, 100.0}) {
    WriterOptions options = options_of("jpg");
    options.encoder.quality = quality;
    const fs::path store = folder.path() / ("store" + std::to_string(quality));
    write_images(store, options, view);
    const double off = avstore::test::mean_difference(packed(store, pixel::gray8), bytes);
    CHECK(off < (quality == 100 ? 6 : 70));
  }
}

// ---- encodings -----------------------------------------------------------------------------

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
  CHECK_THAT(attempt("npy", "cv_bayerbg", pixel::bgr24), Contains("no cv_bayerbg data"));
  CHECK_THAT(attempt("npy", "cv_bayerbg", PixelFormat::from_name("yuyv422")),
             Contains("no cv_bayerbg data"));
  CHECK_THAT(attempt("npy", "cv_rgb", pixel::gray8), Contains("no cv_rgb data"));
  CHECK_THAT(attempt("npy", "cv_yuv_nv12", pixel::yuv420p), Contains("no cv_yuv_nv12 data"));
  CHECK_THAT(attempt("ppm", "cv_bayerbg", pixel::gray8), Contains("cannot hold"));
  CHECK_THAT(attempt("pgm", "cv_rgb", pixel::bgr24), Contains("cannot hold"));
  CHECK_THAT(attempt("png", "cv_yuv_yuyv", PixelFormat::from_name("yuyv422")),
             Contains("cannot hold"));
  CHECK_THAT(attempt("npy", "cv_bayerxy", pixel::gray8),
             Contains("encoding cv_bayerxy is not known"));
  CHECK(attempt("png", "cv_bayerbg", pixel::gray8) == "no error");
  CHECK(attempt("npy", "cv_hsv", pixel::bgr24) == "no error");
}

TEST_CASE("a source whose pixels have another order than the encoding is refused") {
  const TemporaryFolder folder;
  write_text(folder.path() / "raw", std::string(std::size_t{3} * 32 * 24, 'x'));
  CHECK_THAT(outcome_of([&] {
               record_raw(folder.path() / "raw", folder.path() / "store", "cv_rgb", "bgr24");
             }),
             Contains("bgr24, not cv_rgb"));
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
             Contains("invalid_argument: ") && Contains("cv_bayerbg"));
  CHECK_FALSE(fs::exists(folder.path() / "store"));
}

TEST_CASE("verify finds frames that are no data of the store's encoding") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string format = GENERATE("png", "ffv1/mkv");
  write_store(store, options_of(format), pixel::bgr24, avstore::test::plain_names(3));
  run("sed -i 's/encoding: null/encoding: cv_bayerbg/' " + quoted(store / "metadata.yaml"));
  const auto findings = avstore::verify(store, {.deep = true, .progress = {}}).findings;
  CHECK_THAT(all_of(findings), Contains("holds no cv_bayerbg data"));
  run("sed -i 's/cv_bayerbg/cv_nonsense/' " + quoted(store / "metadata.yaml"));
  CHECK_THAT(all_of(avstore::verify(store, {}).findings), Contains("cv_nonsense is not known"));
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
    CHECK_THAT(all_of(notices), Contains("raw cv_bayerbg data become pictures in " + format));
    fs::remove_all(folder.path() / "copy");
  }
  Lines notices;
  CHECK(copy("png+color", notices).empty());
  CHECK(notices.empty());
  CHECK(packed(folder.path() / "copy", pixel::bgr24) == packed(source, pixel::bgr24));
}

// ---- align ---------------------------------------------------------------------------------

TEST_CASE("black is black in raw YUV") {
  const std::string encoding = GENERATE("cv_yuv_nv12", "cv_yuv_yuyv", "cv_yuv_uyvy");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{4} * kWide * kHigh);
  WriterOptions options = options_of("npy");
  options.encoding = encoding;
  const PixelFormat pixels = PixelFormat::from_name(encoding == "cv_yuv_nv12"   ? "nv12"
                                                    : encoding == "cv_yuv_yuyv" ? "yuyv422"
                                                                                : "uyvy422");
  const ImageView view = avstore::contiguous_view(pixels, kWide, kHigh, bytes.data());
  write_images(folder.path() / "long", options, view, 3);
  write_images(folder.path() / "short", options, view, 2);
  avstore::AlignOptions aligning;
  aligning.policy = avstore::AlignPolicy::black;
  const auto alignment =
      avstore::align({folder.path() / "long", folder.path() / "short"}, aligning);
  avstore::AlignedWriterOptions writing;
  writing.writer = options_of("npy");
  avstore::write_aligned(alignment, {folder.path() / "a", folder.path() / "b"}, writing);
  ReaderOptions reading;
  reading.pixel_format = pixel::bgr24;
  Reader reader(folder.path() / "b", reading);
  CHECK(reader.info().encoding == encoding);
  CHECK(avstore::pack(reader.read(FrameIndex(2)).image.view()) ==
        std::vector<std::uint8_t>(std::size_t{3} * kWide * kHigh, 0));
  CHECK(avstore::pack(reader.read(FrameIndex(1)).image.view()) ==
        packed(folder.path() / "long", {}));
}

TEST_CASE("side by side, gray of 16 bit stays gray of 16 bit, or the loss is told of") {
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{2} * kWide * kHigh);
  const ImageView view = avstore::packed_view(pixel::gray16, kWide, kHigh, bytes.data());
  write_images(folder.path() / "a", options_of("npy"), view);
  write_images(folder.path() / "b", options_of("png"), view);
  const auto alignment = avstore::align({folder.path() / "a", folder.path() / "b"}, {});
  avstore::AlignedWriterOptions writing;
  Lines notices;
  writing.notice = into(notices);
  writing.writer = options_of("png");
  avstore::write_side_by_side(alignment, folder.path() / "both", writing);
  CHECK(notices.empty());
  Reader reader(folder.path() / "both");
  CHECK_FALSE(reader.info().color);
  CHECK(reader.info().dtype == "uint16");
  const auto both = packed(folder.path() / "both", pixel::gray16);
  const std::size_t row = std::size_t{2} * kWide;
  for (int y = 0; y < kHigh; ++y) {
    const auto at = static_cast<std::size_t>(y) * row;
    REQUIRE(std::memcmp(&both[2 * at], &bytes[at], row) == 0);
    REQUIRE(std::memcmp(&both[2 * at + row], &bytes[at], row) == 0);
  }
  writing.writer = options_of("mjpeg/avi");
  avstore::write_side_by_side(alignment, folder.path() / "lossy", writing);
  CHECK_THAT(all_of(notices), Contains("become 8 bit"));
  CHECK_FALSE(Reader(folder.path() / "lossy").info().color);
}

TEST_CASE("arrays of floats side by side are refused by the name of their store") {
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{4} * kWide * kHigh);
  ImageView view = avstore::packed_view(pixel::bgra, kWide, kHigh, bytes.data());
  view.format = pixel::array;
  view.array = {"<f4", {kHigh, kWide}};
  write_images(folder.path() / "floats", options_of("npy"), view);
  write_store(folder.path() / "plain", options_of("png"), 3);
  const auto alignment = avstore::align({folder.path() / "plain", folder.path() / "floats"}, {});
  CHECK_THAT(
      outcome_of([&] { avstore::write_side_by_side(alignment, folder.path() / "both", {}); }),
      Contains("floats: its images are arrays of float32"));
}

// ---- index files that others changed -------------------------------------------------------

namespace {

// Writes an npz anew with other numbers, as other programs do.
void add_to_numbers(const fs::path& npz, int much) {
  python("import sys, numpy as n; f = sys.argv[1]; z = dict(n.load(f)); z['frame_number'] += " +
             std::to_string(much) + "; n.savez(f, **z)",
         npz);
}

}  // namespace

TEST_CASE("a saved database is made anew when others change the chunks' index files") {
  const std::string format = GENERATE("ffv1/mkv", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of(format), 10);
  const fs::path npz = store / (format == "png" ? "000001/index.npz" : "000001.npz");
  Lines warnings;
  CHECK(numbers(store, warnings) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(warnings.empty());
  add_to_numbers(npz, 100);
  const std::vector<std::int64_t> changed{0, 1, 2, 3, 4, 5, 6, 107, 108, 109};
  CHECK(numbers(store, warnings, false) == changed);
  CHECK_THAT(all_of(warnings), Contains("other numbers or times") && Contains("made anew"));
  CHECK(numbers(store, warnings) == changed);
  warnings.clear();
  CHECK(numbers(store, warnings) == changed);
  CHECK(warnings.empty());
  // Of the same size, once more: the time of change tells.
  add_to_numbers(npz, 1);
  CHECK(numbers(store, warnings).back() == 110);
  CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
}

TEST_CASE("a store that was copied, or whose index files were touched, keeps its database") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("ffv1/mkv"), 10);
  run("touch -d 2001-01-01 " + quoted(store) + "/*.npz");
  const std::string pts = "sqlite3 " + quoted(store / ".index.sqlite") +
                          " 'SELECT count(pts) FROM frames; SELECT value FROM index_information "
                          "WHERE name = \"index_files\"'";
  const std::string before = run(pts);
  Lines warnings;
  CHECK(numbers(store, warnings, false).size() == 10);
  CHECK(run(pts) == before);  // not to be saved
  CHECK(numbers(store, warnings).size() == 10);
  CHECK(warnings.empty());
  const std::string after = run(pts);
  CHECK(after != before);               // noted
  CHECK(after.substr(0, 3) == "10\n");  // made of the same rows
  CHECK(numbers(store, warnings).size() == 10);
  CHECK(run(pts) == after);
  CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
}

TEST_CASE("a database without a note of its index files is compared with them once") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 10);
  const std::string forget = "sqlite3 " + quoted(store / ".index.sqlite") +
                             " \"DELETE FROM index_information WHERE name LIKE 'index_files%'\"";
  run(forget);
  Lines warnings;
  CHECK(numbers(store, warnings).back() == 9);
  CHECK(warnings.empty());
  run(forget);
  add_to_numbers(store / "000001" / "index.npz", 100);
  CHECK(numbers(store, warnings).back() == 109);
  CHECK_THAT(all_of(warnings), Contains("made anew"));
}

TEST_CASE("of two index files the one that can be read serves") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 5);
  const fs::path npz = store / "000000" / "index.npz";
  const fs::path yaml = store / "000000" / "index.yaml";
  fs::remove(store / ".index.sqlite");
  Lines warnings;
  SECTION("a damaged npz") {
    write_text(npz, "nothing of the kind");
    write_text(yaml, "frame_number: [10, 11, 12, 13, 14]\nframe_time: [0, 1, 2, 3, 4]\n");
    CHECK(numbers(store, warnings, false).front() == 10);
    CHECK_THAT(all_of(warnings), Contains("index.npz") && Contains("index.yaml serves instead"));
  }
  SECTION("a damaged yaml") {
    write_text(yaml, "frame_number: [10, 11");
    CHECK(numbers(store, warnings, false).front() == 0);
    CHECK(warnings.empty());
  }
}

TEST_CASE("an npz that lists more frames than its chunk can hold is damaged") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const bool video = GENERATE(true, false);
  write_store(store, options_of(video ? "ffv1/mkv" : "png"), 5);
  const fs::path npz = store / (video ? "000000.npz" : "000000/index.npz");
  python(
      "import sys, numpy as n\n"
      "n.savez_compressed(sys.argv[1], frame_number=n.zeros(2000000, 'i8'), "
      "frame_time=n.zeros(2000000))",
      npz);
  fs::remove(store / ".index.sqlite");
  Lines warnings;
  CHECK(numbers(store, warnings, false).empty());
  CHECK_THAT(all_of(warnings), Contains(npz.filename().string()) &&
                                   Contains("2000000 frames, more than its chunk can hold"));
}

// ---- extra data ----------------------------------------------------------------------------

namespace {

// Two chunks of three frames, a record each.
void write_with_extra(const fs::path& store, int first_number = 0) {
  Writer writer(store, options_of("png", 3));
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  for (int i = 0; i < 6; ++i) {
    writer.add(drawn.view, FrameNumber(first_number + i), FrameTime(i));
    writer.add_extra("{\"k\": " + std::to_string(i) + "}");
  }
  writer.close();
}

}  // namespace

TEST_CASE("a damaged chunk of extra data stops whole-store work only if it is not to be left out") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_with_extra(store, -3);
  run("sed -i '1s/-3/4/' " + quoted(store / "000000" / "index.extra.json"));
  write_text(store / "000001" / "index.extra.json", "[{\"k\": 3, ");
  Lines notices;

  avstore::TranscodeOptions transcoding;
  transcoding.writer = options_of("npy");
  transcoding.notice = into(notices);
  CHECK_THAT(outcome_of([&] { avstore::transcode(store, folder.path() / "copy", transcoding); }),
             Contains("corrupt: ") && Contains("000001/index.extra.json"));
  transcoding.ignore_corrupt_extra = true;
  CHECK(avstore::transcode(store, folder.path() / "copy", transcoding) == 6);
  CHECK(avstore::read_extra(folder.path() / "copy").size() == 3);
  CHECK_THAT(all_of(notices), Contains("000001/index.extra.json") && Contains("left out"));

  const auto alignment = avstore::align({store, store}, {});
  avstore::AlignedWriterOptions writing;
  writing.writer = options_of("npy");
  const std::vector<fs::path> places{folder.path() / "a", folder.path() / "b"};
  CHECK_THAT(outcome_of([&] { avstore::write_aligned(alignment, places, writing); }),
             Contains("000001/index.extra.json"));
  writing.ignore_corrupt_extra = true;
  avstore::write_aligned(alignment, places, writing);
  CHECK(avstore::read_extra(places[1]).size() == 3);
}

TEST_CASE("reindex leaves damaged extra data as they are if told so") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  Writer writer(store, options_of("png", 3));
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  for (const int number : {7, 8, 0, 1}) {
    writer.add(drawn.view, FrameNumber(number), FrameTime(number));
    writer.add_extra("{}");
  }
  writer.close();
  const fs::path json = store / "000000" / "index.extra.json";
  write_text(json, "[{");
  CHECK_THAT(outcome_of([&] { avstore::reindex(store, {}); }), Contains(json.string()));
  Lines notices;
  avstore::ReindexOptions options;
  options.ignore_corrupt_extra = true;
  options.notice = into(notices);
  CHECK(avstore::reindex(store, options).renumbered == 2);
  CHECK_THAT(all_of(notices), Contains(json.string()) && Contains("left as it is"));
  CHECK(read_text(json) == "[{");
  Lines warnings;
  CHECK(numbers(store, warnings) == std::vector<std::int64_t>{-2, -1, 0, 1});
}

TEST_CASE("extra data may come before the first frame, as the reference writes them") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const auto drawn = avstore::test::draw(pixel::gray8, 1);
  {
    Writer writer(store, options_of("png", 3));
    writer.add_extra("{\"k\": 1}");
    writer.add(drawn.view, FrameNumber(5), FrameTime(1));
    writer.add_extra("{\"k\": 2}");
    writer.close();
  }
  CHECK(python("import json, sys\n"
               "for r in json.load(open(sys.argv[1])): print(r['frame_index'], r['frame_number'], "
               "r['frame_time'], r['k'])",
               store / "000000" / "index.extra.json") == "-1 nan nan 1\n0 5 1.0 2\n");
  for (const fs::path& copy : {store, folder.path() / "copy"}) {
    if (copy != store) {
      avstore::TranscodeOptions options;
      options.writer = options_of("npy");
      avstore::transcode(store, copy, options);
    }
    const avstore::ExtraData data = avstore::read_extra(copy);
    REQUIRE(data.size() == 2);
    CHECK(data.frame_index[0] == FrameIndex(-1));
    CHECK(data.frame_number[0] == avstore::kNoFrameNumber);
    CHECK(data.frame_number[1] == FrameNumber(5));
  }
}

TEST_CASE("extra data of a store without frames are kept") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of("png", 3));
    writer.add_extra("{\"k\": 1}");
    writer.close();
  }
  CHECK(avstore::read_extra(store).size() == 1);
  CHECK(Reader(store).frame_count() == 0);
}

TEST_CASE("records whose frame is null or NaN are read") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_with_extra(store);
  write_text(store / "000000" / "index.extra.json",
             R"([{"k": 1, "frame_index": null, "frame_number": 1, "frame_time": 1.0},)"
             R"( {"k": 2, "frame_index": NaN, "frame_number": NaN, "frame_time": NaN},)"
             R"( {"k": 3, "frame_index": 2.0, "frame_number": 2.0, "frame_time": 2.0}])");
  CHECK(avstore::read_extra(store).size() == 6);
  avstore::TranscodeOptions options;
  options.writer = options_of("npy");
  avstore::transcode(store, folder.path() / "copy", options);
  const avstore::ExtraData data = avstore::read_extra(folder.path() / "copy");
  REQUIRE(data.size() == 6);
  CHECK(data.frame_index[0] == FrameIndex(-1));
  CHECK(data.frame_index[1] == FrameIndex(1));  // by its number
}

// ---- metadata and the rest -----------------------------------------------------------------

TEST_CASE("a created_utc that is no time, or a zone that is none, does not stand in the way") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 3);
  run("sed -i 's/created_utc:.*/created_utc: last Tuesday/; s/timezone_local:.*/timezone_local: "
      "Europe\\/Atlantis/' " +
      quoted(store / "metadata.yaml"));
  Lines warnings;
  CHECK(numbers(store, warnings).size() == 3);
  CHECK_THAT(all_of(warnings), Contains("last Tuesday"));
  CHECK_THAT(all_of(warnings), Contains("Europe/Atlantis"));
  CHECK(Reader(store).info().created_utc.substr(0, 2) == "20");
  CHECK(avstore::verify(store, {}).findings.size() == 2);
}

TEST_CASE("an empty store becomes an empty store of another format, and no video") {
  const TemporaryFolder folder;
  WriterOptions writing = options_of("npy");
  writing.metadata_yaml = "rig: 3\n";
  Writer(folder.path() / "empty", writing).close();
  avstore::TranscodeOptions options;
  options.writer = options_of("avc1/mp4");
  CHECK(avstore::transcode(folder.path() / "empty", folder.path() / "copy", options) == 0);
  const Reader reader(folder.path() / "copy");
  CHECK(reader.frame_count() == 0);
  CHECK(reader.info().format == "avc1/mp4");
  CHECK(reader.info().metadata_yaml == "rig: 3\n");
  CHECK(reader.info().created_utc == Reader(folder.path() / "empty").info().created_utc);
  CHECK_THAT(outcome_of([&] {
               avstore::export_video(folder.path() / "empty", folder.path() / "v.mp4", {});
             }),
             Contains("empty: the store has no frames"));
}

TEST_CASE("a chunk that is a link out of the store is read, and told of") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("ffv1/mkv"), 3);
  fs::create_directory(folder.path() / "disk");
  fs::rename(store / "000000.mkv", folder.path() / "disk" / "a.mkv");
  fs::create_symlink("../disk/a.mkv", store / "000000.mkv");
  Lines warnings;
  CHECK(numbers(store, warnings).size() == 3);
  CHECK_THAT(all_of(warnings), Contains("000000.mkv: is a link") && Contains("disk/a.mkv"));
  warnings.clear();
  fs::rename(folder.path() / "disk" / "a.mkv", store / "other.mkv");
  fs::remove(store / "000000.mkv");
  fs::create_symlink("other.mkv", store / "000000.mkv");
  CHECK(numbers(store, warnings).size() == 3);
  CHECK(warnings.empty());
}

TEST_CASE("a TIFF of floats is refused for what it is, by its name") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("tif"), 3);
  // Little-endian, one strip of 2x2 floats.
  python(
      "import struct, sys\n"
      "tags = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 1, 32), (259, 3, 1, 1), (262, 3, 1, 1),"
      " (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 16), (339, 3, 1, 3)]\n"
      "data = b'II*\\0' + struct.pack('<I', 24) + struct.pack('<4f', 1, 2, 3, 4)\n"
      "data += struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', *t) for t in tags)\n"
      "open(sys.argv[1], 'wb').write(data + bytes(4))",
      store / "000000" / "000001.tif");
  Reader reader(store);
  const std::string outcome = outcome_of([&] { reader.read(FrameIndex(1)); });
  CHECK_THAT(outcome, Contains("unsupported: ") && Contains("000000/000001.tif") &&
                          Contains("floating-point"));
}
