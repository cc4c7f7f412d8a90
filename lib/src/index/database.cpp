#include "index/database.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "index/index.h"

namespace avstore::index {
namespace {

constexpr int lock_timeout_ms = 5000;
// Nobody should wait long for a store to close because a viewer has it open.
constexpr int merge_timeout_ms = 200;

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
         c == '-' || c == '_' || c == '.' || c == '~';
}

std::string percent_encoded(const std::string& text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return encoded;
}

// Where the file lies, without links in the names of folders: SQLITE_OPEN_NOFOLLOW refuses those
// too. Always absolute: some builds of SQLite take a name that starts with "file:" for a URI
// unasked, and ":memory:" means no file.
std::filesystem::path resolved(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::error_code error;
  const std::filesystem::path place = std::filesystem::canonical(folder, error);
  if (error) {
    throw Error(
        error == std::errc::no_such_file_or_directory ? ErrorKind::not_found : ErrorKind::io,
        file.string() + ": index database: cannot be opened: " + error.message(), error.value());
  }
  return place / file.filename();
}

std::string sqlite_name(const std::filesystem::path& location, OpenMode mode) {
  const std::string name = location.string();
  return mode == OpenMode::immutable ? "file:" + percent_encoded(name) + "?immutable=1" : name;
}

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::memory:
      return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY;
    case OpenMode::read_only:
      return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW;
    case OpenMode::immutable:
      return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_URI;
    case OpenMode::read_write:
      return SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW;
  }
  return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW;
}

int primary_code(int code) {
  return code & 0xff;
}

// What a connection for reading meets where it may not make files beside the database: there is no
// write-ahead log although the header says so, or it cannot be read yet. A writer that is opening
// or closing just now passes by; a writer that died does not.
bool is_for_want_of_a_log(int code) {
  return primary_code(code) == SQLITE_CANTOPEN || primary_code(code) == SQLITE_READONLY;
}

constexpr std::chrono::milliseconds first_pause{1};
constexpr std::chrono::milliseconds last_pause{128};

// What a text or a row may be long, beside SQLite's own limit of a thousand million bytes.
constexpr int longest_value = 64 << 20;
static_assert(kLongestExtra < longest_value);

// SQLite's virtual machine does some tens of operations a row in the longest statements here, and a
// row takes more than ten bytes. Looking at a smaller file costs no time worth counting.
constexpr int operations_a_look = 10'000;
constexpr std::int64_t free_looks = 100;
constexpr std::int64_t operations_a_byte = 16;
constexpr std::int64_t operations_a_row = 100;

// Of a sparse file, what a file system that compresses could have made of so few blocks.
std::int64_t size_or_nothing(const std::filesystem::path& file) {
  constexpr std::int64_t block = 512;
  constexpr std::int64_t most_compressed = 32;
  struct stat status {};
  return ::stat(file.c_str(), &status) != 0
             ? 0
             : std::min<std::int64_t>(status.st_size, status.st_blocks * block * most_compressed);
}

// No statement of ours needs what is switched off or refused here. Returns SQLite's code.
int distrust_schema(sqlite3* connection) {
  int code = sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  for (const int option : {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW,
                           SQLITE_DBCONFIG_ENABLE_FKEY, SQLITE_DBCONFIG_TRUSTED_SCHEMA}) {
    code = code == SQLITE_OK ? sqlite3_db_config(connection, option, 0, nullptr) : code;
  }
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, longest_value);
  return code;
}

struct FinishBackup {
  void operator()(sqlite3_backup* backup) const noexcept { sqlite3_backup_finish(backup); }
};

}  // namespace

ErrorKind error_kind(int sqlite_code) {
  switch (primary_code(sqlite_code)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_INTERRUPT:  // by look_at_work()
    case SQLITE_ERROR:      // SQL that no longer compiles: a table or column is not there
      return ErrorKind::corrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_MISUSE:
      return ErrorKind::invalid_argument;
    default:
      return ErrorKind::io;
  }
}

// --- Statement ---

template <typename Call>
int Database::patiently(const Call& call) const {
  int code = call();
  if (mode_ != OpenMode::read_only) {
    return code;
  }
  for (auto pause = first_pause; is_for_want_of_a_log(code) && pause < last_pause; pause *= 2) {
    std::this_thread::sleep_for(pause);
    code = call();
  }
  return code;
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

Statement::Statement(const Database& database, std::string_view sql) : database_(&database) {
  // Reads the schema if nothing has yet.
  database.looks_ = 0;
  check(database.patiently([&] {
    sqlite3_stmt* statement = nullptr;
    const int code =
        sqlite3_prepare_v3(database.handle_.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    handle_.reset(statement);
    return code;
  }));
}

void Statement::check(int code) const {
  database_->require_done(code);
}

void Statement::bind(int parameter, std::int64_t value) {
  check(sqlite3_bind_int64(handle_.get(), parameter, value));
}

void Statement::bind(int parameter, double value) {
  check(sqlite3_bind_double(handle_.get(), parameter, value));
}

void Statement::bind(int parameter, std::string_view value) {
  check(sqlite3_bind_text64(handle_.get(), parameter, value.data(), value.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
}

void Statement::bind(int parameter, const std::optional<std::int64_t>& value) {
  check(value ? sqlite3_bind_int64(handle_.get(), parameter, *value)
              : sqlite3_bind_null(handle_.get(), parameter));
}

// Of the errors that patiently() tries again after, a statement can only meet those at its first
// step, so starting it anew repeats no row.
int Statement::step_code() {
  return database_->patiently([this] { return sqlite3_step(handle_.get()); });
}

bool Statement::step() {
  const int code = step_code();
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    database_->fail(code);
  }
  return code == SQLITE_ROW;
}

// The code that sqlite3_reset returns is the one that step() has thrown.
void Statement::reset() noexcept {
  sqlite3_reset(handle_.get());
  database_->looks_ = 0;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (is_null(column)) {
    return std::nullopt;
  }
  return integer(column);
}

double Statement::real(int column) const {
  return is_null(column) ? std::numeric_limits<double>::quiet_NaN()
                         : sqlite3_column_double(handle_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

// --- Database ---

void Database::Close::operator()(sqlite3* connection) const noexcept {
  sqlite3_close(connection);
}

Database::Database(const std::filesystem::path& location, OpenMode mode,
                   std::filesystem::path shown_as)
    : mode_(mode),
      location_(mode == OpenMode::memory ? ":memory:" : resolved(location)),
      log_(location_),
      shown_as_(std::move(shown_as)) {
  log_ += "-wal";
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(sqlite_name(location_, mode).c_str(), &connection,
                                   open_flags(mode) | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(connection);
  require_done(code);
  require_done(sqlite3_extended_result_codes(connection, 1));
  require_done(distrust_schema(connection));
  if (!in_memory()) {  // that one is our own
    sqlite3_progress_handler(connection, operations_a_look, look_at_work, this);
  }
  set_lock_timeout(lock_timeout_ms);
}

Database::~Database() = default;

bool Database::writable() const {
  return sqlite3_db_readonly(handle_.get(), "main") == 0;
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_.get()) == 0;
}

int Database::look_at_work(void* database) noexcept {
  return static_cast<const Database*>(database)->is_too_much_work() ? 1 : 0;
}

bool Database::is_too_much_work() const noexcept {
  if (++looks_ % free_looks != 0) {
    return false;
  }
  const std::int64_t bytes = size_or_nothing(location_) + size_or_nothing(log_);
  return (looks_ - free_looks) * operations_a_look >
         bytes * operations_a_byte + new_rows_ * operations_a_row;
}

void Database::expect_new_rows(std::size_t rows) {
  new_rows_ = static_cast<std::int64_t>(rows);
}

int Database::execute_code(const char* sql) const {
  looks_ = 0;
  return patiently([&] { return sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr); });
}

bool Database::readable_in_place() {
  const int code = execute_code("PRAGMA schema_version");
  if (is_for_want_of_a_log(code)) {
    return false;
  }
  require_done(code);
  return true;
}

void Database::execute(const char* sql) {
  require_done(execute_code(sql));
}

Statement& Database::cached(Sql sql) {
  const auto found = cache_.find(sql.text());
  if (found != cache_.end()) {
    return found->second;
  }
  return cache_.emplace(sql.text(), Statement(*this, sql.text())).first->second;
}

void Database::set_lock_timeout(int milliseconds) {
  require_done(sqlite3_busy_timeout(handle_.get(), milliseconds));
}

bool Database::begin_writing(int wait_milliseconds) {
  Statement& statement = cached("BEGIN IMMEDIATE");
  set_lock_timeout(wait_milliseconds);
  const int code = statement.step_code();
  set_lock_timeout(lock_timeout_ms);
  statement.reset();
  if (code != SQLITE_DONE && primary_code(code) != SQLITE_BUSY) {
    fail(code);
  }
  return code == SQLITE_DONE;
}

std::string Database::pragma(std::string_view sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : std::string();
}

bool Database::merge_log() {
  constexpr const char* steps[] = {"PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode=DELETE"};
  set_lock_timeout(merge_timeout_ms);
  int code = SQLITE_OK;
  for (const char* step : steps) {
    if (code == SQLITE_OK) {
      code = sqlite3_exec(handle_.get(), step, nullptr, nullptr, nullptr);
    }
  }
  set_lock_timeout(lock_timeout_ms);
  const int primary = primary_code(code);
  if (code != SQLITE_OK && primary != SQLITE_BUSY && primary != SQLITE_LOCKED) {
    fail(code);
  }
  return code == SQLITE_OK;
}

void Database::add_table(const char* name, const sqlite3_module& module, void* data) {
  require_done(sqlite3_create_module(handle_.get(), name, &module, data));
}

void Database::copy_to(const std::filesystem::path& destination) {
  Database copy(destination, OpenMode::read_write);
  // A file that is thrown away if anything fails needs no journal on disk.
  copy.execute("PRAGMA journal_mode=MEMORY");
  std::unique_ptr<sqlite3_backup, FinishBackup> backup(
      sqlite3_backup_init(copy.handle_.get(), "main", handle_.get(), "main"));
  if (!backup) {
    copy.fail(sqlite3_extended_errcode(copy.handle_.get()));
  }
  const int copied = sqlite3_backup_step(backup.get(), -1);
  copy.require_done(sqlite3_backup_finish(backup.release()));
  // Finishing says nothing of another connection that was in the way.
  if (copied != SQLITE_DONE) {
    copy.fail(copied);
  }
  // The pages say "write-ahead log" where the original has one.
  copy.execute("PRAGMA journal_mode=DELETE");
}

void Database::require_done(int code) const {
  if (code != SQLITE_OK) {
    fail(code);
  }
}

void Database::fail(int code) const {
  ErrorKind kind = error_kind(code);
  std::error_code ignored;
  if (primary_code(code) == SQLITE_CANTOPEN && !std::filesystem::exists(location_, ignored)) {
    kind = ErrorKind::not_found;
  }
  if (primary_code(code) == SQLITE_INTERRUPT) {
    fail(kind, "its pages lead to the same rows over and over");
  }
  // The connection's message belongs to the last call on it; where that is another, the code's own
  // name is what is left to say.
  const bool current = handle_ && sqlite3_errcode(handle_.get()) != SQLITE_OK;
  const int of_system = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  fail(kind, current ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code),
       primary_code(code) == SQLITE_FULL ? ENOSPC : of_system);
}

void Database::fail(ErrorKind kind, const std::string& what, int system_error) const {
  throw Error(kind, shown_as_.string() + ": index database: " + what, system_error);
}

// --- Transactions ---

ReadTransaction::ReadTransaction(Database& database)
    : database_(database), active_(!database.in_transaction()) {
  if (active_) {
    database_.run("BEGIN");
  }
}

ReadTransaction::~ReadTransaction() {
  try {
    // SQLite ends a transaction by itself on some errors.
    if (active_ && database_.in_transaction()) {
      database_.run("COMMIT");
    }
  } catch (...) {
    // Only reads were made; there is nothing to lose.
  }
}

Savepoint::Savepoint(Database& database) : database_(database) {
  database_.run("SAVEPOINT several_changes");
}

Savepoint::~Savepoint() {
  if (!active_) {
    return;
  }
  try {
    if (database_.in_transaction()) {
      database_.run("ROLLBACK TO several_changes");
      database_.run("RELEASE several_changes");
    }
  } catch (...) {
    // The error that brought us here is the one to report.
  }
}

void Savepoint::release() {
  database_.run("RELEASE several_changes");
  active_ = false;
}

}  // namespace avstore::index
