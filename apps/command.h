// What a command of the program is made of.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "command_line.h"
#include "output.h"

namespace avstore::cli {

// What the program tells the shell.
enum ExitStatus { kDone = 0, kFailed = 1, kWrongUsage = 2, kInterrupted = 130 };

struct Command {
  Arguments arguments;
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
Command make_command(CommandLine& line, const CommandText& text,
                     void (*declare)(Arguments&, Options&), int (*run)(const Options&, Output&)) {
  auto options = std::make_shared<Options>();
  Arguments arguments = line.add_command(text.name, text.description, "Example:\n" + text.example);
  declare(arguments, *options);
  return {arguments, [options, run](Output& out) { return run(*options, out); }};
}

Command import_command(CommandLine& line);
Command record_command(CommandLine& line);
Command info_command(CommandLine& line);
Command frames_command(CommandLine& line);
Command formats_command(CommandLine& line);
Command extract_command(CommandLine& line);
Command cat_command(CommandLine& line);
Command export_command(CommandLine& line);
Command transcode_command(CommandLine& line);
Command timecodes_command(CommandLine& line);
Command verify_command(CommandLine& line);
Command index_command(CommandLine& line);
Command framemd5_command(CommandLine& line);
Command extra_command(CommandLine& line);
Command reindex_command(CommandLine& line);
Command repair_command(CommandLine& line);
Command align_command(CommandLine& line);
Command doctor_command(CommandLine& line);

}  // namespace avstore::cli
