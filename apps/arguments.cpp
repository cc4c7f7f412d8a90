#include "arguments.h"

#include <avstore/format.h>
#include <avstore/metadata.h>
#include <avstore/text.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace avstore::cli {
namespace {

// from_chars() takes no plus sign.
template <typename Number>
std::optional<Number> read_number(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return number;
}

std::int64_t parse_at_least(const std::string& text, std::int64_t least) {
  const std::int64_t number = parse_integer(text);
  if (number < least) {
    throw BadValue(fmt::format("{} is too small; the least is {}", number, least));
  }
  return number;
}

int narrow(std::int64_t number) {
  if (number > std::numeric_limits<int>::max()) {
    throw BadValue(fmt::format("{} is too large", number));
  }
  return static_cast<int>(number);
}

}  // namespace

std::int64_t parse_integer(const std::string& text) {
  const auto number = read_number<std::int64_t>(text);
  if (!number) {
    throw BadValue(fmt::format("'{}' is no whole number of 64 bits", text));
  }
  return *number;
}

std::int64_t parse_count(const std::string& text) {
  return parse_at_least(text, 1);
}
std::int64_t parse_natural(const std::string& text) {
  return parse_at_least(text, 0);
}
int parse_small_count(const std::string& text) {
  return narrow(parse_count(text));
}
int parse_small_natural(const std::string& text) {
  return narrow(parse_natural(text));
}

double parse_number(const std::string& text) {
  const auto number = read_number<double>(text);
  if (!number || !std::isfinite(*number)) {
    throw BadValue(fmt::format("'{}' is no number", text));
  }
  return *number;
}

double parse_positive_number(const std::string& text) {
  const double number = parse_number(text);
  if (number <= 0) {
    throw BadValue(fmt::format("{} is not greater than 0", text));
  }
  return number;
}

double parse_seconds(const std::string& text) {
  const double number = parse_number(text);
  if (number < 0) {
    throw BadValue(fmt::format("{} is less than 0", text));
  }
  return number;
}

double parse_quality(const std::string& text) {
  const double number = parse_number(text);
  if (number < 0 || number > 100) {
    throw BadValue(
        fmt::format("{} is not between 0 (smallest files) and 100 (best picture)", text));
  }
  return number;
}

std::pair<std::string, std::string> parse_assignment(const std::string& text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string::npos || sign == 0) {
    throw BadValue(fmt::format("'{}' assigns nothing; write KEY=VALUE", text));
  }
  return {text.substr(0, sign), text.substr(sign + 1)};
}

PixelFormat parse_pixel_format(const std::string& text) {
  return PixelFormat::from_name(text);
}

std::string parse_format_name(const std::string& text) {
  const Format& format = find_format(text);
  return text == format.name + "+color" ? text : format.name;
}

Option add_path(Arguments& arguments, const std::string& name, std::filesystem::path& path,
                const std::string& description) {
  const auto take = [&path](const std::string& text) {
    if (text.empty()) {
      throw BadValue("is empty");
    }
    path = text;
  };
  return arguments.add_option(name, take, description).value_name("");
}

Option add_store(Arguments& arguments, std::filesystem::path& path) {
  return add_path(arguments, "STORE", path, "The store: its folder or its metadata.yaml")
      .required();
}

Option add_ignore_corrupt(Arguments& arguments, bool& ignore, const std::string& what) {
  return arguments.add_flag("--ignore-corrupt", ignore, what + ", and say which");
}

Option add_no_save(Arguments& arguments, bool& no_save) {
  return arguments.add_flag("--no-save", no_save,
                            "Write nothing into the store: an index that had to be made is not "
                            "kept there");
}

Option add_range(Arguments& arguments, std::optional<RangeText>& range) {
  return add_parsed(arguments, "--range", range, parse_range, "A:B",
                    "Only the frames from index A up to but without B. Either may be left out; "
                    "negative ones count from the end, so -100: is the last hundred");
}

Option add_json(Arguments& arguments, bool& json) {
  return arguments.add_flag("--json", json, "Write the result as JSON");
}

Option add_overwrite(Arguments& arguments, bool& overwrite, const std::string& what) {
  return arguments.add_flag("--overwrite", overwrite,
                            "Replace a " + what + " that is there already");
}

Option add_timing(Arguments& arguments, Timing& timing) {
  const std::string otherwise = timing == Timing::real ? "real" : "nominal";
  return add_parsed(
      arguments, "--timing", timing, timing_from_text, "nominal|real",
      "Timestamps in the video: evenly spaced at the nominal rate, which every reader "
      "seeks exactly, or each frame's own time, which players show at the right speed "
      "(default: " +
          otherwise + ")");
}

std::vector<Option> add_encoder_options(Arguments& arguments, EncoderOptions& encoder) {
  const auto take_option = [&encoder](const std::string& text) {
    encoder.options.insert_or_assign(parse_assignment(text).first, parse_assignment(text).second);
  };
  std::vector<Option> added = {
      arguments
          .add_option("--encoder", encoder.encoder,
                      "auto: hardware where it works, else software (the default); hardware, "
                      "or nvenc, vaapi, qsv: of that kind, and an error where it does not work; "
                      "software; or an encoder by its libav name, such as libx264; see `avstore "
                      "formats`")
          .value_name("NAME"),
      arguments
          .add_option("--encoder-device", encoder.device,
                      "Which device encodes: a render node such as /dev/dri/renderD129 for VAAPI "
                      "and Quick Sync, the number of the GPU for NVENC (default: the first)")
          .value_name("DEVICE"),
      add_parsed(arguments, "--quality", encoder.quality, parse_quality, "0..100",
                 "0 makes the smallest files, 100 the best picture"),
      arguments
          .add_option("--preset", encoder.preset,
                      "The encoder's own name for its trade of speed against size (default: a "
                      "fast one)")
          .value_name("NAME"),
      add_parsed(arguments, "--keyframe-interval", encoder.keyframe_interval, parse_small_count,
                 "N",
                 "Frames from one keyframe to the next (default: about half a second, at most 60)"),
      add_parsed(arguments, "--b-frames", encoder.b_frames, parse_small_natural, "N",
                 "B-frames between others (default: none)"),
      add_parsed(arguments, "--fps", encoder.frame_rate, rate_from_text, "RATE",
                 "Nominal frames per second, like 25, 29.97 or 30000/1001 (default: the source's)"),
      arguments
          .add_repeated("--option", take_option,
                        "Any option of libavcodec or the encoder; may be given several times")
          .value_name("KEY=VALUE"),
  };
  Option threads = add_parsed(arguments, "--threads", encoder.threads, parse_small_natural, "N",
                              "Threads that encode (default: a fair share of the cores)");
  for (Option option : added) {
    option.group("Encoding");
  }
  threads.group("Encoding");
  return added;
}

Option add_store_options(Arguments& arguments, WriterOptions& writer) {
  add_parsed(arguments, "--chunk-size", writer.chunk_size, parse_count, "N",
             "Frames a chunk (default: 10000 of video, 200 of images)");
  Option timing = add_timing(arguments, writer.timing);
  add_overwrite(arguments, writer.overwrite, "store");
  return timing;
}

Option add_format(Arguments& arguments, std::string& format) {
  return add_parsed(arguments, "--format", format, parse_format_name, "FORMAT",
                    "How frames are stored, see `avstore formats` (default: " + format + ")");
}

void add_description_options(Arguments& arguments, WriterOptions& writer) {
  const auto take_metadata = [&writer](const std::string& text) {
    const auto [key, value] = parse_assignment(text);
    writer.metadata_yaml = set_metadata(writer.metadata_yaml, key, value);
  };
  arguments
      .add_repeated("--metadata", take_metadata,
                    "Metadata of your own; dots in the key make levels, the value is YAML: 7 is a "
                    "number, '7' a text, [1, 2] a list; may be given several times")
      .value_name("KEY=VALUE");
  arguments
      .add_option("--encoding", writer.encoding,
                  "What raw sensor data the pixels are, such as cv_bayerrg: noted and decoded when "
                  "read; formats png+color, tif+color, jpg+color and bmp+color decode them first "
                  "and store plain colour")
      .value_name("NAME");
}

}  // namespace avstore::cli
