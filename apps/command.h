// What a command of the program is made of.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "output.h"

namespace avstore::cli {

// What the program tells the shell.
enum ExitStatus { kDone = 0, kFailed = 1, kWrongUsage = 2, kInterrupted = 130 };

struct Command {
  CLI::App* arguments = nullptr;
  std::function<int(Output&)> run;
};

struct CommandText {
  std::string name;
  std::string description;
  std::string example;  // one command a line
};

// Joins a command's parts: `declare` says which arguments fill `Options`, `run` works with what
// they hold and returns an ExitStatus. Both refer to the one Options object that the command owns.
template <typename Options>
Command make_command(CLI::App& program, const CommandText& text,
                     void (*declare)(CLI::App&, Options&), int (*run)(const Options&, Output&)) {
  auto options = std::make_shared<Options>();
  CLI::App* arguments = program.add_subcommand(text.name, text.description);
  arguments->footer("Example:\n" + text.example);
  declare(*arguments, *options);
  return {arguments, [options, run](Output& out) { return run(*options, out); }};
}

Command import_command(CLI::App& program);
Command record_command(CLI::App& program);
Command info_command(CLI::App& program);
Command frames_command(CLI::App& program);
Command formats_command(CLI::App& program);
Command extract_command(CLI::App& program);
Command cat_command(CLI::App& program);
Command export_command(CLI::App& program);
Command transcode_command(CLI::App& program);
Command timecodes_command(CLI::App& program);
Command verify_command(CLI::App& program);
Command index_command(CLI::App& program);
Command framemd5_command(CLI::App& program);
Command extra_command(CLI::App& program);
Command reindex_command(CLI::App& program);
Command repair_command(CLI::App& program);
Command align_command(CLI::App& program);
Command doctor_command(CLI::App& program);

}  // namespace avstore::cli
