// Stores written and read back, in every format: names and pixels of frames, against what was drawn and
// against what ffmpeg, ffprobe, sqlite3, unzip and NumPy make of the files.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
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
using avstore::test::TemporaryFolder;
using Catch::Matchers::Contains;

constexpr std::int64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinNumber = std::numeric_limits<std::int64_t>::min();

// --- Other programs ---

std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

// What a shell command prints; throws if it fails.
std::string run(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  INFO(command << "\n" << output);
  REQUIRE(status == 0);
  return output;
}

std::vector<std::string> run_lines(const std::string& command) {
  std::istringstream output(run(command));
  std::vector<std::string> lines;
  for (std::string line; std::getline(output, line);) {
    lines.push_back(line);
  }
  return lines;
}

// Debian's Python is the one that has NumPy.
std::string python(const std::string& script, const fs::path& argument) {
  return run("/usr/bin/python3 -c " + quoted(script) + " " + quoted(argument));
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

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream output(file, std::ios::binary | std::ios::trunc);
  output << text;
  REQUIRE(output.good());
}

std::string read_text(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  std::ostringstream text;
  text << input.rdbuf();
  REQUIRE(input.good());
  return text.str();
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

int luma(Rgb c) { return (299 * c.r + 587 * c.g + 114 * c.b + 500) / 1000; }

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

bool is_planar(PixelFormat format) { return format == pixel::yuv420p || format == pixel::nv12; }

Drawn draw(PixelFormat format, int number, int width = kWidth, int height = kHeight) {
  return is_planar(format) ? draw_planar(format, width, height, number)
                           : draw_packed(format, width, height, number);
}

// The number in the bar code. Looks at plane 0 only, at one byte of a pixel.
int code_of(const ImageView& image) {
  const bool color = image.format.name().find("gb") != std::string_view::npos ||
                     image.format.name().find("gr2") != std::string_view::npos ||
                     image.format == pixel::bgra;
  const int step = image.format == pixel::bgra ? 4 : color ? 3 : image.format == pixel::gray16 ? 2 : 1;
  const int byte = step > 1 ? 1 : 0;
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

bool is_video(const std::string& format) { return avstore::find_format(format).video; }

std::vector<std::string> names_of_formats(const std::function<bool(const avstore::Format&)>& which) {
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

// 8-bit samples to compare, without what the format drops by its nature.
std::vector<std::uint8_t> comparable(const ImageView& image, Fidelity fidelity) {
  std::vector<std::uint8_t> bytes = avstore::pack(image);
  if (image.format == pixel::bgra && fidelity != Fidelity::exact) {
    std::size_t i = 0;
    std::erase_if(bytes, [&i](std::uint8_t) { return i++ % 4 == 3; });
  }
  return bytes;
}

std::vector<std::uint8_t> luma_of(int number) {
  return draw(pixel::gray8, number).bytes;
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
    const auto written = fidelity == Fidelity::gray
                             ? luma_of(number)
                             : comparable(draw(pixels, number).view, fidelity);
    worst = std::max(worst, mean_difference(comparable(frame.image.view(), fidelity), written));
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
