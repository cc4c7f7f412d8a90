#include "support/programs.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"

namespace avstore::test {

namespace fs = std::filesystem;

std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

std::string run(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  INFO(command << "\n" << output);
  REQUIRE(status == 0);
  return output;
}

bool succeeds(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

namespace {

// Debian's Python is the one that has NumPy.
const std::string kPython = "/usr/bin/python3";

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

std::vector<std::string> run_lines(const std::string& command) {
  return lines_of(run(command));
}

bool has_sqlite3_program() {
  static const bool found = succeeds("sqlite3 -version");
  return found;
}

std::string query(const fs::path& database, const std::string& sql) {
  return run("sqlite3 -batch " + quoted(database) + " " + quoted(sql) + " 2>&1");
}

std::vector<std::string> sqlite(const fs::path& store, const std::string& sql) {
  return lines_of(query(store / ".index.sqlite", sql));
}

std::vector<std::string> probe(const fs::path& file, const std::string& what) {
  return run_lines("ffprobe -v error -select_streams v:0 -of csv=p=0 " + what + " " + quoted(file));
}

std::string python(const std::string& script, const fs::path& argument) {
  return run(kPython + " -c " + quoted(script) + " " + quoted(argument));
}

bool has_python_modules() {
  static const bool found = succeeds(kPython + " -c 'import numpy, yaml'");
  return found;
}

std::string run_python(const fs::path& folder, const std::string& script) {
  return run("cd " + quoted(folder) + " && " + kPython + " -c " + quoted(script) + " 2>&1");
}

void write_text(const fs::path& file, const std::string& text) {
  std::ofstream output(file, std::ios::binary | std::ios::trunc);
  output << text;
  REQUIRE(output.good());
}

std::string read_text(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  std::ostringstream text;
  text << input.rdbuf();
  REQUIRE(input.good());
  return text.str();
}

void flip_bit(const std::filesystem::path& file, std::uintmax_t bit) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(bit / 8));
  stream.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

}  // namespace avstore::test
