// avstore import: a video file becomes a store.
#include <avstore/tools.h>
#include <fmt/format.h>

#include "arguments.h"
#include "command.h"
#include "date_time.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"
#include "times_csv.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path file, store, times;
  ImportOptions import;
  bool json = false;
};

struct Numbering {
  std::int64_t first = 0;
  std::int64_t step = 1;
};

Numbering parse_numbering(const std::string& text) {
  const std::size_t colon = text.find(':');
  Numbering numbering{parse_integer(text.substr(0, colon))};
  if (colon != std::string::npos) {
    numbering.step = parse_integer(text.substr(colon + 1));
  }
  return numbering;
}

void declare_names(Arguments& arguments, Options& options) {
  const auto take_numbering = [&options](const std::string& text) {
    const Numbering numbering = parse_numbering(text);
    options.import.first_number = numbering.first;
    options.import.number_step = numbering.step;
    return options.import.first_number;
  };
  Option start = add_parsed(
      arguments, "--start-time", options.import.start_time, parse_time, "TIME",
      "When the recording began, added to the video's own timestamps to give frame_time: seconds "
      "since 1970 or a date of ISO 8601, in UTC unless it says otherwise (default: the file's "
      "creation_time, else 0)");
  Option numbers =
      add_parsed(arguments, "--numbers", options.import.first_number, take_numbering,
                 "FIRST[:STEP]", "Frame numbers count from FIRST in steps of STEP (default: 0:1)");
  Option times =
      add_path(
          arguments, "--times", options.times,
          "A CSV file with the columns frame_number,frame_time and a line for each frame, instead "
          "of --start-time and --numbers")
          .value_name("CSV");
  times.excludes(start).excludes(numbers);
}

void declare(Arguments& arguments, Options& options) {
  WriterOptions& writer = options.import.writer;
  add_path(arguments, "FILE", options.file, "The video file").required();
  add_path(arguments, "STORE", options.store, "The folder to make").required();
  Option format = add_format(arguments, writer.format);
  Option copy =
      arguments.add_flag("--copy", options.import.copy,
                         "Keep the coded video as it is and cut it into chunks at keyframes: fast, "
                         "and nothing is lost; not with --format and the options of encoding");
  add_parsed(arguments, "--stream", options.import.stream, parse_small_natural, "N",
             "Which stream of the file, counted from 0 (default: the first of video)");
  declare_names(arguments, options);
  add_description_options(arguments, writer);
  Option timing = add_store_options(arguments, writer);
  arguments.add_flag("--allow-truncated", options.import.allow_truncated,
                     "Take what there is of a file that is cut off or damaged");
  add_json(arguments, options.json);
  copy.excludes(format).excludes(timing);
  for (Option encoding : add_encoder_options(arguments, writer.encoder)) {
    copy.excludes(encoding);
  }
}

void report(const Options& options, const ImportResult& result, Output& out) {
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"frames", result.frames},
                    {"format", result.format},
                    {"copied", result.copied}});
    return;
  }
  out.print("{}: {} frames as {}{}\n", options.store.string(), result.frames, result.format,
            result.copied ? ", the coded video kept as it was" : "");
}

int run(const Options& options, Output& out) {
  ImportOptions import = options.import;
  if (!options.times.empty()) {
    import.names = read_times_csv(options.times);
  }
  catch_interrupts();
  ProgressBar bar;
  import.progress = bar.callback();
  import.notice = say;
  report(options, import_file(options.file, options.store, import), out);
  return kDone;
}

}  // namespace

Command import_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"import", "Make a store of a video file, of any kind that FFmpeg reads",
       "  avstore import arena.mp4 arena.store --start-time 2024-03-01T12:30:00+01:00\n"
       "  avstore import arena.mp4 arena.store --copy --metadata subject.id=7"},
      declare, run);
}

}  // namespace avstore::cli
