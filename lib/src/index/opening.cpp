#include "index/opening.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "avstore/error.h"
#include "base/file.h"
#include "base/files.h"
#include "base/own_files.h"

namespace avstore::index {
namespace {

namespace fs = std::filesystem;

constexpr std::array companion_suffixes = {"-journal", "-wal", "-shm"};

fs::path companion(const fs::path& path, std::string_view suffix) {
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

bool ends_with(const base::File& file, std::string_view text) {
  std::string end(text.size(), '\0');
  const std::int64_t place = file.size() - static_cast<std::int64_t>(end.size());
  auto* const bytes = reinterpret_cast<std::uint8_t*>(end.data());
  return place >= 0 && file.read_at(place, std::span(bytes, end.size())) == end.size() &&
         end == text;
}

// A journal whose transaction was over several databases ends with the name of a file, and SQLite
// removes that file after rolling back, wherever it is. No transaction of ours is.
void refuse_journal_with_a_name(const fs::path& path) {
  constexpr std::string_view magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  const fs::path journal = companion(path, "-journal");
  try {
    if (!ends_with(base::File::open(journal), magic)) {
      return;
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) {
      return;
    }
    throw;
  }
  throw Error(ErrorKind::corrupt,
              journal.string() + ": a journal that names another file, which avstore's never do");
}

// SQLite writes to a database and to the files beside it, and removes those: none of them may be a
// link. A pipe would keep SQLite waiting. What is not there does no harm.
void require_own_files(const fs::path& path) {
  bool has_journal = false;
  for (const std::string_view suffix : {"", "-journal", "-wal", "-shm"}) {
    const fs::path file = companion(path, suffix);
    const base::Entry entry = base::entry_at(file);
    has_journal |= suffix == "-journal" && entry == base::Entry::file;
    if (entry != base::Entry::file && entry != base::Entry::none) {
      throw Error(ErrorKind::corrupt,
                  file.string() + (entry == base::Entry::link
                                       ? ": is a link, and no database is opened through one"
                                       : ": is a folder, a pipe or a device, not a file"));
    }
  }
  if (has_journal) {
    refuse_journal_with_a_name(path);
  }
}

void copy_for_own_use(const fs::path& from, const fs::path& to) {
  try {
    base::copy_file(from, to);
  } catch (const Error& error) {
    // Also where a writer has removed a log meanwhile: the database itself is there.
    throw Error(ErrorKind::io, std::string("cannot copy to read it there: ") + error.what(),
                error.system_error());
  }
}

// Where the database lies SQLite could not merge the log of a killed writer, or index it for
// reading; in a copy it can. The log's index (-shm) is left behind: SQLite makes it anew.
OpenedDatabase open_private_copy(const fs::path& path) {
  OpenedDatabase opened;
  opened.folder = std::make_unique<base::TemporaryFolder>("avstore-index-");
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

OpenedDatabase open_for_reading(const fs::path& path, Reading reading) {
  require_own_files(path);
  OpenedDatabase opened;
  if (reading == Reading::untouched && !is_complete_by_itself(path)) {
    opened = open_private_copy(path);
    configure(*opened.database);
    return opened;
  }
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
  require_own_files(path);
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
  base::File::create(path, path).close();
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
