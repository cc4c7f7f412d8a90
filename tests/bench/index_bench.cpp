// Measures the index database against what is required of it.
//
//   index_bench [ROWS] [DIR]     ROWS: default 10000000. DIR: default a fresh one below TMPDIR.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "index/index.h"

namespace {

namespace fs = std::filesystem;
using avstore::index::ChunkState;
using avstore::index::FrameRow;
using avstore::index::Index;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t rows_per_commit = 10'000;
constexpr std::int64_t rows_per_chunk = 10'000;
constexpr std::int64_t keyframe_interval = 30;
constexpr std::int64_t unordered_rows_at_most = 1'000'000;
constexpr int query_count = 100'000;
constexpr const char* open_mode = "--measure-open";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_heading() {
  std::printf("%-44s %12s %-8s %12s  %s\n", "measure", "value", "unit", "target", "");
}

enum class Target { at_least, at_most, none };

void print_line(const std::string& measure, double value, const char* unit, Target kind,
                double target) {
  const char* sign = kind == Target::at_least ? ">=" : "<=";
  const bool met = kind == Target::at_least ? value >= target : value <= target;
  if (kind == Target::none) {
    std::printf("%-44s %12.2f %-8s\n", measure.c_str(), value, unit);
  } else {
    std::printf("%-44s %12.2f %-8s %s %9.0f  %s\n", measure.c_str(), value, unit, sign, target,
                met ? "met" : "MISSED");
  }
  std::fflush(stdout);
}

// A folder for the databases; removed at the end if it was made here.
class Workspace {
 public:
  explicit Workspace(const std::optional<fs::path>& given) : path_(given.value_or("")) {
    if (!given) {
      std::string name = (fs::temp_directory_path() / "index-bench-XXXXXX").string();
      if (::mkdtemp(name.data()) == nullptr) {
        std::perror(name.c_str());
        std::exit(1);
      }
      path_ = name;
      own_ = true;
    }
    fs::create_directories(path_);
  }
  ~Workspace() {
    std::error_code ignored;
    if (own_) {
      fs::remove_all(path_, ignored);
    }
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Where a database can be made anew.
  fs::path database(const char* name) const {
    fs::path path = path_ / name;
    fs::remove(path);
    return path;
  }

 private:
  fs::path path_;
  bool own_ = false;
};

// --- Rows ---

// Scrambles a number: noise that is the same in every run.
std::uint64_t scramble(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

double noise(std::int64_t i) {  // 0 … 1
  return static_cast<double>(scramble(static_cast<std::uint64_t>(i)) >> 11U) * 0x1p-53;
}

FrameRow row_in_chunk(std::int64_t i) {
  const std::int64_t frame_idx = i % rows_per_chunk;
  return {.frame_index = i,
          .chunk = i / rows_per_chunk,
          .frame_idx = frame_idx,
          .frame_number = 0,
          .frame_time = 0,
          .pts = frame_idx * 512};
}

// A camera at 100 frames/s whose clock jitters by most of a frame, which drops a few frames in
// every thousand, and rests for ten hours after every two and a half.
FrameRow ordered_row(std::int64_t i) {
  FrameRow row = row_in_chunk(i);
  const std::int64_t thousands = i / 1000;
  const std::int64_t rests = i / 900'000;
  row.frame_number = i + thousands * 7 + rests * 3'600'000;
  row.frame_time = 1.7e9 + (static_cast<double>(row.frame_number) + 0.9 * noise(i)) / 100;
  return row;
}

// One whose counter has 16 bits and whose clock is set back by 5 s now and then.
FrameRow unordered_row(std::int64_t i) {
  FrameRow row = ordered_row(i);
  row.frame_number %= 65536;
  const std::int64_t steps_back = i / 20'000;
  row.frame_time -= static_cast<double>(steps_back) * 5;
  return row;
}

using MakeRow = std::function<FrameRow(std::int64_t)>;

void append(Index& index, const FrameRow& row) {
  index.append(row);
  if (row.frame_idx % keyframe_interval == 0) {
    index.append_keyframe({.chunk = row.chunk,
                           .frame_idx = row.frame_idx,
                           .pts = *row.pts,
                           .dts = row.pts,
                           .position = row.frame_idx * 5000});
  }
}

void put_chunk(Index& index, std::int64_t chunk) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%06lld.mp4", static_cast<long long>(chunk));
  index.put_chunk({.chunk = chunk,
                   .path = name.data(),
                   .first_frame_index = chunk * rows_per_chunk,
                   .frame_count = rows_per_chunk,
                   .time_base = {1, 12800},
                   .state = ChunkState::closed,
                   .bytes = rows_per_chunk * 5000,
                   .checksum = "",
                   .stream = 0,
                   .packet_count = rows_per_chunk});
}

void fill(Index& index, std::int64_t rows, const MakeRow& make) {
  for (std::int64_t i = 0; i < rows; ++i) {
    append(index, make(i));
    if ((i + 1) % rows_per_chunk == 0) {
      put_chunk(index, i / rows_per_chunk);
    }
    if ((i + 1) % rows_per_commit == 0) {
      index.commit();
    }
  }
  index.commit();
}

void measure_writing(const fs::path& path, std::int64_t rows, const MakeRow& make,
                     const std::string& store, double bytes_target) {
  Index index = Index::create(path);
  auto start = Clock::now();
  fill(index, rows, make);
  print_line(store + ": append, commit every 10k rows",
             static_cast<double>(rows) / seconds_since(start), "rows/s", Target::at_least, 400'000);
  start = Clock::now();
  index.close();
  print_line(store + ": close", seconds_since(start), "s", Target::none, 0);
  print_line(store + ": on disk",
             static_cast<double>(fs::file_size(path)) / static_cast<double>(rows), "B/frame",
             bytes_target > 0 ? Target::at_most : Target::none, bytes_target);
}

// --- Opening, in a process that has done nothing else ---

// A field of /proc/self/status, in MB.
double memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) {
      return std::strtod(line.c_str() + field.size() + 1, nullptr) / 1024;
    }
  }
  return 0;
}

// In the fresh process: opens, and prints milliseconds, growth, and memory used then.
int report_open(const char* path) {
  const double before = memory("VmRSS");
  const auto start = Clock::now();
  const Index index = Index::open(path);
  const double milliseconds = seconds_since(start) * 1e3;
  const double after = memory("VmRSS");
  std::printf("%f %f %f %f\n", milliseconds, after - before, after, memory("RssAnon"));
  return index.frame_count() > 0 ? 0 : 1;
}

std::string output_of_self(const char* argument, const fs::path& path) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return {};
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "index_bench", argument, path.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  std::array<char, 256> buffer{};
  for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return output;
}

void measure_opening(const fs::path& path) {
  const std::string output = output_of_self(open_mode, path);
  double milliseconds = 0;
  double growth = 0;
  double resident = 0;
  double anonymous = 0;
  if (std::sscanf(output.c_str(), "%lf %lf %lf %lf", &milliseconds, &growth, &resident,
                  &anonymous) != 4) {
    std::fprintf(stderr, "index_bench: the process that opens %s failed\n", path.c_str());
    std::exit(1);
  }
  print_line("open, in a fresh process", milliseconds, "ms", Target::at_most, 10);
  print_line("memory grown by opening (VmRSS)", growth, "MB", Target::at_most, 30);
  print_line("memory of the process then (VmRSS)", resident, "MB", Target::at_most, 30);
  print_line("private memory of it (RssAnon)", anonymous, "MB", Target::at_most, 30);
}

// --- Looking up ---

void measure_lookups(const std::string& what, std::int64_t rows,
                     const std::function<bool(std::int64_t)>& look_up, int queries = query_count) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> any(0, rows - 1);
  std::vector<double> microseconds;
  for (int i = 0; i < queries; ++i) {
    const std::int64_t frame = any(random);
    const auto start = Clock::now();
    const bool right = look_up(frame);
    microseconds.push_back(seconds_since(start) * 1e6);
    if (!right) {
      std::fprintf(stderr, "index_bench: %s: wrong frame for %lld\n", what.c_str(),
                   static_cast<long long>(frame));
      std::exit(1);
    }
  }
  std::sort(microseconds.begin(), microseconds.end());
  const auto quantile = [&](double share) {
    return microseconds[static_cast<std::size_t>(share *
                                                 static_cast<double>(microseconds.size() - 1))];
  };
  print_line(what + ", median", quantile(0.5), "us", Target::at_most, 20);
  print_line(what + ", 99th percentile", quantile(0.99), "us", Target::none, 0);
}

void measure_ordered_lookups(const Index& index, std::int64_t rows) {
  measure_lookups("ordered: by index", rows, [&](std::int64_t i) {
    return index.at(i).frame_number == ordered_row(i).frame_number;
  });
  measure_lookups("ordered: by number", rows, [&](std::int64_t i) {
    return index.find_number(ordered_row(i).frame_number)->frame_index == i;
  });
  // Numbers 7 below the first after a gap are those that were dropped.
  measure_lookups("ordered: by nearest number", rows, [&](std::int64_t i) {
    return index.nearest_number(ordered_row(i).frame_number - 3).has_value();
  });
  measure_lookups("ordered: by time", rows, [&](std::int64_t i) {
    return index.nearest_time(ordered_row(i).frame_time)->frame_index == i;
  });
}

void measure_unordered_lookups(const Index& index, std::int64_t rows) {
  measure_lookups("unordered: by number", rows, [&](std::int64_t i) {
    const std::int64_t number = unordered_row(i).frame_number;
    return index.find_number(number)->frame_number == number;
  });
  measure_lookups("unordered: by nearest number", rows, [&](std::int64_t i) {
    return index.nearest_number(unordered_row(i).frame_number - 3).has_value();
  });
  measure_lookups("unordered: by time", rows, [&](std::int64_t i) {
    return index.nearest_time(unordered_row(i).frame_time)->frame_time ==
           unordered_row(i).frame_time;
  });
}

void measure_walk(const Index& index, std::int64_t rows) {
  const auto start = Clock::now();
  std::int64_t sum = 0;
  index.for_each({0, rows}, [&](const FrameRow& row) {
    sum += row.frame_number;
    return true;
  });
  print_line("ordered: all rows in order", static_cast<double>(rows) / seconds_since(start),
             "rows/s", Target::none, 0);
}

void run(std::int64_t rows, const Workspace& workspace) {
  std::printf("ordered store of %lld rows, unordered one of %lld\n", static_cast<long long>(rows),
              static_cast<long long>(std::min(rows, unordered_rows_at_most)));
  print_heading();
  const fs::path ordered = workspace.database("ordered.sqlite");
  measure_writing(ordered, rows, ordered_row, "ordered", 40);
  measure_opening(ordered);
  const Index ordered_index = Index::open(ordered);
  measure_ordered_lookups(ordered_index, rows);
  measure_walk(ordered_index, rows);

  const std::int64_t unordered_rows = std::min(rows, unordered_rows_at_most);
  const fs::path unordered = workspace.database("unordered.sqlite");
  measure_writing(unordered, unordered_rows, unordered_row, "unordered", 0);
  measure_unordered_lookups(Index::open(unordered), unordered_rows);
}

std::int64_t parse_rows(const std::string& text) {
  std::int64_t rows = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), rows);
  if (error != std::errc() || stop != text.data() + text.size() || rows < 1) {
    std::fprintf(stderr, "usage: index_bench [ROWS] [DIR]\n");
    std::exit(2);
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string(argv[1]) == open_mode) {
      return report_open(argv[2]);
    }
    const std::int64_t rows = argc > 1 ? parse_rows(argv[1]) : 10'000'000;
    const Workspace workspace(argc > 2 ? std::optional<fs::path>(argv[2]) : std::nullopt);
    run(rows, workspace);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "index_bench: %s\n", error.what());
    return 1;
  }
}
