// Extra data on their way into a store: what comes between two recordings is given once, whatever
// becomes of the second, and what waits for a chunk's end takes no memory.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "imgstore/extra_data.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/encoder_drivers.h"
#include "support/extra_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;
using Catch::Matchers::ContainsSubstring;
using Strings = std::vector<std::string>;

namespace {

const std::string kFormat = "mjpeg/avi";

void add_extra(Writer& writer, const std::string& k) {
  writer.add_extra(R"({"k": ")" + k + "\"}");
}

// What the records say, in the order in which they are given.
Strings given(const fs::path& store) {
  Strings all;
  const ExtraData data = read_extra(store);
  if (data.size() > 0) {
    for (const auto& [index, number, k] : extra_rows(data, "k")) {
      all.push_back(k);
    }
  }
  return all;
}

std::string file_of(const fs::path& store, int chunk) {
  const fs::path file = store / ("00000" + std::to_string(chunk) + ".extra.json");
  return fs::exists(file) ? read_text(file) : "none";
}

// Three frames, the first of them with a record if wanted.
void write_first(const fs::path& store, bool with_record) {
  Writer writer(store, options_of(kFormat, 3));
  for (int i = 0; i < 3; ++i) {
    add(writer, i);
    if (with_record && i == 0) {
      add_extra(writer, "first");
    }
  }
  writer.close();
}

// Goes on with a store: a record, `frames` frames, and a record of the last.
void go_on(Writer& writer, const std::string& before, int first, int frames) {
  add_extra(writer, before);
  for (int i = first; i < first + frames; ++i) {
    add(writer, i);
  }
  if (frames > 0) {
    add_extra(writer, "last");
  }
}

// Nothing is to be found, and nothing to be done.
void check_sound(const fs::path& store) {
  const VerifyResult result = verify(store, {});
  CHECK(result.findings == Strings{});
  CHECK(result.repairs == Strings{});
}

std::size_t peak_memory() {  // bytes
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      std::size_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes << 10U;
    }
  }
  return 0;
}

constexpr bool is_sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return false;
#endif
}

}  // namespace

TEST_CASE("a record between two recordings is given once") {
  const bool with_record = GENERATE(false, true);
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_first(store, with_record);
  Strings expected = with_record ? Strings{"first", "before"} : Strings{"before"};
  const auto check = [&] {
    CHECK(given(store) == expected);
    check_sound(store);
    // It is in the next chunk's file, and in no other.
    CHECK_THAT(file_of(store, 0), !ContainsSubstring("before"));
  };
  SECTION("with frames behind it") {
    Writer writer = Writer::append(store, {});
    go_on(writer, "before", 3, 5);
    writer.close();
    expected.push_back("last");
    check();
    const std::string file = file_of(store, 1);
    CHECK_THAT(file, ContainsSubstring("before"));
    CHECK(repair(store, {}).steps.empty());
    check();
    CHECK(file_of(store, 1) == file);
  }
  SECTION("without, and then with") {
    Writer silent = Writer::append(store, {});
    go_on(silent, "before", 3, 0);
    silent.close();
    check();
    CHECK(repair(store, {}).steps.empty());
    Writer writer = Writer::append(store, {});
    go_on(writer, "again", 3, 2);
    writer.close();
    expected.insert(expected.end(), {"again", "last"});
    check();
    CHECK_THAT(file_of(store, 1), ContainsSubstring("before") && ContainsSubstring("again") &&
                                      ContainsSubstring("last"));
  }
  SECTION("of a recording that was killed") {
    // Before its first frame, in its first chunk, and behind it.
    const int frames = GENERATE(0, 2, 5);
    REQUIRE(run_child([&] {
              Writer writer = Writer::append(store, {});
              go_on(writer, "before", 3, frames);
              writer.sync();
              return std::raise(SIGKILL);
            }) == -SIGKILL);
    if (frames > 0) {
      expected.push_back("last");
    }
    CAPTURE(frames);
    CHECK(given(store) == expected);
    CHECK(verify(store, {}).findings == Strings{});
    repair(store, {});
    check();
    Writer writer = Writer::append(store, {});
    go_on(writer, "again", 3 + frames, 1);
    writer.close();
    expected.insert(expected.end(), {"again", "last"});
    check();
  }
}

TEST_CASE("a record between two recordings stays one when frames are renumbered") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_extra_store(store, names_of_late_camera(), 0, vienna_options(kFormat), Extra::none);
  {
    Writer writer = Writer::append(store, {});
    go_on(writer, "before", 7, 2);
    writer.close();
  }
  reindex(store, {});
  CHECK(given(store) == Strings{"before", "last"});
  check_sound(store);
  CHECK(file_of(store, 2) == "none");
}

TEST_CASE("records from before the first frame go into the first chunk's file") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  {
    Writer writer(store, options_of(kFormat, 3));
    add_extra(writer, "none yet");
    writer.close();
  }
  CHECK(given(store) == Strings{"none yet"});
  {
    Writer writer = Writer::append(store, {});
    go_on(writer, "before", 0, 1);
    writer.close();
  }
  CHECK(given(store) == Strings{"none yet", "before", "last"});
  CHECK_THAT(file_of(store, 0), ContainsSubstring("none yet"));
  check_sound(store);
}

TEST_CASE("files of extra data have all records, however many, as they were given") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const std::string text(20000, 'x');
  std::vector<std::vector<imgstore::ExtraRecord>> chunks(2);
  {
    Writer writer(store, options_of(kFormat, 3));
    for (int i = 0; i < 6; ++i) {
      add(writer, i);
      for (int k = 0; k < 50; ++k) {
        const std::string json =
            R"({"k": )" + std::to_string(k) + R"(, "big": 1.50, "text": ")" + text + "\"}";
        writer.add_extra(json);
        chunks[static_cast<std::size_t>(i / 3)].push_back(
            {i, i, plain_names(6)[static_cast<std::size_t>(i)].time, json});
      }
    }
    writer.close();
  }
  CHECK(file_of(store, 0) == imgstore::extra_json_text(chunks[0]));
  CHECK(file_of(store, 1) == imgstore::extra_json_text(chunks[1]));
  check_sound(store);
}

TEST_CASE("extra data that wait for the chunk's end take no memory") {
  if (is_sanitized()) {
    SKIP("a sanitizer does not use freed memory again");
  }
  constexpr int kRecords = 32;
  constexpr std::size_t kRecordBytes = std::size_t{1} << 19;
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  const int grown = run_child([&] {
    Writer writer(store, options_of(kFormat));
    const std::string json = R"({"k": ")" + std::string(kRecordBytes, 'x') + "\"}";
    add(writer, 0);
    writer.sync();
    const std::size_t before = peak_memory();
    for (int i = 0; i < kRecords; ++i) {
      writer.add_extra(json);
      if (i % 4 == 3) {
        writer.sync();  // the queue is emptied
      }
    }
    writer.close();
    return static_cast<int>((peak_memory() - before) * 10 / (kRecords * kRecordBytes));
  });
  // Tenths of what they are themselves: some MB for a record on its way, and SQLite's pages.
  CHECK(grown >= 0);
  CHECK(grown < 10);
  CHECK(fs::file_size(store / "000000.extra.json") > kRecords * kRecordBytes);
}

TEST_CASE("a chunk that an encoder began and gave no frame leaves no row, and takes no record") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  WriterOptions options = options_of("avc1/mp4", 3);
  options.encoder.encoder = "libx264";
  {
    Writer writer(store, options);
    add_extra(writer, "none yet");
    writer.close();
  }
  {
    EncoderDrivers drivers;
    drivers.fail("libx264", 1, EncoderCall::receive, 1);
    Writer writer = Writer::append(store, options);
    add(writer, 0);
    CHECK(error_of([&] { writer.close(); }).kind() == ErrorKind::io);
  }
  CHECK(sqlite(store, "SELECT count(*) FROM chunks").front() == "0");
  CHECK(given(store) == Strings{"none yet"});
  check_sound(store);
  {
    Writer writer = Writer::append(store, options);
    go_on(writer, "before", 0, 2);
    writer.close();
  }
  CHECK(given(store) == Strings{"none yet", "before", "last"});
  check_sound(store);
}

TEST_CASE("records of frames that were lost do not pass to those of the next recording") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_first(store, true);
  sqlite(store, R"(INSERT INTO extra_data VALUES (NULL, 3, 3, 0.12, '{"k": "lost"}'))");
  CHECK_THAT(error_of([&] { Writer::append(store, {}); }).what(),
             ContainsSubstring("avstore repair"));
  repair(store, {});
  Writer writer = Writer::append(store, {});
  add(writer, 3);
  writer.close();
  CHECK(given(store) == Strings{"first"});
  check_sound(store);
}

// Tagged for who has not the time: with the thread sanitizer it takes more than ten minutes.
TEST_CASE("a record that no database takes is refused, and the recording goes on", "[huge]") {
  const TemporaryFolder folder;
  const auto store = folder.path() / "store";
  Writer writer(store, options_of("png"));
  add(writer, 0);
  const std::string huge = R"({"text": ")" + std::string(std::size_t{64} << 20, 'x') + "\"}";
  CHECK(error_of([&] { writer.add_extra(huge); }).kind() == ErrorKind::invalid_argument);
  CHECK(error_of([&] { writer.try_add_extra(huge); }).kind() == ErrorKind::invalid_argument);
  const std::string large = R"({"text": ")" + std::string(std::size_t{62} << 20, 'x') + "\"}";
  writer.add_extra(large);
  add(writer, 1);
  writer.close();
  CHECK(sqlite(store, "SELECT length(json) FROM extra_data") ==
        std::vector<std::string>{std::to_string(large.size())});
  CHECK(wrong_codes(store).empty());
}
