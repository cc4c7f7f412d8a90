// How the program's commands declare their arguments, and what a user typed.
//
// command_line.cpp alone includes CLI11: its headers take the compiler some twenty seconds in each
// file that includes them.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace avstore::cli {

// An argument's value cannot be understood.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user typed something that the command does not take.
class WrongUsage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // `argument` is the name that the message begins with.
  WrongUsage(const std::string& argument, const std::string& what)
      : std::runtime_error(argument + ": " + what) {}
};

// One declared argument. Copies are the same argument; it lives as long as its CommandLine. Member
// functions return the argument itself, so that calls can be chained.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option required();
  Option excludes(Option other);
  // What --help shows behind the name; nothing if empty.
  Option value_name(const std::string& name);
  Option description(const std::string& text);
  // The heading under which --help lists it; "" hides it.
  Option group(const std::string& heading);
  std::string name() const;
  bool is_given() const;

 private:
  CLI::Option* option_;
};

// The arguments of one command. A name with dashes is an option ("-o,--output"), any other a
// positional argument.
class Arguments {
 public:
  using TakeText = std::function<void(const std::string&)>;

  explicit Arguments(CLI::App* command) : command_(command) {}

  Option add_flag(const std::string& name, bool& value, const std::string& description);
  Option add_option(const std::string& name, std::string& value, const std::string& description);
  // A positional argument that may be given several times.
  Option add_texts(const std::string& name, std::vector<std::string>& values,
                   const std::string& description);
  // `take` may throw BadValue or Error; the user reads the message behind the option's name.
  Option add_option(const std::string& name, const TakeText& take, const std::string& description);
  // May be given several times, one value each: `take` gets every one.
  Option add_repeated(const std::string& name, const TakeText& take,
                      const std::string& description);

  Option find(const std::string& name) const;
  std::vector<Option> all() const;
  // Whether the user chose this command.
  bool is_chosen() const;

 private:
  CLI::App* command_;
};

// The program's command line: commands are added first, then it is parsed once.
class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& footer,
              const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Arguments add_command(const std::string& name, const std::string& description,
                        const std::string& footer);
  // Returns what --help or --version is to print, or nothing. Throws WrongUsage.
  std::string parse(int argc, char** argv);
  std::string help() const;
  // The name of the command that was typed, or nothing.
  std::string command() const;

 private:
  std::unique_ptr<CLI::App> program_;
};

}  // namespace avstore::cli
