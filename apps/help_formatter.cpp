#include "help_formatter.h"

#include <fmt/format.h>

#include <sstream>

namespace avstore::cli {
namespace {

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

}  // namespace

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return wrapped(app->get_description(), 0) + "\n";
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return entry(make_option_name(option, is_positional) + make_option_opts(option),
               make_option_desc(option));
}

// What options exclude each other their descriptions say.
std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0 || option->get_type_name().empty()) {
    return {};
  }
  return " " + option->get_type_name();
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return entry(command->get_display_name(true), command->get_description());
}

}  // namespace avstore::cli
