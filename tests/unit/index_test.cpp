// The index database, against oracles that share no code with it: a plain vector searched by brute
// force, and the sqlite3 program where it is installed.
#include "index/index.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include "avstore/error.h"
#include "index/search.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;
using avstore::Error;
using avstore::ErrorKind;
using avstore::IndexRange;
using avstore::index::ChunkRow;
using avstore::index::ChunkState;
using avstore::index::ExtraRow;
using avstore::index::Extremes;
using avstore::index::FrameRow;
using avstore::index::Index;
using avstore::index::KeyframeRow;

using Rows = std::vector<FrameRow>;

constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

// --- Folders and processes ---

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "avstore-index-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    // Tests enter it as another user.
    fs::permissions(path_, fs::perms(0755));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
      if (entry.is_directory()) {
        fs::permissions(entry.path(), fs::perms(0755), ignored);
      }
    }
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

// Runs `body` in a child process; its exit status is what `body` returns, 99 if it throws.
template <typename Body>
pid_t start_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    } catch (...) {
      // A failed assertion: Catch has said so, and must not go on with the other tests in here.
    }
    ::_exit(status);
  }
  REQUIRE(child > 0);
  return child;
}

// The exit status; minus the signal's number if one ended it.
int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool is_running(pid_t child) {
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0);
  return ended.si_pid == 0;
}

template <typename Body>
int run_child(const Body& body) {
  return wait_for(start_child(body));
}

// Tells another process to go on. Connections must not be carried over a fork, so children are
// started before there is one and wait for it.
class Signal {
 public:
  Signal() { REQUIRE(::pipe2(ends_.data(), O_CLOEXEC) == 0); }
  ~Signal() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void send() const {
    if (::write(ends_[1], "", 1) != 1) {
      throw std::runtime_error("cannot send");
    }
  }
  void wait() const {
    pollfd ready{.fd = ends_[0], .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 20'000) != 1) {
      throw std::runtime_error("no signal within 20 s");
    }
    char received = 0;
    if (::read(ends_[0], &received, 1) != 1) {
      throw std::runtime_error("cannot receive");
    }
  }

 private:
  std::array<int, 2> ends_{};
};

// Permissions do not bind root, so give up being root.
void become_nobody() {
  constexpr unsigned nobody = 65534;
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0)) {
    throw std::runtime_error("cannot become another user");
  }
}

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

// What the sqlite3 program answers, a row a line, columns parted by '|'.
std::string sqlite3_program(const fs::path& database, const std::string& sql) {
  const std::string command =
      "sqlite3 -batch " + shell_quoted(database.string()) + " " + shell_quoted(sql) + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  INFO(command << "\n" << output);
  REQUIRE(::pclose(pipe) == 0);
  return output;
}

bool has_sqlite3_program() {
  static const bool found = std::system("sqlite3 -version >/dev/null 2>&1") == 0;
  if (!found) {
    WARN("the sqlite3 program is not installed: what it would check is not checked");
  }
  return found;
}

std::int64_t secondary_indexes(const fs::path& database) {
  return std::stoll(sqlite3_program(database,
                                    "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND "
                                    "tbl_name = 'frames'"));
}

// --- Rows ---

// What row `i` is in tests where only its place matters.
FrameRow plain_row(std::int64_t i) {
  FrameRow row{.frame_index = i,
               .chunk = i / 100,
               .frame_idx = i % 100,
               .frame_number = i * 3,
               .frame_time = 1.5e9 + static_cast<double>(i) / 7,
               .pts = std::nullopt};
  if (i % 5 != 0) {
    row.pts = i % 100 * 512;
  }
  return row;
}

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

bool same(const FrameRow& a, const FrameRow& b) {
  return a.frame_index == b.frame_index && a.chunk == b.chunk && a.frame_idx == b.frame_idx &&
         a.frame_number == b.frame_number && same(a.frame_time, b.frame_time) && a.pts == b.pts;
}

Rows rows_of(const Index& index, IndexRange range = {0, int64_max}) {
  Rows rows;
  index.for_each(range, [&](const FrameRow& row) {
    rows.push_back(row);
    return true;
  });
  return rows;
}

bool same(const Rows& a, const Rows& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const FrameRow& x, const FrameRow& y) { return same(x, y); });
}

void append_plain(Index& index, std::int64_t end) {
  for (std::int64_t i = index.frame_count(); i < end; ++i) {
    index.append(plain_row(i));
  }
}

Rows plain_rows(std::int64_t end) {
  Rows rows;
  for (std::int64_t i = 0; i < end; ++i) {
    rows.push_back(plain_row(i));
  }
  return rows;
}

void append_all(Index& index, const Rows& rows) {
  for (const FrameRow& row : rows) {
    index.append(row);
  }
}

fs::path closed_database(const TemporaryFolder& folder, std::int64_t frames) {
  fs::path path = folder / ".index.sqlite";
  Index index = Index::create(path);
  append_plain(index, frames);
  index.close();
  return path;
}

template <typename Call>
ErrorKind kind_of_error(const Call& call, const std::string& part_of_message = "") {
  try {
    call();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(part_of_message) != std::string::npos);
    return error.kind();
  }
  FAIL("no error");
  return ErrorKind::io;
}

#define CHECK_ERROR(kind, ...) CHECK(kind_of_error([&] { __VA_ARGS__; }) == ErrorKind::kind)

// --- The oracle: brute force ---

// Wide enough for the distance of any two int64.
__extension__ using Wide = __int128;

Wide brute_distance(std::int64_t a, std::int64_t b) {
  const Wide difference = static_cast<Wide>(a) - static_cast<Wide>(b);
  return difference < 0 ? -difference : difference;
}

double brute_distance(double a, double b) {
  return a == b ? 0 : std::fabs(a - b);
}

std::optional<FrameRow> brute_find(const Rows& rows, std::int64_t number) {
  for (const FrameRow& row : rows) {
    if (row.frame_number == number) {
      return row;
    }
  }
  return std::nullopt;
}

// The closest row on either side are compared with each other. On one side order decides: to a very
// distant target many times are equally far as far as a double can tell.
template <typename Key>
std::optional<FrameRow> brute_nearest(const Rows& rows, Key FrameRow::*column, Key target) {
  std::optional<FrameRow> below;
  std::optional<FrameRow> above;
  for (const FrameRow& row : rows) {
    if (row.*column <= target && (!below || row.*column > (*below).*column)) {
      below = row;
    }
    if (row.*column >= target && (!above || row.*column < (*above).*column)) {
      above = row;
    }
  }
  if (!below || !above) {
    return below ? below : above;
  }
  const auto to_below = brute_distance((*below).*column, target);
  const auto to_above = brute_distance((*above).*column, target);
  if (to_below == to_above) {
    return below->frame_index < above->frame_index ? below : above;
  }
  return to_below < to_above ? below : above;
}

Extremes brute_extremes(const Rows& rows) {
  Extremes extremes;
  if (rows.empty()) {
    return extremes;
  }
  extremes = {int64_max, int64_min, not_a_number, not_a_number};
  for (const FrameRow& row : rows) {
    extremes.number_min = std::min(extremes.number_min, row.frame_number);
    extremes.number_max = std::max(extremes.number_max, row.frame_number);
    extremes.time_min = std::fmin(extremes.time_min, row.frame_time);
    extremes.time_max = std::fmax(extremes.time_max, row.frame_time);
  }
  return extremes;
}

std::string text(const std::optional<FrameRow>& row) {
  std::ostringstream out;
  out.precision(17);
  if (row) {
    out << "frame " << row->frame_index << ", number " << row->frame_number << ", time "
        << row->frame_time + 0.0;  // -0 and 0 are one time
  } else {
    out << "none";
  }
  return out.str();
}

std::vector<std::int64_t> interesting_numbers(const Rows& rows, std::mt19937_64& random) {
  std::vector<std::int64_t> numbers = {
      0, 1, -1, int64_min, int64_max, int64_min / 2, int64_max / 2};
  for (int i = 0; i < 60 && !rows.empty(); ++i) {
    const std::int64_t number = rows[random() % rows.size()].frame_number;
    numbers.push_back(number);
    // Wrap around on overflow; any number will do.
    numbers.push_back(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(number) + random() % 9 - 4));
  }
  numbers.push_back(static_cast<std::int64_t>(random()));
  return numbers;
}

std::vector<double> interesting_times(const Rows& rows, std::mt19937_64& random) {
  std::vector<double> times = {0, -0.0, 1e300, -1e300, infinity, -infinity, 1.5e9};
  for (int i = 0; i < 60 && !rows.empty(); ++i) {
    const double time = rows[random() % rows.size()].frame_time;
    if (!std::isnan(time)) {
      times.push_back(time);
      times.push_back(time + (static_cast<double>(random() % 9) - 4) / 8);
    }
  }
  return times;
}

void check_number(const Index& index, const Rows& rows, std::int64_t number) {
  INFO("number " << number);
  CHECK(text(index.find_number(number)) == text(brute_find(rows, number)));
  CHECK(text(index.nearest_number(number)) ==
        text(brute_nearest(rows, &FrameRow::frame_number, number)));
}

void check_time(const Index& index, const Rows& rows, double time) {
  INFO("time " << time);
  CHECK(text(index.nearest_time(time)) == text(brute_nearest(rows, &FrameRow::frame_time, time)));
}

// Asks for a row that may be none of `rows`.
void check_lookups_of(const Index& index, const Rows& rows, const FrameRow& row) {
  check_number(index, rows, row.frame_number);
  check_time(index, rows, row.frame_time);
}

void check_lookups(const Index& index, const Rows& rows, std::mt19937_64& random) {
  REQUIRE(index.frame_count() == static_cast<std::int64_t>(rows.size()));
  for (const std::int64_t number : interesting_numbers(rows, random)) {
    check_number(index, rows, number);
  }
  for (const double time : interesting_times(rows, random)) {
    check_time(index, rows, time);
  }
  CHECK(!index.nearest_time(not_a_number));
  const Extremes found = index.extremes();
  const Extremes expected = brute_extremes(rows);
  CHECK(found.number_min == expected.number_min);
  CHECK(found.number_max == expected.number_max);
  CHECK(same(found.time_min, expected.time_min));
  CHECK(same(found.time_max, expected.time_max));
}

// Ways in which numbers and times of real and impossible cameras run.
struct Shape {
  const char* name;
  std::int64_t (*number)(std::int64_t i, std::mt19937_64& random);
  double (*time)(std::int64_t i, std::mt19937_64& random);
  bool numbers_ascend;
  bool times_ascend;
};

double even_time(std::int64_t i, std::mt19937_64&) {
  return 1.5e9 + static_cast<double>(i) / 8;
}
std::int64_t even_number(std::int64_t i, std::mt19937_64&) {
  return i;
}

const std::array shapes = {
    Shape{"even", even_number, even_time, true, true},
    Shape{"repeated", [](std::int64_t i, std::mt19937_64&) { return i / 7 * 5; },
          [](std::int64_t i, std::mt19937_64&) { return static_cast<double>(i - i % 11) / 4; },
          true, true},
    Shape{"all the same", [](std::int64_t, std::mt19937_64&) { return std::int64_t{42}; },
          [](std::int64_t, std::mt19937_64&) { return 1.5e9; }, true, true},
    Shape{
        "leaps",
        [](std::int64_t i, std::mt19937_64&) { return i * i * i * 1000 - (std::int64_t{1} << 60); },
        [](std::int64_t i, std::mt19937_64&) { return std::exp2(static_cast<double>(i) / 2); },
        true, true},
    Shape{"end to end of int64",
          [](std::int64_t i, std::mt19937_64&) {
            return i < 10 ? int64_min + i / 2 : int64_max - 2000 + i / 2;
          },
          [](std::int64_t i, std::mt19937_64&) {
            return i == 0 ? -infinity : i > 500 ? infinity : static_cast<double>(i) * 1e300;
          },
          true, true},
    Shape{"wrapping", [](std::int64_t i, std::mt19937_64&) { return i % 128; },
          [](std::int64_t i, std::mt19937_64&) { return static_cast<double>(i % 100) / 8; }, false,
          false},
    Shape{"backwards", [](std::int64_t i, std::mt19937_64&) { return -i; },
          [](std::int64_t i, std::mt19937_64&) { return -static_cast<double>(i) / 4; }, false,
          false},
    Shape{"random",
          [](std::int64_t, std::mt19937_64& random) {
            return static_cast<std::int64_t>(random() % 500);
          },
          [](std::int64_t, std::mt19937_64& random) {
            return static_cast<double>(random() % 1000) / 8;
          },
          false, false},
    Shape{"random extremes",
          [](std::int64_t, std::mt19937_64& random) {
            return random() % 5 == 0 ? int64_max - static_cast<std::int64_t>(random() % 3)
                                     : static_cast<std::int64_t>(random());
          },
          [](std::int64_t, std::mt19937_64& random) {
            return random() % 5 == 0 ? -infinity
                                     : std::ldexp(1, static_cast<int>(random() % 2000) - 1000);
          },
          false, false},
    Shape{"times that are no numbers", even_number,
          [](std::int64_t i, std::mt19937_64& random) {
            return random() % 3 == 0 || i < 2 ? not_a_number : static_cast<double>(i) / 8;
          },
          true, false},
    Shape{"no time at all", even_number,
          [](std::int64_t, std::mt19937_64&) { return not_a_number; }, true, false},
};

Rows make_rows(const Shape& shape, std::int64_t count, std::mt19937_64& random) {
  Rows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    FrameRow row = plain_row(i);
    row.frame_number = shape.number(i, random);
    row.frame_time = shape.time(i, random);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

// --- Rows in, rows out ---

TEST_CASE("index: rows come back as they were given") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  const Rows rows = {
      {0, 0, 0, int64_min, -infinity, std::nullopt}, {1, 0, 1, int64_max, 1e-320, int64_min},
      {2, 7, 0, -1, not_a_number, int64_max},        {3, 7, 1, 0, 1700000000.123456789, 0},
      {4, int64_max, int64_max, 5, infinity, -1},
  };
  Index index = Index::create(path);
  append_all(index, rows);
  index.commit();
  CHECK(same(rows_of(index), rows));
  index.close();
  CHECK(same(rows_of(index), rows));

  const Index reopened = Index::open(path);
  REQUIRE(reopened.frame_count() == 5);
  for (const FrameRow& row : rows) {
    CHECK(same(reopened.at(row.frame_index), row));
  }
  CHECK_ERROR(end_of_store, reopened.at(5));
  CHECK_ERROR(end_of_store, reopened.at(-1));
  CHECK_ERROR(end_of_store, reopened.at(int64_max));
  CHECK_ERROR(end_of_store, reopened.at(int64_min));
  CHECK(reopened.integrity_findings().empty());
}

TEST_CASE("index: names are those of the rows, also in many blocks") {
  Index index = Index::create(":memory:");
  const Rows all = plain_rows(140000);
  append_all(index, all);
  index.commit();
  const auto is_slice = [&](IndexRange asked, std::size_t begin, std::size_t end) {
    const avstore::FrameNameArrays names = index.names(asked);
    bool same = names.numbers.size() == end - begin && names.times.size() == end - begin;
    for (std::size_t i = 0; same && i < names.numbers.size(); ++i) {
      same = names.numbers[i] == all[begin + i].frame_number &&
             names.times[i] == all[begin + i].frame_time;
    }
    return same;
  };
  CHECK(is_slice({0, 140000}, 0, 140000));
  CHECK(is_slice({int64_min, int64_max}, 0, 140000));
  CHECK(is_slice({65535, 65537}, 65535, 65537));
  CHECK(is_slice({139999, 200000}, 139999, 140000));
  CHECK(is_slice({-5, 3}, 0, 3));
  CHECK(is_slice({6, 5}, 0, 0));
  CHECK(is_slice({140000, 150000}, 0, 0));
}

TEST_CASE("index: for_each") {
  Index index = Index::create(":memory:");
  const Rows all = plain_rows(1000);
  append_all(index, all);
  index.commit();
  const auto slice = [&](std::size_t begin, std::size_t end) {
    return Rows(all.begin() + static_cast<std::ptrdiff_t>(begin),
                all.begin() + static_cast<std::ptrdiff_t>(end));
  };

  SECTION("visits the range asked for, as far as there are frames") {
    CHECK(same(rows_of(index, {0, 1000}), all));
    CHECK(same(rows_of(index, {255, 257}), slice(255, 257)));
    CHECK(same(rows_of(index, {990, 5000}), slice(990, 1000)));
    CHECK(same(rows_of(index, {-5, 3}), slice(0, 3)));
    CHECK(rows_of(index, {5, 5}).empty());
    CHECK(rows_of(index, {6, 5}).empty());
    CHECK(rows_of(index, {1000, 2000}).empty());
    CHECK(rows_of(index, {int64_min, int64_min}).empty());
  }

  SECTION("stops when told to") {
    int visits = 0;
    index.for_each({0, 1000}, [&](const FrameRow&) { return ++visits < 300; });
    CHECK(visits == 300);
  }

  SECTION("lets the visitor use the index") {
    std::int64_t inner_rows = 0;
    Rows outer;
    index.for_each({0, 600}, [&](const FrameRow& row) {
      outer.push_back(row);
      CHECK(index.find_number(row.frame_number)->frame_index == row.frame_index);
      index.for_each({row.frame_index, row.frame_index + 2}, [&](const FrameRow&) {
        ++inner_rows;
        return true;
      });
      return true;
    });
    CHECK(same(outer, slice(0, 600)));
    CHECK(inner_rows == 1200);
  }
}

TEST_CASE("index: rows must come in order") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.append(plain_row(1)));
  index.append(plain_row(0));
  CHECK_ERROR(invalid_argument, index.append(plain_row(0)));
  CHECK_ERROR(invalid_argument, index.append(plain_row(2)));
  index.append(plain_row(1));
  index.commit();
  CHECK(same(rows_of(index), plain_rows(2)));
}

TEST_CASE("index: chunks, keyframes, extra data and information come back") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index index = Index::create(path);
  const ChunkRow first{.chunk = 0,
                       .path = "000000.mp4",
                       .first_frame_index = 0,
                       .frame_count = 100,
                       .time_base = {1, 12800},
                       .state = ChunkState::closed,
                       .bytes = 123456789012,
                       .checksum = "sha256:abc",
                       .stream = 2,
                       .packet_count = 101};
  ChunkRow second = first;
  second.chunk = 3;
  second.path = "Größe/000003.mp4";
  second.state = ChunkState::open;
  index.put_chunk(second);
  index.put_chunk(first);
  for (const std::int64_t frame_idx : {0, 30, 60}) {
    index.append_keyframe({0, frame_idx, frame_idx * 512, std::nullopt, -1});
  }
  index.append_keyframe({3, 10, 5120, -1024, 48});
  for (int i = 0; i < 600; ++i) {
    index.append_extra(
        {i, -i, i == 0 ? not_a_number : i / 8.0, "{\"n\": " + std::to_string(i) + "}"});
  }
  index.set_information("encoder", "libx264");
  index.set_information("encoder", "h264_nvenc");
  index.close();

  const Index read = Index::open(path);
  REQUIRE(read.chunk_count() == 2);
  const auto chunks = read.chunks();
  REQUIRE(chunks.size() == 2);
  CHECK(chunks[0].path == "000000.mp4");
  CHECK(chunks[1].path == "Größe/000003.mp4");
  const auto chunk = read.chunk(0);
  REQUIRE(chunk);
  CHECK(chunk->frame_count == 100);
  CHECK(chunk->time_base == avstore::Rational{1, 12800});
  CHECK(chunk->state == ChunkState::closed);
  CHECK(chunk->bytes == 123456789012);
  CHECK(chunk->checksum == "sha256:abc");
  CHECK(chunk->stream == 2);
  CHECK(chunk->packet_count == 101);
  CHECK(read.chunk(3)->state == ChunkState::open);
  CHECK(!read.chunk(1));

  CHECK(read.keyframe_at_or_before(0, 29)->frame_idx == 0);
  CHECK(read.keyframe_at_or_before(0, 30)->frame_idx == 30);
  CHECK(read.keyframe_at_or_before(0, 30)->pts == 15360);
  CHECK(!read.keyframe_at_or_before(0, 30)->dts);
  CHECK(read.keyframe_at_or_before(0, 9999)->frame_idx == 60);
  CHECK(!read.keyframe_at_or_before(3, 9));
  CHECK(read.keyframe_at_or_before(3, 10)->dts == -1024);
  CHECK(read.keyframe_at_or_before(3, 10)->position == 48);
  CHECK(read.keyframes(0).size() == 3);
  CHECK(read.keyframes(1).empty());

  std::int64_t expected = 0;
  read.for_each_extra([&](const ExtraRow& row) {
    CHECK(row.frame_index == expected);
    CHECK(row.frame_number == -expected);
    CHECK(same(row.frame_time, expected == 0 ? not_a_number : static_cast<double>(expected) / 8));
    CHECK(row.json == "{\"n\": " + std::to_string(expected) + "}");
    ++expected;
    return expected < 500;
  });
  CHECK(expected == 500);

  CHECK(read.information("encoder") == "h264_nvenc");
  CHECK(read.information("version") == "1");
  CHECK(!read.information("nothing"));
}

TEST_CASE("index: what it keeps about itself cannot be overwritten") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.set_information("version", "2"));
  CHECK_ERROR(invalid_argument, index.set_information("avstore_schema_version", "2"));
}

// --- Looking up ---

TEST_CASE("index: lookups agree with brute force") {
  using Case = std::pair<unsigned, std::int64_t>;
  const auto [seed, count] =
      GENERATE(Case{1, 0}, Case{1, 1}, Case{1, 2}, Case{1, 1000}, Case{2, 1000}, Case{3, 1000});
  for (const Shape& shape : shapes) {
    INFO("shape " << shape.name << ", " << count << " rows, seed " << seed);
    std::mt19937_64 random(seed);
    const TemporaryFolder folder;
    const fs::path path = folder / ".index.sqlite";
    const Rows rows = make_rows(shape, count, random);
    Index writer = Index::create(path);
    append_all(writer, rows);
    check_lookups(writer, {}, random);
    writer.commit();
    if (count == 1000) {
      CHECK(writer.ordering().numbers_ascend == shape.numbers_ascend);
      CHECK(writer.ordering().times_ascend == shape.times_ascend);
    }
    check_lookups(writer, rows, random);
    // A reader finds what is out of order without any index to help.
    check_lookups(Index::open(path), rows, random);
    writer.close();
    check_lookups(writer, rows, random);
    const Index reader = Index::open(path);
    check_lookups(reader, rows, random);
    // Keys remembered from the first time must not mislead.
    check_lookups(reader, rows, random);
    CHECK(reader.integrity_findings().empty());
  }
}

TEST_CASE("index: lookups while it grows, in order and then out of it") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  std::mt19937_64 random(7);
  Index writer = Index::create(path);
  Index reader = Index::open(path);
  Rows rows;
  const auto grow = [&](std::int64_t count, std::int64_t number, double time) {
    for (std::int64_t i = 0; i < count; ++i) {
      FrameRow row = plain_row(static_cast<std::int64_t>(rows.size()));
      row.frame_number = number + i / 2;
      row.frame_time = time + static_cast<double>(i) / 8;
      writer.append(row);
      rows.push_back(row);
    }
    const Rows before(rows.begin(), rows.end() - count);
    check_lookups(reader, before, random);
    check_lookups(writer, before, random);
    check_lookups_of(writer, before, rows[before.size()]);
    writer.commit();
    // Rows that are committed but that the reader has not asked for yet do not show.
    check_lookups(reader, before, random);
    check_lookups_of(reader, before, rows[before.size()]);
    reader.refresh();
    check_lookups(reader, rows, random);
    check_lookups(writer, rows, random);
  };
  grow(300, 0, 100);
  grow(1, 1000, 200);
  grow(300, 2000, 300);
  CHECK(reader.ordering().numbers_ascend);
  CHECK(reader.ordering().times_ascend);
  grow(100, 50, 400);
  CHECK(!reader.ordering().numbers_ascend);
  CHECK(reader.ordering().times_ascend);
  grow(100, 70, 50);
  CHECK(!reader.ordering().times_ascend);
  grow(3, 5000, 5000);
  grow(300, 71, 50.0625);
  writer.close();
  CHECK(reader.refresh() == static_cast<std::int64_t>(rows.size()));
  check_lookups(reader, rows, random);
  // Secondary indexes are kept up from here on.
  grow(100, 60, 60);
  grow(3, 6000, 6000);
  writer.close();
  check_lookups(Index::open(path), rows, random);
}

TEST_CASE("index: order is watched across a reopening") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  Index index = Index::open_for_writing(path);
  FrameRow row = plain_row(10);
  SECTION("in order") {
    index.append(row);
    index.commit();
    CHECK(index.ordering().numbers_ascend);
    CHECK(index.ordering().times_ascend);
  }
  SECTION("numbers fall") {
    row.frame_number = plain_row(9).frame_number - 1;
    index.append(row);
    index.commit();
    CHECK(!index.ordering().numbers_ascend);
    CHECK(index.ordering().times_ascend);
  }
  SECTION("times fall") {
    row.frame_time = plain_row(9).frame_time - 0.01;
    index.append(row);
    index.commit();
    CHECK(index.ordering().numbers_ascend);
    CHECK(!index.ordering().times_ascend);
  }
}

TEST_CASE("index: a search takes few looks whatever the keys are") {
  using avstore::index::AscendingColumn;
  constexpr std::int64_t count = 1'000'000;
  std::mt19937_64 random(3);
  const auto key_functions = {
      +[](std::int64_t row) { return row; },
      +[](std::int64_t row) { return row < count - 1 ? row : int64_max; },
      +[](std::int64_t row) { return row > 0 ? int64_max - count + row : int64_min; },
      +[](std::int64_t row) { return std::int64_t{1} << (row * 62 / count); },
      +[](std::int64_t row) { return row * row * row; },
  };
  for (const auto key : key_functions) {
    AscendingColumn<std::int64_t> column;
    for (int i = 0; i < 2000; ++i) {
      int looks = 0;
      const std::int64_t target = key(static_cast<std::int64_t>(random() % count));
      const auto found = column.find(count, target, [&](std::int64_t row) {
        REQUIRE((row >= 0 && row < count));
        ++looks;
        return key(row);
      });
      REQUIRE(found);
      REQUIRE(key(*found) == target);
      REQUIRE((*found == 0 || key(*found - 1) < target));
      REQUIRE(looks <= 3 * 20 + 2);
    }
  }
}

// --- Committing, other connections, other processes ---

TEST_CASE("index: rows are seen from their commit on, by all alike") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index writer = Index::create(path);
  Index reader = Index::open(path);
  append_plain(writer, 10);
  CHECK(writer.frame_count() == 0);
  CHECK(reader.refresh() == 0);
  CHECK_ERROR(end_of_store, writer.at(0));
  CHECK(!writer.find_number(0));

  writer.commit();
  CHECK(writer.frame_count() == 10);
  CHECK(reader.frame_count() == 0);
  CHECK(reader.refresh() == 10);
  CHECK(same(rows_of(reader), plain_rows(10)));

  append_plain(writer, 20);
  writer.set_information("note", "gone");
  writer.rollback();
  CHECK(writer.frame_count() == 10);
  CHECK(!writer.information("note"));
  append_plain(writer, 15);
  writer.commit();
  CHECK(reader.refresh() == 15);
  CHECK(same(rows_of(writer), plain_rows(15)));
}

TEST_CASE("index: order that was rolled back is forgotten") {
  Index index = Index::create(":memory:");
  append_plain(index, 10);
  index.commit();
  FrameRow backwards = plain_row(10);
  backwards.frame_number = -1;
  backwards.frame_time = not_a_number;
  index.append(backwards);
  index.rollback();
  append_plain(index, 20);
  index.commit();
  CHECK(index.ordering().numbers_ascend);
  CHECK(index.ordering().times_ascend);
  CHECK(index.extremes().number_min == 0);
}

TEST_CASE("index: readers do not hold up the writer, nor their callbacks") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index writer = Index::create(path);
  append_plain(writer, 1000);
  writer.commit();
  const Index reader = Index::open(path);
  std::int64_t visits = 0;
  reader.for_each({0, 1000}, [&](const FrameRow& row) {
    CHECK(same(row, plain_row(visits++)));
    if (visits % 100 == 0) {
      append_plain(writer, writer.frame_count() + 10);
      writer.commit();
    }
    return true;
  });
  CHECK(visits == 1000);
  CHECK(writer.frame_count() == 1100);
  // A closed store lets a writer in while it is open for reading.
  writer.close();
  Index again = Index::open_for_writing(path);
  append_plain(again, 1200);
  again.commit();
  CHECK(Index::open(path).frame_count() == 1200);
}

TEST_CASE("index: another process reads while one writes") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  constexpr std::int64_t frames = 20'000;
  Signal created;
  const pid_t reader = start_child([&] {
    created.wait();
    Index index = Index::open(path);
    std::int64_t seen = 0;
    for (std::int64_t count = 0; count < frames;) {
      count = index.refresh();
      // Whole commits only, and every row of them.
      if (count < seen || count % 50 != 0) {
        return 1;
      }
      for (; seen < count; ++seen) {
        if (!same(index.at(seen), plain_row(seen)) ||
            index.find_number(seen * 3)->frame_index != seen) {
          return 2;
        }
      }
    }
    return 0;
  });
  Index writer = Index::create(path);
  created.send();
  for (std::int64_t end = 50; end <= frames; end += 50) {
    append_plain(writer, end);
    writer.commit();
  }
  CHECK(wait_for(reader) == 0);
}

TEST_CASE("index: what was committed survives a kill") {
  const auto kill_after = GENERATE(0, 1, 7, 40, 150);
  const auto close_each_time = GENERATE(false, true);
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const pid_t writer = start_child([&] {
    Index index = Index::create(path);
    for (std::int64_t end = 100;; end += 100) {
      // Goes on appending until it is killed: most likely in the midst of a commit or close.
      append_plain(index, end);
      if (close_each_time) {
        index.close();
      } else {
        index.commit();
      }
      if (::write(ends[1], &end, sizeof end) != sizeof end) {
        return 1;
      }
    }
    return 0;
  });
  std::int64_t committed = 0;
  for (int i = 0; i <= kill_after; ++i) {
    REQUIRE(::read(ends[0], &committed, sizeof committed) == sizeof committed);
  }
  ::kill(writer, SIGKILL);
  CHECK(wait_for(writer) == -SIGKILL);
  ::close(ends[1]);
  for (std::int64_t more = 0; ::read(ends[0], &more, sizeof more) == sizeof more;) {
    committed = more;
  }
  ::close(ends[0]);

  const std::int64_t count = Index::open(path).frame_count();
  CHECK(count >= committed);
  CHECK(count % 100 == 0);
  CHECK(same(rows_of(Index::open(path)), plain_rows(count)));
  Index repaired = Index::open_for_writing(path);
  append_plain(repaired, count + 50);
  repaired.close();
  CHECK(same(rows_of(Index::open(path)), plain_rows(count + 50)));
  CHECK(repaired.integrity_findings().empty());
  CHECK(!fs::exists(folder / ".index.sqlite-wal"));
}

TEST_CASE("index: a full disk loses only what was not committed") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  const int status = run_child([&] {
    Index index = Index::create(path);
    append_plain(index, 1000);
    index.commit();
    // Files cannot grow beyond this; writing fails then, as on a full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlim_t all = limit.rlim_cur;
    limit.rlim_cur = 300'000;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::int64_t committed = 1000;
    bool failed = false;
    while (!failed && committed < 1'000'000) {
      try {
        append_plain(index, committed + 500);
        index.commit();
        committed += 500;
      } catch (const Error& error) {
        failed = error.kind() == ErrorKind::io;
        if (!failed) {
          return 1;
        }
      }
    }
    index.rollback();
    if (!failed || index.frame_count() != committed ||
        !same(rows_of(index), plain_rows(committed))) {
      return 2;
    }
    limit.rlim_cur = all;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    append_plain(index, committed + 700);
    index.close();
    return same(rows_of(Index::open(path)), plain_rows(committed + 700)) ? 0 : 3;
  });
  CHECK(status == 0);
  CHECK(Index::open(path).integrity_findings().empty());
}

// --- Closing ---

TEST_CASE("index: close leaves one file, and may be called again") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  const auto files = [&] {
    return std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator());
  };
  CHECK(files() == 1);
  Index index = Index::open_for_writing(path);
  append_plain(index, 1010);
  index.commit();
  CHECK(files() == 3);
  index.close();
  CHECK(files() == 1);
  index.close();
  CHECK(files() == 1);
  CHECK(same(rows_of(index), plain_rows(1010)));

  SECTION("and be written again") {
    append_plain(index, 1020);
    index.commit();
    CHECK(files() == 3);
    CHECK(Index::open(path).frame_count() == 1020);
    index.close();
    CHECK(files() == 1);
  }
  SECTION("what is given after the last commit is committed") {
    append_plain(index, 1020);
    index.close();
    CHECK(Index::open(path).frame_count() == 1020);
  }
}

TEST_CASE("index: close while another reads leaves all readable") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index writer = Index::create(path);
  append_plain(writer, 500);
  writer.commit();
  {
    Index reader = Index::open(path);
    append_plain(writer, 1000);
    writer.close();
    CHECK(reader.refresh() == 1000);
    CHECK(same(rows_of(reader), plain_rows(1000)));
  }
  CHECK(same(rows_of(Index::open(path)), plain_rows(1000)));
  // With the reader gone it can be made one file.
  CHECK(fs::exists(folder / ".index.sqlite-wal"));
  writer.close();
  CHECK(!fs::exists(folder / ".index.sqlite-wal"));
  CHECK(same(rows_of(Index::open(path)), plain_rows(1000)));
}

TEST_CASE("index: what is left open uncommitted is not kept") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  {
    Index writer = Index::create(path);
    append_plain(writer, 10);
    writer.commit();
    append_plain(writer, 20);
  }
  CHECK(Index::open(path).frame_count() == 10);
}

// --- Changing ---

TEST_CASE("index: truncate") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  std::mt19937_64 random(5);
  Rows rows = plain_rows(1000);
  // Out of order from 700 (numbers) and 800 (times) on.
  for (std::size_t i = 700; i < 1000; ++i) {
    rows[i].frame_number -= 1500;
    rows[i].frame_time -= i >= 800 ? 100 : 0;
  }
  Index index = Index::create(path);
  append_all(index, rows);
  for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
    index.put_chunk({.chunk = chunk,
                     .path = std::to_string(chunk),
                     .first_frame_index = chunk * 100,
                     .frame_count = 100,
                     .checksum = ""});
    for (const std::int64_t frame_idx : {0, 40, 80}) {
      index.append_keyframe({chunk, frame_idx, 0, std::nullopt, -1});
    }
    index.append_extra({chunk * 100 + 50, 0, 0, "{}"});
  }
  // The recording stopped just when a chunk was begun.
  index.put_chunk({.chunk = 10, .path = "10", .first_frame_index = 1000, .checksum = ""});
  index.append_keyframe({10, 0, 0, std::nullopt, -1});
  index.close();

  const auto keep = GENERATE(std::int64_t{0}, std::int64_t{1}, std::int64_t{650}, std::int64_t{700},
                             std::int64_t{701}, std::int64_t{760}, std::int64_t{999},
                             std::int64_t{1000}, std::int64_t{5000});
  INFO("to " << keep << " frames");
  const std::int64_t left = std::min<std::int64_t>(keep, 1000);
  const Rows expected(rows.begin(), rows.begin() + left);
  check_lookups(index, rows, random);
  Index reader = Index::open(path);
  check_lookups(reader, rows, random);
  index.truncate(keep);
  check_lookups(index, expected, random);
  CHECK(Index::open(path).frame_count() == 1000);

  SECTION("rolled back") {
    index.rollback();
    check_lookups(index, rows, random);
    CHECK(index.chunk_count() == 11);
    CHECK(!index.ordering().numbers_ascend);
  }

  SECTION("committed") {
    index.commit();
    CHECK(reader.refresh() == left);
    check_lookups(reader, expected, random);
    CHECK(reader.ordering().numbers_ascend == (left <= 700));
    CHECK(reader.ordering().times_ascend == (left <= 800));
    CHECK(reader.chunk_count() == (left < 1000 ? (left + 99) / 100 : 11));
    CHECK(reader.keyframes(10).size() == (left < 1000 ? 0U : 1U));
    std::int64_t extra = 0;
    reader.for_each_extra([&](const ExtraRow& row) {
      CHECK(row.frame_index < left);
      ++extra;
      return true;
    });
    CHECK(extra == (left + 49) / 100);
    for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
      const std::int64_t frames = std::clamp<std::int64_t>(left - chunk * 100, 0, 100);
      CHECK(static_cast<int>(reader.keyframes(chunk).size()) ==
            (frames > 0) + (frames > 40) + (frames > 80));
      CHECK((frames == 0 || reader.chunk(chunk)->frame_count == frames));
    }
    CHECK(reader.integrity_findings().empty());
    if (has_sqlite3_program()) {
      CHECK(secondary_indexes(path) == (left > 700) + (left > 800));
    }
  }

  SECTION("and other frames put in place of those removed") {
    Rows replaced = expected;
    // As many as before, so that the count does not tell.
    for (std::int64_t i = left; i < 1000; ++i) {
      replaced.push_back(plain_row(i));
      replaced.back().frame_number += 4000;
      replaced.back().frame_time += 1e6;
      index.append(replaced.back());
    }
    check_lookups(index, expected, random);
    index.commit();
    check_lookups(index, replaced, random);
    reader.refresh();
    check_lookups(reader, replaced, random);
    index.close();
    check_lookups(Index::open(path), replaced, random);
  }
}

TEST_CASE("index: truncate refuses nonsense") {
  Index index = Index::create(":memory:");
  CHECK_ERROR(invalid_argument, index.truncate(-1));
}

TEST_CASE("index: set_pts") {
  const TemporaryFolder folder;
  const auto in_memory = GENERATE(true, false);
  Index index = Index::create(in_memory ? fs::path(":memory:") : folder / ".index.sqlite");
  append_plain(index, 300);
  for (std::int64_t chunk = 0; chunk < 3; ++chunk) {
    index.append_keyframe({chunk, 0, 0, std::nullopt, -1});
    index.append_keyframe({chunk, 50, 1, std::nullopt, -1});
  }
  index.close();

  std::vector<std::int64_t> pts(100);
  for (std::size_t i = 0; i < pts.size(); ++i) {
    pts[i] = static_cast<std::int64_t>(i) * 1001 - 5;
  }
  const std::vector<KeyframeRow> keyframes = {{1, 0, -5, -10, 40}, {1, 25, 25020, 25000, 900}};
  index.set_pts(100, pts, keyframes);
  index.commit();
  Rows expected = plain_rows(300);
  for (std::size_t i = 0; i < 100; ++i) {
    expected[100 + i].pts = pts[i];
  }
  CHECK(same(rows_of(index), expected));
  CHECK(index.keyframes(0).size() == 2);
  REQUIRE(index.keyframes(1).size() == 2);
  CHECK(index.keyframe_at_or_before(1, 60)->frame_idx == 25);
  CHECK(index.keyframe_at_or_before(1, 60)->dts == 25000);
  CHECK(index.keyframes(2).size() == 2);

  SECTION(
      "refuses frames that are not there, and keyframes of another chunk, and changes nothing") {
    const std::vector<KeyframeRow> others = {{1, 0, 7, 7, 7}, {2, 0, 7, 7, 7}};
    const std::vector<KeyframeRow> twice = {{1, 0, 7, 7, 7}, {1, 0, 7, 7, 7}};
    const std::vector<std::int64_t> changed(100, 7);
    CHECK_ERROR(invalid_argument, index.set_pts(250, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(-1, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(int64_max, changed, {}));
    CHECK_ERROR(invalid_argument, index.set_pts(100, changed, others));
    CHECK_ERROR(invalid_argument, index.set_pts(100, changed, twice));
    index.commit();
    CHECK(same(rows_of(index), expected));
    CHECK(index.keyframe_at_or_before(1, 60)->pts == 25020);
  }
}

TEST_CASE("index: opened for reading, it cannot be written") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  Index index = Index::open(path);
  CHECK_ERROR(invalid_argument, index.append(plain_row(10)));
  CHECK_ERROR(invalid_argument, index.set_information("a", "b"));
  CHECK_ERROR(invalid_argument, index.truncate(5));
  CHECK_ERROR(invalid_argument, index.set_pts(0, {}, {}));
  CHECK_ERROR(invalid_argument, index.put_chunk({}));
  index.commit();
  index.rollback();
  index.close();
  CHECK(same(rows_of(index), plain_rows(10)));
}

// --- Copies ---

TEST_CASE("index: save_as") {
  const TemporaryFolder folder;
  const fs::path target = folder / "copy.sqlite";

  SECTION("from memory") {
    Index index = Index::create(":memory:");
    append_plain(index, 2000);
    index.close();
    index.save_as(target);
    CHECK(same(rows_of(Index::open(target)), plain_rows(2000)));
  }
  SECTION("of one that is being written, replacing another that was") {
    {
      // Left by a kill: its log must not be mixed into the copy.
      CHECK(run_child([&] {
              Index old = Index::create(target);
              append_plain(old, 5000);
              old.commit();
              return std::raise(SIGKILL);
            }) == -SIGKILL);
      CHECK(fs::file_size(folder / "copy.sqlite-wal") > 0);
    }
    Index index = Index::create(folder / ".index.sqlite");
    append_plain(index, 2000);
    index.save_as(target);
    CHECK(same(rows_of(Index::open(target)), plain_rows(2000)));
    CHECK(!fs::exists(folder / "copy.sqlite-wal"));
    append_plain(index, 2100);
    index.close();
    CHECK(Index::open(folder / ".index.sqlite").frame_count() == 2100);
  }
  SECTION("of one opened for reading") {
    Index::open(closed_database(folder, 2000)).save_as(target);
    Index copy = Index::open_for_writing(target);
    CHECK(same(rows_of(copy), plain_rows(2000)));
    append_plain(copy, 2010);
    copy.close();
  }
  SECTION("but not onto itself, nor where nothing can be") {
    const fs::path path = closed_database(folder, 20);
    CHECK_ERROR(invalid_argument, Index::open(path).save_as(path));
    CHECK_ERROR(not_found, Index::open(path).save_as(folder / "none" / "copy.sqlite"));
    CHECK(same(rows_of(Index::open(path)), plain_rows(20)));
  }
  for (const auto& entry : fs::directory_iterator(target.parent_path())) {
    CHECK(entry.path().string().find(".tmp") == std::string::npos);
  }
}

// --- What is wrong with a file ---

TEST_CASE("index: a file that is not there, or is there already") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  CHECK_ERROR(not_found, Index::open(path));
  CHECK_ERROR(not_found, Index::open_for_writing(path));
  CHECK(!fs::exists(path));
  CHECK_ERROR(not_found, Index::create(folder / "none" / "index"));
  fs::create_directory(path);
  CHECK_ERROR(io, Index::open(path));
  CHECK_ERROR(exists, Index::create(path));
  fs::remove(path);
  closed_database(folder, 10);
  CHECK_ERROR(exists, Index::create(path));
  CHECK(Index::open(path).frame_count() == 10);
}

TEST_CASE("index: a log left by a database that is gone is not taken for a new one's") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  CHECK(run_child([&] {
          Index old = Index::create(path);
          append_plain(old, 5000);
          old.commit();
          return std::raise(SIGKILL);
        }) == -SIGKILL);
  fs::remove(path);
  CHECK(Index::create(path).frame_count() == 0);
  CHECK(Index::open(path).frame_count() == 0);
}

TEST_CASE("index: files that are no databases, or damaged ones") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 20'000);
  const auto size = fs::file_size(path);
  const auto overwrite = [&](std::uintmax_t begin, std::uintmax_t end) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(begin));
    file << std::string(static_cast<std::size_t>(end - begin), '\xa5');
  };

  SECTION("empty: not one of ours") {
    fs::resize_file(path, 0);
    CHECK_ERROR(not_found, Index::open(path));
    CHECK_ERROR(not_found, Index::open_for_writing(path));
  }
  SECTION("text") {
    std::ofstream(path) << std::string(10'000, 'x');
    CHECK_ERROR(corrupt, Index::open(path));
    CHECK_ERROR(corrupt, Index::open_for_writing(path));
    CHECK(kind_of_error([&] { Index::open(path); }, path.string()) == ErrorKind::corrupt);
    CHECK(kind_of_error([&] { Index::open(path); }, "not a database") == ErrorKind::corrupt);
  }
  SECTION("cut off") {
    fs::resize_file(path, size / 2);
    CHECK_ERROR(corrupt, rows_of(Index::open(path)));
  }
  SECTION("pages overwritten") {
    overwrite(4096, size);
    CHECK_ERROR(corrupt, Index::open(path));
  }
  SECTION("a few pages overwritten: the check finds it, reading says so") {
    overwrite(size / 2, size / 2 + 20'000);
    const Index index = Index::open(path);
    CHECK(!index.integrity_findings().empty());
    CHECK_ERROR(corrupt, rows_of(index));
  }
}

TEST_CASE("index: databases of others and of other versions") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";

  SECTION("the reference's") {
    sqlite3_program(path,
                    "CREATE TABLE chunks (chunk INTEGER, chunk_path TEXT);"
                    "CREATE TABLE frames (chunk INTEGER, frame_idx INTEGER, frame_number INTEGER, "
                    "frame_time REAL);"
                    "CREATE TABLE index_information (name TEXT, value TEXT);"
                    "CREATE TABLE summary (name TEXT, value REAL);"
                    "INSERT INTO index_information VALUES ('version', '1');"
                    "INSERT INTO frames VALUES (0, 0, 0, 0.5);");
    CHECK_ERROR(not_found, Index::open(path));
    CHECK_ERROR(not_found, Index::open_for_writing(path));
  }
  SECTION("a newer avstore's") {
    closed_database(folder, 10);
    sqlite3_program(path,
                    "UPDATE index_information SET value = '2' "
                    "WHERE name = 'avstore_schema_version'");
    CHECK(kind_of_error([&] { Index::open(path); }, "newer") == ErrorKind::unsupported);
    CHECK_ERROR(unsupported, Index::open_for_writing(path));
  }
  SECTION("a version that is none") {
    closed_database(folder, 10);
    for (const std::string version : {"", "one", "1x", "-1", "0", "99999999999999999999"}) {
      sqlite3_program(path, "UPDATE index_information SET value = '" + version +
                                "' WHERE name = 'avstore_schema_version'");
      CHECK_ERROR(corrupt, Index::open(path));
    }
  }
  SECTION("ours without a table or column") {
    closed_database(folder, 10);
    const std::string change =
        GENERATE("DROP TABLE frames", "DROP TABLE chunks", "DROP TABLE keyframes",
                 "DROP TABLE extra_data", "DROP TABLE summary",
                 "ALTER TABLE frames DROP COLUMN pts", "ALTER TABLE chunks DROP COLUMN stream");
    sqlite3_program(path, change);
    CHECK_ERROR(corrupt, Index::open(path));
    CHECK_ERROR(corrupt, Index::open_for_writing(path));
  }
  SECTION("ours with a row missing") {
    closed_database(folder, 1000);
    sqlite3_program(path, "DELETE FROM frames WHERE frame_index = 500");
    const Index index = Index::open(path);
    CHECK(index.frame_count() == 1000);
    CHECK(same(index.at(499), plain_row(499)));
    CHECK_ERROR(corrupt, index.at(500));
    Rows before;
    const auto visit = [&](const FrameRow& row) {
      before.push_back(row);
      return true;
    };
    CHECK_ERROR(corrupt, index.for_each({0, 1000}, visit));
    CHECK(same(before, plain_rows(500)));
    CHECK_ERROR(corrupt, index.names({0, 1000}));
  }
}

TEST_CASE("index: two writers in turn") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index first = Index::create(path);
  append_plain(first, 10);
  first.commit();
  Index second = Index::open_for_writing(path);
  append_plain(second, 20);
  second.commit();
  // The first does not overwrite what it has not seen.
  CHECK_ERROR(invalid_argument, first.append(plain_row(10)));
  first.rollback();
  CHECK(first.refresh() == 20);
  append_plain(first, 30);
  first.commit();
  CHECK(second.refresh() == 30);
  CHECK(same(rows_of(second), plain_rows(30)));
}

TEST_CASE("index: can be moved") {
  const TemporaryFolder folder;
  Index index = Index::create(":memory:");
  append_plain(index, 10);
  Index other = Index::open(closed_database(folder, 20));
  other = std::move(index);
  Index last(std::move(other));
  last.commit();
  CHECK(same(rows_of(last), plain_rows(10)));
}

TEST_CASE("index: a store cut and grown again to the same length") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  std::mt19937_64 random(11);
  Rows rows = plain_rows(1000);
  Index reader = Index::open(path);
  Index writer = Index::open_for_writing(path);
  check_lookups(reader, rows, random);
  check_lookups(writer, rows, random);
  writer.truncate(300);
  for (std::size_t i = 300; i < 1000; ++i) {
    rows[i].frame_number += 5000;
    rows[i].frame_time += 1e4;
    writer.append(rows[i]);
  }
  writer.commit();
  reader.refresh();
  check_lookups(reader, rows, random);
  check_lookups(writer, rows, random);
}

TEST_CASE("index: a store cut by another process") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  Index reader = Index::open(path);
  CHECK(reader.find_number(2400)->frame_index == 800);
  Index writer = Index::open_for_writing(path);
  writer.truncate(500);
  writer.commit();
  CHECK_ERROR(end_of_store, reader.at(800));
  CHECK(reader.refresh() == 500);
  CHECK(!reader.find_number(2400));
  CHECK(reader.nearest_number(2400)->frame_index == 499);
}

// --- Where it lies ---

TEST_CASE("index: any path will do") {
  const TemporaryFolder folder;
  const std::string name = GENERATE("with space", "Größe Übung", "what?", "100%25", "a#b", "it's",
                                    "a\"b;c", "file:x?mode=ro", ":memory:");
  const fs::path path = folder / name;
  Index index = Index::create(path);
  append_plain(index, 10);
  index.commit();
  CHECK(Index::open(path).frame_count() == 10);
  index.close();
  CHECK(fs::is_regular_file(path));
  CHECK(same(rows_of(Index::open(path)), plain_rows(10)));
  const fs::path copy = folder / (name + " copy");
  index.save_as(copy);
  CHECK(same(rows_of(Index::open(copy)), plain_rows(10)));
}

TEST_CASE("index: relative paths that SQLite would take for something else") {
  const TemporaryFolder folder;
  const int status = run_child([&] {
    fs::current_path((folder / "x").parent_path());
    for (const char* name : {"file:x?mode=memory", "plain", ":memory:2"}) {
      Index index = Index::create(name);
      append_plain(index, 10);
      index.close();
      if (!fs::is_regular_file(folder / name) || Index::open(name).frame_count() != 10) {
        return 1;
      }
    }
    return 0;
  });
  CHECK(status == 0);
}

TEST_CASE("index: reads in a folder that cannot be written") {
  const TemporaryFolder folder;
  const std::string name = GENERATE("store", "100% of #1 in Köln?");
  const fs::path store = folder / name;
  fs::create_directory(store);
  const fs::path path = store / ".index.sqlite";
  const fs::path temporary = folder / "temporary";
  fs::create_directory(temporary);
  fs::permissions(temporary, fs::perms(0777));

  const auto write_and_die = [&] {
    CHECK(run_child([&] {
            Index index = Index::create(path);
            append_plain(index, 5000);
            index.commit();
            return std::raise(SIGKILL);
          }) == -SIGKILL);
    CHECK(fs::file_size(path.string() + "-wal") > 0);
  };
  const auto closed = [&] {
    Index index = Index::create(path);
    append_plain(index, 5000);
    index.close();
  };

  bool copied = false;
  SECTION("closed") {
    closed();
  }
  SECTION("closed, the file itself read-only") {
    closed();
    fs::permissions(path, fs::perms(0444));
  }
  SECTION("its writer gone without closing, and nothing in the log") {
    {
      Index index = Index::create(path);
      append_plain(index, 5000);
      index.commit();
    }
    CHECK(!fs::exists(path.string() + "-wal"));
  }
  SECTION("its writer killed") {
    write_and_die();
  }
  SECTION("its writer killed, the log's index lost") {
    write_and_die();
    copied = true;
    fs::remove(path.string() + "-shm");
  }
  SECTION("its writer killed, the log's index lost, all read-only") {
    write_and_die();
    copied = true;
    fs::remove(path.string() + "-shm");
    fs::permissions(path, fs::perms(0444));
    fs::permissions(path.string() + "-wal", fs::perms(0444));
  }

  fs::permissions(store, fs::perms(0555));
  const int status = run_child([&] {
    become_nobody();
    ::setenv("TMPDIR", temporary.c_str(), 1);
    {
      Index index = Index::open(path);
      if (index.refresh() != 5000 || !same(rows_of(index), plain_rows(5000)) ||
          index.find_number(300)->frame_index != 100) {
        return 1;
      }
      // Copying takes long, so only where nothing else helps.
      if (fs::is_empty(temporary) == copied) {
        return 2;
      }
    }
    return fs::is_empty(temporary) ? 0 : 3;
  });
  CHECK(status == 0);
  // Where all belongs to another user it cannot be written either.
  if (::geteuid() == 0) {
    CHECK(run_child([&] {
            become_nobody();
            return kind_of_error([&] { Index::open_for_writing(path); }) == ErrorKind::io ? 0 : 1;
          }) == 0);
  }
}

TEST_CASE("index: follows a writer in a folder that only the writer can write") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Signal hundred;
  Signal hundred_seen;
  Signal two_hundred;
  const pid_t reader = start_child([&] {
    hundred.wait();
    become_nobody();
    Index index = Index::open(path);
    if (index.frame_count() != 100) {
      return 1;
    }
    hundred_seen.send();
    two_hundred.wait();
    return index.refresh() == 200 && same(rows_of(index), plain_rows(200)) ? 0 : 2;
  });
  Index writer = Index::create(path);
  append_plain(writer, 100);
  writer.commit();
  fs::permissions(path.parent_path(), fs::perms(0555));
  hundred.send();
  hundred_seen.wait();
  append_plain(writer, 200);
  writer.commit();
  two_hundred.send();
  CHECK(wait_for(reader) == 0);
}

TEST_CASE("index: can be opened at every moment of a writer's coming and going") {
  const auto unprivileged = GENERATE(false, true);
  if (unprivileged && ::geteuid() != 0) {
    return;  // reader and writer would be the same user
  }
  INFO((unprivileged ? "in a folder that only the writer can write" : "in the writer's folder"));
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  fs::permissions(path.parent_path(), fs::perms(unprivileged ? 0555 : 0755));
  const pid_t reader = start_child([&] {
    if (unprivileged) {
      become_nobody();
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (std::chrono::steady_clock::now() < end) {
      Index index = Index::open(path);
      const std::int64_t count = index.frame_count();
      if (!same(index.at(count - 1), plain_row(count - 1)) || index.refresh() < count) {
        return 1;
      }
    }
    return 0;
  });
  while (is_running(reader)) {
    Index writer = Index::open_for_writing(path);
    append_plain(writer, writer.frame_count() + 10);
    writer.close();
  }
  CHECK(wait_for(reader) == 0);
}

// --- The reference implementation's view ---

TEST_CASE("index: the reference's queries are answered, whatever the state") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  const auto unordered = GENERATE(false, true);
  Rows rows = plain_rows(1000);
  for (FrameRow& row : rows) {
    row.frame_number = unordered ? row.frame_number % 1024 : row.frame_number;
    row.frame_time = unordered ? 2e9 - row.frame_time / 2 : row.frame_time;
  }
  Index index = Index::create(path);
  append_all(index, rows);
  for (std::int64_t chunk = 0; chunk < 10; ++chunk) {
    index.put_chunk({.chunk = chunk, .path = "00000" + std::to_string(chunk), .checksum = ""});
  }
  const auto state = GENERATE("recording", "closed");
  if (std::string(state) == "closed") {
    index.close();
  } else {
    index.commit();
  }
  INFO((unordered ? "unordered, " : "ordered, ") << state);

  CHECK(sqlite3_program(path, "SELECT value FROM index_information WHERE name = 'version'") ==
        "1\n");
  CHECK(sqlite3_program(path, "SELECT COUNT(1) FROM frames") == "1000\n");
  CHECK(sqlite3_program(path, "SELECT chunk FROM chunks ORDER BY chunk").substr(0, 6) ==
        "0\n1\n2\n");
  CHECK(sqlite3_program(path, "SELECT chunk_path FROM chunks WHERE chunk = 7") == "000007\n");
  for (const std::int64_t frame : {0, 1, 457, 999}) {
    const FrameRow& row = rows[static_cast<std::size_t>(frame)];
    const std::string place =
        std::to_string(row.chunk) + "|" + std::to_string(row.frame_idx) + "\n";
    CHECK(
        sqlite3_program(path, "SELECT chunk, frame_idx FROM frames ORDER BY rowid LIMIT 1 OFFSET " +
                                  std::to_string(frame)) == place);
    const FrameRow first = *brute_find(rows, row.frame_number);
    const std::string found =
        sqlite3_program(path, "SELECT chunk, frame_idx FROM frames WHERE frame_number = " +
                                  std::to_string(row.frame_number));
    CHECK(found.substr(0, found.find('\n') + 1) ==
          std::to_string(first.chunk) + "|" + std::to_string(first.frame_idx) + "\n");
    std::ostringstream nearest;
    nearest.precision(17);
    nearest << "SELECT frame_index FROM frames ORDER BY ABS(" << row.frame_time
            << " - frame_time) LIMIT 1";
    CHECK(sqlite3_program(path, nearest.str()) == std::to_string(frame) + "\n");
  }
  std::string numbers;
  for (std::size_t i = 300; i < 400; ++i) {
    numbers += std::to_string(rows[i].frame_number) + "\n";
  }
  CHECK(sqlite3_program(path, "SELECT frame_number FROM frames WHERE chunk = 3 ORDER BY rowid") ==
        numbers);

  // The reference needs these four from the first frame on, as real numbers.
  const Extremes extremes = brute_extremes(rows);
  const auto summary = [&](const std::string& name) {
    const std::string where = " FROM summary WHERE name = '" + name + "'";
    CHECK(sqlite3_program(path, "SELECT typeof(value)" + where) == "real\n");
    const std::string value = sqlite3_program(path, "SELECT printf('%!.17g', value)" + where);
    return std::strtod(value.c_str(), nullptr);
  };
  CHECK(summary("frame_min") == static_cast<double>(extremes.number_min));
  CHECK(summary("frame_max") == static_cast<double>(extremes.number_max));
  CHECK(summary("frame_time_min") == extremes.time_min);
  CHECK(summary("frame_time_max") == extremes.time_max);

  // Secondary indexes only where they are needed.
  const bool indexed = unordered && std::string(state) == "closed";
  CHECK(secondary_indexes(path) == (indexed ? 2 : 0));
  CHECK(sqlite3_program(path, "PRAGMA integrity_check") == "ok\n");
}

TEST_CASE("index: the summary follows what is removed") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 1000);
  Index index = Index::open_for_writing(path);
  index.truncate(100);
  index.commit();
  CHECK(sqlite3_program(path, "SELECT value FROM summary WHERE name = 'frame_max'") == "297.0\n");
  append_plain(index, 200);
  index.commit();
  CHECK(sqlite3_program(path, "SELECT value FROM summary WHERE name = 'frame_max'") == "597.0\n");
  index.truncate(0);
  index.close();
  CHECK(sqlite3_program(path, "SELECT count(*) FROM summary") == "0\n");
}

TEST_CASE("index: the summary leaves out times that are no numbers") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  Index index = Index::create(path);
  const auto append_at = [&](double time) {
    FrameRow row = plain_row(index.frame_count());
    row.frame_time = time;
    index.append(row);
    index.commit();
  };
  const auto time_range = [&] {
    return sqlite3_program(path,
                           "SELECT value FROM summary WHERE name LIKE 'frame_time%' "
                           "ORDER BY name");
  };
  append_at(not_a_number);
  CHECK(time_range() == "\n\n");
  append_at(5.5);
  CHECK(time_range() == "5.5\n5.5\n");
  append_at(not_a_number);
  append_at(2.5);
  CHECK(time_range() == "5.5\n2.5\n");
}

TEST_CASE("index: at most 40 bytes a frame") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  constexpr std::int64_t frames = 200'000;
  Index index = Index::create(path);
  for (std::int64_t i = 0; i < frames; ++i) {
    // Places and numbers as large as ten million frames make them.
    const std::int64_t frame_idx = i % 10'000;
    index.append({i, 1000, frame_idx, 10'000'000 + i, 1.7e9 + static_cast<double>(i) / 100,
                  frame_idx * 512});
  }
  index.close();
  CHECK(fs::file_size(path) <= 40 * frames);
}

TEST_CASE("index: a whole chunk at once is the same as row by row") {
  const std::vector<std::int64_t> numbers{5, 6, 6, int64_min, int64_max};
  const std::vector<double> times{1.5, not_a_number, -infinity, 2, 1.7e9};
  const TemporaryFolder folder;
  Index bulk = Index::create(folder / "bulk.sqlite");
  Index single = Index::create(":memory:");
  for (std::int64_t chunk = 0; chunk < 3; ++chunk) {
    bulk.append_chunk(chunk, numbers, times);
    bulk.append_chunk(chunk, {}, {});
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto frame_idx = static_cast<std::int64_t>(i);
      single.append({chunk * 5 + frame_idx, chunk, frame_idx, numbers[i], times[i], std::nullopt});
    }
    bulk.commit();
    single.commit();
    REQUIRE(bulk.frame_count() == single.frame_count());
    CHECK(bulk.ordering().numbers_ascend == single.ordering().numbers_ascend);
    CHECK(bulk.ordering().times_ascend == single.ordering().times_ascend);
  }
  // Rows given one by one go on from there, and what is rolled back is gone.
  bulk.append_chunk(3, numbers, times);
  bulk.rollback();
  bulk.append({15, 3, 0, 7, 7, 70});
  bulk.commit();
  CHECK(bulk.at(15).pts == 70);
  for (std::int64_t i = 0; i < 15; ++i) {
    const FrameRow a = bulk.at(i);
    const FrameRow b = single.at(i);
    CHECK(a.chunk == b.chunk);
    CHECK(a.frame_idx == b.frame_idx);
    CHECK(a.frame_number == b.frame_number);
    CHECK((a.frame_time == b.frame_time || std::isnan(a.frame_time)));
    CHECK(std::isnan(a.frame_time) == std::isnan(b.frame_time));
    CHECK_FALSE(a.pts.has_value());
  }
  CHECK_THROWS_AS(bulk.append_chunk(4, numbers, std::vector<double>{1}), Error);
  CHECK_THROWS_AS(Index::open(folder / "bulk.sqlite").append_chunk(4, numbers, times), Error);
}

// --- Hostile databases ---

TEST_CASE("index: a schema of more than tables and indexes is refused, and never run") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 100);
  const std::string change = GENERATE(
      // one that would never end
      "ALTER TABLE frames RENAME TO f; CREATE VIEW frames AS WITH RECURSIVE c(x) AS (SELECT 1 "
      "UNION ALL SELECT x + 1 FROM c) SELECT x AS frame_index, 0 AS chunk, 0 AS frame_idx, 0 AS "
      "frame_number, 0.0 AS frame_time, 0 AS pts FROM c",
      "CREATE VIEW unasked AS SELECT 1",
      "CREATE TRIGGER t AFTER UPDATE ON frames BEGIN DELETE FROM chunks; END",
      "DROP TABLE summary; CREATE VIRTUAL TABLE summary USING rtree(name, value, more)",
      "ALTER TABLE chunks ADD COLUMN more AS (hex(zeroblob(1000000)))");
  CAPTURE(change);
  sqlite3_program(path, change);
  CHECK(kind_of_error([&] { Index::open(path); }, path.string()) == ErrorKind::corrupt);
  CHECK_ERROR(corrupt, Index::open_for_writing(path));
}

TEST_CASE("index: more frames than the file can hold are not believed") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  for (const std::string last : {"1000000", "9223372036854775806", "9223372036854775807"}) {
    sqlite3_program(path, "UPDATE frames SET frame_index = " + last +
                              " WHERE frame_index = (SELECT max(frame_index) FROM frames)");
    CHECK(kind_of_error([&] { Index::open(path); }, "frames") == ErrorKind::corrupt);
    CHECK_ERROR(corrupt, Index::open_for_writing(path));
  }
}

namespace {

fs::path database_of_one_chunk(const TemporaryFolder& folder) {
  fs::path path = closed_database(folder, 10);
  Index index = Index::open_for_writing(path);
  ChunkRow row;
  row.chunk = 7;
  row.path = "000007.mp4";
  row.frame_count = 10;
  index.put_chunk(row);
  index.close();
  return path;
}

}  // namespace

TEST_CASE("index: chunks that cannot be are refused") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = database_of_one_chunk(folder);
  CHECK(Index::open(path).chunks().size() == 1);
  const std::string change =
      GENERATE("first_frame_index = -1", "frame_count = -1",
               "first_frame_index = 9223372036854775807, frame_count = 1", "chunk = -1",
               "chunk_path = '../000007.mp4'", "chunk_path = '/tmp/000007.mp4'", "chunk_path = ''",
               "chunk_path = CAST(X'2E2E00' AS TEXT)");
  CAPTURE(change);
  sqlite3_program(path, "UPDATE chunks SET " + change);
  CHECK_ERROR(corrupt, Index::open(path).chunks());
  if (change != "chunk = -1") {
    CHECK_ERROR(corrupt, Index::open(path).chunk(7));
  }
}

TEST_CASE("index: a journal cannot have a file elsewhere removed") {
  const TemporaryFolder folder;
  const fs::path path = closed_database(folder, 10);
  const fs::path victim = folder / "victim.txt";
  std::ofstream(victim) << "somebody's work\n";
  // A journal of one page that holds what the page holds already. At its end comes the name of a
  // super-journal, which SQLite removes once it has rolled back.
  std::ifstream database(path, std::ios::binary);
  std::string page(4096, '\0');
  REQUIRE(database.read(page.data(), static_cast<std::streamsize>(page.size())));
  database.seekg(0, std::ios::end);
  const auto pages = static_cast<std::uint32_t>(database.tellg() / 4096);
  const auto big_endian = [](std::uint32_t value) {
    std::string bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      bytes += static_cast<char>(value >> shift & 0xFFU);
    }
    return bytes;
  };
  const std::string magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  std::uint32_t checksum = 0;
  for (std::size_t at = page.size() - 200; at < page.size(); at -= 200) {
    checksum += static_cast<unsigned char>(page[at]);
  }
  std::string journal = magic + big_endian(1) + big_endian(0) + big_endian(pages) +
                        big_endian(512) + big_endian(4096);
  journal.resize(512);
  journal += big_endian(1) + page + big_endian(checksum);
  const std::string name = victim.string();
  std::uint32_t sum = 0;
  for (const char c : name) {
    sum += static_cast<unsigned char>(c);
  }
  // SQLite takes what stands for the page with the lock, which no database has, for the name.
  journal += big_endian((1U << 30U) / 4096 + 1) + name +
             big_endian(static_cast<std::uint32_t>(name.size())) + big_endian(sum) + magic;
  const auto put = [&] { std::ofstream(path.string() + "-journal", std::ios::binary) << journal; };

  const auto refused = [&](const auto& open) {
    put();
    try {
      open();
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::corrupt;
    }
  };
  CHECK(refused([&] { Index::open(path); }));
  CHECK(fs::exists(victim));
  CHECK(refused([&] { Index::open_for_writing(path); }));
  CHECK(fs::exists(victim));
}

// Puts `depth` interior pages above the one page of table `chunks`, each of which leads to the next
// a hundred times over: as many rows as there are ways down.
void tie_pages_in_knots(const fs::path& path, int depth) {
  const std::int64_t root =
      std::stoll(sqlite3_program(path, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'"));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string header(100, '\0');
  REQUIRE(file.read(header.data(), 100));
  constexpr std::size_t kPage = 4096;
  file.seekg(static_cast<std::streamoff>(kPage * static_cast<std::size_t>(root - 1)));
  std::string leaf(kPage, '\0');
  REQUIRE(file.read(leaf.data(), kPage));
  const auto put = [](std::string& page, std::size_t at, std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      page[at + static_cast<std::size_t>(i)] =
          static_cast<char>(value >> (8U * static_cast<unsigned>(bytes - 1 - i)) & 0xFFU);
    }
  };
  file.seekg(0, std::ios::end);
  const auto pages = static_cast<std::uint32_t>(static_cast<std::size_t>(file.tellg()) / kPage);
  constexpr std::uint32_t kCells = 100;
  constexpr std::uint32_t kCellSize = 5;  // the page below, and a rowid
  for (int level = 0; level < depth; ++level) {
    std::string interior(kPage, '\0');
    const std::uint32_t below = pages + static_cast<std::uint32_t>(level) + 1;
    put(interior, 0, 5, 1);
    put(interior, 3, kCells, 2);
    put(interior, 5, kPage - kCells * kCellSize, 2);
    put(interior, 8, below, 4);
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      const std::uint32_t at = kPage - (cell + 1) * kCellSize;
      put(interior, 12 + 2 * cell, at, 2);
      put(interior, at, below, 4);
      put(interior, at + 4, 100, 1);
    }
    const std::int64_t place = level == 0 ? root - 1 : pages + level - 1;
    file.seekp(static_cast<std::streamoff>(kPage * static_cast<std::size_t>(place)));
    file.write(interior.data(), kPage);
  }
  file.seekp(static_cast<std::streamoff>(kPage * (pages + static_cast<std::size_t>(depth) - 1)));
  file.write(leaf.data(), kPage);
  put(header, 28, pages + static_cast<std::uint32_t>(depth), 4);
  file.seekp(0);
  file.write(header.data(), 100);
}

TEST_CASE("index: pages that lead to the same rows over and over are found out") {
  if (!has_sqlite3_program()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path path = database_of_one_chunk(folder);
  tie_pages_in_knots(path, 4);  // 100 million rows in 16 KB
  const Index index = Index::open(path);
  CHECK_ERROR(corrupt, index.chunks());
  CHECK_ERROR(corrupt, index.chunk_count());
}

TEST_CASE("index: a pipe in its place keeps nobody waiting") {
  const TemporaryFolder folder;
  const fs::path path = folder / ".index.sqlite";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK_ERROR(corrupt, Index::open(path));
  CHECK_ERROR(corrupt, Index::open_for_writing(path));
}
