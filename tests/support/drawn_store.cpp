#include "support/drawn_store.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <string_view>
#include <utility>

#include "avstore/format.h"

namespace avstore::test {

namespace fs = std::filesystem;

double mean_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  REQUIRE(a.size() == b.size());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::abs(int{a[i]} - int{b[i]});
  }
  return static_cast<double>(sum) / static_cast<double>(a.size());
}

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

namespace {

Name plain_name(int number) {
  return {number, 1000 + 0.04 * number};
}

}  // namespace

std::vector<Name> plain_names(int count) {
  std::vector<Name> names;
  names.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    names.push_back(plain_name(i));
  }
  return names;
}

WriterOptions options_of(const std::string& format, std::int64_t chunk_size) {
  WriterOptions options;
  options.format = format;
  options.chunk_size = chunk_size;
  options.encoder.threads = 2;
  return options;
}

ImportOptions import_options(bool copy, const std::string& format) {
  ImportOptions options;
  options.copy = copy;
  options.writer = options_of(format);
  return options;
}

void add(Writer& writer, const ImageView& image, const Name& name) {
  writer.add(image, FrameNumber(name.number), FrameTime(name.time));
}

void write_store(const fs::path& store, const WriterOptions& options, PixelFormat format,
                 const std::vector<Name>& names, int width, int height) {
  Writer writer(store, options);
  for (std::size_t i = 0; i < names.size(); ++i) {
    add(writer, draw(format, static_cast<int>(i), width, height).view, names[i]);
  }
  writer.close();
  REQUIRE(writer.statistics().frames_durable == static_cast<std::int64_t>(names.size()));
}

void add(Writer& writer, int number, int width, int height) {
  add(writer, draw(pixel::gray8, number, width, height).view, plain_name(number));
}

void write_store(const fs::path& store, const WriterOptions& options, int count, int width,
                 int height) {
  write_store(store, options, pixel::gray8, plain_names(count), width, height);
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

std::vector<FrameIndex> shuffled_indices(std::int64_t count, unsigned seed) {
  std::vector<FrameIndex> all;
  for (std::int64_t i = 0; i < count; ++i) {
    all.emplace_back(i);
  }
  std::shuffle(all.begin(), all.end(), std::mt19937(seed));
  return all;
}

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
  return find_format(format).video;
}

namespace {

std::vector<std::string> names_of_formats(const std::function<bool(const Format&)>& which) {
  std::vector<std::string> names;
  for (const Format& format : formats()) {
    if (which(format)) {
      names.push_back(format.name);
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> video_formats() {
  return names_of_formats([](const Format& format) { return format.video; });
}

std::vector<std::string> lossy_video_formats() {
  return names_of_formats([](const Format& format) { return format.video && !format.lossless; });
}

std::vector<std::string> formats_with_real_timing() {
  std::vector<std::string> names = video_formats();
  std::erase(names, "mjpeg/avi");
  return names;
}

bool is_intra_only(const std::string& format) {
  return format == "mjpeg/avi" || format == "ffv1/mkv";
}

fs::path chunk_file(const fs::path& store, const std::string& format, int chunk) {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "%06d", chunk);
  return store / (name.data() + (is_video(format) ? find_format(format).extension : ""));
}

}  // namespace avstore::test
