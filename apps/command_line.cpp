#include "command_line.h"

#include <avstore/error.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <sstream>
#include <utility>

namespace avstore::cli {
namespace {

// ---- the look of --help ----

constexpr std::size_t kWidth = 80;
constexpr std::size_t kLabelWidth = 28;

// The text's words in lines of at most kWidth characters, each after `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::istringstream words(text);
  std::string lines;
  std::size_t column = 0;
  for (std::string word; words >> word;) {
    if (column > 0 && column + 1 + word.size() <= kWidth) {
      lines += " " + word;
      column += 1 + word.size();
      continue;
    }
    lines += (column > 0 ? "\n" : "") + std::string(indent, ' ') + word;
    column = indent + word.size();
  }
  return lines + "\n";
}

// A label at the left, beside it what it means; a label that is too long has a line of its own.
std::string entry(const std::string& label, const std::string& meaning) {
  const std::string left = "  " + label;
  const std::string right = wrapped(meaning, kLabelWidth);
  if (left.size() + 1 > kLabelWidth) {
    return left + "\n" + right;
  }
  return fmt::format("{:<{}}", left, kLabelWidth) + right.substr(kLabelWidth);
}

// Like CLI11's own, with long descriptions broken into lines that a terminal shows whole.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), 0) + "\n";
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return entry(make_option_name(option, is_positional) + make_option_opts(option),
                 make_option_desc(option));
  }

  // CLI11 lists here which options exclude each other; the descriptions say that.
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0 || option->get_type_name().empty()) {
      return {};
    }
    return " " + option->get_type_name();
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_display_name(true), command->get_description());
  }
};

// ---- what a user typed ----

// Calls `take` so that what it refuses becomes CLI11's kind of error, which names the option.
void take_naming(const std::string& option, const Arguments::TakeText& take,
                 const std::string& text) {
  try {
    take(text);
  } catch (const BadValue& bad) {
    throw CLI::ValidationError(option, bad.what());
  } catch (const Error& error) {
    throw CLI::ValidationError(option, error.what());
  }
}

}  // namespace

Option Option::required() {
  option_->required();
  return *this;
}

Option Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option Option::value_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option Option::description(const std::string& text) {
  option_->description(text);
  return *this;
}

Option Option::group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

std::string Option::name() const {
  return option_->get_name();
}

bool Option::is_given() const {
  return option_->count() > 0;
}

Option Arguments::add_flag(const std::string& name, bool& value, const std::string& description) {
  return Option(command_->add_flag(name, value, description));
}

Option Arguments::add_option(const std::string& name, std::string& value,
                             const std::string& description) {
  return Option(command_->add_option(name, value, description));
}

Option Arguments::add_texts(const std::string& name, std::vector<std::string>& values,
                            const std::string& description) {
  return Option(command_->add_option(name, values, description)->type_name(""));
}

Option Arguments::add_option(const std::string& name, const TakeText& take,
                             const std::string& description) {
  const auto take_one = [take, name](const std::string& text) { take_naming(name, take, text); };
  return Option(command_->add_option_function<std::string>(name, take_one, description));
}

Option Arguments::add_repeated(const std::string& name, const TakeText& take,
                               const std::string& description) {
  const auto take_all = [take, name](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      take_naming(name, take, text);
    }
  };
  return Option(command_->add_option_function<std::vector<std::string>>(name, take_all, description)
                    ->allow_extra_args(false));
}

Option Arguments::find(const std::string& name) const {
  return Option(command_->get_option(name));
}

std::vector<Option> Arguments::all() const {
  std::vector<Option> options;
  for (CLI::Option* option : command_->get_options()) {
    options.emplace_back(option);
  }
  return options;
}

bool Arguments::is_chosen() const {
  return command_->parsed();
}

CommandLine::CommandLine(const std::string& description, const std::string& footer,
                         const std::string& version)
    : program_(std::make_unique<CLI::App>(description)) {
  program_->name("avstore");
  program_->formatter(std::make_shared<HelpFormatter>());
  program_->set_version_flag("--version", "avstore " + version + "\n",
                             "Print the version and exit");
  program_->require_subcommand(0, 1);
  program_->footer(footer);
}

CommandLine::~CommandLine() = default;

Arguments CommandLine::add_command(const std::string& name, const std::string& description,
                                   const std::string& footer) {
  CLI::App* command = program_->add_subcommand(name, description);
  command->footer(footer);
  return Arguments(command);
}

std::string CommandLine::parse(int argc, char** argv) {
  try {
    program_->parse(argc, argv);
    return {};
  } catch (const CLI::CallForHelp&) {
    return program_->help();
  } catch (const CLI::CallForVersion& version) {
    return version.what();
  } catch (const CLI::ExtrasError& error) {
    const std::vector<std::string> extras = program_->remaining();
    if (command().empty() && !extras.empty() && !extras.front().starts_with('-')) {
      throw WrongUsage("'" + extras.front() + "' is no command");
    }
    throw WrongUsage(error.what());
  } catch (const CLI::ParseError& error) {
    throw WrongUsage(error.what());
  }
}

std::string CommandLine::help() const {
  return program_->help();
}

std::string CommandLine::command() const {
  const auto commands = program_->get_subcommands();
  return commands.empty() ? "" : commands.front()->get_name();
}

}  // namespace avstore::cli
