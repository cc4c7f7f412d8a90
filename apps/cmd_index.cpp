// avstore index: the database, made anew.
#include <avstore/tools.h>

#include "arguments.h"
#include "command.h"
#include "messages.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_json(arguments, options.json);
}

int run(const Options& options, Output& out) {
  const std::int64_t frames = rebuild_index(options.store, say);
  if (options.json) {
    out.print_json({{"store", options.store.string()}, {"frames", frames}});
  } else {
    out.print("{}: index of {} frames made anew\n", options.store.string(), frames);
  }
  return kDone;
}

}  // namespace

Command index_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"index", "Make a store's index database anew from its chunks and their index files",
       "  avstore index arena.store"},
      declare, run);
}

}  // namespace avstore::cli
