// avstore repair: completes a store whose recording was killed.
#include <avstore/tools.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "arguments.h"
#include "command.h"
#include "messages.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store;
  bool dry_run = false;
  bool undo = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  Option dry_run =
      arguments.add_flag("--dry-run", options.dry_run,
                         "Say what would be done, and change nothing. The exit status is the same");
  arguments
      .add_flag("--undo", options.undo,
                "Undo the last repair: what it put aside comes back as it was, what it made is "
                "removed. Not if the store has changed since")
      .excludes(dry_run);
  add_json(arguments, options.json);
}

std::string frames_text(std::int64_t count) {
  return fmt::format("{} frame{}", count, count == 1 ? "" : "s");
}

// `warned`: something is wrong with the store, which may be beyond repair.
void report(const Options& options, const RepairResult& result, bool warned, Output& out) {
  const std::string frames = options.store.string() + ": " + frames_text(result.frames);
  const std::string look = "avstore verify tells whether anything is wrong";
  if (result.steps.empty()) {
    out.print("{}, {}\n", frames,
              warned ? "nothing that repair can do; " + look
              : !result.losses.empty()
                  ? "nothing to be done; an earlier repair has dropped frames, "
                    "avstore verify tells which"
                  : "complete, nothing to be done");
    return;
  }
  for (const std::string& step : result.steps) {
    out.print("{}\n", step);
  }
  if (options.dry_run) {
    return;
  }
  out.print("{}, {}\n", frames, warned ? "repaired as far as can be; " + look : "complete");
  if (!result.put_aside.empty()) {
    out.print("What was there before lies in {}; avstore repair --undo brings it back\n",
              result.put_aside.string());
  }
}

int undo(const Options& options, Output& out) {
  const UndoResult result = undo_repair(options.store);
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"undone", true},
                    {"frames", result.frames},
                    {"steps", result.steps}});
    return kDone;
  }
  for (const std::string& step : result.steps) {
    out.print("{}\n", step);
  }
  out.print("{}: {}, as before the repair\n", options.store.string(), frames_text(result.frames));
  return kDone;
}

int run(const Options& options, Output& out) {
  // A signal may end this at any moment: the store is to be repaired as before, then, or the repair
  // to be undone again.
  if (options.undo) {
    return undo(options, out);
  }
  bool warned = false;
  const RepairResult result = repair(options.store, {options.dry_run, [&](const std::string& text) {
                                                       warned = true;
                                                       say(text);
                                                     }});
  if (!result.is_whole) {
    out.note_failure();
  }
  if (options.json) {
    out.print_json({{"store", options.store.string()},
                    {"dry_run", options.dry_run},
                    {"frames", result.frames},
                    {"frames_dropped", result.frames_dropped},
                    {"steps", result.steps},
                    {"put_aside", result.put_aside.string()},
                    {"whole", result.is_whole},
                    {"losses", result.losses}});
  } else {
    report(options, result, warned || !result.is_whole, out);
  }
  if (result.is_whole) {
    return kDone;
  }
  out.flush();
  const std::string dropped = options.dry_run ? " cannot be read and would be dropped"
                                              : " could not be read and were dropped";
  say(options.store.string() + ": " +
      (result.frames_dropped > 0 ? frames_text(result.frames_dropped) + dropped
                                 : "not all frames are as they were recorded") +
      "; see standard output");
  return kFailed;
}

}  // namespace

Command repair_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"repair",
       "Complete a store whose recording was killed or failed: the last chunk is finished and its "
       "index files are written. Its frames can be read without that. All frames that can be read "
       "are kept. repair drops frames whose bytes are damaged or gone; it lists them, and avstore "
       "verify lists them from then on. The files as they were are put aside, not removed. Index "
       "files "
       "of chunks that are gone or damaged are written anew from the database. Exit status 1 if "
       "frames were dropped or may be wrong",
       "  avstore repair arena.store --dry-run\n"
       "  avstore repair arena.store\n"
       "  avstore repair arena.store --undo"},
      declare, run);
}

}  // namespace avstore::cli
