// Stores that take the place of others: what is kept of those, and what becomes of them.
#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;

using avstore::ImportOptions;
using avstore::Reader;
using avstore::Writer;
using avstore::WriterOptions;
using avstore::test::add;
using avstore::test::import_options;
using avstore::test::in_child;
using avstore::test::media_file;
using avstore::test::names_in;
using avstore::test::options_of;
using avstore::test::outcome_of;
using avstore::test::read_text;
using avstore::test::TemporaryFolder;
using avstore::test::tree;
using avstore::test::write_store;
using avstore::test::write_text;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

}  // namespace

TEST_CASE("a store that exists is replaced when asked") {
  for (const int way : {0, 1, 2, 3}) {
    DYNAMIC_SECTION(way) {
      const TemporaryFolder folder;
      const fs::path store = folder.path() / "store";
      write_store(store, options_of("png"), 300);
      WriterOptions options = options_of("ffv1/mkv");
      options.overwrite = true;
      ImportOptions import = import_options(way == 1);
      import.writer.overwrite = true;
      if (way < 2) {
        avstore::import_file(media_file("h264-intra-only.mp4"), store, import);
      } else if (way == 2) {
        write_store(store, options, 60);
      } else {
        write_store(folder.path() / "source", options_of("bmp"), 60);
        avstore::TranscodeOptions transcode;
        transcode.writer = options;
        avstore::transcode(folder.path() / "source", store, transcode);
        fs::remove_all(folder.path() / "source");
      }
      CHECK(Reader(store).frame_count() == 60);
      CHECK(Reader(store).info().store_class == "VideoImgStore");
      CHECK_FALSE(fs::exists(store / "000000" / "000000.png"));
      CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
    }
  }
}

TEST_CASE("an import that fails leaves the store that it should have replaced") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 10);
  const auto before = tree(folder.path());
  for (const bool copy : {false, true}) {
    ImportOptions options = import_options(copy);
    options.writer.overwrite = true;
    for (const fs::path& file : {media_file("bad/text.mp4"), media_file("bad/audio-only.mp4"),
                                 media_file("size-change.h264"), media_file("no-such-file.mp4")}) {
      CAPTURE(file, copy);
      CHECK(outcome_of([&] { avstore::import_file(file, store, options); }) != "no error");
      CHECK(tree(folder.path()) == before);
    }
    options.progress = [](std::int64_t, std::int64_t) { return false; };
    CHECK_THROWS_AS(avstore::import_file(media_file("h264-no-bframes.mp4"), store, options),
                    avstore::Interrupted);
    CHECK(tree(folder.path()) == before);
  }
  // Nor does a writer with options that cannot be.
  WriterOptions wrong = options_of("avc1/mp4");
  wrong.overwrite = true;
  wrong.encoder.quality = 1000;
  CHECK_THAT(outcome_of([&] { Writer writer(store, wrong); }), StartsWith("invalid_argument"));
  CHECK(tree(folder.path()) == before);
}

TEST_CASE("a recording that comes to nothing leaves the store that it should have replaced") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4", 7), 20);
  write_text(store / "notes.txt", "mine");
  const auto before = tree(folder.path());
  WriterOptions options = options_of("avc1/mp4");
  options.overwrite = true;
  SECTION("an encoder that there is not") {
    options.encoder.encoder = "nosuch";
    CHECK_THAT(outcome_of([&] { write_store(store, options, 3); }), ContainsSubstring("nosuch"));
  }
  SECTION("an option that the encoder does not know") {
    options.encoder.options["nosuch"] = "1";
    CHECK_THAT(outcome_of([&] { write_store(store, options, 3); }), ContainsSubstring("nosuch"));
  }
  SECTION("given up before a frame is durable") {
    Writer writer(store, options);
    add(writer, 0);
    writer.abandon();
  }
  SECTION("killed before a frame is durable") {
    REQUIRE(avstore::test::run_child([&]() -> int {
              Writer writer(store, options);
              add(writer, 0);
              std::raise(SIGKILL);
              return 0;
            }) == -SIGKILL);
    CHECK_FALSE(fs::exists(store / "metadata.yaml"));
    for (const fs::path& path : {store, store / "metadata.yaml"}) {
      for (const std::string& outcome : {outcome_of([&] { Reader reader(path); }),
                                         outcome_of([&] { avstore::read_extra(path); }),
                                         outcome_of([&] { Writer::append(path, {}); })}) {
        CHECK_THAT(outcome,
                   StartsWith("not_found: ") && ContainsSubstring("avstore repair brings"));
      }
      const auto verified = avstore::verify(path, {});
      CHECK(verified.findings.empty());
      CHECK(verified.repairs == avstore::repair(path, {.dry_run = true, .notice = {}}).steps);
    }
    SECTION("and repaired") {
      const auto repaired =
          avstore::repair(GENERATE(false, true) ? store / "metadata.yaml" : store, {});
      CHECK(repaired.frames == 20);
      REQUIRE_FALSE(repaired.steps.empty());
      CHECK_THAT(repaired.steps.front(), ContainsSubstring("brought back"));
      fs::remove_all(store / ".put-aside");
    }
    SECTION("and repaired by its name within the folder") {
      CHECK(avstore::test::in_child([&] {
              fs::current_path(store);
              return std::to_string(avstore::repair("metadata.yaml", {}).frames);
            }) == "20");
      fs::remove_all(store / ".put-aside");
    }
    SECTION("and once more") {
      Writer again(store, options);
      again.abandon();
    }
  }
  CHECK(tree(folder.path()) == before);
}

TEST_CASE("a store that was replaced is gone once the new one has a frame") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("png"), 20);
  WriterOptions options = options_of("avc1/mp4");
  options.overwrite = true;
  REQUIRE(avstore::test::run_child([&]() -> int {
            Writer writer(store, options);
            add(writer, 0);
            writer.sync();
            std::raise(SIGKILL);
            return 0;
          }) == -SIGKILL);
  CHECK(Reader(store).frame_count() == 1);
  CHECK(avstore::repair(store, {}).frames == 1);
  write_store(store, options, 3);
  CHECK(Reader(store).frame_count() == 3);
  CHECK_FALSE(fs::exists(store / ".replaced"));
}

TEST_CASE("what else lies in the folder of a store that is replaced is kept") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  for (const int way : {0, 1, 2}) {
    DYNAMIC_SECTION(way) {
      write_store(store, options_of("avc1/mp4"), 10);
      write_text(store / "notes.txt", "the only notes of that day");
      ImportOptions options = import_options(way == 1);
      options.writer.overwrite = true;
      // Expected: the new store stands in the folder, beside the notes. A refusal that leaves
      // everything as it was would do as well; to lose the old store and have no new one would not.
      const std::string outcome = outcome_of([&] {
        if (way < 2) {
          avstore::import_file(media_file("h264-intra-only.mp4"), store, options);
        } else {
          WriterOptions writer = options_of("avc1/mp4");
          writer.overwrite = true;
          write_store(store, writer, 60);
        }
      });
      CHECK(read_text(store / "notes.txt") == "the only notes of that day");
      CAPTURE(outcome);
      CHECK(outcome_of([&] {
              CHECK(Reader(store).frame_count() == (outcome == "no error" ? 60 : 10));
            }) == "no error");
      CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
    }
  }
}

TEST_CASE("what is no store is never replaced") {
  const TemporaryFolder folder;
  const fs::path home = folder.path() / "home";
  fs::create_directory(home);
  write_text(home / "thesis.tex", "all of it");
  write_text(folder.path() / "file", "a file");
  const auto before = tree(folder.path());
  for (const bool overwrite : {false, true}) {
    for (const fs::path& destination : {home, folder.path() / "file"}) {
      CAPTURE(overwrite, destination);
      WriterOptions writer = options_of("avc1/mp4");
      writer.overwrite = overwrite;
      ImportOptions options = import_options(false);
      options.writer.overwrite = overwrite;
      CHECK_THAT(outcome_of([&] { Writer made(destination, writer); }),
                 StartsWith("exists: ") && ContainsSubstring(destination.string()));
      CHECK_THAT(outcome_of([&] {
                   avstore::import_file(media_file("h264-no-bframes.mp4"), destination, options);
                 }),
                 StartsWith("exists: ") && ContainsSubstring(destination.string()));
      CHECK(tree(folder.path()) == before);
    }
  }
}

TEST_CASE("files of the user's are no chunks, whatever their number") {
  const TemporaryFolder folder;
  const fs::path store = folder.path() / "store";
  write_store(store, options_of("avc1/mp4"), 20);
  write_text(store / "20190523.txt", "notes of that day");
  write_text(store / "000001.mp4.bak", "a copy");
  write_text(store / "000001.npz.tmp12-0", "left by the dead");
  SECTION("replaced") {
    WriterOptions options = options_of("png");
    options.overwrite = true;
    write_store(store, options, 3);
  }
  SECTION("emptied") {
    avstore::empty_store(store);
  }
  CHECK(read_text(store / "20190523.txt") == "notes of that day");
  CHECK(read_text(store / "000001.mp4.bak") == "a copy");
  CHECK_FALSE(fs::exists(store / "000001.npz.tmp12-0"));
  CHECK_FALSE(fs::exists(store / "000001.mp4"));
  CHECK_FALSE(fs::exists(store / "000002.npz"));
}

TEST_CASE("a store that a link leads to is replaced where it is") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "disk");
  fs::create_directories(folder.path() / "names");
  const fs::path store = folder.path() / "disk" / "store";
  const fs::path link = folder.path() / "names" / "link";
  const bool empty = GENERATE(false, true);
  if (empty) {
    fs::create_directory(store);
  } else {
    write_store(store, options_of("png"), 3);
  }
  fs::create_directory_symlink(store, link);
  ImportOptions options = import_options(true);
  options.writer.overwrite = !empty;
  avstore::import_file(media_file("h264-intra-only.mp4"), link, options);
  CHECK(fs::is_symlink(link));
  CHECK(Reader(store).frame_count() == 60);
  CHECK(names_in(folder.path() / "names") == std::vector<std::string>{"link"});
  CHECK(names_in(folder.path() / "disk") == std::vector<std::string>{"store"});
}

TEST_CASE("where no thread can be started the old store stays, and none is left behind") {
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::all);
  const auto store = folder.path() / "store";
  const std::string outcome = in_child([&] {
    avstore::test::become_nobody();
    write_store(store, options_of("png"), 3);
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) {
      return std::string("no limit");
    }
    WriterOptions options = options_of("avc1/mp4");
    const auto fresh = outcome_of([&] { Writer(folder.path() / "new", options); });
    options.overwrite = true;
    const auto replacing = outcome_of([&] { Writer(store, options); });
    const auto going_on = outcome_of([&] { Writer::append(store, {}); });
    return fresh + "\n" + replacing + "\n" + going_on;
  });
  CHECK(outcome ==
        "io: " + (folder.path() / "new").string() +
            ": cannot start a thread: Resource temporarily unavailable\nio: " + store.string() +
            ": cannot start a thread: Resource temporarily unavailable\nio: " + store.string() +
            ": cannot start a thread: Resource temporarily unavailable");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"store"});
  CHECK_FALSE(fs::exists(store / ".lock"));
  CHECK_FALSE(fs::exists(store / ".replaced"));
  CHECK(Reader(store).frame_count() == 3);
}
