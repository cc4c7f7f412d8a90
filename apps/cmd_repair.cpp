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

void declare(CLI::App& arguments, Options& options) {
  add_store(arguments, options.store);
  arguments.add_flag("--dry-run", options.dry_run, "Say what would be done, and do nothing");
  add_json(arguments, options.json);
}

void report(const Options& options, const RepairResult& result, Output& out) {
  const std::string store = options.store.string();
  if (result.steps.empty()) {
    out.print("{}: {} frames, complete, nothing to be done\n", store, result.frames);
    return;
  }
  for (const std::string& step : result.steps) {
    out.print("{}\n", step);
  }
  if (!options.dry_run) {
    out.print("{}: {} frames, complete\n", store, result.frames);
  }
  if (!result.put_aside.empty()) {
    out.print("What was put aside lies in {}\n", result.put_aside.string());
  }
}

int run(const Options& options, Output& out) {
  // A signal may end this at any moment: the store is to be repaired as before, then.
  const RepairResult result = repair(options.store, {options.dry_run, say});
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"dry_run", options.dry_run},
                    {"frames", result.frames},
                    {"steps", result.steps},
                    {"put_aside", result.put_aside.string()}});
  } else {
    report(options, result, out);
  }
  return kDone;
}

}  // namespace

Command repair_command(CLI::App& program) {
  return make_command<Options>(
      program,
      {"repair",
       "Complete a store whose recording was killed or failed: the last chunk is finished and its "
       "index files are written. Its frames can be read without that; what never became one is put "
       "aside, not removed. Index files of chunks that are gone or damaged are written anew from "
       "the "
       "database",
       "  avstore repair arena.store --dry-run\n"
       "  avstore repair arena.store"},
      declare, run);
}

}  // namespace avstore::cli
