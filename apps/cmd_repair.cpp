// avstore repair: completes a store whose recording was killed.
#include <avstore/tools.h>

#include "arguments.h"
#include "command.h"
#include "messages.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store;
  bool dry_run = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  arguments.add_flag("--dry-run", options.dry_run, "Say what would be done, and do nothing");
  add_json(arguments, options.json);
}

// `warned`: something is wrong with the store, which may be beyond repair.
void report(const Options& options, const RepairResult& result, bool warned, Output& out) {
  const std::string frames = fmt::format("{}: {} frame{}", options.store.string(), result.frames,
                                         result.frames == 1 ? "" : "s");
  const std::string look = "avstore verify tells whether anything is wrong";
  if (result.steps.empty()) {
    out.print("{}, {}\n", frames,
              warned ? "nothing that repair can do; " + look : "complete, nothing to be done");
    return;
  }
  for (const std::string& step : result.steps) {
    out.print("{}\n", step);
  }
  if (!options.dry_run) {
    out.print("{}, {}\n", frames, warned ? "repaired as far as can be; " + look : "complete");
  }
  if (!result.put_aside.empty()) {
    out.print("What was put aside lies in {}\n", result.put_aside.string());
  }
}

int run(const Options& options, Output& out) {
  // A signal may end this at any moment: the store is to be repaired as before, then.
  bool warned = false;
  const RepairResult result = repair(options.store, {options.dry_run, [&](const std::string& text) {
                                                       warned = true;
                                                       say(text);
                                                     }});
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"dry_run", options.dry_run},
                    {"frames", result.frames},
                    {"steps", result.steps},
                    {"put_aside", result.put_aside.string()},
                    {"whole", result.is_whole}});
  } else {
    report(options, result, warned || !result.is_whole, out);
  }
  return kDone;
}

}  // namespace

Command repair_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"repair",
       "Complete a store whose recording was killed or failed: the last chunk is finished and its "
       "index files are written. Its frames can be read without that; what never became one is put "
       "aside, not removed. Index files of chunks that are gone or damaged are written anew from "
       "the database",
       "  avstore repair arena.store --dry-run\n"
       "  avstore repair arena.store"},
      declare, run);
}

}  // namespace avstore::cli
