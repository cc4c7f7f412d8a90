// avstore export: a store as one video file.
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
  std::filesystem::path store, file;
  std::optional<RangeText> range;
  ExportOptions exporting;
  bool no_save = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_path(arguments, "FILE", options.file, "The video to write: .mp4 or .mkv").required();
  add_range(arguments, options.range);
  add_timing(arguments, options.exporting.timing);
  add_overwrite(arguments, options.exporting.overwrite, "file");
  add_no_save(arguments, options.no_save);
  add_json(arguments, options.json);
  add_encoder_options(arguments, options.exporting.encoder);
  arguments.find("--b-frames").group("");  // not shown; see require_possible()
}

// What is encoded goes between copied frames, whose timestamps leave no room for reordering.
void require_possible(const EncoderOptions& encoder) {
  if (encoder.b_frames > 0) {
    throw WrongUsage("--b-frames",
                     "export makes none: what it encodes goes between "
                     "frames that it copies");
  }
}

void report(const Options& options, const ExportResult& result, Output& out) {
  if (options.json) {
    out.print_json({{"file", options.file.string()},
                    {"frames", result.frames},
                    {"frames_encoded", result.frames_encoded}});
    return;
  }
  out.print("{}: {} frames, {} of them encoded anew\n", options.file.string(), result.frames,
            result.frames_encoded);
}

int run(const Options& options, Output& out) {
  require_possible(options.exporting.encoder);
  ExportOptions exporting = options.exporting;
  exporting.range = chosen_range(options.store, options.range, options.no_save);
  exporting.save_index = !options.no_save;
  catch_interrupts();
  ProgressBar bar;
  exporting.progress = bar.callback();
  exporting.notice = say;
  report(options, export_video(options.store, options.file, exporting), out);
  return kDone;
}

}  // namespace

Command export_command(CommandLine& line) {
  return make_command<Options>(line,
                               {"export",
                                "Write a store, or a range of it, as one video that players play; "
                                "only what a cut falls into "
                                "is encoded anew",
                                "  avstore export arena.store clip.mp4 --range 1000:2000"},
                               declare, run);
}

}  // namespace avstore::cli
