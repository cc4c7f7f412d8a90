// The program avstore: finds the command meant, runs it, and turns whatever comes of it into an
// exit status and at most one line of message.
#include <avstore/error.h>
#include <avstore/tools.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <regex>
#include <string>
#include <vector>

#include "command.h"
#include "command_line.h"
#include "messages.h"

namespace avstore::cli {
namespace {

std::vector<Command> declare_commands(CommandLine& line) {
  return {import_command(line),    record_command(line),  info_command(line),
          frames_command(line),    formats_command(line), extract_command(line),
          cat_command(line),       export_command(line),  transcode_command(line),
          timecodes_command(line), verify_command(line),  index_command(line),
          framemd5_command(line),  extra_command(line),   reindex_command(line),
          align_command(line),     doctor_command(line),  repair_command(line)};
}

// What to tell somebody who used the program wrongly.
std::string usage_message(const std::string& command, const std::string& what) {
  return command.empty() ? what + "; see `avstore --help`"
                         : command + ": " + what + "; see `avstore " + command + " --help`";
}

int run_chosen(const CommandLine& line, const std::vector<Command>& commands, Output& out) {
  for (const Command& command : commands) {
    if (command.arguments.is_chosen()) {
      const int status = command.run(out);
      out.flush();
      return status;
    }
  }
  std::fputs(line.help().c_str(), stderr);
  return kWrongUsage;
}

int parse_and_run(CommandLine& line, int argc, char** argv, Output& out) {
  const std::vector<Command> commands = declare_commands(line);
  try {
    const std::string wanted = line.parse(argc, argv);
    if (wanted.empty()) {
      return run_chosen(line, commands, out);
    }
    out.write(wanted);
  } catch (const WrongUsage& error) {
    say(usage_message(line.command(), error.what()));
    return kWrongUsage;
  }
  out.flush();
  return kDone;
}

// Results that were there before an error are results still. If they cannot be written either, the
// error is what to tell of.
void flush_quietly(Output& out) {
  try {
    out.flush();
  } catch (const ClosedPipe&) {
    return;
  } catch (const Error&) {
    return;
  }
}

// The library speaks of its options by their names there.
std::string with_options_as_typed(const std::string& message) {
  std::string typed;
  std::smatch option;
  auto rest = message.cbegin();
  while (std::regex_search(rest, message.cend(), option, std::regex("\\(option ([a-z_]+)\\)"))) {
    std::string name = option[1];
    std::replace(name.begin(), name.end(), '_', '-');
    typed += option.prefix().str() + "(--" + name + ")";
    rest = option.suffix().first;
  }
  return typed + std::string(rest, message.cend());
}

// Whoever was told to stop does so also where nobody takes the last words.
void say_at_last(const std::string& text) {
  const PatientMessages messages;
  say(text);
}

int run_program(int argc, char** argv) {
  CommandLine line(
      "avstore keeps video of lab recordings so that any frame comes back exactly, at once.",
      "`avstore COMMAND --help` says more of each command.", AVSTORE_VERSION);
  Output out;
  try {
    return parse_and_run(line, argc, argv, out);
  } catch (const ClosedPipe&) {
    return out.has_failed() ? kFailed : kDone;
  } catch (const Interrupted& interruption) {
    flush_quietly(out);
    say_at_last(interruption.what());
    return kInterrupted;
  } catch (const std::bad_alloc&) {
    say("out of memory");
  } catch (const std::exception& error) {
    flush_quietly(out);
    say_at_last(with_options_as_typed(error.what()));
  }
  return kFailed;
}

}  // namespace
}  // namespace avstore::cli

int main(int argc, char** argv) {
  avstore::cli::occupy_standard_streams();
  // A closed pipe is then an error of write(), which Output knows.
  std::signal(SIGPIPE, SIG_IGN);
  // Else SVT-AV1 reports its settings on standard error at each start.
  setenv("SVT_LOG", "1", 0);
  try {
    return avstore::cli::run_program(argc, argv);
  } catch (...) {
    return avstore::cli::kFailed;  // not even a message could be made
  }
}
