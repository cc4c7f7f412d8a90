// Interception of calls that change the disk (support/disk_calls.h): what it counts, and that a
// call that is to fail does nothing.
#include "support/disk_calls.h"

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "index/index.h"
#include "support/catch.h"
#include "support/index_rows.h"
#include "support/media_folder.h"
#include "support/outcome.h"
#include "support/processes.h"
#include "support/programs.h"

namespace {

namespace fs = std::filesystem;
using namespace avstore::test;  // NOLINT
using Names = std::vector<std::string>;

// The library calls open, write, fsync and rename.
void replace(const fs::path& file) {
  avstore::base::write_file_atomically(file, std::string_view("new"));
}

}  // namespace

TEST_CASE("disk calls: counted below the folder, of the kinds asked for") {
  const TemporaryFolder folder;
  const TemporaryFolder beside;
  fs::create_directory(folder.path() / "a");
  fs::create_directory(folder.path() / "ab");
  {
    const DiskCalls calls(folder.path() / "a");
    replace(folder.path() / "a" / "file");
    CHECK(calls.count() == 4);
    replace(folder.path() / "ab" / "file");
    replace(beside.path() / "file");
    CHECK(calls.count() == 4);
    fs::rename(beside.path() / "file", folder.path() / "a" / "file");
    CHECK(calls.count() == 5);
    fs::create_directory_symlink(folder.path() / "a", beside.path() / "link");
    fs::remove(beside.path() / "link" / "file");
    CHECK(calls.count() == 6);
    fs::remove(beside.path() / "link");
    CHECK(calls.count() == 6);
  }
  const DiskCalls renames(folder.path(), {DiskCall::rename, DiskCall::mkdir});
  replace(folder.path() / "a" / "file");
  CHECK(renames.count() == 1);
  CHECK_THROWS_AS(DiskCalls(folder.path()), std::logic_error);
}

TEST_CASE("disk calls: the one that is to fail fails, and does nothing") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  write_text(file, "old");
  const int nth = GENERATE(1, 2, 3, 4);
  {
    DiskCalls calls(folder.path());
    calls.fail(nth, ENOSPC);
    CHECK(kind_of_error([&] { replace(file); }, "No space left on device") ==
          avstore::ErrorKind::io);
    CHECK(calls.count() == (nth == 1 ? 1 : nth + 1));  // the new file, if there is one, is unlinked
    CHECK(read_text(file) == "old");
    CHECK(names_in(folder.path()) == Names{"file"});
    replace(file);
  }
  CHECK(read_text(file) == "new");
}

TEST_CASE("disk calls: the process ends before the one where it is to end") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "file";
  write_text(file, "old");
  const int nth = GENERATE(1, 2, 4, 5);
  const bool complete = nth == 5;
  CHECK(run_child([&] {
          DiskCalls calls(folder.path());
          calls.exit(nth, 42);
          replace(file);
          return 0;
        }) == (complete ? 0 : 42));
  CHECK(read_text(file) == (complete ? "new" : "old"));
  // The new file is beside the old one from its opening until its renaming.
  CHECK(names_in(folder.path()).size() == (nth == 1 || complete ? 1 : 2));
}

TEST_CASE("disk calls: those of SQLite too") {
  const TemporaryFolder folder;
  DiskCalls calls(folder.path(), {DiskCall::pwrite});
  avstore::index::Index index = avstore::index::Index::create(folder.path() / "database");
  append_plain(index, 10);
  index.commit();
  REQUIRE(calls.count() > 0);
  calls.fail(calls.count() + 1, ENOSPC);
  append_plain(index, 20);
  CHECK(kind_of_error([&] { index.commit(); }, "full") == avstore::ErrorKind::io);
  index.rollback();
  CHECK(same(rows_of(index), plain_rows(10)));
  append_plain(index, 30);
  index.commit();
  CHECK(same(rows_of(index), plain_rows(30)));
}
