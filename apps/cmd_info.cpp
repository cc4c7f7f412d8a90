// avstore info: what a store says of itself.
#include <avstore/error.h>
#include <avstore/format.h>
#include <avstore/local_time.h>
#include <avstore/metadata.h>

#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "command.h"
#include "date_time.h"
#include "interrupt.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::filesystem::path store;
  bool no_save = false;
  bool json = false;
  bool watch = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_json(arguments, options.json);
  arguments.add_flag("--watch", options.watch,
                     "While the store is being recorded, say it anew whenever frames have come, "
                     "until the recording ends or Ctrl-C; with --json one object a line");
  add_no_save(arguments, options.no_save);
}

// Old stores name formats that are not written any more.
std::optional<Format> known_format(const std::string& name) {
  try {
    return find_format(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

double duration(const StoreInfo& info) {
  return info.time_max.seconds - info.time_min.seconds;
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

ordered_json local_or_null(const StoreInfo& info, FrameTime time) {
  return text_or_null(local_time(time, info.timezone_local));
}

void add_extent(ordered_json& object, const StoreInfo& info) {
  const bool any = info.frame_count > 0;
  const auto rate = mean_frame_rate(info);
  object["frame_number_min"] = any ? ordered_json(info.number_min.value) : ordered_json();
  object["frame_number_max"] = any ? ordered_json(info.number_max.value) : ordered_json();
  object["frame_time_min"] = any ? ordered_json(info.time_min.seconds) : ordered_json();
  object["frame_time_max"] = any ? ordered_json(info.time_max.seconds) : ordered_json();
  object["local_time_min"] = any ? local_or_null(info, info.time_min) : ordered_json();
  object["local_time_max"] = any ? local_or_null(info, info.time_max) : ordered_json();
  object["duration"] = any ? ordered_json(duration(info)) : ordered_json();
  object["mean_frame_rate"] = rate ? ordered_json(*rate) : ordered_json();
}

ordered_json as_json(const std::vector<EncoderRun>& encoders) {
  ordered_json array = ordered_json::array();
  for (const EncoderRun& run : encoders) {
    array.push_back({{"first_chunk", run.first_chunk}, {"encoder", run.encoder}});
  }
  return array;
}

// Of the word at a place; 0 if it is another.
std::size_t length_of_not_finite(std::string_view text, std::size_t at) {
  for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
    if (text.substr(at, word.size()) == word) {
      return word.size();
    }
  }
  return 0;
}

// JSON has no word for what is not finite: NaN, Infinity and -Infinity become null. Strings, in
// which these may be as well, stay.
std::string strict_json(const std::string& text) {
  std::string strict;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t length = in_string ? 0 : length_of_not_finite(text, i);
    if (length > 0) {
      strict += "null";
      i += length - 1;
      continue;
    }
    strict += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      strict += text[++i];
    } else if (text[i] == '"') {
      in_string = !in_string;
    }
  }
  return strict;
}

ordered_json metadata_of(const StoreInfo& info) {
  return ordered_json::parse(strict_json(metadata_to_json(info.metadata_yaml)));
}

ordered_json as_json(const StoreInfo& info) {
  const auto format = known_format(info.format);
  ordered_json object = {
      {"path", info.path.string()},
      {"class", info.store_class},
      {"format", info.format},
      {"lossless", format ? ordered_json(format->lossless) : ordered_json()},
      {"encoder", text_or_null(info.encoder)},
      {"encoders", as_json(info.encoders)},
      {"encoding", text_or_null(info.encoding)},
      {"width", info.width},
      {"height", info.height},
      {"color", info.color},
      {"dtype", info.dtype},
      {"chunk_size", info.chunk_size},
      {"chunk_count", info.chunk_count},
      {"frame_count", info.frame_count},
  };
  add_extent(object, info);
  object["created_utc"] = text_or_null(info.created_utc);
  object["timezone_local"] = text_or_null(info.timezone_local);
  object["uuid"] = text_or_null(info.uuid);
  object["open_for_writing"] = info.open_for_writing;
  object["recording"] = info.recording;
  object["unfinished"] = info.unfinished;
  object["losses"] = info.losses;
  object["metadata"] = metadata_of(info);
  return object;
}

std::string time_text(FrameTime time) {
  const std::string date = date_text(time.seconds);
  return fmt::format("{}", time.seconds) + (date.empty() ? "" : " (" + date + ")");
}

std::string format_text(const StoreInfo& info) {
  const auto format = known_format(info.format);
  std::string text = info.format;
  if (format) {
    text += fmt::format(" ({})", format->description);
  }
  for (const EncoderRun& run : info.encoders) {
    text += &run == info.encoders.data()
                ? ", made by " + run.encoder
                : fmt::format(", from chunk {} on by {}", run.first_chunk, run.encoder);
  }
  return text;
}

void print_line(Output& out, const char* name, const std::string& text) {
  if (!text.empty()) {
    out.print("{:<10} {}\n", name, text);
  }
}

void print_extent(const StoreInfo& info, Output& out) {
  if (info.frame_count == 0) {
    return;
  }
  print_line(out, "Numbers", fmt::format("{} to {}", info.number_min.value, info.number_max.value));
  print_line(out, "Times", time_text(info.time_min) + " to " + time_text(info.time_max));
  const std::string first = local_time(info.time_min, info.timezone_local);
  const std::string last = local_time(info.time_max, info.timezone_local);
  if (!first.empty() && !last.empty()) {
    print_line(out, "Local time", first + " to " + last);
  }
  const auto rate = mean_frame_rate(info);
  print_line(out, "Duration",
             fmt::format("{:.3f} s", duration(info)) +
                 (rate ? fmt::format(", {:.6g} frames/s on average", *rate) : ""));
}

void print_metadata(const StoreInfo& info, Output& out) {
  if (info.metadata_yaml.empty()) {
    return;
  }
  out.write("Metadata\n");
  std::istringstream lines(info.metadata_yaml);
  for (std::string line; std::getline(lines, line);) {
    out.print("  {}\n", line);
  }
}

void print_text(const StoreInfo& info, Output& out) {
  print_line(out, "Store", info.path.string());
  print_line(out, "State",
             info.recording          ? "open: being recorded"
             : info.unfinished       ? "unfinished: its writer was killed or failed; the frames "
                                       "listed are there, avstore repair completes the store"
             : info.open_for_writing ? "open: perhaps being recorded, there is a file .lock"
                                     : "closed");
  for (const std::string& loss : info.losses) {
    print_line(out, "Lost", loss);
  }
  print_line(out, "Class", info.store_class);
  print_line(out, "Format", format_text(info));
  print_line(out, "Encoding", info.encoding);
  print_line(out, "Images",
             fmt::format("{}x{}, {}, {}", info.width, info.height, info.color ? "colour" : "gray",
                         info.dtype));
  print_line(out, "Frames",
             fmt::format("{} in {} chunk{} of up to {}", info.frame_count, info.chunk_count,
                         info.chunk_count == 1 ? "" : "s", info.chunk_size));
  print_extent(info, out);
  print_line(out, "Created", info.created_utc.empty() ? "" : info.created_utc + " UTC");
  print_line(out, "Time zone", info.timezone_local);
  print_line(out, "UUID", info.uuid);
  print_metadata(info, out);
}

void show(const Reader& reader, const Options& options, Output& out) {
  if (options.json) {
    out.write(json_text(as_json(reader.info())) + "\n");
    return;
  }
  if (output_is_terminal()) {
    out.write("\033[H\033[J");  // from the top of an empty screen
  }
  print_text(reader.info(), out);
  if (!output_is_terminal()) {
    out.write("\n");
  }
}

// Goes on until the recording ends or a signal comes; either is a proper end.
void watch(Reader& reader, const Options& options, Output& out) {
  constexpr double kInterval = 0.5;
  catch_interrupts();
  bool going_on = true;
  for (bool first = true; going_on; first = false) {
    const std::int64_t before = reader.frame_count();
    const std::int64_t now = reader.refresh();
    if (first || now != before || !reader.info().recording) {
      show(reader, options, out);
    }
    going_on = reader.info().recording && out.wait(kInterval);
  }
}

int run(const Options& options, Output& out) {
  Reader reader = open_store(options.store, reading(options.no_save));
  if (options.watch) {
    watch(reader, options, out);
  } else if (options.json) {
    out.print_json(as_json(reader.info()));
  } else {
    print_text(reader.info(), out);
  }
  return kDone;
}

}  // namespace

Command info_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"info", "Say what a store holds: format, size, numbers, times, metadata",
       "  avstore info arena.store\n"
       "  avstore info arena.store --json | jq .frame_count\n"
       "  avstore info rig.store --watch"},
      declare, run);
}

}  // namespace avstore::cli
