// Arguments that several commands have, and how their values are written.
#pragma once

#include <avstore/error.h>
#include <avstore/reader.h>
#include <avstore/writer.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command_line.h"
#include "selection.h"

namespace avstore::cli {

// All of these take decimal notation only, all of the text, and throw BadValue.
std::int64_t parse_integer(const std::string& text);
std::int64_t parse_count(const std::string& text);    // 1 or more
std::int64_t parse_natural(const std::string& text);  // 0 or more
int parse_small_count(const std::string& text);
int parse_small_natural(const std::string& text);
double parse_number(const std::string& text);
double parse_positive_number(const std::string& text);
double parse_seconds(const std::string& text);                                  // 0 or more
double parse_quality(const std::string& text);                                  // 0 ... 100
std::pair<std::string, std::string> parse_assignment(const std::string& text);  // key=value
PixelFormat parse_pixel_format(const std::string& text);
std::string parse_format_name(const std::string& text);

// Declares an option whose value `parse` turns into what `value` holds. CLI11's own conversions are
// not used for numbers, as they take "010" for 8.
template <typename Value, typename Parse>
Option add_parsed(Arguments& arguments, const std::string& name, Value& value, Parse parse,
                  const std::string& value_name, const std::string& description) {
  const auto take = [&value, parse](const std::string& text) { value = parse(text); };
  return arguments.add_option(name, take, description).value_name(value_name);
}

Option add_path(Arguments& arguments, const std::string& name, std::filesystem::path& path,
                const std::string& description);
Option add_store(Arguments& arguments, std::filesystem::path& path);
// --ignore-corrupt, of commands that read extra data; `what` is done with damaged ones.
Option add_ignore_corrupt(Arguments& arguments, bool& ignore, const std::string& what);
// --no-save, of commands that only read.
Option add_no_save(Arguments& arguments, bool& no_save);
Option add_range(Arguments& arguments, std::optional<RangeText>& range);
Option add_json(Arguments& arguments, bool& json);
Option add_overwrite(Arguments& arguments, bool& overwrite, const std::string& what);
Option add_timing(Arguments& arguments, Timing& timing);

// --quality, --preset, --keyframe-interval, --b-frames, --fps, --encoder, --option; and --threads,
// which is not among those returned.
std::vector<Option> add_encoder_options(Arguments& arguments, EncoderOptions& encoder);

// --chunk-size, --timing and --overwrite; --timing is returned.
Option add_store_options(Arguments& arguments, WriterOptions& writer);

// --format.
Option add_format(Arguments& arguments, std::string& format);

// --metadata and --encoding.
void add_description_options(Arguments& arguments, WriterOptions& writer);

}  // namespace avstore::cli
