// The program avstore: finds the command meant, runs it, and turns whatever comes of it into an
// exit status and at most one line of message.
#include <avstore/error.h>
#include <avstore/tools.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <regex>
#include <string>
#include <vector>

#include "command.h"
#include "help_formatter.h"
#include "messages.h"

namespace avstore::cli {
namespace {

std::vector<Command> declare_commands(CLI::App& program) {
  return {import_command(program),    record_command(program),  info_command(program),
          frames_command(program),    formats_command(program), extract_command(program),
          cat_command(program),       export_command(program),  transcode_command(program),
          timecodes_command(program), verify_command(program),  index_command(program),
          framemd5_command(program),  extra_command(program),   reindex_command(program),
          align_command(program),     doctor_command(program),  repair_command(program)};
}

// "avstore", or "avstore import" once that is known to be meant.
std::string invocation(const CLI::App& program) {
  const auto commands = program.get_subcommands();
  return commands.empty() ? "avstore" : "avstore " + commands.front()->get_name();
}

// What to tell somebody who used the program wrongly.
std::string usage_message(const CLI::App& program, const std::string& what) {
  const std::string name = invocation(program);
  const std::string command = name == "avstore" ? "" : name.substr(name.find(' ') + 1) + ": ";
  return command + what + "; see `" + name + " --help`";
}

std::string explanation(const CLI::App& program, const CLI::ParseError& error) {
  const bool unexpected = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const std::vector<std::string> extras = program.remaining();
  if (unexpected && program.get_subcommands().empty() && !extras.empty() &&
      !extras.front().starts_with('-')) {
    return "'" + extras.front() + "' is no command";
  }
  return error.what();
}

int run_chosen(const CLI::App& program, const std::vector<Command>& commands, Output& out) {
  for (const Command& command : commands) {
    if (command.arguments->parsed()) {
      const int status = command.run(out);
      out.flush();
      return status;
    }
  }
  std::fputs(program.help().c_str(), stderr);
  return kWrongUsage;
}

int parse_and_run(CLI::App& program, int argc, char** argv, Output& out) {
  const std::vector<Command> commands = declare_commands(program);
  try {
    program.parse(argc, argv);
    return run_chosen(program, commands, out);
  } catch (const CLI::CallForHelp&) {
    out.write(program.help());
  } catch (const CLI::CallForVersion&) {
    out.write("avstore " AVSTORE_VERSION "\n");
  } catch (const CLI::ParseError& error) {
    say(usage_message(program, explanation(program, error)));
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
  CLI::App program(
      "avstore keeps video of lab recordings so that any frame comes back exactly, at "
      "once.");
  program.name("avstore");
  program.formatter(std::make_shared<HelpFormatter>());
  program.set_version_flag("--version", AVSTORE_VERSION, "Print the version and exit");
  program.require_subcommand(0, 1);
  program.footer("`avstore COMMAND --help` says more of each command.");
  Output out;
  try {
    return parse_and_run(program, argc, argv, out);
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
  try {
    return avstore::cli::run_program(argc, argv);
  } catch (...) {
    return avstore::cli::kFailed;  // not even a message could be made
  }
}
