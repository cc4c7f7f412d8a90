// SQLite's C interface as owning C++ types: connection, statement, transactions. Every return code
// is checked and thrown as avstore::Error with the path and SQLite's own words.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "avstore/error.h"

struct sqlite3;
struct sqlite3_module;
struct sqlite3_stmt;

namespace avstore::index {

class Database;

// Which kind of failure an SQLite result code (extended or not) is.
ErrorKind error_kind(int sqlite_code);

// SQL that is a literal, so its text lives as long as the program.
class Sql {
 public:
  consteval Sql(const char* literal) : text_(literal) {}
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

// A compiled statement of one Database, which must outlive it.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);

  // Parameters and columns count as in SQLite: parameters from 1, columns from 0.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, double value);  // NaN becomes NULL
  void bind(int parameter, std::string_view value);
  void bind(int parameter, const std::optional<std::int64_t>& value);

  bool step();  // whether there is a row
  void reset() noexcept;

  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  double real(int column) const;  // NULL becomes NaN
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  void check(int code) const;
  int step_code();

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// One run of a statement. Resets it at the end of the scope: a statement that has not run to its
// end would keep its read lock.
class Query {
 public:
  template <typename... Values>
  explicit Query(Statement& statement, const Values&... values) : statement_(statement) {
    int parameter = 0;
    (statement_.bind(++parameter, values), ...);
  }
  ~Query() { statement_.reset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  bool next() { return statement_.step(); }
  std::int64_t integer(int column) const { return statement_.integer(column); }
  std::optional<std::int64_t> optional_integer(int column) const {
    return statement_.optional_integer(column);
  }
  double real(int column) const { return statement_.real(column); }
  std::string text(int column) const { return statement_.text(column); }
  bool is_null(int column) const { return statement_.is_null(column); }

 private:
  Statement& statement_;
};

enum class OpenMode {
  memory,      // a new database in memory; the location is ignored
  read_only,   // with locks, beside a writer
  immutable,   // without locks: for a file that nobody writes, in a folder that cannot be written
  read_write,  // the file must exist
};

// A connection. Not to be used by two threads at a time.
//
// Files come from strangers. Views and triggers in them are not run, their SQL may not call what
// has effects, and a statement that does more work than a file of that size can need is ended with
// Error(corrupt): its pages lead to one another in circles, or to the same rows time and again.
class Database {
 public:
  // Errors name `shown_as`, which differs from `location` when a private copy is opened. The folder
  // of `location` may be reached through links; the file may not be one.
  Database(const std::filesystem::path& location, OpenMode mode, std::filesystem::path shown_as);
  Database(const std::filesystem::path& location, OpenMode mode)
      : Database(location, mode, location) {}
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::filesystem::path& path() const { return shown_as_; }
  bool in_memory() const { return mode_ == OpenMode::memory; }
  bool writable() const;
  bool in_transaction() const;

  // Reads the header. False where SQLite cannot open this database where it lies, because it would
  // have to make or repair files beside it and may not. Throws for all else that is wrong.
  bool readable_in_place();

  // Runs SQL without parameters, several statements perhaps; their rows are dropped.
  void execute(const char* sql);

  // The statement, compiled once.
  Statement& cached(Sql sql);

  template <typename... Values>
  Query query(Sql sql, const Values&... values) {
    return Query(cached(sql), values...);
  }

  // Runs a statement to its end.
  template <typename... Values>
  void run(Sql sql, const Values&... values) {
    Query running(cached(sql), values...);
    while (running.next()) {
    }
  }

  // The statement that runs next may do as much more work as so many rows need that are not in the
  // file yet.
  void expect_new_rows(std::size_t rows);

  // How long to wait for other connections' locks before SQLite reports "database is locked".
  void set_lock_timeout(int milliseconds);

  // Begins a transaction that writes. False if another connection is writing, and still is after so
  // long. Throws for all else.
  bool begin_writing(int wait_milliseconds);

  // The first pragma's result that is text, such as the journal mode that is now in force.
  std::string pragma(std::string_view sql);

  // Folds the write-ahead log into the file and goes back to a rollback journal, so that one file
  // is left. False if other connections are in the way; nothing is lost then, the log just stays.
  bool merge_log();

  // Makes a virtual table known to this connection. `module` and `data` must outlive it.
  void add_table(const char* name, const sqlite3_module& module, void* data);

  // Copies all pages to a new file at `destination`.
  void copy_to(const std::filesystem::path& destination);

  [[noreturn]] void fail(int code) const;
  [[noreturn]] void fail(ErrorKind kind, const std::string& what, int system_error = 0) const;

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* connection) const noexcept;
  };

  // Calls SQLite, and again for some time where a connection for reading is refused for a reason
  // that passes by. Returns SQLite's code.
  template <typename Call>
  int patiently(const Call& call) const;
  int execute_code(const char* sql) const;
  void require_done(int code) const;  // fails unless it is SQLITE_OK
  // Called by SQLite from time to time while a statement runs: not 0 ends the statement.
  static int look_at_work(void* database) noexcept;
  bool is_too_much_work() const noexcept;

  OpenMode mode_;
  std::filesystem::path location_;
  std::filesystem::path log_;  // the write-ahead log, if there is one
  std::filesystem::path shown_as_;
  mutable std::int64_t looks_ = 0;  // at the work of the statement that runs
  std::int64_t new_rows_ = 0;       // that it may make
  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<std::string_view, Statement> cache_;  // finalized before the connection closes
};

// Holds one snapshot for several queries, which also saves locking the file for each. Does nothing
// inside a transaction.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& database);
  ~ReadTransaction();
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

 private:
  Database& database_;
  bool active_;
};

// Makes several changes inside a transaction all or none: undone unless release() is reached.
class Savepoint {
 public:
  explicit Savepoint(Database& database);
  ~Savepoint();
  Savepoint(const Savepoint&) = delete;
  Savepoint& operator=(const Savepoint&) = delete;

  void release();

 private:
  Database& database_;
  bool active_ = true;
};

}  // namespace avstore::index
