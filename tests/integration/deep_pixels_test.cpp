// Pixels of 16 bit, of JPEG files, and of stores aligned: what is kept, and what is told of.
#include <cstring>
#include <functional>
#include <map>
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
#include "support/image_stores.h"
#include "support/linear_decode.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::FrameIndex;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::WriterOptions;
using avstore::test::all_of;
using avstore::test::decoded_frames;
using avstore::test::into;
using avstore::test::Lines;
using avstore::test::noise;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::packed;
using avstore::test::probe;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::raw_frames;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_images;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;

constexpr int kWide = 32;
constexpr int kHigh = 24;

}  // namespace

// ---- 16 bit --------------------------------------------------------------------------------

TEST_CASE("colour of 16 bit stays 16 bit wherever the format can hold it") {
  const std::string format = GENERATE("png", "tif", "ppm", "npy", "ffv1/mkv");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{6} * kWide * kHigh);
  const ImageView view = avstore::packed_view(pixel::bgr48, kWide, kHigh, bytes.data());
  write_images(folder.path() / "store", options_of(format), view);
  CHECK((packed(folder.path() / "store", pixel::bgr48) == bytes));
  CHECK_THAT(read_text(folder.path() / "store" / "metadata.yaml"),
             ContainsSubstring("imgdtype: uint16"));
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
  CHECK_THAT(all_of(warnings), ContainsSubstring("bgr48le pixels become 8 bit"));
  CHECK_THAT(read_text(folder.path() / "store" / "metadata.yaml"),
             ContainsSubstring("imgdtype: uint8"));

  write_images(folder.path() / "gray", options_of("png"),
               avstore::packed_view(pixel::gray16, kWide, kHigh, bytes.data()));
  Lines notices;
  avstore::TranscodeOptions transcoding;
  transcoding.writer = options_of(format);
  transcoding.notice = into(notices);
  avstore::transcode(folder.path() / "gray", folder.path() / "copy", transcoding);
  CHECK_THAT(all_of(notices), ContainsSubstring("pixels become 8 bit"));
}

// ---- JPEG ----------------------------------------------------------------------------------

TEST_CASE("gray JPEG files are gray, with a JFIF header") {
  const int width = GENERATE(96, 95, 17, 8, 1);
  const int height = GENERATE(64, 49, 1);
  const TemporaryFolder folder;
  const auto drawn = avstore::test::draw(pixel::gray8, 5, std::max(width, 8), std::max(height, 16));
  const ImageView view = avstore::packed_view(pixel::gray8, width, height, drawn.view.planes[0],
                                              drawn.view.strides[0]);
  const fs::path jpg = folder.path() / "a.jpg";
  avstore::write_image(jpg.string(), view);
  CHECK(run("ffprobe -v error -show_entries stream=pix_fmt,width,height -of csv=p=0 " +
            quoted(jpg)) == std::to_string(width) + "," + std::to_string(height) + ",gray\n");
  CHECK(python("import sys; from PIL import Image; i = Image.open(sys.argv[1]); print(i.mode, "
               "i.layers, i.info['jfif_unit'], i.info['jfif_density'])",
               jpg) == "L 1 0 (1, 1)\n");
  const std::string read = python(
      "import sys; from PIL import Image; "
      "sys.stdout.buffer.write(Image.open(sys.argv[1]).tobytes())",
      jpg);
  CHECK(avstore::test::mean_difference({read.begin(), read.end()}, avstore::pack(view)) < 1.5);
  const Image back = avstore::read_image(jpg.string());
  CHECK(back.format() == pixel::gray8);
  CHECK(avstore::test::mean_difference(avstore::pack(back.view()), {read.begin(), read.end()}) <
        0.1);
}

TEST_CASE("gray of JPEG files loses no more than the luma of colour at the same quality") {
  const double quality = GENERATE(0.0, 25.0, 50.0, 75.0, 90.0, 100.0);
  CAPTURE(quality);
  const TemporaryFolder folder;
  const auto drawn = avstore::test::draw(pixel::gray8, 5);
  const int width = drawn.view.width;
  const int height = drawn.view.height;
  std::vector<std::uint8_t> planes(avstore::packed_size(pixel::yuv420p, width, height), 128);
  std::copy(drawn.bytes.begin(), drawn.bytes.end(), planes.begin());
  ImageView color = avstore::contiguous_view(pixel::yuv420p, width, height, planes.data());
  color.color = {"smpte170m", true};
  WriterOptions options = options_of("jpg");
  options.encoder.quality = quality;
  const auto loss_of = [&](const std::string& name, const ImageView& view) {
    write_images(folder.path() / name, options, view, 1);
    const fs::path file = folder.path() / name / "000000" / "000000.jpg";
    const std::string luma =
        run("ffmpeg -v error -i " + quoted(file) + " -f rawvideo -vf extractplanes=y -");
    return avstore::test::mean_difference({luma.begin(), luma.end()}, drawn.bytes);
  };
  CHECK(loss_of("gray", drawn.view) < loss_of("color", color) + 0.05);
}

TEST_CASE("options of gray JPEG files") {
  const TemporaryFolder folder;
  const auto drawn = avstore::test::draw(pixel::gray8, 5);
  const auto write = [&](const std::string& name, const std::string& option,
                         const std::string& value) {
    WriterOptions options = options_of("jpg");
    options.encoder.options = {{option, value}};
    write_images(folder.path() / name, options, drawn.view, 1);
    return folder.path() / name / "000000" / "000000.jpg";
  };
  const fs::path usual = write("usual", "huffman", "default");
  const fs::path small = write("small", "huffman", "optimal");
  CHECK(fs::file_size(small) < fs::file_size(usual));
  CHECK(packed(folder.path() / "small", {}) == packed(folder.path() / "usual", {}));
  CHECK(fs::file_size(write("coarse", "global_quality", "3658")) < fs::file_size(usual));
  for (const auto& [option, value] :
       {std::pair("huffman", "none"), std::pair("global_quality", "much"),
        std::pair("global_quality", "nan"), std::pair("global_quality", "-5"),
        std::pair("flags", "+gray"), std::pair("qmin", "1")}) {
    CAPTURE(option, value);
    CHECK_THAT(outcome_of([&, option = option, value = value] { write("none", option, value); }),
               Catch::Matchers::StartsWith("invalid_argument: ") && ContainsSubstring(option));
  }
}

TEST_CASE("a gray image that no JPEG file can hold is refused with libjpeg's words") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> row(65501);
  const fs::path jpg = folder.path() / "a.jpg";
  CHECK_THAT(
      outcome_of([&] {
        avstore::write_image(jpg.string(),
                             avstore::packed_view(pixel::gray8, 65501, 1, row.data()));
      }),
      Catch::Matchers::StartsWith("unsupported: " + jpg.string()) && ContainsSubstring("65500"));
  CHECK_FALSE(fs::exists(jpg));
  avstore::write_image(jpg.string(), avstore::packed_view(pixel::gray8, 65500, 1, row.data()));
  CHECK(avstore::read_image(jpg.string()).width() == 65500);
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

// ---- YUV -----------------------------------------------------------------------------------

namespace {

// The planar format that holds the same samples.
struct Twins {
  std::string arranged, planar;
};

// Raw frames of an arrangement, and the same with their planes apart as the ffmpeg program puts
// them, made once.
struct TwinFrames {
  std::string arranged, planar;
};

const TwinFrames& frames_of(const Twins& twins) {
  static std::map<std::string, TwinFrames> made;
  TwinFrames& frames = made[twins.arranged];
  if (frames.arranged.empty()) {
    const std::string form = " -f rawvideo -s 66x50 -pix_fmt ";
    const TemporaryFolder folder;
    const fs::path raw = folder.path() / "raw";
    run("ffmpeg -loglevel error -f lavfi -i testsrc2=size=66x50:rate=25:duration=0.2" + form +
        twins.arranged + " " + quoted(raw));
    frames.arranged = read_text(raw);
    frames.planar = run("ffmpeg -loglevel error" + form + twins.arranged + " -i " + quoted(raw) +
                        " -pix_fmt " + twins.planar + " -f rawvideo -");
  }
  return frames;
}

}  // namespace

TEST_CASE("YUV of any arrangement is kept without loss, its planes apart") {
  const auto twins = GENERATE(Twins{"yuyv422", "yuv422p"}, Twins{"uyvy422", "yuv422p"},
                              Twins{"yvyu422", "yuv422p"}, Twins{"nv12", "yuv420p"},
                              Twins{"nv21", "yuv420p"}, Twins{"nv24", "yuv444p"},
                              Twins{"p010le", "yuv420p10le"}, Twins{"p210le", "yuv422p10le"});
  const std::string format = GENERATE("ffv1/mkv", "h264-lossless/mkv");
  CAPTURE(twins.arranged, format);
  const TemporaryFolder folder;
  const fs::path raw = folder.path() / "raw";
  const std::string form = " -f rawvideo -s 66x50 -pix_fmt " + twins.arranged + " ";
  write_text(raw, frames_of(twins).arranged);
  const std::string& oracle = frames_of(twins).planar;
  REQUIRE(oracle.size() == 5 * avstore::packed_size(PixelFormat::from_name(twins.planar), 66, 50));
  const fs::path store = folder.path() / "store";
  const auto check = [&] {
    const fs::path chunk = store / "000000.mkv";
    CHECK(decoded_frames(chunk).at(0).pixel_format == twins.planar);
    CHECK((raw_frames(chunk) == oracle));
  };
  SECTION("recorded") {
    avstore::CameraOptions camera;
    camera.name = "cam";
    camera.source = raw.string();
    camera.input_format = "rawvideo";
    camera.size = {66, 50};
    camera.pixel_format = PixelFormat::from_name(twins.arranged);
    camera.store = store;
    camera.writer.format = format;
    avstore::RecordOptions recording;
    recording.cameras = {camera};
    Lines notices;
    recording.notice = into(notices);
    avstore::record(recording);
    CHECK(notices.empty());
    check();
  }
  // There are tags for these in files.
  if (twins.planar == "yuv422p" || twins.planar == "yuv420p") {
    const fs::path source = folder.path() / "source.nut";
    run("ffmpeg -loglevel error" + form + "-i " + quoted(raw.string()) + " -c copy " +
        quoted(source.string()));
    avstore::ImportOptions options;
    options.writer.format = format;
    Lines notices;
    options.notice = into(notices);
    SECTION("imported") {
      avstore::import_file(source, store, options);
      CHECK(notices.empty());
      check();
    }
    SECTION("copied") {
      options.copy = true;
      CHECK(avstore::import_file(source, store, options).copied);
      CHECK(notices.empty());
      CHECK((run("ffmpeg -loglevel error -i " + quoted((store / "000000.mkv").string()) +
                 " -pix_fmt " + twins.planar + " -f rawvideo -") == oracle));
    }
  }
}

TEST_CASE("the colorimetry of YUV is kept where its planes are put apart") {
  const bool full = GENERATE(false, true);
  const std::string name = GENERATE("yuyv422", "nv16");
  const TemporaryFolder folder;
  const auto bytes = noise(std::size_t{2} * kWide * kHigh);
  ImageView view =
      avstore::contiguous_view(PixelFormat::from_name(name), kWide, kHigh, bytes.data());
  view.color = {"bt709", full};
  write_images(folder.path() / "store", options_of("ffv1/mkv"), view);
  const auto tags = probe(folder.path() / "store" / "000000.mkv",
                          "-show_entries stream=pix_fmt,color_range,color_space");
  CHECK(tags.at(0) == std::string("yuv422p,") + (full ? "pc" : "tv") + ",bt709");
}

// What swscale cannot read.
TEST_CASE("rare arrangements of YUV are kept without loss as well") {
  using Sample = std::function<unsigned(std::size_t channel, std::size_t x, std::size_t y)>;
  struct Case {
    std::string arranged, planar;
    std::size_t sample_bytes, chroma_width, bytes;
    Sample sample;
  };
  static constexpr std::size_t kWidth = kWide;
  static const auto noisy = noise(std::size_t{4} * kWide * kHigh);
  const auto one = GENERATE_COPY(
      Case{"nv16", "yuv422p", 1, kWidth / 2, 2 * kWidth * kHigh,
           [](std::size_t channel, std::size_t x, std::size_t y) -> unsigned {
             return channel == 0 ? noisy[y * kWidth + x]
                                 : noisy[(kHigh + y) * kWidth + 2 * x + channel - 1];
           }},
      Case{"uyyvyy411", "yuv411p", 1, kWidth / 4, kWidth * kHigh * 3 / 2,
           [](std::size_t channel, std::size_t x, std::size_t y) -> unsigned {
             const std::size_t row = y * kWidth * 3 / 2;
             return channel == 0   ? noisy[row + x / 2 * 3 + x % 2 + 1]
                    : channel == 1 ? noisy[row + 6 * x]
                                   : noisy[row + 6 * x + 3];
           }},
      Case{"y210be", "yuv422p10le", 2, kWidth / 2, 4 * kWidth * kHigh,
           [](std::size_t channel, std::size_t x, std::size_t y) -> unsigned {
             const std::size_t pair = y * kWidth * 4 + (channel == 0 ? x / 2 : x) * 8;
             const std::size_t at = pair + (channel == 0 ? 4 * (x % 2) : channel == 1 ? 2 : 6);
             return (noisy[at] * 256U + noisy[at + 1]) >> 6;
           }});
  CAPTURE(one.arranged);
  std::string expected;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t y = 0; y < kHigh; ++y) {
      for (std::size_t x = 0; x < (channel == 0 ? kWidth : one.chroma_width); ++x) {
        const unsigned sample = one.sample(channel, x, y);
        for (std::size_t i = 0; i < one.sample_bytes; ++i) {
          expected += static_cast<char>(sample >> 8 * i);
        }
      }
    }
  }
  const TemporaryFolder folder;
  const PixelFormat format = PixelFormat::from_name(one.arranged);
  REQUIRE(avstore::packed_size(format, kWide, kHigh) == one.bytes);
  const ImageView view = avstore::contiguous_view(format, kWide, kHigh, noisy.data());
  write_images(folder.path() / "store", options_of("ffv1/mkv"), view, 1);
  const fs::path chunk = folder.path() / "store" / "000000.mkv";
  CHECK(decoded_frames(chunk).at(0).pixel_format == one.planar);
  CHECK((raw_frames(chunk) == expected));
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
  CHECK_THAT(all_of(notices), ContainsSubstring("become 8 bit"));
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
      ContainsSubstring("floats: its images are arrays of float32"));
}

TEST_CASE("video of more than 8 bit that was copied stays what it is in whatever is made of it") {
  const auto [name, format] =
      GENERATE(std::pair("gray16le", "png"), std::pair("yuv420p10le", "ffv1/mkv"));
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "deep.mkv";
  const fs::path store = folder.path() / "store";
  const fs::path made = folder.path() / "made";
  run("ffmpeg -nostdin -v error -f lavfi -i testsrc2=size=64x48:rate=25 -frames:v 5 -c:v ffv1 "
      "-pix_fmt " +
      std::string(name) + " " + quoted(file));
  avstore::ImportOptions copy;
  copy.copy = true;
  avstore::import_file(file, store, copy);
  CHECK(Reader(store).info().dtype == "uint16");
  avstore::TranscodeOptions options;
  options.writer.format = format;
  avstore::transcode(store, made, options);
  CHECK(Reader(made).info().dtype == "uint16");
  // PNG files have their bytes in another order.
  ReaderOptions as;
  as.pixel_format = format == std::string("png") ? pixel::gray16 : PixelFormat();
  Reader source(store, as), result(made, as);
  for (int i = 0; i < 5; ++i) {
    CHECK(avstore::md5(source.read(FrameIndex(i)).image.view()) ==
          avstore::md5(result.read(FrameIndex(i)).image.view()));
  }
}
