// Other programs as oracles, and processes of our own that may crash.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace avstore::test {

// As one word for the shell.
std::string quoted(const std::string& text);

// What a shell command prints. The test fails if the command does.
std::string run(const std::string& command);

// What a script of Python prints that finds `argument` in sys.argv[1].
std::string python(const std::string& script, const std::filesystem::path& argument);

void write_text(const std::filesystem::path& file, const std::string& text);
std::string read_text(const std::filesystem::path& file);

// What `call` says, or that it crashed or took too long ("signal N", "hangs", "exit N"): in a
// process of its own.
std::string in_child(const std::function<std::string()>& call);

}  // namespace avstore::test
