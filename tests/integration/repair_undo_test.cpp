// avstore repair --undo: what it brings back, when it refuses, and that it may be killed.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/disk_calls.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

// A closed chunk of seven frames, and one of five that was not finished, with extra data and bytes
// behind its frames.
void record_and_die(const fs::path& store, const std::string& format) {
  REQUIRE(run_child([&] {
            Writer writer(store, options_of(format, 7));
            for (int i = 0; i < 12; ++i) {
              add(writer, i);
              writer.add_extra("{\"of\": " + std::to_string(i) + "}");
            }
            writer.sync();
            return std::raise(SIGKILL);
          }) == -SIGKILL);
  if (is_video(format)) {
    std::ofstream(chunk_file(store, format, 1), std::ios::app) << "half a fragment";
  } else {
    write_text(store / "000001" / ("000005." + format), "half an image");
  }
}

std::map<std::string, std::string> contents(const fs::path& store) {
  auto all = tree(store);
  // SQLite makes the log's index anew, and the next repair puts half a file aside.
  std::erase_if(all, [](const auto& file) {
    return file.first == ".index.sqlite-shm" || file.first.find(".tmp") != std::string::npos;
  });
  return all;
}

// Whether there was an nth call, at which a process that did this with a copy of the store died.
bool dies_at(std::int64_t nth, const fs::path& store, const std::function<void()>& change) {
  const int status = run_child([&] {
    DiskCalls calls(store);
    calls.exit(nth, 42);
    change();
    return 0;
  });
  REQUIRE((status == 42 || status == 0));
  return status == 42;
}

// How many calls there are is known only at the end, so a sample tries every ninth.
std::int64_t call_step() {
  return is_full_run() ? 1 : 9;
}
std::int64_t first_call() {
  return is_full_run() ? 1 : 1 + sample_seed() % 9;
}

}  // namespace

TEST_CASE("undoing a repair brings back every byte") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png", "npy");
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, format);
  const std::string index = is_video(format) ? "000000.npz" : "000000/index.npz";
  const bool is_damaged = GENERATE(false, true);
  if (is_damaged) {
    write_text(store / index, "no archive");
    write_text((store / index).replace_extension(".yaml"), "no list: [");
  }
  const auto before = contents(store);
  for (int round = 0; round < 2; ++round) {
    CAPTURE(format, is_damaged, round);
    const RepairResult done = repair(store, {});
    CHECK(done.is_whole);
    CHECK(done.put_aside == store / ".put-aside" / "repair-1");
    CHECK(verify(store, {true, {}}).findings.empty());
    const UndoResult undone = undo_repair(store);
    CHECK(undone.frames == 12);
    CHECK_FALSE(undone.steps.empty());
    CHECK(contents(store) == before);
    CHECK_FALSE(fs::exists(store / ".put-aside"));
  }
  CHECK(kind_of_error([&] { undo_repair(store); }, "no repair to undo") == ErrorKind::not_found);
}

TEST_CASE("repairs are undone from the last to the first") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, "h264/mkv");
  const auto before = contents(store);
  repair(store, {});
  const auto repaired = contents(store);
  write_text(store / "000001.npz", "no archive");
  const auto damaged = contents(store);
  CHECK(repair(store, {}).put_aside == store / ".put-aside" / "repair-2");
  undo_repair(store);
  CHECK(contents(store) == damaged);
  write_text(store / "000001.npz", repaired.at("000001.npz"));
  undo_repair(store);
  CHECK(contents(store) == before);
}

TEST_CASE("a store that has changed since its repair is left alone") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, "avc1/mp4");
  repair(store, {});
  const auto refuses = [&](ErrorKind kind, const std::string& why) {
    const auto before = contents(store);
    CHECK(kind_of_error([&] { undo_repair(store); }, why) == kind);
    CHECK(contents(store) == before);
  };
  SECTION("by a recording that went on") {
    Writer writer = Writer::append(store, {});
    add(writer, 12);
    writer.close();
    refuses(ErrorKind::invalid_argument, "lists other frames");
  }
  SECTION("by extra data alone") {
    Writer writer = Writer::append(store, {});
    writer.add_extra("{}");
    writer.close();
    refuses(ErrorKind::invalid_argument, "extra data");
  }
  SECTION("by a recording that was killed") {
    REQUIRE(run_child([&] {
              Writer writer = Writer::append(store, {});
              add(writer, 12);
              writer.sync();
              return std::raise(SIGKILL);
            }) == -SIGKILL);
    const std::string lock = read_text(store / ".lock");
    refuses(ErrorKind::invalid_argument, "lists other frames");
    CHECK(read_text(store / ".lock") == lock);
  }
  SECTION("by one that goes on") {
    Writer writer = Writer::append(store, {});
    CHECK(kind_of_error([&] { undo_repair(store); }, "being recorded") == ErrorKind::exists);
    writer.close();
  }
  SECTION("by a damaged file") {
    flip_bit(store / "000001.mp4", 8000);
    refuses(ErrorKind::invalid_argument, "000001.mp4: has changed since the repair");
  }
  SECTION("by reindex") {
    write_text(store / "000001.npz", read_text(store / "000000.npz"));
    refuses(ErrorKind::invalid_argument, "000001.npz: has changed since the repair");
  }
  SECTION("by whoever removed what was kept") {
    for (const fs::directory_entry& kept : fs::directory_iterator(store / ".put-aside/repair-1")) {
      if (kept.path().extension() == ".mp4") {
        fs::remove(kept);
        break;
      }
    }
    refuses(ErrorKind::invalid_argument, "is no longer in");
  }
  SECTION("and so is one of a database made anew, unless it says the same") {
    fs::remove(store / ".index.sqlite");
    CHECK(undo_repair(store).frames == 12);
  }
}

// A record may be a stranger's.
TEST_CASE("undoing a repair leads nowhere outside the store") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  record_and_die(store, "png");
  repair(store, {});
  const fs::path list = store / ".put-aside" / "repair-1" / "record.json";
  const std::string text = read_text(list);
  const fs::path other = folder.path() / "other";
  fs::create_directory(other);
  write_text(other / "index.npz", "the user's");
  const auto is_refused = [&](ErrorKind kind) {
    CHECK(error_of([&] { undo_repair(store); }).kind() == kind);
    CHECK(read_text(other / "index.npz") == "the user's");
    CHECK(names_in(other) == std::vector<std::string>{"index.npz"});
  };
  SECTION("by a name") {
    const std::string name = GENERATE("../other/index.npz", "/tmp/x", "a/../../other/index.npz",
                                      ".put-aside/x", "a/b/c", "");
    std::string changed = text;
    const std::string was = "\"000001/index.npz\"";
    changed.replace(changed.find(was), was.size(), "\"" + name + "\"");
    write_text(list, changed);
    is_refused(ErrorKind::corrupt);
  }
  SECTION("by a link in place of a folder") {
    fs::rename(store / "000001", folder.path() / "away");
    fs::create_directory_symlink(other, store / "000001");
    is_refused(ErrorKind::invalid_argument);
  }
  // A link was put aside as a link, and comes back as one.
  SECTION("by a link in place of what was kept") {
    for (const std::string& name : names_in(store / ".put-aside" / "repair-1")) {
      if (name.ends_with("index.sqlite")) {
        fs::remove(store / ".put-aside" / "repair-1" / name);
        fs::create_symlink(other / "index.npz", store / ".put-aside" / "repair-1" / name);
      }
    }
    undo_repair(store);
    CHECK(fs::read_symlink(store / ".index.sqlite") == other / "index.npz");
    CHECK(read_text(other / "index.npz") == "the user's");
    CHECK(names_in(other) == std::vector<std::string>{"index.npz"});
  }
}

// The steps of a repair can be undone whether or not it came to its end.
TEST_CASE("a repair killed at any call can be undone") {
  const std::string format = GENERATE("h264/mkv", "png");
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  record_and_die(original, format);
  const auto before = contents(original);
  bool was_killed = true;
  int undone = 0;
  for (std::int64_t nth = first_call(); was_killed; nth += call_step()) {
    const bool repairs_again = nth % 2 == 0;
    CAPTURE(format, nth, repairs_again);
    const fs::path store = folder.path() / ("killed" + std::to_string(nth));
    fs::copy(original, store, fs::copy_options::recursive);
    was_killed = dies_at(nth, store, [&] { repair(store, {}); });
    if (repairs_again) {
      repair(store, {});
      CHECK(verify(store, {true, {}}).findings.empty());
    }
    try {
      undo_repair(store);
      ++undone;
      auto after = contents(store);
      if (repairs_again) {
        after[".lock"] = before.at(".lock");  // may be that of the repair which was killed
      }
      CHECK(after == before);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::not_found);  // it had not changed anything yet
      CHECK_FALSE(repairs_again);
    }
    CHECK(Reader(store).frame_count() == 12);
    fs::remove_all(store);
  }
  CHECK(undone > 0);
}

TEST_CASE("undoing that is killed at any call is ended by the next") {
  const std::string format = GENERATE("h264/mkv", "png");
  const TemporaryFolder folder;
  const fs::path original = folder.path() / "original";
  record_and_die(original, format);
  const auto before = contents(original);
  repair(original, {});
  bool was_killed = true;
  std::int64_t undone = 0;
  for (std::int64_t nth = first_call(); was_killed; nth += call_step()) {
    ++undone;
    CAPTURE(format, nth);
    const fs::path store = folder.path() / ("killed" + std::to_string(nth));
    fs::copy(original, store, fs::copy_options::recursive);
    was_killed = dies_at(nth, store, [&] { undo_repair(store); });
    CHECK(Reader(store).frame_count() == 12);
    try {
      undo_repair(store);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::not_found);  // it was done
    }
    CHECK(contents(store) == before);
    CHECK_FALSE(fs::exists(store / ".put-aside"));
    fs::remove_all(store);
  }
  CHECK(undone > 1);
}
