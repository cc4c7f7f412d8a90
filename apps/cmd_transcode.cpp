// avstore transcode: a store in another format.
#include <avstore/tools.h>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path source, destination;
  std::optional<RangeText> range;
  TranscodeOptions transcode;
  bool no_save = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  WriterOptions& writer = options.transcode.writer;
  add_path(arguments, "SOURCE", options.source, "The store to read").required();
  add_path(arguments, "STORE", options.destination, "The folder to make").required();
  add_format(arguments, writer.format)
      .required()
      .description("How frames are stored, see `avstore formats` (required)");
  add_range(arguments, options.range);
  add_store_options(arguments, writer);
  add_ignore_corrupt(arguments, options.transcode.ignore_corrupt_extra,
                     "Leave out chunks whose extra data are damaged");
  add_no_save(arguments, options.no_save);
  add_json(arguments, options.json);
  add_encoder_options(arguments, writer.encoder);
}

void report(const Options& options, std::int64_t frames, Output& out) {
  const std::string& format = options.transcode.writer.format;
  if (options.json) {
    out.print_json(
        {{"store", options.destination.string()}, {"frames", frames}, {"format", format}});
    return;
  }
  out.print("{}: {} frames as {}\n", options.destination.string(), frames, format);
}

int run(const Options& options, Output& out) {
  TranscodeOptions transcoding = options.transcode;
  transcoding.range = chosen_range(options.source, options.range, options.no_save);
  transcoding.save_index = !options.no_save;
  catch_interrupts();
  ProgressBar bar;
  transcoding.progress = bar.callback();
  transcoding.notice = say;
  report(options, transcode(options.source, options.destination, transcoding), out);
  return kDone;
}

}  // namespace

Command transcode_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"transcode",
       "Make a store of another format; numbers, times, metadata and extra data are carried over",
       "  avstore transcode arena.store archive.store --format ffv1/mkv"},
      declare, run);
}

}  // namespace avstore::cli
