// What the benchmarks of video have in common: measuring, and where their files go.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace avstore::bench {

double seconds(const std::function<void()>& work);

double median(std::vector<double> values);
// Of values that ascend.
double percentile_999(const std::vector<double>& sorted);

const char* verdict(bool met);

// Arguments of a program: [FRAMES] [DIR] [REPEAT], where the last says how it measures again and
// again. Without DIR a fresh folder below TMPDIR is made. Throws std::runtime_error if it cannot
// be.
struct Arguments {
  int frames = 600;
  std::filesystem::path folder = {};
  int repeat = 5;
};
Arguments parse_arguments(int argc, char** argv, const std::string& program, Arguments usual = {});

// The settings of libx264 that a Writer uses by default.
std::map<std::string, std::string> default_x264_options();

}  // namespace avstore::bench
