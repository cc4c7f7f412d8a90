// Stores of drawn frames.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_frames.h"

namespace avstore::test {

constexpr std::int64_t kMaxNumber = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinNumber = std::numeric_limits<std::int64_t>::min();

// Of bytes.
double mean_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b);

// --- Stores of such frames ---

struct Name {
  std::int64_t number;
  double time;
};

// What cameras and clocks do: jump, repeat, run backwards, wrap.
const std::vector<Name>& odd_names();

// As a rig has it: numbers from 0, times of 25 frames/s.
std::vector<Name> plain_names(int count);

WriterOptions options_of(const std::string& format, std::int64_t chunk_size = 7);

ImportOptions import_options(bool copy, const std::string& format = "avc1/mp4");

void add(Writer& writer, const ImageView& image, const Name& name);

// Frame i shows the number i.
void write_store(const std::filesystem::path& store, const WriterOptions& options,
                 PixelFormat format, const std::vector<Name>& names, int width = kWidth,
                 int height = kHeight);

// The same in gray, with plain names.
void add(Writer& writer, int number, int width = kWidth, int height = kHeight);
void write_store(const std::filesystem::path& store, const WriterOptions& options, int count,
                 int width = kWidth, int height = kHeight);

std::vector<std::int64_t> numbers_of(const std::vector<FrameInfo>& infos);
std::vector<double> times_of(const std::vector<FrameInfo>& infos);

void check_names(const Reader& reader, const std::vector<Name>& names);

// Frame i is in chunk i / size at place i % size.
void check_places(const Reader& reader, std::int64_t chunk_size);

std::vector<FrameIndex> shuffled_indices(std::int64_t count, unsigned seed = 3);

// The frames whose bar code is not their index: in shuffled order, and one after another.
std::vector<std::int64_t> wrong_codes(const std::filesystem::path& store);

Reader open_as(const std::filesystem::path& store, PixelFormat format);

// --- Formats ---

bool is_video(const std::string& format);
std::vector<std::string> video_formats();
std::vector<std::string> lossy_video_formats();
std::vector<std::string> formats_with_real_timing();
bool is_intra_only(const std::string& format);

std::filesystem::path chunk_file(const std::filesystem::path& store, const std::string& format,
                                 int chunk);

}  // namespace avstore::test
