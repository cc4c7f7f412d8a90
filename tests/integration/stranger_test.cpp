// Stores that a stranger has made to reach the files of whoever opens them: links, pipes, devices
// and sparse files in place of any of a store's files. Nothing outside of the store changes, no
// file of the user's gets into the store, nothing hangs, and the disk does not fill.
//
// The test combines names, kinds of entries, states of the store and commands. A run tries a
// sample of all combinations, chosen by AVSTORE_TEST_SEED; with AVSTORE_TEST_FULL=1 it tries all.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/extra_store.h"
#include "support/hot_journal.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"
#include "support/sample.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore;        // NOLINT
using namespace avstore::test;  // NOLINT
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

constexpr const char* kSecret = "a secret of the user's";

// ---- what is watched -----------------------------------------------------------------------

std::string describe(const fs::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  std::ostringstream text;
  text << status.st_mode << ' ' << status.st_size << ' ' << status.st_ino << ' '
       << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec << ' ';
  if (S_ISREG(status.st_mode)) {
    text << read_text(path);
  } else if (S_ISLNK(status.st_mode)) {
    text << fs::read_symlink(path);
  }
  return text.str();
}

// Differs from another one of the same folder if anything in it was changed in between: names,
// kinds, contents, times of change.
std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> all{{".", describe(folder)}};
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    all[fs::relative(entry.path().parent_path(), folder) / entry.path().filename()] =
        describe(entry.path());
  }
  return all;
}

// On the disk, in bytes.
std::int64_t room_taken(const fs::path& folder) {
  constexpr std::int64_t kBlock = 512;
  std::int64_t blocks = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat status {};
    if (::lstat(entry.path().c_str(), &status) == 0) {
      blocks += status.st_blocks;
    }
  }
  return blocks * kBlock;
}

// The files below a folder that contain a text. Links are not followed.
std::vector<std::string> files_with(const std::string& text, const fs::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    constexpr std::uintmax_t kMost = std::uintmax_t{1} << 20;
    if (entry.is_symlink() || !entry.is_regular_file() || entry.file_size() > kMost) {
      continue;
    }
    if (read_text(entry.path()).find(text) != std::string::npos) {
      found.push_back(entry.path().string());
    }
  }
  return found;
}

// ---- a store, and the user's files beside it -----------------------------------------------

class Place {
 public:
  Place() {
    fs::create_directories(home() / "pictures");
    fs::create_directories(home() / ".config" / "autostart");
    write_text(home() / "secret.txt", kSecret);
    write_text(home() / "pictures" / "000000.png", "a picture of mine");
    write_text(home() / "pictures" / "holiday.png", "another one");
  }

  fs::path store() const { return folder_.path() / "stranger.store"; }
  fs::path home() const { return folder_.path() / "home"; }
  // For what is made of the store.
  fs::path scratch() const { return folder_.path() / "scratch"; }

  // From now on nothing in home() may change.
  void watch() { before_ = snapshot(home()); }
  bool is_untouched() const { return snapshot(home()) == before_; }

 private:
  TemporaryFolder folder_;
  std::map<std::string, std::string> before_;
};

enum class State { closed, killed, damaged };

// Seven frames in three chunks, each with a record; killed, there are more of them in a fourth.
void write_stranger_store(const fs::path& store, const std::string& format, State state) {
  write_extra_store(store, names_of_late_camera(), 0, vienna_options(format));
  if (state == State::killed) {
    REQUIRE(run_child([&] {
              Writer writer = Writer::append(store, {});
              add(writer, 7);
              writer.add_extra(R"({"k": 7})");
              writer.sync();
              ::_exit(0);
              return 0;
            }) == 0);
  }
  if (state == State::damaged) {
    write_text(store / ".index.sqlite", "no database");
  }
}

// A copy whose times of change are others, as what was downloaded has.
void copy_store(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

// ---- commands ------------------------------------------------------------------------------

struct Command {
  std::string name;
  std::function<void(const fs::path& store, const fs::path& scratch)> run;
};

const std::vector<Command>& reading() {
  static const std::vector<Command> kAll{
      {"read",
       [](const fs::path& store, const fs::path&) {
         Reader reader(store);
         while (reader.next()) {
         }
       }},
      {"read, nothing saved",
       [](const fs::path& store, const fs::path&) {
         ReaderOptions options;
         options.save_index = false;
         Reader reader(store, options);
         reader.read_many(shuffled_indices(reader.frame_count()));
       }},
      {"extra", [](const fs::path& store, const fs::path&) { read_extra(store); }},
      {"verify", [](const fs::path& store,
                    const fs::path&) { verify(store, {.deep = true, .progress = {}}); }},
      {"export", [](const fs::path& store,
                    const fs::path& scratch) { export_video(store, scratch / "video.mkv", {}); }},
      {"transcode",
       [](const fs::path& store, const fs::path& scratch) {
         TranscodeOptions options;
         options.writer = options_of("png");
         transcode(store, scratch / "transcoded", options);
       }},
      {"repair, dry run", [](const fs::path& store,
                             const fs::path&) { repair(store, {.dry_run = true, .notice = {}}); }},
  };
  return kAll;
}

void go_on_with(const fs::path& store) {
  Writer writer = Writer::append(store, {});
  add(writer, 8);
  writer.add_extra(R"({"k": 8})");
  writer.close();
}

const std::vector<Command>& changing() {
  static const std::vector<Command> kAll{
      {"index", [](const fs::path& store, const fs::path&) { rebuild_index(store, {}); }},
      {"repair", [](const fs::path& store, const fs::path&) { repair(store, {}); }},
      {"reindex", [](const fs::path& store, const fs::path&) { reindex(store, {}); }},
      {"append", [](const fs::path& store, const fs::path&) { go_on_with(store); }},
      {"insert",
       [](const fs::path& store, const fs::path& scratch) {
         write_store(scratch / "mine", options_of("mjpeg/avi", 3), 3);
         Writer writer = Writer::append(store, {});
         const std::vector<FrameNames> names(3);
         writer.insert_chunk(scratch / "mine" / "000000.avi", names);
         writer.close();
       }},
      {"empty", [](const fs::path& store, const fs::path&) { empty_store(store); }},
      {"replace",
       [](const fs::path& store, const fs::path&) {
         WriterOptions options = options_of("png");
         options.overwrite = true;
         write_store(store, options, 3);
       }},
      {"repair and append",
       [](const fs::path& store, const fs::path&) {
         repair(store, {});
         go_on_with(store);
       }},
  };
  return kAll;
}

// What they say, a line each, in one process of its own that cannot fill the disk.
std::string outcomes_of(const std::vector<Command>& commands, const Place& place) {
  fs::remove_all(place.scratch());
  fs::create_directory(place.scratch());
  return in_child([&] {
    constexpr rlim_t kMostBytes = 64 << 20;
    const rlimit limit{kMostBytes, kMostBytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::signal(SIGXFSZ, SIG_IGN);
    std::string lines;
    for (const Command& command : commands) {
      lines += outcome_of([&] { command.run(place.store(), place.scratch()); }) + "\n";
    }
    return lines;
  });
}

// The lines that are neither success nor an avstore::Error.
std::vector<std::string> bad_lines(const std::string& outcomes) {
  std::vector<std::string> bad;
  std::istringstream lines(outcomes);
  for (std::string line; std::getline(lines, line);) {
    if (line != "no error" && !is_an_error(line)) {
      bad.push_back(line);
    }
  }
  return bad;
}

void check_harmless(const Place& place, const std::string& outcomes) {
  constexpr std::int64_t kMostRoom = 8 << 20;
  CHECK(bad_lines(outcomes).empty());
  CHECK(place.is_untouched());
  CHECK(files_with(kSecret, place.store()).empty());
  CHECK(room_taken(place.store()) < kMostRoom);
}

// ---- what a stranger puts in place of a file -----------------------------------------------

struct Trap {
  std::string name;
  std::function<void(const fs::path& entry, const fs::path& home)> put;
};

const std::vector<Trap>& traps() {
  static const std::vector<Trap> kAll{
      {"a link to a file",
       [](const fs::path& entry, const fs::path& home) {
         fs::create_symlink(home / "secret.txt", entry);
       }},
      {"a link to a folder",
       [](const fs::path& entry, const fs::path& home) {
         fs::create_symlink(home / "pictures", entry);
       }},
      {"a link to what is not there",
       [](const fs::path& entry, const fs::path& home) {
         fs::create_symlink(home / "new", entry);
       }},
      {"a link to itself",
       [](const fs::path& entry, const fs::path&) { fs::create_symlink(entry.filename(), entry); }},
      {"a link to a device",
       [](const fs::path& entry, const fs::path&) { fs::create_symlink("/dev/zero", entry); }},
      {"a pipe",
       [](const fs::path& entry, const fs::path&) { REQUIRE(::mkfifo(entry.c_str(), 0600) == 0); }},
      {"a folder with links in it",
       [](const fs::path& entry, const fs::path& home) {
         fs::create_directory(entry);
         fs::create_symlink(home / "pictures", entry / "000001");
         fs::create_symlink(home / "pictures", entry / "index");
         fs::create_symlink(home / "secret.txt", entry / "metadata.yaml");
         fs::create_symlink(home / "secret.txt", entry / ".index.sqlite");
         REQUIRE(::mkfifo((entry / "000001.npz").c_str(), 0600) == 0);
       }},
  };
  return kAll;
}

std::vector<std::string> places_in(const std::string& format) {
  std::vector<std::string> names{".index.sqlite",
                                 ".index.sqlite-wal",
                                 ".index.sqlite-shm",
                                 ".index.sqlite-journal",
                                 ".lock",
                                 ".replaced",
                                 ".replaced.partial",
                                 ".replaced.dropped",
                                 ".staged",
                                 ".staged.partial",
                                 ".put-aside",
                                 "metadata.yaml",
                                 "000001.extra_data.json",
                                 "000001.extra_data.h5"};
  const std::vector<std::string> of_video{"000001.avi",        "000001.npz", "000001.yaml",
                                          "000001.extra.json", "000003.avi", "000004.avi"};
  const std::vector<std::string> of_images{"000001",
                                           "000001/index.npz",
                                           "000001/index.yaml",
                                           "000001/000002.png",
                                           "000001/index.extra.json",
                                           "000003",
                                           "000003/000000.png",
                                           "000004"};
  const auto& more = is_video(format) ? of_video : of_images;
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

void put_trap(const Trap& trap, const Place& place, const std::string& name) {
  const fs::path entry = place.store() / name;
  fs::create_directories(entry.parent_path());
  fs::remove_all(entry);
  trap.put(entry, place.home());
}

struct Case {
  std::string format, name;
  const Trap* trap;
  State state;
  std::vector<Command> commands;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const std::string format : {"mjpeg/avi", "png"}) {
    for (const std::string& name : places_in(format)) {
      for (const Trap& trap : traps()) {
        for (const State state : {State::closed, State::killed, State::damaged}) {
          cases.push_back({format, name, &trap, state, reading()});
          for (const Command& command : changing()) {
            cases.push_back({format, name, &trap, state, {command}});
          }
        }
      }
    }
  }
  return cases;
}

}  // namespace

TEST_CASE("whatever a stranger puts in place of a store's file harms nobody") {
  Place place;
  std::map<std::pair<std::string, State>, fs::path> stores;
  for (const std::string format : {"mjpeg/avi", "png"}) {
    for (const State state : {State::closed, State::killed, State::damaged}) {
      const fs::path made = place.home().parent_path() / std::to_string(stores.size());
      write_stranger_store(made, format, state);
      stores[{format, state}] = made;
    }
  }
  place.watch();
  const std::vector<Case> cases = all_cases();
  for (const std::int64_t place_of_case :
       avstore::test::sample("traps", static_cast<std::int64_t>(cases.size()), 30)) {
    const Case& one = cases.at(static_cast<std::size_t>(place_of_case));
    copy_store(stores[{one.format, one.state}], place.store());
    put_trap(*one.trap, place, one.name);
    const std::string outcomes = outcomes_of(one.commands, place);
    CAPTURE(one.format, one.name, one.trap->name, one.state, one.commands.front().name, outcomes);
    check_harmless(place, outcomes);
  }
}

TEST_CASE("a link to a database with a journal that names a file costs no file") {
  Place place;
  write_stranger_store(place.home() / "made", "mjpeg/avi", State::closed);
  copy_store(place.home() / "made", place.store());
  fs::rename(place.home() / "made" / ".index.sqlite", place.home() / "database");
  REQUIRE(put_journal_that_names(place.home() / "secret.txt", place.home() / "database"));
  fs::remove(place.store() / ".index.sqlite");
  fs::create_symlink(place.home() / "database", place.store() / ".index.sqlite");
  place.watch();
  const std::string outcomes = outcomes_of(reading(), place);
  check_harmless(place, outcomes);
  CHECK(fs::is_symlink(place.store() / ".index.sqlite"));
  Warned warned;
  Reader reader(place.store(), warned.options());
  CHECK(reader.frame_count() == 7);
  REQUIRE_FALSE(warned.lines.empty());
  CHECK_THAT(warned.lines.back(), ContainsSubstring("stays as it is"));
  check_harmless(place, outcomes_of(changing(), place));
}

TEST_CASE("index puts a link in the database's place aside, and makes a database") {
  Place place;
  write_stranger_store(place.store(), "mjpeg/avi", State::closed);
  fs::remove(place.store() / ".index.sqlite");
  fs::create_symlink(place.home() / "secret.txt", place.store() / ".index.sqlite");
  place.watch();
  CHECK(rebuild_index(place.store(), {}) == 7);
  CHECK(place.is_untouched());
  CHECK(fs::is_regular_file(fs::symlink_status(place.store() / ".index.sqlite")));
  CHECK(fs::read_symlink(place.store() / ".put-aside" / "index" / ".index.sqlite") ==
        place.home() / "secret.txt");
  CHECK(verify(place.store(), {}).findings.empty());
}

TEST_CASE("what is no file beside the database stays until index puts it aside") {
  Place place;
  write_stranger_store(place.store(), "mjpeg/avi", State::closed);
  const auto sums = sqlite(place.store(), "SELECT * FROM checksums");  // nothing else has them
  const std::string name = GENERATE("-wal", "-journal", "-shm");
  const Trap trap = GENERATE(from_range(traps()));
  put_trap(trap, place, ".index.sqlite" + name);
  place.watch();
  for (int round = 0; round < 2; ++round) {
    Warned warned;
    CHECK(Reader(place.store(), warned.options()).frame_count() == 7);
    CHECK_THAT(warned.lines.back(), ContainsSubstring(name + ": stays as it is"));
    CHECK_FALSE(fs::exists(place.store() / ".put-aside"));
  }
  CHECK(rebuild_index(place.store(), {}) == 7);
  CHECK(place.is_untouched());
  CHECK(fs::exists(
      fs::symlink_status(place.store() / ".put-aside" / "index" / (".index.sqlite" + name))));
  CHECK(sqlite(place.store(), "SELECT * FROM checksums") == sums);
  CHECK(verify(place.store(), {}).findings.empty());
}

TEST_CASE("what a repair puts aside gets no name of a stranger's, and goes nowhere else") {
  Place place;
  write_stranger_store(place.store(), "mjpeg/avi", State::killed);
  fs::create_symlink(place.home(), place.store() / ".put-aside");
  SECTION("a link in place of the folder") {}
  SECTION("and a name from the database") {
    const fs::path named = place.store() / ".config" / "autostart" / "x.desktop";
    fs::create_directories(named.parent_path());
    fs::rename(place.store() / "000003.avi", named);
    sqlite(place.store(),
           "UPDATE chunks SET chunk_path = '.config/autostart/x.desktop' WHERE chunk = 3");
  }
  SECTION("and bytes behind the frames") {
    std::ofstream(place.store() / "000003.avi", std::ios::app) << "bytes of the stranger's";
  }
  SECTION("and a damaged database") {
    write_text(place.store() / ".index.sqlite", "no database");
    fs::remove(place.store() / "000003.avi");
    fs::remove(place.store() / ".lock");
  }
  SECTION("and a damaged index") {
    write_text(place.store() / "000001.npz", "no index");
  }
  place.watch();
  check_harmless(place, outcomes_of(reading(), place));
  check_harmless(place, outcomes_of(changing(), place));
}

TEST_CASE("a repair moves no pictures of the user's into the store") {
  Place place;
  write_stranger_store(place.store(), "png", State::closed);
  write_text(place.home() / "pictures" / "000001.png.tmp4194304-0", "mine too");
  fs::remove_all(place.store() / "000002");
  fs::create_symlink(place.home() / "pictures", place.store() / "000002");
  write_text(place.store() / ".lock", "process: 4194303\nstarted: 1\nboot: none\n");
  const bool is_open = GENERATE(false, true);
  if (is_open) {
    sqlite(place.store(), "UPDATE chunks SET state = 'open' WHERE chunk = 2");
  }
  place.watch();
  const std::string outcomes = outcomes_of({changing()[1]}, place);
  CAPTURE(outcomes);
  check_harmless(place, outcomes);
  CHECK_FALSE(fs::exists(place.store() / ".put-aside"));
}

TEST_CASE("names of temporary files cannot be foreseen") {
  Place place;
  const std::string format = GENERATE("mjpeg/avi", "png");
  write_stranger_store(place.store(), format, State::closed);
  place.watch();
  for (const Command& command : changing()) {
    // Whoever does not know the process makes links for all of them.
    const std::string outcome = in_child([&] {
      for (const std::string name :
           {"metadata.yaml", ".index.sqlite", "000003.npz", "000003.extra.json", "000001.npz"}) {
        for (int i = 0; i < (avstore::test::is_full_run() ? 300 : 10); ++i) {
          fs::create_symlink(place.home() / "secret.txt",
                             place.store() / (name + ".tmp" + std::to_string(::getpid()) + "-" +
                                              std::to_string(i)));
        }
      }
      fs::create_directory(place.scratch());
      return outcome_of([&] { command.run(place.store(), place.scratch()); });
    });
    CAPTURE(command.name, outcome);
    CHECK((outcome == "no error" || is_an_error(outcome)));
    CHECK(place.is_untouched());
    fs::remove_all(place.store());
    fs::remove_all(place.scratch());
    write_stranger_store(place.store(), format, State::closed);
  }
}

TEST_CASE("a database that is no file, or sparse, fills no disk and brings no file in") {
  constexpr std::uintmax_t kSize = 32 << 20;
  Place place;
  write_stranger_store(place.store(), "mjpeg/avi", State::closed);
  const fs::path database = place.store() / ".index.sqlite";
  bool is_kept = false;
  SECTION("a device") {
    fs::remove(database);
    fs::create_symlink("/dev/zero", database);
  }
  SECTION("a private file") {
    fs::remove(database);
    fs::create_symlink(place.home() / "secret.txt", database);
  }
  SECTION("a sparse file") {
    write_text(database, "no database");
    fs::resize_file(database, kSize);
    is_kept = true;
  }
  place.watch();
  const std::int64_t before = room_taken(place.store());
  CHECK(outcomes_of({reading().front()}, place) == "no error\n");
  CHECK(place.is_untouched());
  CHECK(room_taken(place.store()) < before + (1 << 20));
  CHECK(files_with(kSecret, place.store()).empty());
  const fs::path kept = place.store() / ".put-aside" / "index" / ".index.sqlite";
  CHECK(fs::exists(kept) == is_kept);
  if (is_kept) {
    CHECK(fs::file_size(kept) == kSize);
  }
}

TEST_CASE("what cannot be found, made or followed is an error that names it") {
  Place place;
  write_stranger_store(place.store(), "mjpeg/avi", State::closed);
  const fs::path parent = place.home();
  SECTION("names that are too long") {
    const fs::path name = parent / std::string(GENERATE(255, 256, 5000), 'x');
    CAPTURE(name);
    ImportOptions importing = import_options(true);
    const std::vector<std::function<void()>> calls{
        [&] { Reader reader(name); },
        [&] { verify(name, {}); },
        [&] { repair(name, {}); },
        [&] { rebuild_index(name, {}); },
        [&] { reindex(name, {}); },
        [&] { empty_store(name); },
        [&] { Writer::append(name, {}); },
        [&] { write_image((name.string() + ".png").c_str(), draw(pixel::gray8, 1).view); },
        [&] { export_video(place.store(), name.string() + ".mp4", {}); },
        [&] { import_file(place.store() / "000000.avi", name.string() + "y", importing); },
        [&] { transcode(place.store(), name.string() + "y", {}); }};
    for (const auto& call : calls) {
      const std::string outcome = outcome_of(call);
      CHECK(is_an_error(outcome));
      CHECK_THAT(outcome, ContainsSubstring("xxxxx"));
    }
  }
  SECTION("a name of 255 bytes is none too long") {
    const fs::path name = parent / std::string(255, 'x');
    write_store(name, options_of("mjpeg/avi", 3), 3);
    CHECK(Reader(name).frame_count() == 3);
    fs::remove_all(name);
    ImportOptions importing = import_options(true);
    import_file(place.store() / "000000.avi", name, importing);
    CHECK(Reader(name).frame_count() == 3);
    const std::string picture = (parent / (std::string(251, 'x') + ".png")).string();
    write_image(picture, draw(pixel::gray8, 1).view);
    CHECK(read_image(picture).width() == kWidth);
    export_video(place.store(), parent / (std::string(251, 'x') + ".mkv"), {});
  }
  SECTION("links in a circle") {
    fs::create_symlink("b", parent / "a");
    fs::create_symlink("a", parent / "b");
    const fs::path name = parent / "a";
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { Reader reader(name); }, [&] { Reader reader(name / "x"); },
             [&] { verify(name, {}); }, [&] { repair(name, {}); }, [&] { repair(name / "x", {}); },
             [&] { empty_store(name); }, [&] { Writer::append(name, {}); },
             [&] { Writer writer(name, options_of("png")); },
             [&] { Writer writer(name / "x", options_of("png")); },
             [&] { export_video(place.store(), name / "x.mp4", {}); },
             [&] { import_file(place.store() / "000000.avi", name, import_options(true)); },
             [&] { import_file(place.store() / "000000.avi", name / "x", import_options(true)); },
             [&] { import_file(name, parent / "new", import_options(true)); }}) {
      const std::string outcome = outcome_of(call);
      CHECK(is_an_error(outcome));
      CHECK_THAT(outcome, ContainsSubstring(name.string()));
    }
  }
  SECTION("no folder for temporary files") {
    write_stranger_store(parent / "killed", "mjpeg/avi", State::killed);
    fs::remove(parent / "killed" / ".index.sqlite-shm");
    run("chmod -R a+rX,a-w " + quoted(parent));
    const std::string outcome = in_child([&] {
      become_nobody();
      ::setenv("TMPDIR", "/nonexistent/temporary", 1);
      return outcome_of([&] { Reader reader(parent / "killed"); }) + "\n" +
             outcome_of([&] { doctor({.folder = {}, .formats = {"png"}, .progress = {}}); });
    });
    run("chmod -R u+w " + quoted(parent));
    std::istringstream lines(outcome);
    for (std::string line; std::getline(lines, line);) {
      CHECK_THAT(line, StartsWith("io: ") && ContainsSubstring("/nonexistent/temporary"));
    }
  }
}

TEST_CASE("a store whose folder is reached through links is read and changed where it is") {
  Place place;
  const std::string format = GENERATE("mjpeg/avi", "png");
  const fs::path disk = place.home() / "disk";
  fs::create_directories(disk);
  write_stranger_store(disk / "arena.store", format, State::killed);
  fs::create_symlink("disk", place.home() / "by-name");
  fs::create_symlink("by-name/arena.store", place.home() / "store");
  const fs::path store = place.home() / "store";
  CHECK(repair(store, {}).frames == 8);
  go_on_with(store);
  CHECK(reindex(store, {}).renumbered == 2);
  CHECK(rebuild_index(store, {}) == 9);
  CHECK(verify(store, {.deep = true, .progress = {}}).findings.empty());
  CHECK(Reader(place.home() / "by-name" / "arena.store").frame_count() == 9);
  CHECK(fs::is_symlink(store));
  CHECK(names_in(disk) == std::vector<std::string>{"arena.store"});
}

// git-annex moves files into a folder of its own, and makes links to them.
TEST_CASE("a store whose files are links of git-annex is read, and its changes leave the annex") {
  const std::string format = GENERATE("mjpeg/avi", "png");
  Place place;
  write_stranger_store(place.store(), format, State::closed);
  const fs::path objects = place.home() / ".git" / "annex" / "objects";
  int number = 0;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(place.store())) {
    if (entry.is_regular_file() && entry.path().filename() != ".index.sqlite") {
      files.push_back(entry.path());
    }
  }
  for (const fs::path& file : files) {
    const std::string key = "SHA256E-" + std::to_string(number++) + file.extension().string();
    fs::create_directories(objects / key);
    fs::rename(file, objects / key / key);
    fs::permissions(objects / key / key, fs::perms(0444));
    fs::create_symlink(fs::relative(objects / key / key, file.parent_path()), file);
  }
  const fs::path annexed = place.home().parent_path() / "annexed.store";
  fs::copy(place.store(), annexed, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  place.watch();
  const auto anew = [&] {
    fs::remove_all(place.store());
    fs::copy(annexed, place.store(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  };
  for (const bool is_listed : {true, false}) {
    anew();
    if (!is_listed) {
      fs::remove(place.store() / ".index.sqlite");
    }
    CHECK(wrong_codes(place.store()).empty());
    CHECK(verify(place.store(), {.deep = true, .progress = {}}).findings.empty());
    CHECK(read_extra(place.store()).size() == 7);
    CHECK(place.is_untouched());
  }
  for (const Command& command : changing()) {
    if (command.name == "insert" && format == "png") {
      continue;
    }
    anew();
    CAPTURE(command.name);
    CHECK(outcomes_of({command}, place) == "no error\n");
    CHECK(place.is_untouched());
    if (command.name != "empty" && command.name != "replace") {
      CHECK(verify(place.store(), {.deep = true, .progress = {}}).findings.empty());
    }
  }
  SECTION("an index that is damaged is replaced, not written to") {
    anew();
    const fs::path index = place.store() / (format == "png" ? "000001/index.npz" : "000001.npz");
    fs::remove(index);
    fs::create_symlink(place.home() / "secret.txt", index);
    CHECK_FALSE(repair(place.store(), {}).steps.empty());
    CHECK(fs::is_regular_file(fs::symlink_status(index)));
    CHECK(place.is_untouched());
    CHECK(files_with(kSecret, place.store()).empty());
    CHECK(verify(place.store(), {}).findings.empty());
  }
}
