// Numbers, times and places of frames, written and read back, against what was given and against
// what sqlite3, unzip and NumPy make of the files.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::ErrorKind;
using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Match;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::check_names;
using avstore::test::check_places;
using avstore::test::chunk_file;
using avstore::test::error_of;
using avstore::test::is_video;
using avstore::test::kMaxNumber;
using avstore::test::kMinNumber;
using avstore::test::Name;
using avstore::test::odd_names;
using avstore::test::options_of;
using avstore::test::plain_names;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::run;
using avstore::test::sqlite;
using avstore::test::TemporaryFolder;
using avstore::test::times_of;
using avstore::test::write_store;
using avstore::test::wrong_codes;
using Catch::Matchers::ContainsSubstring;

}  // namespace

// --- Names of frames ---

namespace {

// By looking at every name: the first one of the smallest distance.
template <typename Distance>
std::int64_t nearest_by_hand(const std::vector<Name>& names, const Distance& distance) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < names.size(); ++i) {
    if (distance(names[i]) < distance(names[best])) {
      best = i;
    }
  }
  return static_cast<std::int64_t>(best);
}

std::int64_t nearest_number_by_hand(const std::vector<Name>& names, std::int64_t target) {
  return nearest_by_hand(names, [target](const Name& name) {
    const std::uint64_t a = static_cast<std::uint64_t>(std::max(name.number, target));
    return a - static_cast<std::uint64_t>(std::min(name.number, target));
  });
}

std::int64_t nearest_time_by_hand(const std::vector<Name>& names, double target) {
  return nearest_by_hand(names, [target](const Name& name) {
    return std::abs(static_cast<long double>(name.time) - static_cast<long double>(target));
  });
}

void check_lookups(Reader& reader, const std::vector<Name>& names) {
  for (const Name& name : names) {
    const auto first = std::find_if(names.begin(), names.end(), [&name](const Name& other) {
      return other.number == name.number;
    });
    CAPTURE(name.number, name.time);
    CHECK(reader.find(FrameNumber(name.number)).index.value == first - names.begin());
    CHECK(reader.read(FrameNumber(name.number)).info.number.value == name.number);
    CHECK(reader.find(FrameTime(name.time)).time.seconds == name.time);
  }
  for (const std::int64_t target :
       {kMinNumber, kMinNumber + 2, std::int64_t{-50}, std::int64_t{-1}, std::int64_t{50},
        std::int64_t{56}, std::int64_t{57}, std::int64_t{1} << 62, kMaxNumber - 1, kMaxNumber}) {
    CAPTURE(target);
    CHECK(reader.find(FrameNumber(target), Match::nearest).index.value ==
          nearest_number_by_hand(names, target));
  }
  for (const double target : {-1e15, -1.0, 0.0, 0.2, 1.0, 2.4999, 5.0, 1e9, 1.65e9, 1e12}) {
    CAPTURE(target);
    CHECK(reader.find(FrameTime(target)).index.value == nearest_time_by_hand(names, target));
  }
}

}  // namespace

TEST_CASE("frames are found by number and by time, whatever these do") {
  std::vector<Name> ascending = plain_names(50);
  for (std::size_t i = 20; i < 50; ++i) {
    ascending[i].number += 1000;
    ascending[i].time += 60;
  }
  std::vector<Name> reversed(ascending.rbegin(), ascending.rend());
  const std::vector<Name> same(10, Name{42, 1.5});
  for (const auto& names : {odd_names(), ascending, reversed, same, plain_names(1)}) {
    DYNAMIC_SECTION("first " << names[0].number << ", " << names.size() << " frames") {
      const TemporaryFolder folder;
      write_store(folder.path() / "store", options_of("pgm"), pixel::gray8, names, 16, 16);
      Reader reader(folder.path() / "store");
      check_names(reader, names);
      check_lookups(reader, names);
      CHECK(reader.info().number_min.value ==
            std::min_element(names.begin(), names.end(), [](const Name& a, const Name& b) {
              return a.number < b.number;
            })->number);
      CHECK(reader.info().time_max.seconds ==
            std::max_element(names.begin(), names.end(), [](const Name& a, const Name& b) {
              return a.time < b.time;
            })->time);
    }
  }
}

TEST_CASE("numbers and indices that are not there are errors which say so") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), pixel::gray8, plain_names(10));
  Reader reader(store);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{10}, kMaxNumber, kMinNumber}) {
    CAPTURE(index);
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { reader.read(FrameIndex(index)); }, [&] { reader.find(FrameIndex(index)); }}) {
      const auto error = error_of(call);
      CHECK(error.kind() == ErrorKind::end_of_store);
      CHECK_THAT(error.what(),
                 ContainsSubstring(store.string()) && ContainsSubstring(std::to_string(index)));
    }
  }
  const auto error = error_of([&] { reader.read(FrameNumber(10)); });
  CHECK(error.kind() == ErrorKind::not_found);
  CHECK_THAT(error.what(), ContainsSubstring(store.string()) && ContainsSubstring("10"));
  CHECK(reader.read(FrameNumber(10), Match::nearest).info.index.value == 9);
  const std::vector<FrameIndex> beyond{FrameIndex(3), FrameIndex(10)};
  CHECK(error_of([&] { reader.read_many(beyond); }).kind() == ErrorKind::end_of_store);
  CHECK(reader.read(FrameIndex(4)).info.index.value == 4);
}

TEST_CASE("times that are no numbers come back as such") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<double> times{1, std::numeric_limits<double>::quiet_NaN(), kInfinity,
                                  -kInfinity, 2};
  for (const std::string format : {"avc1/mp4", "png"}) {
    for (const auto timing : {avstore::Timing::nominal, avstore::Timing::real}) {
      DYNAMIC_SECTION(format << (timing == avstore::Timing::real ? " real" : " nominal")) {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        WriterOptions options = options_of(format);
        options.timing = timing;
        std::vector<Name> names;
        for (const double time : times) {
          names.push_back({static_cast<std::int64_t>(names.size()), time});
        }
        write_store(store, options, pixel::gray8, names);
        Reader reader(store);
        const auto found = times_of(reader.infos({0, 5}));
        REQUIRE(found.size() == 5);
        CHECK(std::isnan(found[1]));
        CHECK(found[2] == kInfinity);
        CHECK(found[3] == -kInfinity);
        CHECK(reader.find(FrameTime(1.9)).index.value == 4);
        CHECK(wrong_codes(store).empty());
        CHECK(error_of([&] { reader.find(FrameTime(times[1])); }).kind() == ErrorKind::not_found);
      }
    }
  }
}

// --- Chunks ---

TEST_CASE("stores of any number of frames have chunks of the size asked for") {
  for (const std::string format : {"avc1/mp4", "ffv1/mkv", "mjpeg/avi", "png", "npy"}) {
    for (const int count : {1, 6, 7, 8, 14, 23}) {
      DYNAMIC_SECTION(format << ", " << count << " frames") {
        const TemporaryFolder folder;
        const auto store = folder.path() / "store";
        write_store(store, options_of(format), pixel::bgr24, plain_names(count));
        Reader reader(store);
        check_names(reader, plain_names(count));
        check_places(reader, 7);
        CHECK(reader.info().chunk_count == (count + 6) / 7);
        CHECK(reader.info().chunk_size == 7);
        CHECK(wrong_codes(store).empty());
        CHECK(fs::exists(chunk_file(store, format, (count - 1) / 7)));
        CHECK_FALSE(fs::exists(chunk_file(store, format, (count - 1) / 7 + 1)));
        CHECK_FALSE(fs::exists(store / ".lock"));
        CHECK_FALSE(fs::exists(store / ".index.sqlite-wal"));
      }
    }
  }
}

TEST_CASE("chunks hold 10000 frames of video and 200 images unless told otherwise") {
  for (const auto& [format, size] :
       std::map<std::string, std::int64_t>{{"avc1/mp4", 10000}, {"png", 200}}) {
    const TemporaryFolder folder;
    write_store(folder.path() / "store", options_of(format, 0), pixel::gray8, plain_names(2));
    CHECK(Reader(folder.path() / "store").info().chunk_size == size);
  }
}

TEST_CASE("a store closed before its first frame is an empty store") {
  for (const std::string format : {"avc1/mp4", "npy"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      Writer writer(store, options_of(format));
      writer.sync();
      writer.close();
      writer.close();
      Reader reader(store);
      CHECK(reader.frame_count() == 0);
      CHECK_FALSE(reader.next().has_value());
      CHECK(reader.infos({0, 5}).empty());
      CHECK(error_of([&] { reader.read(FrameIndex(0)); }).kind() == ErrorKind::end_of_store);
      CHECK(error_of([&] { reader.read(FrameTime(0)); }).kind() == ErrorKind::not_found);
      CHECK(reader.read_many(std::vector<FrameIndex>()).empty());
    }
  }
}

TEST_CASE("each chunk has its names as arrays that NumPy and unzip read") {
  for (const std::string format : {"mjpeg/avi", "tif"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      write_store(store, options_of(format), pixel::gray8, odd_names());
      for (std::size_t chunk = 0; chunk < 4; ++chunk) {
        const auto stem = fs::path(chunk_file(store, format, static_cast<int>(chunk)));
        const auto npz =
            is_video(format) ? fs::path(stem).replace_extension(".npz") : stem / "index.npz";
        run("unzip -tq " + quoted(npz));
        std::ostringstream expected;
        expected << "int64 float64\n";
        for (std::size_t i = 7 * chunk; i < std::min<std::size_t>(7 * chunk + 7, 23); ++i) {
          std::array<char, 64> line{};
          std::snprintf(line.data(), line.size(), "%lld %a\n",
                        static_cast<long long>(odd_names()[i].number), odd_names()[i].time);
          expected << line.data();
        }
        std::istringstream found(
            python("import sys, numpy as n; a = n.load(sys.argv[1], allow_pickle=False)\n"
                   "print(a['frame_number'].dtype, a['frame_time'].dtype)\n"
                   "for i, t in zip(a['frame_number'], a['frame_time']): print(i, float(t).hex())",
                   npz));
        std::istringstream wanted(expected.str());
        std::string a;
        std::string b;
        std::getline(found, a);
        std::getline(wanted, b);
        CHECK(a == b);
        // Hexadecimal floats have several spellings, so they are compared as numbers.
        std::int64_t number_a = 0;
        std::int64_t number_b = 0;
        int lines = 0;
        while (found >> number_a >> a && wanted >> number_b >> b) {
          CHECK(number_a == number_b);
          CHECK(std::strtod(a.c_str(), nullptr) == std::strtod(b.c_str(), nullptr));
          ++lines;
        }
        CHECK(lines == (chunk < 3 ? 7 : 2));
      }
    }
  }
}

TEST_CASE("the reference's queries give its rows") {
  for (const std::string format : {"h264/mkv", "bmp"}) {
    DYNAMIC_SECTION(format) {
      const TemporaryFolder folder;
      const auto store = folder.path() / "store";
      std::vector<Name> names = plain_names(23);
      names[4].number = 99;
      names[17].number = 99;
      write_store(store, options_of(format), pixel::gray8, names);
      CHECK(sqlite(store, "SELECT COUNT(1) FROM frames") == std::vector<std::string>{"23"});
      for (int i = 0; i < 23; ++i) {
        const std::string place = std::to_string(i / 7) + "|" + std::to_string(i % 7);
        CHECK(sqlite(store, "SELECT chunk, frame_idx FROM frames ORDER BY rowid LIMIT 1 OFFSET " +
                                std::to_string(i)) == std::vector<std::string>{place});
      }
      CHECK(sqlite(store, "SELECT chunk, frame_idx FROM frames WHERE frame_number = 99") ==
            std::vector<std::string>{"0|4", "2|3"});
      CHECK(sqlite(store,
                   "SELECT chunk, frame_idx FROM frames ORDER BY ABS(1000.43 - frame_time) "
                   "LIMIT 1") == std::vector<std::string>{"1|4"});
      CHECK(sqlite(store, "SELECT frame_number FROM frames WHERE chunk = 3") ==
            std::vector<std::string>{"21", "22"});
      const std::string extension = is_video(format) ? ".mkv" : "";
      CHECK(sqlite(store, "SELECT chunk, chunk_path FROM chunks ORDER BY chunk")[3] ==
            "3|000003" + extension);
      CHECK(sqlite(store, "SELECT value FROM index_information WHERE name = 'version'") ==
            std::vector<std::string>{"1"});
      CHECK(sqlite(store, "SELECT name, value FROM summary ORDER BY name") ==
            std::vector<std::string>{"frame_max|99.0", "frame_min|0.0", "frame_time_max|1000.88",
                                     "frame_time_min|1000.0"});
      CHECK(sqlite(store, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
    }
  }
}
