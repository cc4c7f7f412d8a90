// Pixels written and read back, in every format, against what was drawn and against what ffmpeg,
// ffprobe and NumPy make of the files.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/image_bytes.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::ImageView;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::Writer;
using avstore::test::add;
using avstore::test::check_names;
using avstore::test::check_places;
using avstore::test::chunk_file;
using avstore::test::code_of;
using avstore::test::draw;
using avstore::test::Drawn;
using avstore::test::error_of;
using avstore::test::is_planar;
using avstore::test::is_video;
using avstore::test::kHeight;
using avstore::test::kWidth;
using avstore::test::lossy_video_formats;
using avstore::test::luma;
using avstore::test::mean_difference;
using avstore::test::odd_names;
using avstore::test::open_as;
using avstore::test::options_of;
using avstore::test::plain_names;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::random_bytes;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::shuffled_indices;
using avstore::test::TemporaryFolder;
using avstore::test::video_formats;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

}  // namespace

// --- What each format makes of each kind of pixels ---

namespace {

enum class Fidelity {
  exact,    // equal to what was written
  close,    // nearly
  gray,     // colour is lost, its luma stays
  refused,  // an error says so
};

Fidelity expected_fidelity(const std::string& format, PixelFormat pixels) {
  using Pixels = std::set<std::string_view>;
  const auto is_in = [pixels](const Pixels& set) { return set.contains(pixels.name()); };
  if (format == "ffv1/mkv") {
    return Fidelity::exact;
  }
  if (format == "h264-lossless/mkv") {
    return is_in({"gray16", "bgra"}) ? Fidelity::refused : Fidelity::exact;
  }
  if (is_video(format) || format == "jpg") {
    return is_in({"gray16"}) ? Fidelity::refused : Fidelity::close;
  }
  if (format == "pgm") {
    return is_in({"gray8", "gray16"}) ? Fidelity::exact : Fidelity::gray;
  }
  if (format == "bmp" || format == "ppm") {
    return is_in({"gray16"}) ? (format == "ppm" ? Fidelity::close : Fidelity::refused)
           : is_in({"gray8", "bgr24", "rgb24"}) ? Fidelity::exact
                                                : Fidelity::close;
  }
  return is_planar(pixels) ? Fidelity::close : Fidelity::exact;  // png, tif, npy
}

// What was drawn in limited range as it is in full range.
std::vector<std::uint8_t> stretched(std::vector<std::uint8_t> planes, std::size_t luma_size) {
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const double value =
        i < luma_size ? (planes[i] - 16) * 255.0 / 219 : (planes[i] - 128) * 255.0 / 224 + 128;
    planes[i] = static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
  }
  return planes;
}

// What reading frame `number` should give, more or less, in the form that `read` has.
std::vector<std::uint8_t> expected_bytes(int number, const ImageView& read, PixelFormat written,
                                         Fidelity fidelity) {
  if (fidelity == Fidelity::gray) {
    return draw(pixel::gray8, number).bytes;
  }
  std::vector<std::uint8_t> bytes = draw(written, number).bytes;
  return is_planar(written) && read.color.full_range
             ? stretched(std::move(bytes), std::size_t{kWidth} * kHeight)
             : bytes;
}

// Without alpha, which lossy formats drop.
std::vector<std::uint8_t> without_alpha(std::vector<std::uint8_t> bgra) {
  std::size_t i = 0;
  std::erase_if(bgra, [&i](std::uint8_t) { return i++ % 4 == 3; });
  return bgra;
}

double difference(const Frame& frame, PixelFormat written, Fidelity fidelity) {
  const ImageView& view = frame.image.view();
  const auto expected =
      expected_bytes(static_cast<int>(frame.info.index.value), view, written, fidelity);
  if (written == pixel::bgra && fidelity == Fidelity::close) {
    return mean_difference(without_alpha(avstore::pack(view)), without_alpha(expected));
  }
  return mean_difference(avstore::pack(view), expected);
}

constexpr std::array kPixelFormats{pixel::gray8, pixel::gray16,  pixel::bgr24, pixel::rgb24,
                                   pixel::bgra,  pixel::yuv420p, pixel::nv12};

void check_pixels(Reader& reader, PixelFormat pixels, Fidelity fidelity) {
  double worst = 0;
  for (const FrameIndex index : shuffled_indices(reader.frame_count())) {
    const auto number = static_cast<int>(index.value);
    const Frame frame = reader.read(index);
    CAPTURE(index.value);
    REQUIRE(frame.image.width() == kWidth);
    REQUIRE(frame.image.height() == kHeight);
    REQUIRE(code_of(frame.image.view()) == number);
    worst = std::max(worst, difference(frame, pixels, fidelity));
  }
  CAPTURE(worst);
  constexpr double kSmall = 4;  // of 255, over a whole frame
  CHECK(worst <= (fidelity == Fidelity::exact ? 0 : kSmall));
}

}  // namespace

TEST_CASE("frames come back as written, from every pixel format in every format") {
  const std::vector<PixelFormat> all(kPixelFormats.begin(), kPixelFormats.end());
  for (const auto& [format, pixels] :
       avstore::test::sampled_pairs("formats from pixel formats", avstore::formats(), all, 35)) {
    CAPTURE(format.name, pixels.name());
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    const Fidelity fidelity = expected_fidelity(format.name, pixels);
    if (fidelity == Fidelity::refused) {
      const auto error =
          error_of([&] { write_store(store, options_of(format.name), pixels, plain_names(3)); });
      CHECK(error.kind() == ErrorKind::unsupported);
      CHECK_THAT(error.what(), ContainsSubstring(std::string(pixels.name())));
      continue;
    }
    write_store(store, options_of(format.name), pixels, odd_names());
    Reader reader = open_as(store, fidelity == Fidelity::gray ? pixel::gray8 : pixels);
    check_names(reader, odd_names());
    check_places(reader, 7);
    CHECK(reader.info().chunk_count == 4);
    CHECK(reader.info().format == format.name);
    check_pixels(reader, pixels, fidelity);
    CHECK(wrong_codes(store).empty());
    CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
  }
}

// --- Plain arrays ---

namespace {

struct ArrayKind {
  std::string dtype;
  std::size_t item_bytes;
  std::vector<std::int64_t> shape;
};

ImageView array_view(const ArrayKind& kind, const std::vector<std::uint8_t>& bytes,
                     std::ptrdiff_t row_padding = 0) {
  ImageView view;
  view.format = pixel::array;
  view.array = {kind.dtype, kind.shape};
  view.height = static_cast<int>(kind.shape[0]);
  view.width = static_cast<int>(kind.shape[1]);
  view.planes[0] = bytes.data();
  const std::int64_t items = kind.shape[1] * (kind.shape.size() == 3 ? kind.shape[2] : 1);
  view.strides[0] = items * static_cast<std::ptrdiff_t>(kind.item_bytes) + row_padding;
  return view;
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::size_t bytes_of(const ArrayKind& kind) {
  std::size_t bytes = kind.item_bytes;
  for (const std::int64_t extent : kind.shape) {
    bytes *= static_cast<std::size_t>(extent);
  }
  return bytes;
}

std::string numpy_shape(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + ")";
}

std::string sorted_lines(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.insert(line + "\n");
  }
  return std::accumulate(lines.begin(), lines.end(), std::string());
}

}  // namespace

TEST_CASE("arrays of any type come back as written, and NumPy reads the same") {
  const TemporaryFolder folder;
  std::string expected;
  for (const auto& [dtype, size] : std::map<std::string, std::size_t>{
           {"<f4", 4}, {"<f8", 8}, {"|i1", 1}, {"<i8", 8}, {"<u4", 4}, {"|b1", 1}, {"<c16", 16}}) {
    for (const auto& shape : {std::vector<std::int64_t>{3, 5}, {4, 6, 2}, {1, 1}, {2, 3, 1}}) {
      CAPTURE(dtype, shape);
      const ArrayKind kind{dtype, size, shape};
      const auto store = folder.path() / (dtype + numpy_shape(shape));
      Writer writer(store, options_of("npy"));
      for (int i = 0; i < 10; ++i) {
        const auto bytes = random_bytes(bytes_of(kind), static_cast<unsigned>(i));
        add(writer, array_view(kind, bytes), odd_names()[static_cast<std::size_t>(i)]);
      }
      writer.close();
      Reader reader(store);
      CHECK(reader.info().chunk_count == 2);
      for (const FrameIndex index : shuffled_indices(10)) {
        const Frame frame = reader.read(index);
        CHECK(frame.image.format().name() == pixel::array.name());
        CHECK(frame.image.view().array.dtype == dtype);
        CHECK(frame.image.view().array.shape == shape);
        const bool same = avstore::pack(frame.image.view()) ==
                          random_bytes(bytes_of(kind), static_cast<unsigned>(index.value));
        CHECK(same);
      }
      expected += store.filename().string() + " " + dtype + " " + numpy_shape(shape) + " " +
                  hex(random_bytes(bytes_of(kind), 9)) + "\n";
    }
  }
  CHECK(python("import os, sys, numpy as n\n"
               "for s in sorted(os.listdir(sys.argv[1])):\n"
               " a = n.load(os.path.join(sys.argv[1], s, '000001/000002.npy'))\n"
               " print(s, a.dtype.str, a.shape, a.tobytes().hex())",
               folder.path()) == sorted_lines(expected));
}

TEST_CASE("arrays of the other byte order are stored as given, and read in this machine's") {
  const ArrayKind kind{">i4", 4, {1, 3}};
  const std::vector<std::uint8_t> pixels{0, 0, 0, 1, 0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFE};
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("npy"));
  add(writer, array_view(kind, pixels), {0, 0});
  writer.close();
  CHECK(python("import sys, numpy as n; a = n.load(sys.argv[1]); print(a.dtype.str, a.tolist())",
               store / "000000" / "000000.npy") == ">i4 [[1, 256, -2]]\n");
  const Image image = Reader(store).read(FrameIndex(0)).image;
  CHECK(image.view().array.dtype == "<i4");
  CHECK(hex(avstore::pack(image.view())) == "0100000000010000feffffff");
}

TEST_CASE("arrays keep no padding of their rows") {
  const ArrayKind kind{"<f4", 4, {3, 5}};
  const auto pixels = random_bytes(bytes_of(kind), 1);
  constexpr std::size_t kRow = 5 * 4;
  constexpr std::size_t kPadded = kRow + 12;
  std::vector<std::uint8_t> padded(3 * kPadded, 0xEE);
  for (std::size_t y = 0; y < 3; ++y) {
    std::copy_n(pixels.begin() + static_cast<std::ptrdiff_t>(y * kRow), kRow,
                padded.begin() + static_cast<std::ptrdiff_t>(y * kPadded));
  }
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("npy"));
  add(writer, array_view(kind, padded, 12), {0, 0});
  writer.close();
  Reader reader(store);
  CHECK(avstore::pack(reader.read(FrameIndex(0)).image.view()) == pixels);
}

TEST_CASE("formats other than npy and bpk refuse arrays") {
  const ArrayKind kind{"<f4", 4, {64, 96}};
  const auto pixels = random_bytes(bytes_of(kind), 1);
  for (const avstore::Format& format : avstore::formats()) {
    if (format.name == "npy" || format.name == "bpk") {
      continue;
    }
    DYNAMIC_SECTION(format.name) {
      const TemporaryFolder folder;
      Writer writer(folder.path() / "store", options_of(format.name));
      const auto error = error_of([&] {
        add(writer, array_view(kind, pixels), {0, 0});
        writer.close();
      });
      CHECK(error.kind() == ErrorKind::unsupported);
    }
  }
}

// --- Sizes and memory layouts ---

TEST_CASE("odd sizes lose a row and a column only where chroma is halved") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const PixelFormat pixels : {pixel::gray8, pixel::bgr24}) {
      DYNAMIC_SECTION(format.name << " from " << pixels.name()) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format.name), pixels, plain_names(9), 65, 49);
        const bool truncated = format.video && !format.lossless;
        Reader reader(store);
        CHECK(reader.info().width == (truncated ? 64 : 65));
        CHECK(reader.info().height == (truncated ? 48 : 49));
        const Frame frame = reader.read(FrameIndex(8));
        CHECK(frame.image.width() == reader.info().width);
        CHECK(frame.image.height() == reader.info().height);
        CHECK(wrong_codes(store).empty());
        const std::string shape = truncated ? "- 48\n  - 64\n" : "- 49\n  - 65\n";
        CHECK_THAT(read_text(store / "metadata.yaml"), ContainsSubstring(shape));
        if (std::find(format.lossless_pixels.begin(), format.lossless_pixels.end(), pixels) !=
            format.lossless_pixels.end()) {
          CHECK(avstore::pack(open_as(store, pixels).read(FrameIndex(8)).image.view()) ==
                draw(pixels, 8, 65, 49).bytes);
        }
      }
    }
  }
}

TEST_CASE("the smallest images") {
  for (const std::string format : {"png", "tif", "bmp", "ppm", "npy"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      const std::vector<std::uint8_t> dot{10, 20, 30};
      Writer writer(store, options_of(format));
      add(writer, avstore::packed_view(pixel::bgr24, 1, 1, dot.data()), {0, 0});
      writer.close();
      CHECK(avstore::pack(open_as(store, pixel::bgr24).read(FrameIndex(0)).image.view()) == dot);
    }
  }
  SECTION("too small for halved chroma") {
    const TemporaryFolder folder;
    const std::vector<std::uint8_t> dot{10, 20, 30};
    Writer writer(folder.path() / "store", options_of("avc1/mp4"));
    const auto error = error_of([&] {
      add(writer, avstore::packed_view(pixel::bgr24, 1, 1, dot.data()), {0, 0});
      writer.close();
    });
    CHECK(error.kind() == ErrorKind::invalid_argument);
  }
}

namespace {

// The same pixels, with rows `padding` bytes apart and 0xEE between them; upside down in memory if
// `bottom_up`.
struct Padded {
  std::vector<std::vector<std::uint8_t>> planes;
  ImageView view;
};

Padded with_padding(const ImageView& image, std::ptrdiff_t padding, bool bottom_up) {
  Padded padded{{}, image};
  for (std::size_t plane = 0; plane < 4 && image.planes[plane] != nullptr; ++plane) {
    const int rows = plane == 0 ? image.height : (image.height + 1) / 2;
    const std::ptrdiff_t stride = image.strides[plane] + padding;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(stride * rows), 0xEE);
    for (int y = 0; y < rows; ++y) {
      const int row = bottom_up ? rows - 1 - y : y;
      std::copy_n(image.planes[plane] + y * image.strides[plane], image.strides[plane],
                  bytes.begin() + row * stride);
    }
    padded.planes.push_back(std::move(bytes));
    const std::uint8_t* first = padded.planes.back().data();
    padded.view.planes[plane] = bottom_up ? first + (rows - 1) * stride : first;
    padded.view.strides[plane] = bottom_up ? -stride : stride;
  }
  return padded;
}

}  // namespace

TEST_CASE("rows may lie apart or upside down in memory") {
  for (const bool bottom_up : {false, true}) {
    for (const bool shared : {false, true}) {
      for (const PixelFormat pixels : kPixelFormats) {
        DYNAMIC_SECTION(pixels.name()
                        << (bottom_up ? " bottom-up" : "") << (shared ? " shared" : "")) {
          const TemporaryFolder folder;
          const auto store = folder.path() / "store";
          Writer writer(store, options_of("ffv1/mkv"));
          for (int i = 0; i < 9; ++i) {
            const auto padded =
                std::make_shared<Padded>(with_padding(draw(pixels, i).view, 13, bottom_up));
            if (shared) {
              writer.add(Image(padded->view, padded), FrameNumber(i), FrameTime(i));
            } else {
              add(writer, padded->view, {i, 0.0 + i});
            }
          }
          writer.close();
          Reader reader = open_as(store, pixels);
          check_pixels(reader, pixels, Fidelity::exact);
        }
      }
    }
  }
}

TEST_CASE("shared pixels are let go once the writer is done with them") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "png", "npy"}) {
    const TemporaryFolder folder;
    Writer writer(folder.path() / "store", options_of(format));
    std::vector<std::weak_ptr<Drawn>> owners;
    for (int i = 0; i < 5; ++i) {
      auto drawn = std::make_shared<Drawn>(draw(pixel::gray8, i));
      owners.emplace_back(drawn);
      writer.add(Image(drawn->view, drawn), FrameNumber(i), FrameTime(i));
    }
    writer.close();
    CAPTURE(format);
    CHECK(std::all_of(owners.begin(), owners.end(), [](const auto& o) { return o.expired(); }));
  }
}

// --- Colour ---

TEST_CASE("streams say how their colour is coded") {
  for (const std::string& format : lossy_video_formats()) {
    for (const PixelFormat pixels : {pixel::gray8, pixel::bgr24}) {
      DYNAMIC_SECTION(format << " from " << pixels.name()) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format), pixels, plain_names(3));
        const auto tags =
            run("ffprobe -v error -select_streams v:0 -of default=nw=1 -show_entries "
                "stream=color_range,color_space,pix_fmt " +
                quoted(chunk_file(store, format, 0)));
        const bool full = pixels == pixel::gray8 || format == "mjpeg/avi";
        CHECK_THAT(tags, ContainsSubstring(full ? "color_range=pc" : "color_range=tv"));
        // Two names of the one matrix, BT.601's.
        CHECK_THAT(tags, ContainsSubstring("color_space=smpte170m") ||
                             ContainsSubstring("color_space=bt470bg"));
        CHECK_THAT(tags, ContainsSubstring("420p"));
        CHECK(Reader(store).read(FrameIndex(0)).image.view().color.full_range == full);
      }
    }
  }
}

TEST_CASE("YUV frames keep the matrix and range that they came with") {
  for (const std::string& format : video_formats()) {
    if (format == "mjpeg/avi") {
      continue;  // JFIF knows one of each
    }
    for (const bool full : {false, true}) {
      DYNAMIC_SECTION(format << (full ? ", full range" : ", limited range")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        Writer writer(store, options_of(format));
        for (int i = 0; i < 3; ++i) {
          Drawn drawn = draw(pixel::yuv420p, i);
          drawn.view.color = {"bt709", full};
          add(writer, drawn.view, {i, 0.0 + i});
        }
        writer.close();
        Reader reader(store);
        const Frame frame = reader.read(FrameIndex(2));
        CHECK(frame.image.view().color == avstore::Colorimetry{"bt709", full});
        CHECK(mean_difference(avstore::pack(frame.image.view()), draw(pixel::yuv420p, 2).bytes) <
              4);
      }
    }
  }
}

namespace {

// The mean of the middle of each block of 16x16, plane 0, channel by channel.
std::vector<std::vector<double>> block_means(const ImageView& image, int channels) {
  std::vector<std::vector<double>> means;
  for (int by = 0; by < image.height / 16; ++by) {
    for (int bx = 0; bx < image.width / 16; ++bx) {
      std::vector<double> mean(static_cast<std::size_t>(channels));
      for (int y = 16 * by + 4; y < 16 * by + 12; ++y) {
        for (int x = 16 * bx + 4; x < 16 * bx + 12; ++x) {
          for (int c = 0; c < channels; ++c) {
            mean[static_cast<std::size_t>(c)] +=
                image.planes[0][y * image.strides[0] + x * channels + c] / 64.0;
          }
        }
      }
      means.push_back(std::move(mean));
    }
  }
  return means;
}

}  // namespace

TEST_CASE("gray values survive") {
  std::vector<std::uint8_t> chart(256 * 256);
  for (std::size_t i = 0; i < chart.size(); ++i) {
    chart[i] = static_cast<std::uint8_t>(i / 256 / 16 * 16 + i % 256 / 16);
  }
  std::vector<std::string> tested = video_formats();
  tested.emplace_back("jpg");
  for (const std::string& format : tested) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      for (int i = 0; i < 3; ++i) {
        add(writer, avstore::packed_view(pixel::gray8, 256, 256, chart.data()), {i, 0.0 + i});
      }
      writer.close();
      const Frame frame = open_as(store, pixel::gray8).read(FrameIndex(2));
      const auto means = block_means(frame.image.view(), 1);
      double worst = 0;
      for (std::size_t value = 0; value < 256; ++value) {
        worst = std::max(worst, std::abs(means[value][0] - static_cast<double>(value)));
      }
      CHECK(worst <= 2);
      // And for who takes the decoder's luma as gray, as the reference's readers do.
      if (is_video(format)) {
        const auto raw = run("ffmpeg -v error -i " + quoted(chunk_file(store, format, 0)) +
                             " -frames:v 1 -f rawvideo -pix_fmt gray -");
        REQUIRE(raw.size() == chart.size());
        const auto by_ffmpeg =
            block_means(avstore::packed_view(pixel::gray8, 256, 256, raw.data()), 1);
        worst = 0;
        for (std::size_t value = 0; value < 256; ++value) {
          worst = std::max(worst, std::abs(by_ffmpeg[value][0] - static_cast<double>(value)));
        }
        CHECK(worst <= 2);
      }
    }
  }
}

TEST_CASE("colours survive") {
  // B, G, R
  const std::vector<std::array<int, 3>> bars{{0, 0, 255},     {0, 255, 0},   {255, 0, 0},
                                             {0, 255, 255},   {255, 255, 0}, {255, 0, 255},
                                             {255, 255, 255}, {0, 0, 0}};
  constexpr int kBarWidth = 16;
  std::vector<std::uint8_t> chart;
  for (int i = 0; i < 8 * kBarWidth * 64; ++i) {
    for (const int value : bars[static_cast<std::size_t>(i % (8 * kBarWidth) / kBarWidth)]) {
      chart.push_back(static_cast<std::uint8_t>(value));
    }
  }
  std::vector<std::string> tested = video_formats();
  tested.emplace_back("jpg");
  const auto worst_of = [&bars](const ImageView& image) {
    double worst = 0;
    const auto means = block_means(image, 3);
    for (std::size_t i = 0; i < means.size(); ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        worst = std::max(worst, std::abs(means[i][c] - bars[i % 8][c]));
      }
    }
    return worst;
  };
  constexpr double kTolerance = 8;
  for (const std::string& format : tested) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      for (int i = 0; i < 3; ++i) {
        add(writer, avstore::packed_view(pixel::bgr24, 8 * kBarWidth, 64, chart.data()),
            {i, 0.0 + i});
      }
      writer.close();
      const Frame frame = open_as(store, pixel::bgr24).read(FrameIndex(2));
      CHECK(worst_of(frame.image.view()) <= kTolerance);
      if (is_video(format)) {
        const auto raw = run("ffmpeg -v error -i " + quoted(chunk_file(store, format, 0)) +
                             " -frames:v 1 -f rawvideo -pix_fmt bgr24 -");
        REQUIRE(raw.size() == chart.size());
        CHECK(worst_of(avstore::packed_view(pixel::bgr24, 8 * kBarWidth, 64, raw.data())) <=
              kTolerance);
      }
    }
  }
}
