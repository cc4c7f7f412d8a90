// Opening the index database: where it lies, and what is there that is none, damaged, somebody
// else's or of another version.
#include "index/index.h"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "avstore/error.h"
#include "support/catch.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using avstore::ErrorKind;
using avstore::index::FrameRow;
using avstore::index::Index;

}  // namespace

TEST_CASE("index: any path will do") {
  const TemporaryFolder folder;
  const std::string name = GENERATE("with space", "Größe Übung", "what?", "100%25", "a#b", "it's",
                                    "a\"b;c", "file:x?mode=ro", ":memory:");
  const fs::path path = folder.path() / name;
  Index index = Index::create(path);
  append_plain(index, 10);
  index.commit();
  CHECK(Index::open(path).frame_count() == 10);
  index.close();
  CHECK(fs::is_regular_file(path));
  CHECK(same(rows_of(Index::open(path)), plain_rows(10)));
  const fs::path copy = folder.path() / (name + " copy");
  index.save_as(copy);
  CHECK(same(rows_of(Index::open(copy)), plain_rows(10)));
}

TEST_CASE("index: relative paths that SQLite would take for something else") {
  const TemporaryFolder folder;
  const int status = run_child([&] {
    fs::current_path((folder.path() / "x").parent_path());
    for (const char* name : {"file:x?mode=memory", "plain", ":memory:2"}) {
      Index index = Index::create(name);
      append_plain(index, 10);
      index.close();
      if (!fs::is_regular_file(folder.path() / name) || Index::open(name).frame_count() != 10) {
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
  const fs::path store = folder.path() / name;
  fs::create_directory(store);
  const fs::path path = store / ".index.sqlite";
  const fs::path temporary = folder.path() / "temporary";
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

TEST_CASE("index: a file that is not there, or is there already") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
  CHECK_ERROR(not_found, Index::open(path));
  CHECK_ERROR(not_found, Index::open_for_writing(path));
  CHECK(!fs::exists(path));
  CHECK_ERROR(not_found, Index::create(folder.path() / "none" / "index"));
  fs::create_directory(path);
  CHECK_ERROR(corrupt, Index::open(path));
  CHECK_ERROR(exists, Index::create(path));
  fs::remove(path);
  closed_database(folder, 10);
  CHECK_ERROR(exists, Index::create(path));
  CHECK(Index::open(path).frame_count() == 10);
}

TEST_CASE("index: a log left by a database that is gone is not taken for a new one's") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";
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
    SKIP("needs the sqlite3 program");
  }
  const TemporaryFolder folder;
  const fs::path path = folder.path() / ".index.sqlite";

  SECTION("the reference's") {
    query(path,
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
    query(path,
          "UPDATE index_information SET value = '2' "
          "WHERE name = 'avstore_schema_version'");
    CHECK(kind_of_error([&] { Index::open(path); }, "newer") == ErrorKind::unsupported);
    CHECK_ERROR(unsupported, Index::open_for_writing(path));
  }
  SECTION("a version that is none") {
    closed_database(folder, 10);
    for (const std::string version : {"", "one", "1x", "-1", "0", "99999999999999999999"}) {
      query(path, "UPDATE index_information SET value = '" + version +
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
    query(path, change);
    CHECK_ERROR(corrupt, Index::open(path));
    CHECK_ERROR(corrupt, Index::open_for_writing(path));
  }
  SECTION("ours with a row missing") {
    closed_database(folder, 1000);
    query(path, "DELETE FROM frames WHERE frame_index = 500");
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
