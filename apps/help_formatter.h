// The look of --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace avstore::cli {

// Like CLI11's own, with long descriptions broken into lines that a terminal shows whole.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_description(const CLI::App* app) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace avstore::cli
