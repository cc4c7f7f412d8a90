// avstore reindex: numbers counted from the frame that has number 0.
#include <avstore/tools.h>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store;
  bool ignore_corrupt = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_ignore_corrupt(arguments, options.ignore_corrupt, "Leave damaged extra data as they are");
  add_json(arguments, options.json);
}

void report(const std::string& store, const ReindexResult& result, Output& out) {
  if (result.renumbered == 0) {
    out.print("{}: frames are numbered about frame_index {} already, nothing changed\n", store,
              result.zero.value);
    return;
  }
  out.print("{}: {} of {} frames renumbered, those before frame_index {}\n", store,
            result.renumbered, result.frames, result.zero.value);
}

int run(const Options& options, Output& out) {
  catch_interrupts();
  ProgressBar bar;
  const ReindexResult result =
      reindex(options.store, {bar.callback(), say, options.ignore_corrupt});
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"frames", result.frames},
                    {"zero_frame_index", result.zero.value},
                    {"renumbered", result.renumbered}});
  } else {
    report(options.store.string(), result, out);
  }
  return kDone;
}

}  // namespace

Command reindex_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"reindex",
       "Renumber the frames before the one that has number 0: -1, -2 and so on, backwards from it. "
       "Database, npz and extra data change together; they keep the old numbers too",
       "  avstore reindex arena.store"},
      declare, run);
}

}  // namespace avstore::cli
