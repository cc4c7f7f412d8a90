// Arguments that several commands have, and how their values are written.
#pragma once

#include <avstore/error.h>
#include <avstore/reader.h>
#include <avstore/writer.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "selection.h"

namespace avstore::cli {

// An argument's value cannot be understood.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

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

namespace detail {

// Runs a parser so that what it refuses becomes CLI11's kind of error, naming the option.
template <typename Work>
void naming(const std::string& option, Work work) {
  try {
    work();
  } catch (const BadValue& bad) {
    throw CLI::ValidationError(option, bad.what());
  } catch (const Error& error) {
    throw CLI::ValidationError(option, error.what());
  }
}

}  // namespace detail

// Declares an option whose value `parse` turns into what `value` holds. CLI11's own conversions are
// not used for numbers, as they take "010" for 8.
template <typename Value, typename Parse>
CLI::Option* add_parsed(CLI::App& arguments, const std::string& name, Value& value, Parse parse,
                        const std::string& value_name, const std::string& description) {
  const auto take = [&value, parse, name](const std::string& text) {
    detail::naming(name, [&] { value = parse(text); });
  };
  return arguments.add_option_function<std::string>(name, take, description)->type_name(value_name);
}

// The same for an option that may be given several times, one value each: `take` gets every text.
template <typename Take>
CLI::Option* add_repeated(CLI::App& arguments, const std::string& name, Take take,
                          const std::string& value_name, const std::string& description) {
  const auto take_all = [take, name](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      detail::naming(name, [&] { take(text); });
    }
  };
  return arguments.add_option_function<std::vector<std::string>>(name, take_all, description)
      ->allow_extra_args(false)
      ->type_name(value_name);
}

CLI::Option* add_path(CLI::App& arguments, const std::string& name, std::filesystem::path& path,
                      const std::string& description);
CLI::Option* add_store(CLI::App& arguments, std::filesystem::path& path);
// --ignore-corrupt, of commands that read extra data; `what` is done with damaged ones.
CLI::Option* add_ignore_corrupt(CLI::App& arguments, bool& ignore, const std::string& what);
// --no-save, of commands that only read.
CLI::Option* add_no_save(CLI::App& arguments, bool& no_save);
CLI::Option* add_range(CLI::App& arguments, std::optional<RangeText>& range);
CLI::Option* add_json(CLI::App& arguments, bool& json);
CLI::Option* add_overwrite(CLI::App& arguments, bool& overwrite, const std::string& what);
CLI::Option* add_timing(CLI::App& arguments, Timing& timing);

// --quality, --preset, --keyframe-interval, --b-frames, --fps, --encoder, --option; and --threads,
// which is not among those returned.
std::vector<CLI::Option*> add_encoder_options(CLI::App& arguments, EncoderOptions& encoder);

// --chunk-size, --timing and --overwrite; --timing is returned.
CLI::Option* add_store_options(CLI::App& arguments, WriterOptions& writer);

// --format.
CLI::Option* add_format(CLI::App& arguments, std::string& format);

// --metadata and --encoding.
void add_description_options(CLI::App& arguments, WriterOptions& writer);

}  // namespace avstore::cli
