// Opening, committing and closing: the life of an Index. What is in between is in writing.cpp,
// reading.cpp and locate.cpp.
#include "index/index.h"

#include <unistd.h>

#include <chrono>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "index/impl.h"
#include "index/schema.h"

namespace avstore::index {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code missing;
  return fs::equivalent(a, b, missing);
}

void put_in_place(const fs::path& temporary, const fs::path& path) {
  // A log left there by the database that is replaced would be taken for the new one's.
  remove_companions(path);
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) {
    throw Error(ErrorKind::io, path.string() + ": cannot put in place: " + error.message(),
                error.value());
  }
}

void copy_in_place(Database& database, const fs::path& path) {
  const fs::path temporary = base::temporary_name(path);
  make_new_file(temporary);
  try {
    database.copy_to(temporary);
    put_in_place(temporary, path);
  } catch (...) {
    remove_companions(temporary);
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

// Differs from its last value after another connection has committed.
std::int64_t data_version(Database& database) {
  Query query = database.query("PRAGMA data_version");
  query.next();
  return query.integer(0);
}

}  // namespace

// --- Index::Impl ---

Index::Impl::Impl(OpenedDatabase opened) : opened_(std::move(opened)) {
  const ReadTransaction snapshot(database());
  check_tables(database());
  data_version_ = data_version(database());
  visible_ = load_extent(database());
}

std::unique_ptr<Index::Impl> Index::Impl::in_new(OpenedDatabase empty) {
  // Before the write-ahead log is on: a copy of the file alone is a database from the first moment.
  create_tables(*empty.database);
  auto impl = std::make_unique<Impl>(std::move(empty));
  impl->enable_writing();
  return impl;
}

void Index::Impl::enable_writing() {
  use_write_ahead_log(database(), commits_);
  const ReadTransaction snapshot(database());
  data_version_ = data_version(database());
  committed_ = load_progress(database(), load_extent(database()));
  pending_ = committed_;
  visible_ = committed_.extent;
  writable_ = true;
}

void Index::Impl::reload() {
  const ReadTransaction snapshot(database());
  const std::int64_t current = data_version(database());
  if (current == data_version_) {
    return;
  }
  visible_ = load_extent(database());
  if (writable_) {
    committed_ = load_progress(database(), visible_);
    pending_ = committed_;
  }
  forget_keys();
  data_version_ = current;
}

void Index::Impl::forget_keys() {
  numbers_.forget();
  times_.forget();
}

ChunkRows& Index::Impl::chunk_rows() {
  if (!chunk_rows_) {
    chunk_rows_ = std::make_unique<ChunkRows>(database());
  }
  return *chunk_rows_;
}

void Index::Impl::require_writable() const {
  if (!writable_) {
    opened_.database->fail(ErrorKind::invalid_argument, "opened for reading only");
  }
}

void Index::Impl::begin() {
  require_writable();
  if (database().in_transaction()) {
    return;
  }
  if (finished_) {
    use_write_ahead_log(database(), commits_);
    finished_ = false;
  }
  take_write_lock();
}

// With the log on, this is the one lock that others can be in the way of.
void Index::Impl::take_write_lock() {
  if (!lock_wait_.goes_on) {
    database().run("BEGIN IMMEDIATE");
    return;
  }
  using Clock = std::chrono::steady_clock;
  constexpr int a_look_ms = 100;
  const Clock::time_point begin = Clock::now();
  const auto waited = [begin] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  };
  bool was_locked = false;
  while (!database().begin_writing(a_look_ms)) {
    was_locked = true;
    if (!lock_wait_.goes_on(waited())) {
      database().fail(ErrorKind::io, "another program has it locked");
    }
  }
  if (was_locked) {
    lock_wait_.over(waited());
  }
}

void Index::Impl::survive_power_cuts() {
  require_writable();
  commit();  // SQLite does not change this within a transaction
  commits_ = Commits::on_disk;
  if (!finished_) {
    use_write_ahead_log(database(), commits_);
  }
}

void Index::Impl::count_after_removal(const Progress& left) {
  pending_ = left;
  if (left.extent.frame_count < visible_.frame_count) {
    visible_ = left.extent;
  }
  forget_keys();
}

void Index::Impl::commit() {
  if (!database().in_transaction()) {
    return;
  }
  write([this] {
    store_progress(database(), committed_, pending_);
    database().run("COMMIT");
  });
  committed_ = pending_;
  visible_ = committed_.extent;
}

void Index::Impl::forget_if_rolled_back() noexcept {
  if (!database().in_transaction()) {
    pending_ = committed_;
    visible_ = committed_.extent;
  }
}

void Index::Impl::rollback() noexcept {
  if (!writable_) {
    return;
  }
  try {
    if (database().in_transaction()) {
      database().run("ROLLBACK");
    }
  } catch (...) {
    // SQLite rolled back by itself already, as it does when the disk fails.
  }
  forget_if_rolled_back();
}

void Index::Impl::finish() {
  if (!writable_ || finished_) {
    return;
  }
  commit();
  const Ordering order = visible_.ordering();
  if (!order.numbers_ascend) {
    write([this] { make_number_index(database()); });
  }
  if (!order.times_ascend) {
    write([this] { make_time_index(database()); });
  }
  commit();
  // Another connection may be in the way; close() can be called once more then.
  finished_ = database().in_memory() || database().merge_log();
}

// --- Index ---

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Index Index::create(const fs::path& path) {
  if (path == ":memory:") {
    return Index(Impl::in_new(open_in_memory()));
  }
  make_new_file(path);
  try {
    return Index(Impl::in_new(open_to_write(path)));
  } catch (...) {
    // Half a database would be in the way of the next attempt.
    std::error_code ignored;
    fs::remove(path, ignored);
    remove_companions(path);
    throw;
  }
}

Index Index::open(const fs::path& path, Reading reading) {
  return Index(std::make_unique<Impl>(open_for_reading(path, reading)));
}

Index Index::open_for_writing(const fs::path& path) {
  auto impl = std::make_unique<Impl>(open_to_write(path));
  impl->enable_writing();
  return Index(std::move(impl));
}

void Index::survive_power_cuts() {
  impl_->survive_power_cuts();
}

void Index::wait_for_lock(LockWait wait) {
  impl_->wait_for_lock(std::move(wait));
}

void Index::commit() {
  impl_->commit();
}

void Index::rollback() noexcept {
  impl_->rollback();
}

void Index::close() {
  impl_->finish();
}

void Index::save_as(const fs::path& path) {
  Database& database = impl_->database();
  if (!database.in_memory() && is_same_file(path, database.path())) {
    database.fail(ErrorKind::invalid_argument, "cannot be saved onto itself");
  }
  impl_->commit();
  copy_in_place(database, path);
}

std::int64_t Index::frame_count() const {
  return impl_->visible().frame_count;
}

std::int64_t Index::refresh() {
  if (!impl_->database().in_transaction()) {
    impl_->reload();
  }
  return frame_count();
}

Ordering Index::ordering() const {
  return impl_->visible().ordering();
}

}  // namespace avstore::index
