// Work on whole stores: renumbering, aligning, trying formats out; and extra data on their way.
// What is on disk is looked at with NumPy, sqlite3, ffmpeg and date.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/local_time.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "imgstore/motif_hdf5.h"
#include "support/catch.h"
#include "support/media_folder.h"
#include "support/programs.h"

// ---- dying at any step ---------------------------------------------------------------------

// Calls that change the disk, of the library and of those that it uses, come by here first.
namespace {

long steps_left = -1;  // negative: never

void step() {
  if (steps_left > 0 && --steps_left == 0) {
    ::_exit(42);
  }
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
int rename(const char* from, const char* to) noexcept {
  step();
  return real<int(const char*, const char*)>("rename")(from, to);
}
int remove(const char* path) noexcept {
  step();
  return real<int(const char*)>("remove")(path);
}
int unlink(const char* path) noexcept {
  step();
  return real<int(const char*)>("unlink")(path);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  step();
  return real<int(int, const char*, int)>("unlinkat")(folder, path, flags);
}
int mkdir(const char* path, mode_t mode) noexcept {
  step();
  return real<int(const char*, mode_t)>("mkdir")(path, mode);
}
int fsync(int descriptor) {
  step();
  return real<int(int)>("fsync")(descriptor);
}
ssize_t write(int descriptor, const void* bytes, std::size_t count) {
  step();
  return real<ssize_t(int, const void*, std::size_t)>("write")(descriptor, bytes, count);
}
}

namespace {

namespace fs = std::filesystem;
namespace pixel = avstore::pixel;

using avstore::AlignBy;
using avstore::AlignedFrame;
using avstore::Alignment;
using avstore::AlignOptions;
using avstore::AlignPolicy;
using avstore::ErrorKind;
using avstore::ExtraData;
using avstore::FrameIndex;
using avstore::FrameInfo;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Image;
using avstore::Reader;
using avstore::ReaderOptions;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::python;
using avstore::test::quoted;
using avstore::test::read_text;
using avstore::test::run;
using avstore::test::TemporaryFolder;
using avstore::test::write_text;
using Catch::Matchers::Contains;

// ---- other programs ------------------------------------------------------------------------

std::string sqlite(const fs::path& store, const std::string& sql) {
  return run("sqlite3 " + quoted(store / ".index.sqlite") + " " + quoted(sql));
}

std::string npz_array(const fs::path& file, const std::string& key) {
  return python(
      "import numpy, sys; print(*numpy.atleast_1d(numpy.load(sys.argv[1])['" + key + "']))", file);
}

// How a child process that does `work` ends: its exit status.
int in_child(const std::function<void()>& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(60);
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// ---- frames with their code in the pixels --------------------------------------------------

constexpr int kBars = 8;
constexpr int kBarWidth = 12;
constexpr int kWidth = kBars * kBarWidth;
constexpr int kHeight = 64;

std::vector<std::uint8_t> draw(int code) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < kWidth * kHeight; ++i) {
    const int bar = i % kWidth / kBarWidth;
    pixels.push_back((code >> (kBars - 1 - bar) & 1) != 0 ? 220 : 20);
  }
  return pixels;
}

// The code in the picture that begins at column `left`; 0 where it is black.
int code_of(const Image& image, int left = 0) {
  const Image gray = avstore::convert(image.view(), pixel::gray8);
  int code = 0;
  for (int bar = 0; bar < kBars; ++bar) {
    const std::uint8_t* middle =
        gray.data() + 20 * gray.stride() + left + bar * kBarWidth + kBarWidth / 2;
    code = 2 * code + (*middle > 120 ? 1 : 0);
  }
  return code;
}

struct Names {
  std::int64_t number;
  double time;
};

WriterOptions options_of(const std::string& format, std::int64_t chunk_size = 3) {
  WriterOptions options;
  options.format = format;
  options.chunk_size = chunk_size;
  options.timezone_local = "Europe/Vienna";
  return options;
}

// A store whose frame i has the code first_code + i, with a record of extra data each.
void make_store(const fs::path& store, const std::vector<Names>& names, int first_code,
                const WriterOptions& options, bool extra = true) {
  Writer writer(store, options);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto pixels = draw(first_code + static_cast<int>(i));
    writer.add(avstore::packed_view(pixel::gray8, kWidth, kHeight, pixels.data()),
               FrameNumber(names[i].number), FrameTime(names[i].time));
    if (extra) {
      writer.add_extra("{\"k\": " + std::to_string(i) + "}");
    }
  }
  writer.close();
}

const std::vector<Names> kCameraStarted{{3, 10.0}, {4, 10.1}, {0, 10.2}, {1, 10.3},
                                        {2, 10.4}, {3, 10.5}, {4, 10.6}};

std::vector<std::int64_t> numbers(const fs::path& store, ReaderOptions options = {}) {
  std::vector<std::int64_t> all;
  for (const FrameInfo& info : Reader(store, std::move(options)).infos({0, INT64_MAX})) {
    all.push_back(info.number.value);
  }
  return all;
}

std::vector<std::int64_t> extra_numbers(const fs::path& store) {
  std::vector<std::int64_t> all;
  for (const FrameNumber number : avstore::read_extra(store).frame_number) {
    all.push_back(number.value);
  }
  return all;
}

const std::vector<std::int64_t> kOld{3, 4, 0, 1, 2, 3, 4};
const std::vector<std::int64_t> kNew{-2, -1, 0, 1, 2, 3, 4};

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const avstore::Error& error) {
    return error.what();
  }
  return "no error";
}

// All that a store says, for comparing.
using Row = std::tuple<std::int64_t, double, std::string>;
std::vector<Row> extra_rows(const ExtraData& data, const std::string& column) {
  std::vector<Row> rows;
  const avstore::ExtraColumn* values = data.find(column);
  REQUIRE(values != nullptr);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::string text = std::visit(
        [i](const auto& all) {
          std::ostringstream out;
          if constexpr (requires { out << all[i]; }) {
            out << all[i];
          } else {
            out << all[i].text;
          }
          return out.str();
        },
        values->values);
    rows.emplace_back(data.frame_index[i].value, data.frame_number[i].value, text);
  }
  return rows;
}

fs::path golden_copy(const std::string& name, const fs::path& folder) {
  const fs::path original = fs::path(AVSTORE_DATA) / "golden" / name;
  REQUIRE(fs::exists(original));
  fs::copy(original, folder / name, fs::copy_options::recursive);
  run("chmod -R u+w " + quoted(folder / name));
  return folder / name;
}

// ---- renumbering ---------------------------------------------------------------------------

TEST_CASE("reindex renumbers the frames before the one with number 0, everywhere") {
  const std::string format = GENERATE("ffv1/mkv", "avc1/mp4", "png");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  make_store(store, kCameraStarted, 1, options_of(format));
  const auto result = avstore::reindex(store, {});
  CHECK(result.frames == 7);
  CHECK(result.zero == FrameIndex(2));
  CHECK(result.renumbered == 2);

  CHECK(numbers(store) == kNew);
  CHECK(extra_numbers(store) == kNew);
  CHECK(sqlite(store, "SELECT group_concat(frame_number) FROM frames") == "-2,-1,0,1,2,3,4\n");
  CHECK(sqlite(store, "SELECT group_concat(frame_number) FROM extra_data") == "-2,-1,0,1,2,3,4\n");
  CHECK(sqlite(store, "SELECT CAST(value AS INTEGER) FROM summary WHERE name = 'frame_min'") ==
        "-2\n");
  const bool video = format != "png";
  const fs::path npz = store / (video ? "000000.npz" : "000000/index.npz");
  CHECK(npz_array(npz, "frame_number") == "-2 -1 0\n");
  CHECK(npz_array(npz, "_frame_number_before_reindex") == "3 4 0\n");
  CHECK(npz_array(npz, "frame_time") == "10.0 10.1 10.2\n");
  CHECK(npz_array(npz, "uuid") == Reader(store).info().uuid + "\n");  // what else was there stays
  const fs::path json = store / (video ? "000000.extra.json" : "000000/index.extra.json");
  CHECK(python("import json, sys\n"
               "for r in json.load(open(sys.argv[1])): print(r['frame_number'], "
               "r['_frame_number_before_reindex'], r['k'])",
               json) == "-2 3 0\n-1 4 1\n0 0 2\n");

  Reader reader(store);
  CHECK(code_of(reader.read(FrameNumber(-1)).image) == 2);
  CHECK(avstore::verify(store, {}).findings.empty());
  fs::remove(store / ".index.sqlite");
  CHECK(numbers(store) == kNew);

  // Once more changes nothing.
  const std::string before = read_text(npz);
  CHECK(avstore::reindex(store, {}).renumbered == 0);
  CHECK(read_text(npz) == before);
  for (const auto& entry : fs::directory_iterator(store)) {
    CHECK_THAT(entry.path().filename().string(), !Contains("staged"));
  }
}

// The reference implementation wrote a store, renumbered it, and read it.
TEST_CASE("reindex gives what the reference gives") {
  const char* golden = std::getenv("AVSTORE_GOLDEN");
  if (golden == nullptr || !fs::exists(fs::path(golden) / "reindex_before")) {
    WARN("skipped: AVSTORE_GOLDEN has no reindex_before");
    return;
  }
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  fs::copy(fs::path(golden) / "reindex_before", store, fs::copy_options::recursive);
  run("chmod -R u+w " + quoted(store));
  CHECK(avstore::reindex(store, {}).renumbered == 2);
  const fs::path after = fs::path(golden) / "reindex_after";
  for (const char* chunk : {"000000.npz", "000001.npz", "000002.npz"}) {
    for (const char* key : {"frame_number", "frame_time", "_frame_number_before_reindex"}) {
      CHECK(npz_array(store / chunk, key) == npz_array(after / chunk, key));
    }
  }
  const std::string script =
      "import json, sys\n"
      "for r in json.load(open(sys.argv[1])):\n"
      "    r['frame_time'] = round(r['frame_time'], 6)\n"
      "    print(sorted(r.items()))";
  for (const char* file : {"000000.extra.json", "000002.extra.json"}) {
    CHECK(python(script, store / file) == python(script, after / file));
  }
  CHECK(numbers(store) == numbers(after, [] {
          ReaderOptions options;
          options.save_index = false;
          return options;
        }()));
}

TEST_CASE("black is black in colour too") {
  const std::string format = GENERATE("avc1/mp4", "png", "ffv1/mkv");
  const TemporaryFolder folder;
  for (const auto& [name, number] : {std::pair("a", 1), std::pair("b", 2)}) {
    Writer writer(folder.path() / name, options_of(format));
    const std::vector<std::uint8_t> pixels(std::size_t{3} * kWidth * kHeight, 200);
    writer.add(avstore::packed_view(pixel::bgr24, kWidth, kHeight, pixels.data()),
               FrameNumber(number), FrameTime(number));
    writer.close();
  }
  AlignOptions options;
  options.policy = AlignPolicy::black;
  const Alignment alignment = avstore::align({folder.path() / "a", folder.path() / "b"}, options);
  avstore::AlignedWriterOptions writing;
  writing.writer = options_of(format);
  avstore::write_aligned(alignment, {folder.path() / "c", folder.path() / "d"}, writing);
  ReaderOptions reading;
  reading.pixel_format = pixel::bgr24;
  Reader reader(folder.path() / "c", reading);
  CHECK(reader.info().color);
  CHECK(std::abs(int{*reader.read(FrameIndex(0)).image.data()} - 200) < 10);  // lossy
  CHECK(int{*reader.read(FrameIndex(1)).image.data()} < 4);
}

TEST_CASE("reindex refuses a store without exactly one frame of number 0") {
  const TemporaryFolder folder;
  make_store(folder.path() / "none", {{1, 0}, {2, 1}}, 1, options_of("png"));
  make_store(folder.path() / "two", {{0, 0}, {1, 1}, {0, 2}}, 1, options_of("png"));
  CHECK_THAT(message_of([&] { avstore::reindex(folder.path() / "none", {}); }),
             Contains("none: 0 frames have number 0"));
  CHECK_THAT(message_of([&] { avstore::reindex(folder.path() / "two", {}); }),
             Contains("two: 2 frames have number 0"));
  make_store(folder.path() / "open", kCameraStarted, 1, options_of("png"));
  write_text(folder.path() / "open" / ".lock", "");
  CHECK_THAT(message_of([&] { avstore::reindex(folder.path() / "open", {}); }),
             Contains("is being recorded"));
  CHECK(numbers(folder.path() / "open") == kOld);
}

TEST_CASE("reindex makes an npz of a YAML index") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  make_store(store, kCameraStarted, 1, options_of("png"));
  fs::remove(store / "000000" / "index.npz");
  write_text(store / "000000" / "index.yaml",
             "frame_number: [3, 4, 0]\nframe_time: [10.0, 10.1, 10.2]\n");
  avstore::reindex(store, {});
  CHECK_FALSE(fs::exists(store / "000000" / "index.yaml"));
  CHECK(npz_array(store / "000000" / "index.npz", "_frame_number_before_reindex") == "3 4 0\n");
  fs::remove(store / ".index.sqlite");
  CHECK(numbers(store) == kNew);
}

// Whatever step it dies at, who opens the store next finds the old numbers everywhere or the new.
TEST_CASE("reindex killed at any step is done or undone") {
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  make_store(original, kCameraStarted, 1, options_of("png"));
  int done = 0;
  int undone = 0;
  for (long at = 1;; ++at) {
    const fs::path store = folder.path() / ("killed" + std::to_string(at));
    fs::copy(original, store, fs::copy_options::recursive);
    const int status = in_child([&] {
      steps_left = at;
      avstore::reindex(store, {});
    });
    INFO("step " << at << ", status " << status);
    REQUIRE((status == 42 || status == 0));

    // Readers that must not write see one or the other as well.
    ReaderOptions no_save;
    no_save.save_index = false;
    const auto seen = numbers(store, no_save);
    REQUIRE((seen == kNew || seen == kOld));
    CHECK(extra_numbers(store) == seen);

    REQUIRE(numbers(store) == seen);
    CHECK(extra_numbers(store) == seen);
    CHECK(sqlite(store, "PRAGMA integrity_check") == "ok\n");
    CHECK(avstore::verify(store, {}).findings.empty());
    CHECK(npz_array(store / "000000" / "index.npz", "frame_number") ==
          (seen == kNew ? "-2 -1 0\n" : "3 4 0\n"));
    CHECK_FALSE(fs::exists(store / ".staged"));
    ++(seen == kNew ? done : undone);
    // And the work can be done after all.
    avstore::reindex(store, {});
    CHECK(numbers(store) == kNew);
    CHECK_FALSE(fs::exists(store / ".staged.partial"));
    fs::remove_all(store);
    if (status == 0) {
      break;
    }
  }
  CAPTURE(done, undone);
  CHECK(done >= 8);
  CHECK(undone >= 8);
}

TEST_CASE("a store renumbered shows its HDF5 extra data under the new numbers") {
  if (!avstore::imgstore::has_hdf5()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path store = golden_copy("motif_extra_h5", folder.path());
  const ExtraData before = avstore::read_extra(store);
  python(
      "import glob, numpy, sys\n"
      "for file in glob.glob(sys.argv[1] + '/*.npz'):\n"
      "    z = numpy.load(file)\n"
      "    number, time = z['frame_number'], z['frame_time']\n"
      "    numpy.savez(file, frame_number=number - 100, frame_time=time,\n"
      "                _frame_number_before_reindex=number)",
      store);
  const ExtraData after = avstore::read_extra(store);
  REQUIRE(after.size() == before.size());
  REQUIRE(before.size() > 0);
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(after.frame_number[i].value == before.frame_number[i].value - 100);
    const auto& old = after.find("_frame_number_before_reindex")->values;
    CHECK(std::get<std::vector<std::int64_t>>(old)[i] == before.frame_number[i].value);
  }
}

TEST_CASE("records of Motif's JSON are renumbered and not taken for padding") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  make_store(store, kCameraStarted, 1, options_of("png"), false);
  write_text(store / "000000.extra_data.json",
             R"([{"frame_number": 3, "frame_index": 0, "frame_time": 10.0, "volt": 1.5},)"
             R"( {"frame_number": -1, "frame_index": -1, "frame_time": 0, "volt": 0},)"
             R"( {"frame_number": 4, "frame_time": 10.1, "volt": 2.5}])");
  avstore::reindex(store, {});
  const ExtraData extra = avstore::read_extra(store);
  REQUIRE(extra.size() == 2);
  CHECK(std::get<std::vector<double>>(extra.find("volt")->values) ==
        std::vector<double>{2.5, 1.5});  // one does not say its frame_index
  CHECK(extra.frame_number == std::vector<FrameNumber>{FrameNumber(-1), FrameNumber(-2)});
}

// ---- aligning ------------------------------------------------------------------------------

// Camera 1 lacks number 12, camera 2 begins later and has one more.
struct TwoCameras {
  TemporaryFolder folder;
  fs::path left = folder.path() / "left";
  fs::path right = folder.path() / "right";

  explicit TwoCameras(const std::string& format = "png") {
    make_store(left, {{10, 5.0}, {11, 5.1}, {13, 5.3}, {14, 5.4}}, 1, options_of(format));
    make_store(right, {{11, 5.11}, {12, 5.19}, {13, 5.32}, {14, 5.41}, {15, 5.5}}, 101,
               options_of(format));
  }
  Alignment aligned(AlignBy by, AlignPolicy policy, std::optional<double> tolerance = {}) const {
    AlignOptions options;
    options.by = by;
    options.policy = policy;
    options.tolerance = tolerance;
    return avstore::align({left, right}, options);
  }
};

// "10:0-. 11:1-0": number, then what each store shows: an index, held ones in brackets, black ".".
std::string text_of(const Alignment& alignment) {
  std::string text;
  for (std::size_t place = 0; place < alignment.places.size(); ++place) {
    text += (text.empty() ? "" : " ") + std::to_string(alignment.places[place].number.value);
    for (std::size_t s = 0; s < alignment.stores.size(); ++s) {
      const AlignedFrame& frame = alignment.frame(place, s);
      const std::string index = std::to_string(frame.index.value);
      text += (s == 0 ? ":" : "-") + (frame.kind == AlignedFrame::Kind::match  ? index
                                      : frame.kind == AlignedFrame::Kind::hold ? "(" + index + ")"
                                                                               : ".");
    }
  }
  return text;
}

TEST_CASE("align matches frames by number") {
  const TwoCameras cameras;
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::drop)) == "11:1-0 13:2-2 14:3-3");
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::hold)) ==
        "10:0-. 11:1-0 12:(1)-1 13:2-2 14:3-3 15:(3)-4");
  CHECK(text_of(cameras.aligned(AlignBy::number, AlignPolicy::black)) ==
        "10:0-. 11:1-0 12:.-1 13:2-2 14:3-3 15:.-4");
}

TEST_CASE("align matches frames by time, within a tolerance") {
  const TwoCameras cameras;
  const Alignment usual = cameras.aligned(AlignBy::time, AlignPolicy::hold);
  CHECK(usual.tolerance == Approx(0.045));
  CHECK(text_of(usual) == "0:0-. 1:1-0 2:(1)-1 3:2-2 4:3-3 5:(3)-4");
  CHECK(usual.places[2].time == FrameTime(5.19));
  CHECK(text_of(cameras.aligned(AlignBy::time, AlignPolicy::drop, 0.015)) == "0:1-0 1:3-3");
  CHECK(text_of(cameras.aligned(AlignBy::time, AlignPolicy::black, 0)) ==
        "0:0-. 1:1-. 2:.-0 3:.-1 4:2-. 5:.-2 6:3-. 7:.-3 8:.-4");
}

TEST_CASE("align takes the first of repeated numbers, sorts, and leaves out times that are none") {
  const TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  make_store(folder.path() / "a", {{2, 3.0}, {1, nan}, {2, 1.0}}, 1, options_of("png"));
  make_store(folder.path() / "b", {{1, 1.0}, {2, 3.0}}, 1, options_of("png"));
  std::vector<std::string> notices;
  AlignOptions options;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  CHECK(text_of(avstore::align({folder.path() / "a", folder.path() / "b"}, options)) ==
        "1:1-0 2:0-1");
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices[0], Contains("1 frames with a repeated number"));
  options.by = AlignBy::time;
  CHECK(text_of(avstore::align({folder.path() / "a", folder.path() / "b"}, options)) ==
        "0:2-0 1:0-1");
  CHECK_THAT(notices.back(), Contains("1 frames without a time"));
  CHECK_THAT(message_of([&] { avstore::align({folder.path() / "a"}, options); }),
             Contains("two stores"));
}

TEST_CASE("aligned stores have the same numbers, and their own times and extra data") {
  const std::string format = GENERATE("png", "avc1/mp4");
  const TwoCameras cameras(format);
  const Alignment alignment = cameras.aligned(AlignBy::number, AlignPolicy::hold);
  const fs::path left = cameras.folder.path() / "new-left";
  const fs::path right = cameras.folder.path() / "new-right";
  avstore::AlignedWriterOptions options;
  options.writer = options_of(format);
  avstore::write_aligned(alignment, {left, right}, options);

  CHECK(numbers(left) == std::vector<std::int64_t>{10, 11, 12, 13, 14, 15});
  CHECK(numbers(right) == numbers(left));
  std::vector<int> codes;
  for (const fs::path& store : {left, right}) {
    Reader reader(store);
    while (const auto frame = reader.next()) {
      codes.push_back(code_of(frame->image));
    }
  }
  CHECK(codes == std::vector<int>{1, 2, 2, 3, 4, 4, 0, 101, 102, 103, 104, 105});
  CHECK(Reader(left).find(FrameNumber(11)).time == FrameTime(5.1));
  CHECK(Reader(left).find(FrameNumber(12)).time == FrameTime(5.19));
  const ExtraData extra = avstore::read_extra(left);
  CHECK(extra.frame_index ==
        std::vector<FrameIndex>{FrameIndex(0), FrameIndex(1), FrameIndex(3), FrameIndex(4)});
  CHECK(std::get<std::vector<std::int64_t>>(extra.find("k")->values) ==
        std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(Reader(left).info().timezone_local == "Europe/Vienna");
}

TEST_CASE("side by side, as a store and as a video") {
  const TwoCameras cameras("ffv1/mkv");
  const Alignment alignment = cameras.aligned(AlignBy::number, AlignPolicy::black);
  avstore::AlignedWriterOptions options;
  options.writer = options_of("ffv1/mkv");
  const fs::path both = cameras.folder.path() / "both";
  avstore::write_side_by_side(alignment, both, options);
  Reader reader(both);
  CHECK(reader.info().width == 2 * kWidth);
  std::vector<std::pair<int, int>> codes;
  while (const auto frame = reader.next()) {
    codes.emplace_back(code_of(frame->image), code_of(frame->image, kWidth));
  }
  CHECK(codes ==
        std::vector<std::pair<int, int>>{{1, 0}, {2, 101}, {0, 102}, {3, 103}, {4, 104}, {0, 105}});

  options.writer = options_of("avc1/mp4");
  const fs::path video = cameras.folder.path() / "both.mp4";
  avstore::write_side_by_side(alignment, video, options);
  const std::string raw = run("ffmpeg -v error -i " + quoted(video) +
                              " -fps_mode passthrough -f rawvideo -pix_fmt gray -");
  constexpr std::size_t kFrameBytes = std::size_t{2} * kWidth * kHeight;
  REQUIRE(raw.size() == 6 * kFrameBytes);
  const Image second = avstore::copy(
      avstore::packed_view(pixel::gray8, 2 * kWidth, kHeight, raw.data() + kFrameBytes));
  CHECK(code_of(second) == 2);
  CHECK(code_of(second, kWidth) == 101);
  CHECK_THAT(message_of([&] { avstore::write_side_by_side(alignment, video, options); }),
             Contains("is there already"));
  for (const auto& entry : fs::directory_iterator(cameras.folder.path())) {
    CHECK_THAT(entry.path().filename().string(), !Contains("partial"));
  }
}

TEST_CASE("aligning what never matches writes nothing") {
  const TemporaryFolder folder;
  make_store(folder.path() / "a", {{1, 1.0}}, 1, options_of("png"));
  make_store(folder.path() / "b", {{2, 2.0}}, 1, options_of("png"));
  const Alignment alignment = avstore::align({folder.path() / "a", folder.path() / "b"}, {});
  CHECK(alignment.places.empty());
  CHECK_THAT(message_of([&] { avstore::write_side_by_side(alignment, folder.path() / "c", {}); }),
             Contains("no frame of it matches"));
  CHECK_FALSE(fs::exists(folder.path() / "c"));
}

// ---- doctor --------------------------------------------------------------------------------

TEST_CASE("doctor finds what works") {
  const TemporaryFolder folder;
  avstore::DoctorOptions options;
  options.folder = folder.path();
  options.formats = {"avc1/mp4", "mjpeg/avi", "ffv1/mkv", "png", "pgm", "npy", "jpg"};
  const avstore::DoctorReport report = avstore::doctor(options);
  std::map<std::string, int> works;
  for (const avstore::DoctorCheck& check : report.checks) {
    INFO(check.format << " " << check.encoder << " " << check.pixels.name() << ": " << check.what);
    CHECK(check.result == avstore::DoctorCheck::Result::works);
    CHECK((check.what == "exact") == (check.format == "ffv1/mkv" || check.format == "png" ||
                                      check.format == "pgm" || check.format == "npy"));
    ++works[check.format];
  }
  CHECK(report.well);
  CHECK(works.size() == 7);
  CHECK(works["ffv1/mkv"] == 6);
  CHECK(fs::is_empty(folder.path()));
  options.formats = {"no/such"};
  CHECK_THAT(message_of([&] { avstore::doctor(options); }), Contains("no/such"));
  options.formats = {"png"};
  options.folder = folder.path() / "missing";
  CHECK_THAT(message_of([&] { avstore::doctor(options); }), Contains("cannot make a folder"));
}

// ---- local time ----------------------------------------------------------------------------

TEST_CASE("local time is what date says, with the zone's distance at that moment") {
  for (const char* zone : {"Europe/Vienna", "America/St_Johns", "Asia/Kolkata", "Etc/UTC"}) {
    for (const char* seconds : {"1709296200", "1720000000", "1711846799", "1711846800",
                                "1729990799", "1729990800", "981173106"}) {
      const std::string expected =
          run(std::string("TZ=") + zone + " date -d @" + seconds + " +%FT%T.000000%:z");
      CHECK(avstore::local_time(FrameTime(std::stod(seconds)), zone) + "\n" == expected);
    }
  }
  CHECK(avstore::local_time(FrameTime(1709296200.04), "Europe/Vienna") ==
        "2024-03-01T13:30:00.040000+01:00");
  CHECK(avstore::local_time(FrameTime(1709296200.9999996), "no/zone") ==
        "2024-03-01T12:30:01.000000+00:00");
  CHECK(avstore::local_time(FrameTime(12.5), "Europe/Vienna").empty());
  CHECK(avstore::local_time(FrameTime(std::nan("")), "Europe/Vienna").empty());
}

// ---- extra data on their way ---------------------------------------------------------------

TEST_CASE("transcode carries Motif's extra data over") {
  if (!avstore::imgstore::has_hdf5()) {
    return;
  }
  const TemporaryFolder folder;
  const fs::path store = golden_copy("motif_extra_h5", folder.path());
  avstore::TranscodeOptions options;
  options.writer = options_of("ffv1/mkv", 7);
  avstore::transcode(store, folder.path() / "new", options);
  const ExtraData before = avstore::read_extra(store);
  const ExtraData after = avstore::read_extra(folder.path() / "new");
  REQUIRE(before.size() > 100);
  CHECK(extra_rows(after, "force") == extra_rows(before, "force"));
  CHECK(extra_rows(after, "sample_delay") == extra_rows(before, "sample_delay"));
  CHECK_THAT(Reader(folder.path() / "new").info().metadata_yaml,
             Contains("extra_sample_rates") && Contains("daq: 800"));

  make_store(folder.path() / "json", {{5, 1.0}, {6, 2.0}}, 1, options_of("png"), false);
  write_text(folder.path() / "json" / "000000.extra_data.json",
             R"([{"frame_number": 6, "frame_index": 1, "frame_time": 2.0, "sensor_time": 1, )"
             R"("name": "b", "more": [1, NaN]},)"
             R"({"frame_number": 5, "frame_time": 1.0, "sensor_time": 2, "name": "a"},)"
             R"({"frame_number": -1, "frame_index": -1, "frame_time": 0.0}])");
  options.writer = options_of("png");
  avstore::transcode(folder.path() / "json", folder.path() / "new-json", options);
  const ExtraData json = avstore::read_extra(folder.path() / "new-json");
  CHECK(extra_rows(json, "name") == std::vector<Row>{{0, 5, "a"}, {1, 6, "b"}});
  CHECK(extra_rows(json, "more") == std::vector<Row>{{0, 5, ""}, {1, 6, "[1, NaN]"}});
}

TEST_CASE("extra data of a recording that was killed are found, and carried over") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int status = in_child([&] {
    Writer writer(store, options_of("ffv1/mkv", 4));
    for (int i = 0; i < 6; ++i) {
      const auto pixels = draw(i);
      writer.add(avstore::packed_view(pixel::gray8, kWidth, kHeight, pixels.data()), FrameNumber(i),
                 FrameTime(i));
      writer.add_extra("{\"k\": " + std::to_string(i) + "}");
    }
    writer.sync();
    ::_exit(7);
  });
  REQUIRE(status == 7);
  REQUIRE(fs::exists(store / "000000.extra.json"));
  REQUIRE_FALSE(fs::exists(store / "000001.extra.json"));
  const std::vector<std::int64_t> all{0, 1, 2, 3, 4, 5};
  CHECK(extra_numbers(store) == all);
  avstore::TranscodeOptions options;
  options.writer = options_of("png");
  avstore::transcode(store, folder.path() / "new", options);
  CHECK(extra_numbers(folder.path() / "new") == all);
}

// ---- chunk indexes that are damaged, and names of formats ----------------------------------

std::vector<std::string> warnings_of_opening(const fs::path& store, std::int64_t& frames) {
  std::vector<std::string> warnings;
  ReaderOptions options;
  options.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  frames = Reader(store, options).frame_count();
  return warnings;
}

TEST_CASE("a damaged chunk index is warned of once, and the database kept") {
  const std::string name = GENERATE("index.npz", "index.yaml");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  make_store(store, kCameraStarted, 1, options_of("png"));
  fs::remove(store / "000001" / "index.npz");
  write_text(store / "000001" / name, "damaged: [");
  fs::remove(store / ".index.sqlite");
  std::int64_t frames = 0;
  const auto first = warnings_of_opening(store, frames);
  REQUIRE(first.size() == 1);
  CHECK_THAT(first[0], Contains(name));
  CHECK(frames == 4);
  struct stat before {};
  struct stat after {};
  REQUIRE(::stat((store / ".index.sqlite").c_str(), &before) == 0);
  CHECK(warnings_of_opening(store, frames).empty());
  REQUIRE(::stat((store / ".index.sqlite").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(frames == 4);
}

TEST_CASE("a chunk that comes with a YAML index is found") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  make_store(store, kCameraStarted, 1, options_of("png"));
  fs::copy(store / "000002", store / "000003", fs::copy_options::recursive);
  fs::remove(store / "000003" / "index.npz");
  write_text(store / "000003" / "index.yaml", "frame_number: [9]\nframe_time: [11.5]\n");
  std::int64_t frames = 0;
  const auto warnings = warnings_of_opening(store, frames);
  REQUIRE(warnings.size() == 1);
  CHECK_THAT(warnings[0], Contains("000003 is not in it"));
  CHECK(frames == 8);
  CHECK(warnings_of_opening(store, frames).empty());
}

TEST_CASE("formats named +color are read as what they hold") {
  const TemporaryFolder folder;
  for (const std::string format : {"png", "tif", "jpg", "bmp"}) {
    const fs::path store = folder.path() / format;
    make_store(store, kCameraStarted, 1, options_of(format));
    run("sed -i 's/format: " + format + "/format: " + format +
        "+color/; s/encoding: null/encoding: cv_bayerbg/' " + quoted(store / "metadata.yaml"));
    Reader reader(store);
    CHECK(reader.info().format == format);
    CHECK(reader.info().encoding.empty());
    CHECK(code_of(reader.read(FrameIndex(4)).image) == 5);
  }
}

}  // namespace
