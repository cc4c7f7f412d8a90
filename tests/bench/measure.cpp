#include "bench/measure.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace avstore::bench {

namespace fs = std::filesystem;

double seconds(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double percentile_999(const std::vector<double>& sorted) {
  return sorted[sorted.size() * 999 / 1000];
}

const char* verdict(bool met) {
  return met ? "met" : "MISSED";
}

Arguments parse_arguments(int argc, char** argv, const std::string& program, Arguments usual) {
  Arguments arguments = std::move(usual);
  if (argc > 3) {
    arguments.repeat = std::atoi(argv[3]);
  }
  if (argc > 1) {
    arguments.frames = std::atoi(argv[1]);
  }
  std::string folder = (fs::temp_directory_path() / (program + "-XXXXXX")).string();
  if (argc > 2) {
    folder = argv[2];
    fs::create_directories(folder);
  } else if (::mkdtemp(folder.data()) == nullptr) {
    throw std::runtime_error(folder + ": cannot be made");
  }
  arguments.folder = folder;
  return arguments;
}

std::map<std::string, std::string> default_x264_options() {
  return {{"preset", "veryfast"}, {"crf", "21"},       {"rc-lookahead", "0"},
          {"sc_threshold", "0"},  {"forced-idr", "1"}, {"slices", "4"}};
}

}  // namespace avstore::bench
