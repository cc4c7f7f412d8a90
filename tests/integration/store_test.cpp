// Stores written and read back, in every format: names and pixels of frames, against what was drawn
// and against what ffmpeg, ffprobe, sqlite3, unzip and NumPy make of the files.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/metadata.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::Frame;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::ImageView;
using avstore::Match;
using avstore::PixelFormat;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::in_child;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::Contains;

constexpr std::int64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinNumber = std::numeric_limits<std::int64_t>::min();

// --- Other programs ---

std::vector<std::string> run_lines(const std::string& command) {
  std::istringstream output(run(command));
  std::vector<std::string> lines;
  for (std::string line; std::getline(output, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> sqlite(const fs::path& store, const std::string& sql) {
  return run_lines("sqlite3 " + quoted(store / ".index.sqlite") + " " + quoted(sql));
}

std::vector<std::string> probe(const fs::path& file, const std::string& what) {
  return run_lines("ffprobe -v error -select_streams v:0 -of csv=p=0 " + what + " " + quoted(file));
}

// MD5s of the frames of a file as ffmpeg decodes it from beginning to end.
std::vector<std::string> frame_md5s(const fs::path& file) {
  std::vector<std::string> all;
  for (const std::string& line : run_lines("ffmpeg -v error -i " + quoted(file) +
                                           " -map 0:v:0 -fps_mode passthrough -f framemd5 -")) {
    if (line[0] != '#') {
      all.push_back(line.substr(line.rfind(' ') + 1));
    }
  }
  return all;
}

// --- Drawn frames: a bar code of the frame's number above smooth waves that move ---

constexpr int kBars = 8;
constexpr int kBarRows = 16;
constexpr int kWidth = 96;
constexpr int kHeight = 64;

struct Rgb {
  int r, g, b;
};

int wave(int phase, int period) {
  const int place = ((phase % period) + period) % period;
  return 40 + 170 * std::abs(2 * place - period) / period;
}

Rgb color_at(int x, int y, int number, int width) {
  if (y < kBarRows) {
    const int bar = x * kBars / width;
    const int value = (number >> (kBars - 1 - bar) & 1) != 0 ? 255 : 0;
    return {value, value, value};
  }
  return {wave(x + 2 * number, 128), wave(y - number, 96), wave(x - y + 3 * number, 160)};
}

int luma(Rgb c) {
  return (299 * c.r + 587 * c.g + 114 * c.b + 500) / 1000;
}

// Pixels and a view of them. Moving it keeps the view right.
struct Drawn {
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

Drawn draw_packed(PixelFormat format, int width, int height, int number) {
  Drawn drawn{std::vector<std::uint8_t>(avstore::packed_size(format, width, height)), {}};
  std::uint8_t* out = drawn.bytes.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Rgb c = color_at(x, y, number, width);
      std::vector<int> bytes;
      if (format == pixel::gray8) {
        bytes = {luma(c)};
      } else if (format == pixel::gray16) {
        bytes = {(37 * x + 11 * y + 5 * number) & 255, luma(c)};
      } else if (format == pixel::rgb24) {
        bytes = {c.r, c.g, c.b};
      } else {
        bytes = {c.b, c.g, c.r};
      }
      if (format == pixel::bgra) {
        bytes.push_back((x + y + number) & 255);
      }
      for (const int byte : bytes) {
        *out++ = static_cast<std::uint8_t>(byte);
      }
    }
  }
  drawn.view = avstore::packed_view(format, width, height, drawn.bytes.data());
  return drawn;
}

// Chroma of yuv420p and nv12 at a place of its plane.
std::array<int, 2> chroma_at(int x, int y, int number) {
  return {64 + wave(x + number, 64) / 2, 64 + wave(y - number, 48) / 2};
}

Drawn draw_planar(PixelFormat format, int width, int height, int number) {
  Drawn drawn;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int value = 16 + luma(color_at(x, y, number, width)) * 219 / 255;
      drawn.bytes.push_back(static_cast<std::uint8_t>(value));
    }
  }
  const int columns = (width + 1) / 2;
  const int rows = (height + 1) / 2;
  const auto put = [&](int x, int y, int plane) {
    const bool code = y < kBarRows / 2;
    drawn.bytes.push_back(static_cast<std::uint8_t>(
        code ? 128 : chroma_at(x, y, number)[static_cast<std::size_t>(plane)]));
  };
  if (format == pixel::nv12) {
    for (int i = 0; i < rows * columns * 2; ++i) {
      put(i / 2 % columns, i / 2 / columns, i % 2);
    }
  } else {
    for (int i = 0; i < rows * columns * 2; ++i) {
      put(i % columns, i / columns % rows, i / (rows * columns));
    }
  }
  drawn.view = avstore::contiguous_view(format, width, height, drawn.bytes.data());
  return drawn;
}

bool is_planar(PixelFormat format) {
  return format == pixel::yuv420p || format == pixel::nv12;
}

Drawn draw(PixelFormat format, int number, int width = kWidth, int height = kHeight) {
  return is_planar(format) ? draw_planar(format, width, height, number)
                           : draw_packed(format, width, height, number);
}

// Where in a pixel to look for the bar code: bytes a pixel in plane 0, and the one of them to take.
std::pair<int, int> place_of_code(PixelFormat format) {
  static const std::map<std::string_view, std::pair<int, int>> kPlaces{
      {"gray16", {2, 1}}, {"gray16be", {2, 0}}, {"bgr24", {3, 1}}, {"rgb24", {3, 1}},
      {"bgra", {4, 1}},   {"rgba", {4, 1}},     {"bgr0", {4, 1}}};
  const auto found = kPlaces.find(format.name());
  return found == kPlaces.end() ? std::pair(1, 0) : found->second;
}

// The number in the bar code of any image whose plane 0 tells bright from dark.
int code_of(const ImageView& image) {
  const auto [step, byte] = place_of_code(image.format);
  int number = 0;
  for (int bar = 0; bar < kBars; ++bar) {
    const int x = (2 * bar + 1) * image.width / (2 * kBars);
    const std::uint8_t value = image.planes[0][kBarRows / 2 * image.strides[0] + x * step + byte];
    number = number * 2 + (value > 127 ? 1 : 0);
  }
  return number;
}

double mean_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::abs(int{a[i]} - int{b[i]});
  }
  return static_cast<double>(sum) / static_cast<double>(a.size());
}

// --- Stores of drawn frames ---

struct Name {
  std::int64_t number;
  double time;
};

// What cameras and clocks do: jump, repeat, run backwards, wrap.
const std::vector<Name>& odd_names() {
  static const std::vector<Name> kNames{
      {5, 1.6e9 + 0.25},
      {6, 1.6e9 + 0.25},
      {7, 1.6e9 + 0.125},
      {100, 1.7e9},
      {100, 0.1},
      {100, 0.1},
      {7, 0.3},
      {-3, -1.5},
      {-2, -0.0},
      {kMaxNumber, 1e300},
      {kMinNumber, -1e300},
      {kMaxNumber, std::numeric_limits<double>::max()},
      {0, std::numeric_limits<double>::denorm_min()},
      {1, 2.5},
      {2, 2.5},
      {3, 1.0 / 3},
      {1000000007, 86400 * 365.25 * 50},
      {kMinNumber + 1, 8},
      {8, 7},
      {9, 6},
      {10, 5},
      {11, 5.000000000000001},
      {12, 5.000000000000002},
  };
  return kNames;
}

// As a rig has it: numbers from 0, times of 25 frames/s.
std::vector<Name> plain_names(int count) {
  std::vector<Name> names;
  for (int i = 0; i < count; ++i) {
    names.push_back({i, 1000 + 0.04 * i});
  }
  return names;
}

WriterOptions options_of(const std::string& format, std::int64_t chunk_size = 7) {
  WriterOptions options;
  options.format = format;
  options.chunk_size = chunk_size;
  options.encoder.threads = 2;
  return options;
}

void add(Writer& writer, const ImageView& image, const Name& name) {
  writer.add(image, FrameNumber(name.number), FrameTime(name.time));
}

// Frame i shows the number i.
void write_store(const fs::path& store, const WriterOptions& options, PixelFormat format,
                 const std::vector<Name>& names, int width = kWidth, int height = kHeight) {
  Writer writer(store, options);
  for (std::size_t i = 0; i < names.size(); ++i) {
    add(writer, draw(format, static_cast<int>(i), width, height).view, names[i]);
  }
  writer.close();
  REQUIRE(writer.statistics().frames_durable == static_cast<std::int64_t>(names.size()));
}

std::vector<std::int64_t> numbers_of(const std::vector<FrameInfo>& infos) {
  std::vector<std::int64_t> all;
  for (const FrameInfo& info : infos) {
    all.push_back(info.number.value);
  }
  return all;
}

std::vector<double> times_of(const std::vector<FrameInfo>& infos) {
  std::vector<double> all;
  for (const FrameInfo& info : infos) {
    all.push_back(info.time.seconds);
  }
  return all;
}

void check_names(const Reader& reader, const std::vector<Name>& names) {
  const auto infos = reader.infos({0, reader.frame_count()});
  std::vector<std::int64_t> numbers;
  std::vector<double> times;
  for (const Name& name : names) {
    numbers.push_back(name.number);
    times.push_back(name.time);
  }
  CHECK(reader.frame_count() == static_cast<std::int64_t>(names.size()));
  CHECK(numbers_of(infos) == numbers);
  CHECK(times_of(infos) == times);
}

// Frame i is in chunk i / size at place i % size.
void check_places(const Reader& reader, std::int64_t chunk_size) {
  std::vector<std::int64_t> wrong;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    const std::int64_t i = info.index.value;
    if (info.chunk != i / chunk_size || info.frame_idx != i % chunk_size) {
      wrong.push_back(i);
    }
  }
  CHECK(wrong.empty());
}

std::vector<FrameIndex> shuffled_indices(std::int64_t count, unsigned seed = 3) {
  std::vector<FrameIndex> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.emplace_back(i);
  }
  std::shuffle(all.begin(), all.end(), std::mt19937(seed));
  return all;
}

// The frames whose bar code is not their index: in shuffled order, and one after another.
std::vector<std::int64_t> wrong_codes(const fs::path& store) {
  std::vector<std::int64_t> wrong;
  const auto check = [&wrong](const Frame& frame) {
    if (code_of(frame.image.view()) != static_cast<int>(frame.info.index.value & 255)) {
      wrong.push_back(frame.info.index.value);
    }
  };
  Reader random(store);
  for (const FrameIndex index : shuffled_indices(random.frame_count())) {
    check(random.read(index));
  }
  Reader sequential(store);
  std::int64_t count = 0;
  while (const auto frame = sequential.next()) {
    check(*frame);
    CHECK(frame->info.index.value == count++);
  }
  CHECK(count == random.frame_count());
  return wrong;
}

Reader open_as(const fs::path& store, PixelFormat format) {
  ReaderOptions options;
  options.pixel_format = format;
  return Reader(store, options);
}

bool is_video(const std::string& format) {
  return avstore::find_format(format).video;
}

std::vector<std::string> names_of_formats(
    const std::function<bool(const avstore::Format&)>& which) {
  std::vector<std::string> names;
  for (const avstore::Format& format : avstore::formats()) {
    if (which(format)) {
      names.push_back(format.name);
    }
  }
  return names;
}

std::vector<std::string> video_formats() {
  return names_of_formats([](const avstore::Format& format) { return format.video; });
}

std::vector<std::string> lossy_video_formats() {
  return names_of_formats(
      [](const avstore::Format& format) { return format.video && !format.lossless; });
}

fs::path chunk_file(const fs::path& store, const std::string& format, int chunk) {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%06d", chunk);
  return store / (name.data() + (is_video(format) ? avstore::find_format(format).extension : ""));
}

template <typename Call>
avstore::Error error_of(const Call& call) {
  try {
    call();
  } catch (const avstore::Error& error) {
    return error;
  }
  FAIL("no error");
  throw std::logic_error("not reached");
}

// --- What each format makes of each kind of pixels ---

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
    return is_in({"gray16"})                    ? Fidelity::refused
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
  for (const avstore::Format& format : avstore::formats()) {
    for (const PixelFormat pixels : kPixelFormats) {
      DYNAMIC_SECTION(format.name << " from " << pixels.name()) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const Fidelity fidelity = expected_fidelity(format.name, pixels);
        if (fidelity == Fidelity::refused) {
          const auto error = error_of(
              [&] { write_store(store, options_of(format.name), pixels, plain_names(3)); });
          CHECK(error.kind() == ErrorKind::unsupported);
          CHECK_THAT(error.what(), Contains(std::string(pixels.name())));
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
  }
}

// --- Plain arrays ---

namespace {

struct ArrayKind {
  std::string dtype;
  std::size_t item_bytes;
  std::vector<std::int64_t> shape;
};

std::vector<std::uint8_t> random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 dice(seed);
  std::vector<std::uint8_t> bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&dice] { return static_cast<std::uint8_t>(dice()); });
  return bytes;
}

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

}  // namespace

TEST_CASE("arrays of any type come back as written, and NumPy reads the same") {
  for (const auto& [dtype, size] : std::map<std::string, std::size_t>{
           {"<f4", 4}, {"<f8", 8}, {"|i1", 1}, {"<i8", 8}, {"<u4", 4}, {"|b1", 1}, {"<c16", 16}}) {
    for (const auto& shape : {std::vector<std::int64_t>{3, 5}, {4, 6, 2}, {1, 1}, {2, 3, 1}}) {
      DYNAMIC_SECTION(dtype << " " << numpy_shape(shape)) {
        const ArrayKind kind{dtype, size, shape};
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
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
        CHECK(python("import sys, numpy as n; a = n.load(sys.argv[1]); "
                     "print(a.dtype.str, a.shape, a.tobytes().hex())",
                     store / "000001" / "000002.npy") ==
              dtype + " " + numpy_shape(shape) + " " + hex(random_bytes(bytes_of(kind), 9)) + "\n");
      }
    }
  }
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

// --- Names of frames ---

namespace {

// By looking at every name: the first one of the smallest distance.
template <typename Distance>
std::int64_t nearest_by_hand(const std::vector<Name>& names, const Distance& distance) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (distance(names[i]) < distance(names[best])) {
      best = i;
    }
  }
  return static_cast<std::int64_t>(best);
}

std::int64_t nearest_number_by_hand(const std::vector<Name>& names, std::int64_t target) {
  return nearest_by_hand(names, [target](const Name& name) {
    const std::uint64_t a = static_cast<std::uint64_t>(std::max(name.number, target));
    return a - static_cast<std::uint64_t>(std::min(name.number, target));
  });
}

std::int64_t nearest_time_by_hand(const std::vector<Name>& names, double target) {
  return nearest_by_hand(names, [target](const Name& name) {
    return std::abs(static_cast<long double>(name.time) - static_cast<long double>(target));
  });
}

void check_lookups(Reader& reader, const std::vector<Name>& names) {
  for (const Name& name : names) {
    const auto first = std::find_if(names.begin(), names.end(), [&name](const Name& other) {
      return other.number == name.number;
    });
    CAPTURE(name.number, name.time);
    CHECK(reader.find(FrameNumber(name.number)).index.value == first - names.begin());
    CHECK(reader.read(FrameNumber(name.number)).info.number.value == name.number);
    CHECK(reader.find(FrameTime(name.time)).time.seconds == name.time);
  }
  for (const std::int64_t target :
       {kMinNumber, kMinNumber + 2, std::int64_t{-50}, std::int64_t{-1}, std::int64_t{50},
        std::int64_t{56}, std::int64_t{57}, std::int64_t{1} << 62, kMaxNumber - 1, kMaxNumber}) {
    CAPTURE(target);
    CHECK(reader.find(FrameNumber(target), Match::nearest).index.value ==
          nearest_number_by_hand(names, target));
  }
  for (const double target : {-1e15, -1.0, 0.0, 0.2, 1.0, 2.4999, 5.0, 1e9, 1.65e9, 1e12}) {
    CAPTURE(target);
    CHECK(reader.find(FrameTime(target)).index.value == nearest_time_by_hand(names, target));
  }
}

}  // namespace

TEST_CASE("frames are found by number and by time, whatever these do") {
  std::vector<Name> ascending = plain_names(50);
  for (std::size_t i = 20; i < 50; ++i) {
    ascending[i].number += 1000;
    ascending[i].time += 60;
  }
  std::vector<Name> reversed(ascending.rbegin(), ascending.rend());
  const std::vector<Name> same(10, Name{42, 1.5});
  for (const auto& names : {odd_names(), ascending, reversed, same, plain_names(1)}) {
    DYNAMIC_SECTION("first " << names[0].number << ", " << names.size() << " frames") {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", options_of("pgm"), pixel::gray8, names, 16, 16);
      Reader reader(folder.path() / "store");
      check_names(reader, names);
      check_lookups(reader, names);
      CHECK(reader.info().number_min.value ==
            std::min_element(names.begin(), names.end(), [](const Name& a, const Name& b) {
              return a.number < b.number;
            })->number);
      CHECK(reader.info().time_max.seconds ==
            std::max_element(names.begin(), names.end(), [](const Name& a, const Name& b) {
              return a.time < b.time;
            })->time);
    }
  }
}

TEST_CASE("numbers and indices that are not there are errors which say so") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), pixel::gray8, plain_names(10));
  Reader reader(store);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{10}, kMaxNumber, kMinNumber}) {
    CAPTURE(index);
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { reader.read(FrameIndex(index)); }, [&] { reader.find(FrameIndex(index)); }}) {
      const auto error = error_of(call);
      CHECK(error.kind() == ErrorKind::end_of_store);
      CHECK_THAT(error.what(), Contains(store.string()) && Contains(std::to_string(index)));
    }
  }
  const auto error = error_of([&] { reader.read(FrameNumber(10)); });
  CHECK(error.kind() == ErrorKind::not_found);
  CHECK_THAT(error.what(), Contains(store.string()) && Contains("10"));
  CHECK(reader.read(FrameNumber(10), Match::nearest).info.index.value == 9);
  const std::vector<FrameIndex> beyond{FrameIndex(3), FrameIndex(10)};
  CHECK(error_of([&] { reader.read_many(beyond); }).kind() == ErrorKind::end_of_store);
  CHECK(reader.read(FrameIndex(4)).info.index.value == 4);
}

TEST_CASE("times that are no numbers come back as such") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> times{1, std::numeric_limits<double>::quiet_NaN(), kInfinity,
                                  -kInfinity, 2};
  for (const std::string format : {"avc1/mp4", "png"}) {
    for (const auto timing : {avstore::Timing::nominal, avstore::Timing::real}) {
      DYNAMIC_SECTION(format << (timing == avstore::Timing::real ? " real" : " nominal")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format);
        options.timing = timing;
        std::vector<Name> names;
        for (const double time : times) {
          names.push_back({static_cast<std::int64_t>(names.size()), time});
        }
        write_store(store, options, pixel::gray8, names);
        Reader reader(store);
        const auto found = times_of(reader.infos({0, 5}));
        REQUIRE(found.size() == 5);
        CHECK(std::isnan(found[1]));
        CHECK(found[2] == kInfinity);
        CHECK(found[3] == -kInfinity);
        CHECK(reader.find(FrameTime(1.9)).index.value == 4);
        CHECK(wrong_codes(store).empty());
        CHECK(error_of([&] { reader.find(FrameTime(times[1])); }).kind() == ErrorKind::not_found);
      }
    }
  }
}

// --- Chunks ---

TEST_CASE("stores of any number of frames have chunks of the size asked for") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "mjpeg/avi", "png", "npy"}) {
    for (const int count : {1, 6, 7, 8, 14, 23}) {
      DYNAMIC_SECTION(format << ", " << count << " frames") {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format), pixel::bgr24, plain_names(count));
        Reader reader(store);
        check_names(reader, plain_names(count));
        check_places(reader, 7);
        CHECK(reader.info().chunk_count == (count + 6) / 7);
        CHECK(reader.info().chunk_size == 7);
        CHECK(wrong_codes(store).empty());
        CHECK(fs::exists(chunk_file(store, format, (count - 1) / 7)));
        CHECK_FALSE(fs::exists(chunk_file(store, format, (count - 1) / 7 + 1)));
        CHECK_FALSE(fs::exists(store / ".lock"));
        CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
      }
    }
  }
}

TEST_CASE("chunks hold 10000 frames of video and 200 images unless told otherwise") {
  for (const auto& [format, size] :
       std::map<std::string, std::int64_t>{{"avc1/mp4", 10000}, {"png", 200}}) {
    const TemporaryFolder folder;
    write_store(folder.path() / "store", options_of(format, 0), pixel::gray8, plain_names(2));
    CHECK(Reader(folder.path() / "store").info().chunk_size == size);
  }
}

TEST_CASE("a store closed before its first frame is an empty store") {
  for (const std::string format : {"avc1/mp4", "npy"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      writer.flush();
      writer.close();
      writer.close();
      Reader reader(store);
      CHECK(reader.frame_count() == 0);
      CHECK_FALSE(reader.next().has_value());
      CHECK(reader.infos({0, 5}).empty());
      CHECK(error_of([&] { reader.read(FrameIndex(0)); }).kind() == ErrorKind::end_of_store);
      CHECK(error_of([&] { reader.read(FrameTime(0)); }).kind() == ErrorKind::not_found);
      CHECK(reader.read_many(std::vector<FrameIndex>()).empty());
    }
  }
}

TEST_CASE("each chunk has its names as arrays that NumPy and unzip read") {
  for (const std::string format : {"mjpeg/avi", "tif"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format), pixel::gray8, odd_names());
      for (std::size_t chunk = 0; chunk < 4; ++chunk) {
        const auto stem = fs::path(chunk_file(store, format, static_cast<int>(chunk)));
        const auto npz =
            is_video(format) ? fs::path(stem).replace_extension(".npz") : stem / "index.npz";
        run("unzip -tq " + quoted(npz));
        std::ostringstream expected;
        expected << "int64 float64\n";
        for (std::size_t i = 7 * chunk; i < std::min<std::size_t>(7 * chunk + 7, 23); ++i) {
          std::array<char, 64> line{};
          std::snprintf(line.data(), line.size(), "%lld %a\n",
                        static_cast<long long>(odd_names()[i].number), odd_names()[i].time);
          expected << line.data();
        }
        std::istringstream found(
            python("import sys, numpy as n; a = n.load(sys.argv[1], allow_pickle=False)\n"
                   "print(a['frame_number'].dtype, a['frame_time'].dtype)\n"
                   "for i, t in zip(a['frame_number'], a['frame_time']): print(i, float(t).hex())",
                   npz));
        std::istringstream wanted(expected.str());
        std::string a;
        std::string b;
        std::getline(found, a);
        std::getline(wanted, b);
        CHECK(a == b);
        // Hexadecimal floats have several spellings, so they are compared as numbers.
        std::int64_t number_a = 0;
        std::int64_t number_b = 0;
        int lines = 0;
        while (found >> number_a >> a && wanted >> number_b >> b) {
          CHECK(number_a == number_b);
          CHECK(std::strtod(a.c_str(), nullptr) == std::strtod(b.c_str(), nullptr));
          ++lines;
        }
        CHECK(lines == (chunk < 3 ? 7 : 2));
      }
    }
  }
}

TEST_CASE("the reference's queries give its rows") {
  for (const std::string format : {"h264/mkv", "bmp"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      std::vector<Name> names = plain_names(23);
      names[4].number = 99;
      names[17].number = 99;
      write_store(store, options_of(format), pixel::gray8, names);
      CHECK(sqlite(store, "SELECT COUNT(1) FROM frames") == std::vector<std::string>{"23"});
      for (int i = 0; i < 23; ++i) {
        const std::string place = std::to_string(i / 7) + "|" + std::to_string(i % 7);
        CHECK(sqlite(store, "SELECT chunk, frame_idx FROM frames ORDER BY rowid LIMIT 1 OFFSET " +
                                std::to_string(i)) == std::vector<std::string>{place});
      }
      CHECK(sqlite(store, "SELECT chunk, frame_idx FROM frames WHERE frame_number = 99") ==
            std::vector<std::string>{"0|4", "2|3"});
      CHECK(sqlite(store,
                   "SELECT chunk, frame_idx FROM frames ORDER BY ABS(1000.43 - frame_time) "
                   "LIMIT 1") == std::vector<std::string>{"1|4"});
      CHECK(sqlite(store, "SELECT frame_number FROM frames WHERE chunk = 3") ==
            std::vector<std::string>{"21", "22"});
      const std::string extension = is_video(format) ? ".mkv" : "";
      CHECK(sqlite(store, "SELECT chunk, chunk_path FROM chunks ORDER BY chunk")[3] ==
            "3|000003" + extension);
      CHECK(sqlite(store, "SELECT value FROM index_information WHERE name = 'version'") ==
            std::vector<std::string>{"1"});
      CHECK(sqlite(store, "SELECT name, value FROM summary ORDER BY name") ==
            std::vector<std::string>{"frame_max|99.0", "frame_min|0.0", "frame_time_max|1000.88",
                                     "frame_time_min|1000.0"});
      CHECK(sqlite(store, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
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
        CHECK_THAT(read_text(store / "metadata.yaml"), Contains(shape));
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

// --- Encoders ---

namespace {

// Frame-by-frame keyframe flags as ffprobe sees them, in presentation order.
std::vector<bool> probed_keyframes(const fs::path& file) {
  std::map<std::int64_t, bool> by_pts;
  for (const std::string& line : probe(file, "-show_entries packet=pts,flags")) {
    by_pts[std::stoll(line)] = line.find('K') != std::string::npos;
  }
  std::vector<bool> keys;
  for (const auto& [pts, key] : by_pts) {
    keys.push_back(key);
  }
  return keys;
}

std::vector<bool> keyframes_of(const Reader& reader, std::int64_t chunk) {
  std::vector<bool> keys;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    if (info.chunk == chunk) {
      keys.push_back(info.keyframe);
    }
  }
  return keys;
}

// Where flags are set.
std::vector<std::size_t> places(const std::vector<bool>& flags) {
  std::vector<std::size_t> set;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) {
      set.push_back(i);
    }
  }
  return set;
}

bool is_intra_only(const std::string& format) {
  return format == "mjpeg/avi" || format == "ffv1/mkv";
}

}  // namespace

TEST_CASE("keyframes come at the interval asked for, and the index knows them") {
  for (const std::string& format : video_formats()) {
    for (const int interval : {0, 1, 5, 1000}) {
      DYNAMIC_SECTION(format << ", interval " << interval) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 40);
        options.encoder.keyframe_interval = interval;
        write_store(store, options, pixel::gray8, plain_names(55));
        const Reader reader(store);
        const auto keys = probed_keyframes(chunk_file(store, format, 0));
        CHECK(keyframes_of(reader, 0) == keys);
        CHECK(keyframes_of(reader, 1) == probed_keyframes(chunk_file(store, format, 1)));
        // Half a second at 25 frames/s.
        const std::size_t step = is_intra_only(format) ? 1
                                 : interval == 0       ? 13
                                                       : static_cast<std::size_t>(interval);
        std::vector<std::size_t> expected;
        for (std::size_t i = 0; i < 40; i += step) {
          expected.push_back(i);
        }
        CHECK(places(keys) == expected);
        CHECK(wrong_codes(store).empty());
      }
    }
  }
}

TEST_CASE("with B-frames any frame comes out as a linear decode has it") {
  for (const std::string& format : video_formats()) {
    for (const int b_frames : {1, 2, 5}) {
      DYNAMIC_SECTION(format << ", " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 25);
        options.encoder.b_frames = b_frames;
        options.encoder.keyframe_interval = 12;
        write_store(store, options, pixel::gray8, plain_names(40));
        CHECK(wrong_codes(store).empty());
        Reader reader(store);
        const auto oracle = frame_md5s(chunk_file(store, format, 0));
        REQUIRE(oracle.size() == 25);
        for (std::int64_t i = 24; i >= 0; --i) {
          CHECK(avstore::md5(reader.read(FrameIndex(i)).image.view()) ==
                oracle[static_cast<std::size_t>(i)]);
        }
        if (format.find("264/") != std::string::npos || format.starts_with("avc1") ||
            format.starts_with("hevc")) {
          const auto types = probe(chunk_file(store, format, 0), "-show_entries frame=pict_type");
          CHECK(std::any_of(types.begin(), types.end(),
                            [](const std::string& type) { return type.starts_with('B'); }));
        }
      }
    }
  }
}

TEST_CASE("by default there are no B-frames") {
  for (const std::string format : {"avc1/mp4", "hevc/mkv"}) {
    const TemporaryFolder folder;
    write_store(folder.path() / "store", options_of(format, 100), pixel::gray8, plain_names(30));
    const auto types =
        probe(chunk_file(folder.path() / "store", format, 0), "-show_entries frame=pict_type");
    CAPTURE(format);
    CHECK(std::none_of(types.begin(), types.end(),
                       [](const std::string& type) { return type.starts_with('B'); }));
  }
}

TEST_CASE("timestamps are evenly spaced at the nominal rate, whatever the times") {
  for (const std::string& format : video_formats()) {
    for (const avstore::Rational rate :
         {avstore::Rational{25, 1}, {30000, 1001}, {500, 1}, {1, 2}}) {
      DYNAMIC_SECTION(format << " at " << rate.num << "/" << rate.den) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 23);
        options.encoder.frame_rate = rate;
        write_store(store, options, pixel::gray8, odd_names());
        const auto lines = probe(
            chunk_file(store, format, 0),
            "-show_entries packet=" + std::string(format == "mjpeg/avi" ? "dts_time" : "pts_time"));
        REQUIRE(lines.size() == 23);
        const double first = std::stod(lines[0]);
        for (std::size_t i = 0; i < lines.size(); ++i) {
          CAPTURE(i);
          CHECK(std::stod(lines[i]) - first ==
                Approx(static_cast<double>(i) / rate.value()).margin(0.00051));
        }
        CHECK(wrong_codes(store).empty());
      }
    }
  }
}

namespace {

std::vector<std::string> formats_with_real_timing() {
  std::vector<std::string> names = video_formats();
  std::erase(names, "mjpeg/avi");
  return names;
}

// A camera that is triggered by an animal: bursts, pauses, an hour of nothing, a clock set back.
const std::vector<double>& irregular_times() {
  static const std::vector<double> kTimes{0,     0.002, 0.004,  0.1,     0.1,  0.25,   1.75,
                                          1.751, 70,    70.04,  70.08,   3670, 3670.5, 3670.4,
                                          3669,  3671,  3671.1, 3671.11, 7300, 7300,   7301};
  return kTimes;
}

std::vector<Name> irregular_names(double start) {
  std::vector<Name> names;
  for (const double time : irregular_times()) {
    names.push_back({static_cast<std::int64_t>(names.size()), start + time});
  }
  return names;
}

}  // namespace

TEST_CASE("AVI refuses real timing, which it cannot hold") {
  const TemporaryFolder folder;
  WriterOptions options = options_of("mjpeg/avi");
  options.timing = avstore::Timing::real;
  CHECK_THROWS_WITH(Writer(folder.path() / "store", options), Contains("AVI"));
}

TEST_CASE("with real timing chunks carry the frames' own times") {
  for (const std::string& format : formats_with_real_timing()) {
    for (const int b_frames : {0, 2}) {
      DYNAMIC_SECTION(format << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 100);
        options.timing = avstore::Timing::real;
        options.encoder.b_frames = b_frames;
        const auto names = irregular_names(1.7e9);
        write_store(store, options, pixel::gray8, names);
        Reader reader(store);
        check_names(reader, names);
        CHECK(wrong_codes(store).empty());
        // Ascending, and right wherever the times themselves ascend (to AVI's or Matroska's tick).
        std::vector<double> seconds;
        for (const std::string& line :
             probe(chunk_file(store, format, 0),
                   std::string("-show_entries packet=") +
                       (format == "mjpeg/avi" ? "dts_time" : "pts_time"))) {
          seconds.push_back(std::stod(line));
        }
        std::sort(seconds.begin(), seconds.end());
        REQUIRE(seconds.size() == names.size());
        CHECK(std::adjacent_find(seconds.begin(), seconds.end(), std::greater_equal<>()) ==
              seconds.end());
        for (const std::size_t i : {0U, 1U, 2U, 3U, 5U, 6U, 8U, 9U, 11U, 12U, 15U, 16U, 18U, 20U}) {
          CAPTURE(i);
          CHECK(seconds[i] - seconds[0] == Approx(irregular_times()[i]).margin(0.0021));
        }
      }
    }
  }
}

TEST_CASE("with real timing, times that no clock has lose no frame") {
  for (const std::string& format : formats_with_real_timing()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.timing = avstore::Timing::real;
      write_store(store, options, pixel::gray8, odd_names());
      Reader reader(store);
      check_names(reader, odd_names());
      CHECK(wrong_codes(store).empty());
    }
  }
}

TEST_CASE("quality goes from small files to good pictures") {
  for (const std::string& format : lossy_video_formats()) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      std::vector<std::uintmax_t> sizes;
      for (const double quality : {0.0, 40.0, 75.0, 100.0}) {
        const auto store = folder.path() / std::to_string(static_cast<int>(quality));
        WriterOptions options = options_of(format);
        options.encoder.quality = quality;
        write_store(store, options, pixel::bgr24, plain_names(7));
        sizes.push_back(fs::file_size(chunk_file(store, format, 0)));
      }
      CAPTURE(sizes);
      CHECK(std::is_sorted(sizes.begin(), sizes.end()));
      CHECK(sizes.back() > sizes.front() * 5 / 4);
    }
  }
}

TEST_CASE("options of the encoder go by libav's names") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4", 100);
  SECTION("a generic one") {
    options.encoder.options = {{"g", "4"}, {"keyint_min", "4"}};
    write_store(store, options, pixel::gray8, plain_names(9));
    CHECK(places(keyframes_of(Reader(store), 0)) == std::vector<std::size_t>{0, 4, 8});
  }
  SECTION("the encoder's own") {
    options.encoder.options = {{"crf", "0"}, {"profile", "high444"}};
    options.encoder.preset = "ultrafast";
    write_store(store, options, pixel::gray8, plain_names(9));
    Reader reader = open_as(store, pixel::gray8);
    check_pixels(reader, pixel::gray8, Fidelity::exact);
  }
  SECTION("of images") {
    options.format = "jpg";
    options.encoder.options = {{"huffman", "default"}};
    write_store(store, options, pixel::gray8, plain_names(2));
    CHECK(Reader(store).frame_count() == 2);
  }
}

// The encoder writes its settings into the video. With more than one such thread it may never end.
TEST_CASE("x265 encodes one frame at a time, with as many threads as it was given") {
  for (const std::string format : {"hevc/mkv", "hevc/mp4"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.encoder.threads = 3;
      write_store(store, options, pixel::gray8, plain_names(3));
      const auto settings = run("grep -a -o -E 'frame-threads=[0-9]+|numa-pools=[0-9]+' " +
                                quoted(chunk_file(store, format, 0)) + " | sort -u");
      CHECK(settings == "frame-threads=1\nnuma-pools=3\n");
    }
  }
}

TEST_CASE("each format's encoders say whether they open") {
  for (const avstore::Format& format : avstore::formats()) {
    CAPTURE(format.name);
    const std::string outcome = in_child([&] {
      std::string found;
      for (const auto& encoder : avstore::probe_encoders(format)) {
        found += encoder.encoder + (encoder.available ? " opens " : encoder.why_not);
      }
      return found;
    });
    CHECK_THAT(outcome, Contains(format.video ? " opens " : ""));
  }
}

TEST_CASE("an encoder may be chosen by name") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("av1/mkv");
  options.encoder.encoder = "libaom-av1";
  write_store(store, options, pixel::gray8, plain_names(9));
  CHECK(Reader(store).info().encoder == "libaom-av1");
  CHECK(wrong_codes(store).empty());
}

namespace {

// The error of writing one frame with these options, at whichever call it comes.
avstore::Error error_of_options(const fs::path& store, const WriterOptions& options) {
  return error_of([&] {
    Writer writer(store, options);
    add(writer, draw(pixel::gray8, 0).view, {0, 0});
    writer.close();
  });
}

}  // namespace

TEST_CASE("options that cannot be are errors which name them") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4");
  SECTION("unknown format") {
    options.format = "betamax/reel";
    const auto error = error_of_options(store, options);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), Contains("betamax/reel"));
    for (const avstore::Format& format : avstore::formats()) {
      CHECK_THAT(error.what(), Contains(format.name));
    }
    CHECK_FALSE(fs::exists(store));
  }
  SECTION("unknown option") {
    for (const avstore::Format& format : avstore::formats()) {
      // SVT-AV1 waits forever if it is closed before it has had a frame.
      const std::string outcome = in_child([&] {
        WriterOptions with_unknown = options_of(format.name);
        with_unknown.encoder.options = {{"no_such_option", "1"}};
        const auto error = error_of_options(
            folder.path() / std::to_string(&format - avstore::formats().data()), with_unknown);
        return (error.kind() == ErrorKind::invalid_argument ? "invalid: " : "other: ") +
               std::string(error.what());
      });
      CAPTURE(format.name);
      CHECK_THAT(outcome, Catch::Matchers::StartsWith("invalid: ") && Contains("no_such_option"));
    }
  }
  SECTION("unknown preset") {
    for (const std::string format : {"avc1/mp4", "hevc/mp4", "av1/mp4", "mjpeg/avi", "ffv1/mkv"}) {
      options = options_of(format);
      options.encoder.preset = "warpspeed";
      const auto error = error_of_options(folder.path() / format.substr(0, 4), options);
      CAPTURE(format, error.what());
      CHECK(
          (error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
      CHECK_THAT(error.what(), Contains("preset") || Contains("warpspeed"));
    }
  }
  SECTION("unknown encoder") {
    options.encoder.encoder = "libx263";
    const auto error = error_of_options(store, options);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), Contains("libx263"));
  }
  SECTION("an encoder of another codec") {
    options.encoder.encoder = "ffv1";
    const auto error = error_of_options(store, options);
    CHECK((error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
    CHECK_THAT(error.what(), Contains("ffv1"));
  }
  SECTION("not an encoder of video at all") {
    options.encoder.encoder = "aac";
    const auto error = error_of_options(store, options);
    CHECK((error.kind() == ErrorKind::invalid_argument || error.kind() == ErrorKind::unsupported));
    CHECK_THAT(error.what(), Contains("aac"));
  }
  SECTION("numbers out of range") {
    const std::vector<std::function<void(WriterOptions&)>> changes{
        [](WriterOptions& o) { o.encoder.quality = -1; },
        [](WriterOptions& o) { o.encoder.quality = 100.5; },
        [](WriterOptions& o) { o.encoder.quality = std::nan(""); },
        [](WriterOptions& o) { o.encoder.keyframe_interval = -1; },
        [](WriterOptions& o) { o.encoder.b_frames = -1; },
        [](WriterOptions& o) { o.encoder.threads = -1; },
        [](WriterOptions& o) {
          o.encoder.frame_rate = {25, 0};
        },
        [](WriterOptions& o) {
          o.encoder.frame_rate = {-25, 1};
        },
        [](WriterOptions& o) { o.chunk_size = -1; },
        [](WriterOptions& o) { o.queue_frames = 0; },
        [](WriterOptions& o) { o.metadata_yaml = "- a\n- list\n"; },
        [](WriterOptions& o) { o.metadata_yaml = "a: [1, 2"; },
        [](WriterOptions& o) { o.metadata_yaml = "__store: {}"; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
      options = options_of("avc1/mp4");
      changes[i](options);
      CAPTURE(i);
      // Before anything is made.
      CHECK(error_of([&] { Writer(store, options); }).kind() == ErrorKind::invalid_argument);
      CHECK_FALSE(fs::exists(store));
    }
  }
}

// --- Flushing, and reading what is still being written ---

namespace {

void check_contiguous(const Reader& reader) {
  std::map<std::int64_t, std::vector<std::int64_t>> by_chunk;
  for (const FrameInfo& info : reader.infos({0, reader.frame_count()})) {
    REQUIRE(info.pts.has_value());
    by_chunk[info.chunk].push_back(*info.pts);
  }
  for (const auto& [chunk, pts] : by_chunk) {
    CAPTURE(chunk, pts);
    for (std::size_t i = 2; i < pts.size(); ++i) {
      CHECK(pts[i] - pts[i - 1] == pts[1] - pts[0]);
    }
  }
}

}  // namespace

TEST_CASE("frames flushed are durable, and those after them follow without a gap") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const int b_frames : {0, 2}) {
      if (b_frames > 0 && (!format.video || is_intra_only(format.name))) {
        continue;
      }
      DYNAMIC_SECTION(format.name << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format.name, 13);
        options.encoder.b_frames = b_frames;
        Writer writer(store, options);
        const auto names = plain_names(30);
        for (int i = 0; i < 30; ++i) {
          add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
          // After the first, two in a row, just before a chunk is full and when it is.
          if (std::set{0, 1, 2, 9, 11, 12, 19, 25}.contains(i)) {
            writer.flush();
            writer.flush();
            CHECK(writer.statistics().frames_durable == i + 1);
            Reader reader(store);
            CHECK(reader.frame_count() == i + 1);
            CHECK(reader.info().open_for_writing);
            for (const FrameIndex index : shuffled_indices(i + 1)) {
              CAPTURE(i, index.value);
              REQUIRE(code_of(reader.read(index).image.view()) == static_cast<int>(index.value));
            }
          }
        }
        writer.close();
        const Reader reader(store);
        check_names(reader, names);
        check_places(reader, 13);
        CHECK(wrong_codes(store).empty());
        if (format.video) {
          check_contiguous(reader);
          for (int chunk = 0; chunk < 3; ++chunk) {
            const auto oracle = frame_md5s(chunk_file(store, format.name, chunk));
            Reader frames(store);
            REQUIRE(oracle.size() == (chunk < 2 ? 13U : 4U));
            for (std::size_t i = oracle.size(); i-- > 0;) {
              const auto index = static_cast<std::int64_t>(i) + 13 * chunk;
              CHECK(avstore::md5(frames.read(FrameIndex(index)).image.view()) == oracle[i]);
            }
          }
        }
        CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
      }
    }
  }
}

TEST_CASE("flushing with real timing keeps frames in order") {
  for (const std::string& format : formats_with_real_timing()) {
    for (const int b_frames : {0, 2}) {
      DYNAMIC_SECTION(format << ", B-frames " << b_frames) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 100);
        options.encoder.b_frames = b_frames;
        options.timing = avstore::Timing::real;
        Writer writer(store, options);
        for (int i = 0; i < 30; ++i) {
          // 100 frames/s at first, then one every two seconds.
          add(writer, draw(pixel::gray8, i).view, {i, i < 15 ? 0.01 * i : 2.0 * i});
          if (i % 6 == 5 || i == 13) {
            writer.flush();
            CHECK(writer.statistics().frames_durable == i + 1);
            const Frame frame = Reader(store).read(FrameIndex(i));
            CHECK(code_of(frame.image.view()) == i);
          }
        }
        writer.close();
        CHECK(wrong_codes(store).empty());
        const Reader reader(store);
        std::vector<std::int64_t> pts;
        for (const FrameInfo& info : reader.infos({0, 30})) {
          pts.push_back(info.pts.value_or(-1));
        }
        CHECK(std::adjacent_find(pts.begin(), pts.end(), std::greater_equal<>()) == pts.end());
      }
    }
  }
}

TEST_CASE("a reader sees the frames that were durable when it was opened") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "mjpeg/avi", "pgm"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format, 20));
      CHECK(error_of([&] { Reader nothing(store); }).kind() == ErrorKind::not_found);
      const auto names = plain_names(50);
      for (int i = 0; i < 30; ++i) {
        add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
      }
      writer.flush();
      Reader early(store);
      for (int i = 30; i < 50; ++i) {
        add(writer, draw(pixel::gray8, i).view, names[static_cast<std::size_t>(i)]);
      }
      writer.flush();
      Reader late(store);
      CHECK(early.frame_count() == 30);
      CHECK(late.frame_count() == 50);
      const auto check_all = [](Reader& reader) {
        std::int64_t wrong = 0;
        for (const FrameIndex index : shuffled_indices(reader.frame_count())) {
          wrong +=
              code_of(reader.read(index).image.view()) != static_cast<int>(index.value) ? 1 : 0;
        }
        return wrong;
      };
      CHECK(check_all(early) == 0);
      writer.close();
      CHECK(check_all(early) == 0);
      CHECK(check_all(late) == 0);
      CHECK_FALSE(Reader(store).info().open_for_writing);
    }
  }
}

// --- The writer's errors ---

TEST_CASE("frames unlike the first are refused, by their number") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("ffv1/mkv"));
  for (int i = 0; i < 9; ++i) {
    add(writer, draw(pixel::gray8, i).view, {i, 0.1 * i});
  }
  SECTION("another size") {
    const auto error = error_of([&] { add(writer, draw(pixel::gray8, 9, 64, 64).view, {9, 9}); });
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), Contains(store.string()) && Contains("frame 9") && Contains("64x64") &&
                                 Contains("96x64"));
  }
  SECTION("another pixel format") {
    const auto error = error_of([&] { add(writer, draw(pixel::bgr24, 9).view, {9, 9}); });
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), Contains("frame 9") && Contains("bgr24") && Contains("gray8"));
  }
  SECTION("no pixels") {
    CHECK(error_of([&] {
            add(writer, ImageView(), {9, 9});
          }).kind() == ErrorKind::invalid_argument);
    CHECK(error_of([&] { writer.add(Image(), FrameNumber(9), FrameTime(9)); }).kind() ==
          ErrorKind::invalid_argument);
  }
  // The writer goes on.
  add(writer, draw(pixel::gray8, 9).view, {9, 0.9});
  writer.close();
  CHECK(Reader(store).frame_count() == 10);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a closed writer takes nothing more") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("png"));
  add(writer, draw(pixel::gray8, 0).view, {0, 0});
  writer.close();
  CHECK_NOTHROW(writer.close());
  for (const auto& call : std::vector<std::function<void()>>{
           [&] {
             add(writer, draw(pixel::gray8, 1).view, {1, 1});
           },
           [&] { writer.flush(); }, [&] { writer.add_extra("{}"); }}) {
    const auto error = error_of(call);
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.what(), Contains(store.string()) && Contains("closed"));
  }
  CHECK(Reader(store).frame_count() == 1);
}

TEST_CASE("a writer that goes out of scope closes its store") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  {
    Writer first(store, options_of("avc1/mp4"));
    add(first, draw(pixel::gray8, 0).view, {0, 0});
    Writer moved(std::move(first));
    add(moved, draw(pixel::gray8, 1).view, {1, 1});
    CHECK(moved.path() == store);
  }
  CHECK_FALSE(fs::exists(store / ".lock"));
  CHECK(Reader(store).frame_count() == 2);
  CHECK(wrong_codes(store).empty());
}

TEST_CASE("a queue of any size takes all frames") {
  for (const std::size_t frames : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of("avc1/mp4", 50);
    options.queue_frames = frames;
    options.queue_bytes = 1;  // smaller than one frame
    write_store(store, options, pixel::gray8, plain_names(60));
    CHECK(Reader(store).frame_count() == 60);
    CHECK(wrong_codes(store).empty());
  }
}

// --- Extra data and metadata ---

TEST_CASE("extra data is kept with the frame that was newest") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      CHECK(error_of([&] { writer.add_extra(R"({"a": 1})"); }).kind() ==
            ErrorKind::invalid_argument);
      for (int i = 0; i < 23; ++i) {
        add(writer, draw(pixel::gray8, i).view, odd_names()[static_cast<std::size_t>(i)]);
        if (i == 0 || i == 6 || i == 7 || i == 9 || i == 22) {
          writer.add_extra(R"({"place": )" + std::to_string(i) + R"(, "text": "ü\"\\"})");
          writer.add_extra(R"({"second": true, "frame_index": 12345})");
        }
      }
      for (const char* bad : {"", "[1]", "{", "7", "{\"a\": 1} x", "{'a': 1}"}) {
        CAPTURE(bad);
        CHECK(error_of([&] { writer.add_extra(bad); }).kind() == ErrorKind::invalid_argument);
      }
      writer.close();
      const auto file = [&](int chunk) {
        const fs::path data = chunk_file(store, format, chunk);
        return is_video(format) ? fs::path(data).replace_extension(".extra.json")
                                : data / "index.extra.json";
      };
      std::vector<nlohmann::json> records;
      for (const int chunk : {0, 1, 3}) {
        for (const auto& record : nlohmann::json::parse(read_text(file(chunk)))) {
          CHECK(record["frame_index"].get<std::int64_t>() / 7 == chunk);
          records.push_back(record);
        }
      }
      CHECK_FALSE(fs::exists(file(2)));
      REQUIRE(records.size() == 10);
      std::size_t at = 0;
      for (const std::size_t i : {0U, 6U, 7U, 9U, 22U}) {
        for (const bool second : {false, true}) {
          const auto& record = records[at++];
          CAPTURE(record.dump());
          CHECK(record["frame_index"] == i);
          CHECK(record["frame_number"] == odd_names()[i].number);
          CHECK(record["frame_time"].get<double>() == odd_names()[i].time);
          CHECK(record.contains("second") == second);
          if (!second) {
            CHECK(record["place"] == i);
            CHECK(record["text"] == "ü\"\\");
          }
        }
      }
      // Python's json, which the reference uses, agrees; and the database has them too.
      CHECK(python("import json, sys; print(len(json.load(open(sys.argv[1]))))", file(0)) == "4\n");
      CHECK(sqlite(store, "SELECT COUNT(*), MIN(frame_index), MAX(frame_index) FROM extra_data") ==
            std::vector<std::string>{"10|0|22"});
    }
  }
}

TEST_CASE("metadata comes back") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  WriterOptions options = options_of("h264/mkv", 123);
  options.metadata_yaml =
      "subject: {id: 7, tags: [a, 'b c', \"7\"]}\nnote: 'yes'\nratio: 0.1\nempty: null\n"
      "unicode: Grüße 漢字\nmulti: |\n  one\n  two\nbig: 12345678901234567890\n";
  options.created_utc = "2026-01-02T03:04:05.678901";
  options.timezone_local = "Europe/Vienna";
  options.encoding = "";
  write_store(store, options, pixel::bgr24, plain_names(3));
  const Reader reader(store);
  const avstore::StoreInfo& info = reader.info();
  CHECK(info.store_class == "VideoImgStore");
  CHECK(info.format == "h264/mkv");
  CHECK(info.encoder == "libx264");
  CHECK(info.color);
  CHECK(info.dtype == "uint8");
  CHECK(info.chunk_size == 123);
  CHECK(info.created_utc == "2026-01-02T03:04:05.678901");
  CHECK(info.timezone_local == "Europe/Vienna");
  CHECK(info.uuid.size() == 32);
  CHECK(info.uuid.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(nlohmann::json::parse(avstore::metadata_to_json(info.metadata_yaml)) ==
        nlohmann::json::parse(R"({"subject": {"id": 7, "tags": ["a", "b c", "7"]}, "note": "yes",
          "ratio": 0.1, "empty": null, "unicode": "Grüße 漢字", "multi": "one\ntwo\n",
          "big": 12345678901234567890})"));
  const std::string yaml = read_text(store / "metadata.yaml");
  for (const char* line : {"class: VideoImgStore", "version: 2", "extension: .mkv",
                           "chunksize: 123", "format: h264/mkv", "imgdtype: uint8", "encoding:"}) {
    CHECK_THAT(yaml, Contains(line));
  }
  CHECK(Reader(store / "metadata.yaml").frame_count() == 3);
}

TEST_CASE("whether a store is colour follows from its frames or from the caller") {
  struct Case {
    std::string format;
    PixelFormat pixels;
    std::optional<bool> wanted;
    bool color;
    std::string dtype;
  };
  for (const Case& c : std::vector<Case>{{"avc1/mp4", pixel::gray8, {}, false, "uint8"},
                                         {"avc1/mp4", pixel::bgr24, {}, true, "uint8"},
                                         {"avc1/mp4", pixel::bgr24, false, false, "uint8"},
                                         {"avc1/mp4", pixel::yuv420p, {}, true, "uint8"},
                                         {"png", pixel::gray16, {}, false, "uint16"},
                                         {"ppm", pixel::gray8, {}, true, "uint8"},
                                         {"pgm", pixel::bgr24, {}, false, "uint8"},
                                         {"png", pixel::rgb24, {}, true, "uint8"},
                                         {"npy", pixel::gray16, {}, false, "uint16"}}) {
    const TemporaryFolder folder;
    WriterOptions options = options_of(c.format);
    options.color = c.wanted;
    write_store(folder.path() / "store", options, c.pixels, plain_names(2));
    const Reader reader(folder.path() / "store");
    CAPTURE(c.format, c.pixels.name());
    CHECK(reader.info().color == c.color);
    CHECK(reader.info().dtype == c.dtype);
  }
}

// --- Reading ---

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
        CHECK_THAT(tags, Contains(full ? "color_range=pc" : "color_range=tv"));
        // Two names of the one matrix, BT.601's.
        CHECK_THAT(tags, Contains("color_space=smpte170m") || Contains("color_space=bt470bg"));
        CHECK_THAT(tags, Contains("420p"));
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

// --- Lost and damaged parts ---

namespace {

struct Warned {
  std::vector<std::string> lines;
  ReaderOptions options(bool save_index = true) {
    ReaderOptions made;
    made.save_index = save_index;
    made.on_warning = [this](const std::string& line) { lines.push_back(line); };
    return made;
  }
};

// Frames found by number: those of `lost` are not there or give an error, all others are right.
void check_all_but(const fs::path& store, const std::set<std::int64_t>& lost, int count,
                   bool save_index) {
  Warned warned;
  Reader reader(store, warned.options(save_index));
  for (int i = 0; i < count; ++i) {
    CAPTURE(i);
    if (!lost.contains(i)) {
      CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
      continue;
    }
    try {
      const Frame frame = reader.read(FrameNumber(i));
      CHECK(code_of(frame.image.view()) == i);  // if it is there, it is right
    } catch (const avstore::Error& error) {
      CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::not_found));
      CHECK_THAT(error.what(), Contains(store.string()));
    }
  }
  CHECK_FALSE(warned.lines.empty());
}

}  // namespace

TEST_CASE("a lost index is made anew from the chunks") {
  for (const avstore::Format& format : avstore::formats()) {
    for (const bool save : {true, false}) {
      DYNAMIC_SECTION(format.name << (save ? ", saved" : ", not saved")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const auto index = store / ".index.sqlite";
        write_store(store, options_of(format.name), pixel::gray8, odd_names());
        fs::remove(index);
        Warned warned;
        for (int round = 0; round < 2; ++round) {
          Reader reader(store, warned.options(save));
          check_names(reader, odd_names());
          check_places(reader, 7);
          for (const FrameIndex i : shuffled_indices(23)) {
            CHECK(code_of(reader.read(i).image.view()) == i.value);
          }
          CHECK(fs::exists(index) == save);
        }
        CHECK(warned.lines.empty());
        if (save) {
          CHECK(sqlite(store, "SELECT COUNT(*) FROM frames") == std::vector<std::string>{"23"});
        }
      }
    }
  }
}

TEST_CASE("rebuild_index gives the index that the writer made") {
  for (const avstore::Format& format : avstore::formats()) {
    DYNAMIC_SECTION(format.name) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format.name), pixel::gray8, odd_names());
      const auto all = [&store] {
        Reader reader(store);
        std::vector<std::string> rows;
        reader.read_many(shuffled_indices(23), [](std::size_t, const Frame&) {});
        for (const FrameInfo& info : Reader(store).infos({0, 23})) {
          std::ostringstream row;
          row << info.chunk << ' ' << info.frame_idx << ' ' << info.number.value << ' '
              << info.time.seconds << ' ' << info.pts.value_or(-1) << ' ' << info.keyframe;
          rows.push_back(row.str());
        }
        return rows;
      };
      const auto before = all();
      std::vector<std::string> notices;
      CHECK(avstore::rebuild_index(
                store, [&](const std::string& line) { notices.push_back(line); }) == 23);
      CHECK(notices.empty());
      CHECK(all() == before);
      CHECK(wrong_codes(store).empty());
      CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
    }
  }
}

TEST_CASE("a damaged index is noticed and made anew") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const auto index = store / ".index.sqlite";
  write_store(store, options_of("avc1/mp4", 50), pixel::gray8, plain_names(200));
  std::string bytes = read_text(index);
  REQUIRE(bytes.size() > 8192);
  SECTION("text") {
    bytes = "this is no database, though it is long enough to be one\n";
  }
  SECTION("cut in half") {
    bytes.resize(bytes.size() / 2);
  }
  SECTION("cut within the first page") {
    bytes.resize(50);
  }
  SECTION("header overwritten") {
    bytes.replace(0, 16, 16, 'x');
  }
  SECTION("schema overwritten") {
    bytes.replace(100, 3000, 3000, '\xff');
  }
  SECTION("pages overwritten") {
    bytes.replace(4096, bytes.size() - 4096, bytes.size() - 4096, '\x5a');
  }
  write_text(index, bytes);
  Warned warned;
  Reader reader(store, warned.options());
  check_names(reader, plain_names(200));
  for (const FrameIndex i : shuffled_indices(200)) {
    REQUIRE(code_of(reader.read(i).image.view()) == i.value);
  }
  REQUIRE_FALSE(warned.lines.empty());
  CHECK_THAT(warned.lines[0], Contains(index.string()));
  Warned again;
  CHECK(Reader(store, again.options()).frame_count() == 200);
  CHECK(again.lines.empty());
}

TEST_CASE("without a chunk's file the frames elsewhere are still read") {
  for (const std::string format : {"avc1/mp4", "mjpeg/avi", "ffv1/mkv", "png"}) {
    for (const bool save : {true, false}) {
      for (const int chunk : {0, 1, 3}) {
        DYNAMIC_SECTION(format << ", chunk " << chunk << (save ? ", saved" : "")) {
          const TemporaryFolder folder;
          const auto store = folder.path() / "store";
          write_store(store, options_of(format), pixel::gray8, plain_names(23));
          const auto file = chunk_file(store, format, chunk);
          fs::rename(file, folder.path() / "away");
          std::set<std::int64_t> lost;
          for (int i = 7 * chunk; i < std::min(7 * chunk + 7, 23); ++i) {
            lost.insert(i);
          }
          check_all_but(store, lost, 23, save);
          CHECK_FALSE(avstore::verify(store, {}).findings.empty());
          // Once it is back, so are its frames.
          fs::rename(folder.path() / "away", file);
          check_names(Reader(store), plain_names(23));
          CHECK(wrong_codes(store).empty());
        }
      }
    }
  }
}

TEST_CASE("a missing chunk does not move the frames after it to other indices") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), pixel::gray8, plain_names(23));
  fs::remove(chunk_file(store, "avc1/mp4", 1));
  ReaderOptions options;
  options.save_index = false;
  Reader reader(store, options);
  // frame_index is a frame's place in the order recorded.
  CHECK(reader.find(FrameNumber(20)).index.value == 20);
}

TEST_CASE("in a chunk that was cut off, what is left and all frames elsewhere are read") {
  for (const std::string format : {"avc1/mp4", "h264/mkv", "mjpeg/avi", "ffv1/mkv", "hevc/mp4"}) {
    for (const bool save : {true, false}) {
      DYNAMIC_SECTION(format << (save ? ", saved" : "")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format, 40);
        options.encoder.keyframe_interval = 5;
        write_store(store, options, pixel::gray8, plain_names(100));
        const auto file = chunk_file(store, format, 1);
        fs::resize_file(file, fs::file_size(file) * 6 / 10);
        std::set<std::int64_t> lost;
        for (int i = 40; i < 80; ++i) {
          lost.insert(i);
        }
        check_all_but(store, lost, 100, save);
        // Expected: of the chunk that was cut, every frame whose bytes are all there is read. The
        // first ones are, in fragments or clusters of their own.
        ReaderOptions reading;
        reading.save_index = save;
        Reader reader(store, reading);
        for (int i = 40; i < 45; ++i) {
          CAPTURE(i);
          try {
            CHECK(code_of(reader.read(FrameNumber(i)).image.view()) == i);
          } catch (const avstore::Error& error) {
            FAIL_CHECK("frame is not read: " << error.what());
          }
        }
        CHECK_FALSE(avstore::verify(store, {}).findings.empty());
      }
    }
  }
}

TEST_CASE("lost and damaged images are errors that name their file") {
  for (const std::string format : {"png", "npy", "jpg", "bmp", "tif", "pgm"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format), pixel::gray8, plain_names(23));
      const std::string extension = avstore::find_format(format).extension;
      const auto cut = store / "000001" / ("000002" + extension);
      const auto gone = store / "000001" / ("000003" + extension);
      const auto empty = store / "000002" / ("000000" + extension);
      const auto text = store / "000002" / ("000001" + extension);
      fs::resize_file(cut, 20);
      fs::remove(gone);
      fs::resize_file(empty, 0);
      write_text(text, "not an image of any kind, but some text of a length like others\n");
      Reader reader(store);
      for (const auto& [index, file] :
           std::map<std::int64_t, fs::path>{{9, cut}, {10, gone}, {14, empty}, {15, text}}) {
        const auto error = error_of([&, i = index] { reader.read(FrameIndex(i)); });
        CAPTURE(error.what());
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK_THAT(error.what(), Contains(file.string()));
      }
      for (const FrameIndex i : shuffled_indices(23)) {
        if (!std::set<std::int64_t>{9, 10, 14, 15}.contains(i.value)) {
          CHECK(code_of(reader.read(i).image.view()) == i.value);
        }
      }
    }
  }
}

// --- Chunks that are there already, raw sensor data, emptying ---

namespace {

std::vector<avstore::FrameNames> names_from(std::int64_t first, int count) {
  std::vector<avstore::FrameNames> names;
  for (int i = 0; i < count; ++i) {
    names.push_back({FrameNumber(first + 2 * i), FrameTime(1000 + static_cast<double>(i))});
  }
  return names;
}

}  // namespace

TEST_CASE("a video file becomes a chunk between others") {
  for (const bool move : {false, true}) {
    for (const std::string name : {"h264-bframes-gop250.mp4", "mp4-faststart.mp4"}) {
      DYNAMIC_SECTION(name << (move ? ", moved" : "")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        const auto file = folder.path() / "file.mp4";
        fs::copy_file(avstore::test::media_folder() / name, file);
        const auto md5s =
            avstore::test::read_lines(avstore::test::media_folder() / "framemd5" / (name + ".md5"));
        const int count = static_cast<int>(md5s.size());
        const avstore::SourceInfo source = avstore::probe_source(file);
        const std::vector<std::uint8_t> gray(
            static_cast<std::size_t>(source.width) * static_cast<std::size_t>(source.height), 99);
        const auto view =
            avstore::packed_view(pixel::gray8, source.width, source.height, gray.data());
        WriterOptions options = options_of("avc1/mp4", 5);
        options.color = true;
        Writer writer(store, options);
        for (int i = 0; i < 7; ++i) {
          writer.add(view, FrameNumber(i), FrameTime(i));
        }
        writer.insert_chunk(file, names_from(5000, count), move);
        CHECK(fs::exists(file) != move);
        CHECK(writer.statistics().frames_durable == 7 + count);
        writer.add_extra(R"({"after": "the inserted"})");
        writer.add(view, FrameNumber(9000), FrameTime(9000));
        writer.close();

        Reader reader(store);
        REQUIRE(reader.frame_count() == 8 + count);
        CHECK(reader.info().chunk_count == 4);
        for (int i = count - 1; i >= 0; i -= 7) {
          const Frame frame = reader.read(FrameNumber(5000 + 2 * i));
          CHECK(frame.info.index.value == 7 + i);
          CHECK(frame.info.time.seconds == 1000 + i);
          CHECK(avstore::md5(frame.image.view()) == md5s[static_cast<std::size_t>(i)]);
        }
        CHECK(reader.read(FrameNumber(9000)).info.index.value == 7 + count);
        CHECK(avstore::verify(store, {.deep = true, .progress = {}}).findings.empty());
        // The reference looks into the npz of each chunk.
        CHECK(python("import sys, numpy as n; print(len(n.load(sys.argv[1])['frame_number']))",
                     store / "000002.npz") == std::to_string(count) + "\n");
      }
    }
  }
}

TEST_CASE("a store of nothing but a file") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const fs::path file = avstore::test::media_folder() / "h264-bframes-gop250.mp4";
  const auto md5s = avstore::test::read_lines(avstore::test::media_folder() /
                                              "framemd5/h264-bframes-gop250.mp4.md5");
  Writer writer(store, options_of("avc1/mp4", 5));
  writer.insert_chunk(file, names_from(0, static_cast<int>(md5s.size())));
  writer.close();
  Reader reader(store);
  CHECK(reader.info().width == avstore::probe_source(file).width);
  CHECK(reader.info().color);
  CHECK(avstore::md5(reader.read(FrameIndex(11)).image.view()) == md5s[11]);
}

TEST_CASE("files that do not fit are refused, and the store goes on") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  const fs::path media = avstore::test::media_folder();
  Writer writer(store, options_of("avc1/mp4", 5));
  const std::vector<std::uint8_t> gray(96 * 64, 99);
  const auto view = avstore::packed_view(pixel::gray8, 96, 64, gray.data());
  writer.add(view, FrameNumber(0), FrameTime(0));
  const auto refused = [&](const fs::path& file, int names, ErrorKind kind) {
    CAPTURE(file);
    const auto error = error_of([&] { writer.insert_chunk(file, names_from(0, names)); });
    CHECK(error.kind() == kind);
    CHECK_THAT(error.what(), Contains(file.string()));
  };
  refused(media / "h264-bframes-gop250.mp4", 3, ErrorKind::invalid_argument);
  refused(media / "h264-bframes-gop250.mp4", 60, ErrorKind::invalid_argument);  // another size
  refused(media / "h264-bframes16.mkv", 60, ErrorKind::invalid_argument);
  refused(media / "bad/text.mp4", 1, ErrorKind::corrupt);
  refused(media / "bad/no-such-file.mp4", 1, ErrorKind::not_found);
  writer.add(view, FrameNumber(1), FrameTime(1));
  writer.close();
  CHECK(Reader(store).frame_count() == 2);
}

TEST_CASE("a writer that only refused a file leaves an empty store") {
  const TemporaryFolder folder;
  Writer writer(folder.path() / "store", options_of("avc1/mp4", 5));
  CHECK_THROWS(writer.insert_chunk(avstore::test::media_folder() / "bad/text.mp4", {}));
  writer.close();
  CHECK(Reader(folder.path() / "store").frame_count() == 0);
}

TEST_CASE("formats with +color decode the sensor's encoding before they write") {
  // A mosaic of one colour, red in the top left: R, G / G, B.
  std::vector<std::uint8_t> mosaic(64 * 48);
  for (std::size_t i = 0; i < mosaic.size(); ++i) {
    const std::size_t odd_row = i / 64 % 2;
    const std::size_t odd_column = i % 2;
    mosaic[i] = odd_row == 0 && odd_column == 0 ? 200 : odd_row == 1 && odd_column == 1 ? 50 : 100;
  }
  const auto view = avstore::packed_view(pixel::gray8, 64, 48, mosaic.data());
  for (const std::string format : {"png+color", "tif+color", "bmp+color", "jpg+color"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      WriterOptions options = options_of(format);
      options.encoding = "cv_bayerrggb";
      Writer writer(store, options);
      writer.add(view, FrameNumber(0), FrameTime(0));
      writer.close();
      Reader reader(store);
      CHECK(reader.info().format == format.substr(0, 3));
      CHECK(reader.info().encoding.empty());
      CHECK(reader.info().color);
      const Image image = avstore::convert(reader.read(FrameIndex(0)).image.view(), pixel::bgr24);
      const std::uint8_t* middle = image.data() + 24 * image.stride() + 32 * 3;
      CHECK(std::abs(middle[0] - 50) <= 3);
      CHECK(std::abs(middle[1] - 100) <= 3);
      CHECK(std::abs(middle[2] - 200) <= 3);
    }
  }
  SECTION("without an encoding, or one that is not known") {
    const TemporaryFolder folder;
    WriterOptions options = options_of("png+color");
    CHECK(error_of([&] { Writer(folder.path() / "a", options); }).kind() ==
          ErrorKind::invalid_argument);
    options.encoding = "cv_nonsense";
    const auto error = error_of([&] { Writer(folder.path() / "a", options); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK_THAT(error.what(), Contains("cv_nonsense"));
    CHECK_FALSE(fs::exists(folder.path() / "a"));
  }
}

TEST_CASE("what a format cannot hold of odd sizes is told") {
  for (const auto& [format, told] : std::map<std::string, bool>{
           {"avc1/mp4", true}, {"mjpeg/avi", true}, {"ffv1/mkv", false}, {"png", false}}) {
    const TemporaryFolder folder;
    std::vector<std::string> warnings;
    WriterOptions options = options_of(format);
    options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
    Writer writer(folder.path() / "store", options);
    const std::vector<std::uint8_t> gray(97 * 64);
    for (int i = 0; i < 3; ++i) {
      writer.add(avstore::packed_view(pixel::gray8, 97, 64, gray.data()), FrameNumber(i),
                 FrameTime(i));
    }
    writer.close();
    CAPTURE(format, warnings);
    CHECK(warnings.size() == (told ? 1 : 0));
  }
}

TEST_CASE("an emptied store keeps its metadata, and nothing else") {
  for (const std::string format : {"avc1/mp4", "png"}) {
    const TemporaryFolder folder;
    const auto store = folder.path() / "store";
    WriterOptions options = options_of(format);
    options.metadata_yaml = "subject: 7\n";
    write_store(store, options, pixel::gray8, plain_names(23));
    const std::string metadata = read_text(store / "metadata.yaml");
    avstore::empty_store(store);
    CHECK(read_text(store / "metadata.yaml") == metadata);
    CHECK(Reader(store).frame_count() == 0);
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(store)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{".index.sqlite", "metadata.yaml"});
  }
  CHECK_THROWS(avstore::empty_store("/nonexistent"));
}
