// Other programs as oracles.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace avstore::test {

// As one word for the shell.
std::string quoted(const std::string& text);

// What a shell command prints. The test fails if the command does.
std::string run(const std::string& command);

// Whether it can be run and ends well.
bool succeeds(const std::string& command);

// What it prints, by lines.
std::vector<std::string> run_lines(const std::string& command);

bool has_sqlite3_program();

// What the sqlite3 program answers, a row a line, columns parted by '|'.
std::string query(const std::filesystem::path& database, const std::string& sql);

// The same of the store's index database, by lines.
std::vector<std::string> sqlite(const std::filesystem::path& store, const std::string& sql);

// What ffprobe says of a file's first video stream, as lines of comma-separated values.
std::vector<std::string> probe(const std::filesystem::path& file, const std::string& what);

// What a script of Python prints that finds `argument` in sys.argv[1].
std::string python(const std::string& script, const std::filesystem::path& argument);

// Whether Python has NumPy and PyYAML, with which the reference reads stores.
bool has_python_modules();

// What a script of Python prints that is run in a folder.
std::string run_python(const std::filesystem::path& folder, const std::string& script);

void write_text(const std::filesystem::path& file, const std::string& text);
std::string read_text(const std::filesystem::path& file);

// Changes one bit of a file.
void flip_bit(const std::filesystem::path& file, std::uintmax_t bit);

}  // namespace avstore::test
