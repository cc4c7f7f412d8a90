#include "support/programs.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
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

std::vector<std::string> run_lines(const std::string& command) {
  std::istringstream output(run(command));
  std::vector<std::string> lines;
  for (std::string line; std::getline(output, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> sqlite(const fs::path& store, const std::string& sql) {
  return run_lines("sqlite3 " + quoted(store / ".index.sqlite") + " " + quoted(sql));
}

std::vector<std::string> probe(const fs::path& file, const std::string& what) {
  return run_lines("ffprobe -v error -select_streams v:0 -of csv=p=0 " + what + " " + quoted(file));
}

std::vector<std::string> frame_md5s(const fs::path& file) {
  std::vector<std::string> all;
  for (const std::string& line : run_lines("ffmpeg -v error -i " + quoted(file) +
                                           " -map 0:v:0 -fps_mode passthrough -f framemd5 -")) {
    if (line[0] != '#') {
      all.push_back(line.substr(line.rfind(' ') + 1));
    }
  }
  return all;
}

// Debian's Python is the one that has NumPy.
std::string python(const std::string& script, const fs::path& argument) {
  return run("/usr/bin/python3 -c " + quoted(script) + " " + quoted(argument));
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

std::string in_child(const std::function<std::string()>& call) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(20);  // ends the process
    std::string text;
    try {
      text = call();
    } catch (const std::exception& error) {
      text = std::string("not an avstore::Error: ") + error.what();
    }
    static_cast<void>(!::write(ends[1], text.data(), text.size()));
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    return WTERMSIG(status) == SIGALRM ? "hangs" : "signal " + std::to_string(WTERMSIG(status));
  }
  return WEXITSTATUS(status) == 0 ? text : "exit " + std::to_string(WEXITSTATUS(status));
}

}  // namespace avstore::test
