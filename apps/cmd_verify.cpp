// avstore verify: does a store hold what it says?
#include <avstore/error.h>
#include <avstore/reader.h>
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
  VerifyOptions verify;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  arguments.add_flag("--deep", options.verify.deep,
                     "Decode every frame too, in a row and from each keyframe");
  add_json(arguments, options.json);
}

void report(const Options& options, const VerifyResult& result, Output& out) {
  const std::string store = options.store.string();
  if (options.json) {
    out.print_json({{"store", store},
                    {"deep", options.verify.deep},
                    {"frames", result.frames},
                    {"chunks", result.chunks},
                    {"findings", result.findings},
                    {"repairs", result.repairs}});
    return;
  }
  for (const std::string& finding : result.findings) {
    out.print("{}\n", finding);
  }
  for (const std::string& step : result.repairs) {
    out.print("to repair: {}\n", step);
  }
  if (result.findings.empty() && result.repairs.empty()) {
    out.print("{}: {} frame{} in {} chunk{}, all well\n", store, result.frames,
              result.frames == 1 ? "" : "s", result.chunks, result.chunks == 1 ? "" : "s");
  }
}

// Not so where something was lost of a store that its writer had closed.
bool is_unfinished(const std::filesystem::path& store) {
  ReaderOptions looking;
  looking.save_index = false;
  try {
    return Reader(store, looking).info().unfinished;
  } catch (const Error&) {
    return false;  // there is nothing to open, until what it was to replace is brought back
  }
}

int run(const Options& options, Output& out) {
  catch_interrupts();
  ProgressBar bar;
  VerifyOptions verifying = options.verify;
  verifying.progress = bar.callback();
  const VerifyResult result = verify(options.store, verifying);
  if (!result.findings.empty() || !result.repairs.empty()) {
    out.note_failure();
  }
  report(options, result, out);
  if (result.findings.empty() && result.repairs.empty()) {
    return kDone;
  }
  out.flush();
  if (!result.repairs.empty()) {
    say(options.store.string() +
        (is_unfinished(options.store)
             ? ": was never closed; its frames can be read, and avstore repair completes it"
             : ": avstore repair does what is listed for it"));
  }
  const std::size_t count = result.findings.size();
  if (count == 0) {
    return kFailed;
  }
  say(fmt::format("{}: {} thing{} wrong, listed on standard output", options.store.string(), count,
                  count == 1 ? " is" : "s are"));
  return kFailed;
}

}  // namespace

Command verify_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"verify",
       "Check a store's index against its files, and these against the checksums taken when they "
       "were written; tell what avstore repair would do. Exit status 1 if anything is wrong",
       "  avstore verify arena.store --deep"},
      declare, run);
}

}  // namespace avstore::cli
