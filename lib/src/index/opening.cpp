#include "index/opening.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace avstore::index {
namespace {

namespace fs = std::filesystem;

constexpr std::array companion_suffixes = {"-journal", "-wal", "-shm"};

fs::path companion(const fs::path& path, const char* suffix) {
  fs::path beside = path;
  beside += suffix;
  return beside;
}

bool is_absent_or_empty(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error == std::errc::no_such_file_or_directory || (!error && size == 0);
}

// Whether the file alone is the whole database, with nothing to be merged or rolled back.
bool is_complete_by_itself(const fs::path& path) {
  return is_absent_or_empty(companion(path, "-wal")) &&
         is_absent_or_empty(companion(path, "-journal"));
}

// SQLite would wait for somebody to write to a pipe.
void refuse_pipe(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_other(status)) {
    throw Error(ErrorKind::corrupt, path.string() + ": is a pipe or a device, not a file");
  }
}

void copy_for_own_use(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, error);
  if (error) {
    throw Error(
        ErrorKind::io,
        from.string() + ": cannot copy to " + to.string() + " to read it there: " + error.message(),
        error.value());
  }
}

// A journal whose transaction was over several databases ends with the name of a file, and SQLite
// removes that file after rolling back, wherever it is. No transaction of ours is.
void refuse_journal_with_a_name(const fs::path& path) {
  constexpr std::string_view magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  const fs::path journal = companion(path, "-journal");
  std::ifstream file(journal, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() < static_cast<std::streamoff>(magic.size())) {
    return;
  }
  std::string end(magic.size(), '\0');
  file.seekg(-static_cast<std::streamoff>(magic.size()), std::ios::end);
  if (file.read(end.data(), static_cast<std::streamsize>(end.size())) && end == magic) {
    throw Error(ErrorKind::corrupt,
                journal.string() + ": a journal that names another file, which avstore's never do");
  }
}

// Where the database lies SQLite could not merge the log of a killed writer, or index it for
// reading; in a copy it can. The log's index (-shm) is left behind: SQLite makes it anew.
OpenedDatabase open_private_copy(const fs::path& path) {
  OpenedDatabase opened;
  opened.folder = std::make_unique<TemporaryFolder>();
  const fs::path copy = opened.folder->path() / "index.sqlite";
  copy_for_own_use(path, copy);
  for (const char* suffix : {"-wal", "-journal"}) {
    if (!is_absent_or_empty(companion(path, suffix))) {
      copy_for_own_use(companion(path, suffix), companion(copy, suffix));
    }
  }
  refuse_journal_with_a_name(copy);
  opened.database = std::make_unique<Database>(copy, OpenMode::read_write, path);
  return opened;
}

void configure(Database& database) {
  // Files come from anywhere: do not trust their pages. No memory map: a disk that fails, or a file
  // cut off meanwhile, must be an Error and not a signal, and lookups are fast enough.
  database.execute(
      "PRAGMA cell_size_check=ON;"
      "PRAGMA mmap_size=0;"
      "PRAGMA cache_size=-4096");
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "avstore-index-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(ErrorKind::io, name + ": cannot make a temporary folder: " + std::strerror(errno),
                errno);
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

OpenedDatabase open_for_reading(const fs::path& path) {
  refuse_pipe(path);
  OpenedDatabase opened;
  opened.database = std::make_unique<Database>(path, OpenMode::read_only);
  if (!opened.database->readable_in_place()) {
    if (is_complete_by_itself(path)) {
      opened.database = std::make_unique<Database>(path, OpenMode::immutable);
    } else {
      opened = open_private_copy(path);
    }
  }
  configure(*opened.database);
  return opened;
}

OpenedDatabase open_to_write(const fs::path& path) {
  refuse_pipe(path);
  refuse_journal_with_a_name(path);
  OpenedDatabase opened;
  opened.database = std::make_unique<Database>(path, OpenMode::read_write);
  if (!opened.database->writable()) {
    opened.database->fail(ErrorKind::io, "cannot be written");
  }
  configure(*opened.database);
  return opened;
}

OpenedDatabase open_in_memory() {
  OpenedDatabase opened;
  opened.database = std::make_unique<Database>(":memory:", OpenMode::memory);
  configure(*opened.database);
  // Whole stores are put there at once, and copied to a file: larger pages are fewer.
  opened.database->execute("PRAGMA page_size=16384");
  return opened;
}

void make_new_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    const int error = errno;
    const ErrorKind kind = error == EEXIST   ? ErrorKind::exists
                           : error == ENOENT ? ErrorKind::not_found
                                             : ErrorKind::io;
    throw Error(kind, path.string() + ": cannot create: " + std::strerror(error), error);
  }
  ::close(descriptor);
}

void use_write_ahead_log(Database& database, Commits commits) {
  if (database.in_memory()) {
    return;
  }
  if (database.pragma("PRAGMA journal_mode=WAL") != "wal") {
    database.fail(ErrorKind::io, "cannot keep a write-ahead log beside it");
  }
  database.execute(commits == Commits::on_disk ? "PRAGMA synchronous=FULL"
                                               : "PRAGMA synchronous=NORMAL");
}

void remove_companions(const fs::path& path) {
  for (const char* suffix : companion_suffixes) {
    std::error_code ignored;
    fs::remove(companion(path, suffix), ignored);
  }
}

}  // namespace avstore::index
