// The state behind class Index.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "index/chunk_rows.h"
#include "index/database.h"
#include "index/extent.h"
#include "index/index.h"
#include "index/opening.h"
#include "index/search.h"

namespace avstore::index {

class Index::Impl {
 public:
  // For reading. Throws what check_tables() throws.
  explicit Impl(OpenedDatabase opened);
  // For writing, after making the tables.
  static std::unique_ptr<Impl> in_new(OpenedDatabase empty);

  Database& database() { return *opened_.database; }
  void enable_writing();
  void survive_power_cuts();
  void wait_for_lock(LockWait wait) { lock_wait_ = std::move(wait); }
  void require_writable() const;  // throws Error(invalid_argument)

  // What readers on this connection see; rows given after the last commit do not count.
  const Extent& visible() const { return visible_; }
  std::int64_t given() const { return pending_.extent.frame_count; }  // with those
  const Progress& pending() const { return pending_; }

  // See what others have committed.
  void reload();

  // Runs a change inside the write transaction, which it begins if there is none. Where SQLite
  // gives up the transaction because of an error, the rows in it are forgotten here as well.
  template <typename Change>
  void write(const Change& change) {
    begin();
    try {
      change();
    } catch (...) {
      forget_if_rolled_back();
      throw;
    }
  }

  void count(const FrameRow& row) { pending_.add(row); }
  ChunkRows& chunk_rows();
  // Rows were removed within a write(): read anew what is left.
  void count_after_removal(const Progress& left);
  void commit();
  void rollback() noexcept;
  // Commits all, and leaves one file without a log if no other connection is in the way.
  void finish();

  // For searching rows below visible().frame_count while they ascend.
  AscendingColumn<std::int64_t>& numbers() { return numbers_; }
  AscendingColumn<double>& times() { return times_; }

  // Over visible(). Call inside a transaction.
  Extremes extremes();

  // The row of a frame that must be there, since visible() counts it.
  FrameRow existing(std::int64_t frame_index);
  [[noreturn]] void fail_missing(std::int64_t frame_index);

 private:
  // What was found of the rows up to `last`.
  struct KnownExtremes {
    Extremes extremes;
    FrameRow last;
  };

  bool still_holds(const KnownExtremes& known);
  void begin();
  void take_write_lock();
  void forget_if_rolled_back() noexcept;
  void forget_keys();

  std::unique_ptr<ChunkRows> chunk_rows_;  // outlives the connection that has it as a table
  OpenedDatabase opened_;
  bool writable_ = false;
  LockWait lock_wait_;  // empty: as long as the connection's own timeout
  Commits commits_ = Commits::written;
  bool finished_ = false;          // closed, and not written since
  std::int64_t data_version_ = 0;  // SQLite's count of others' commits that we have seen
  Extent visible_;
  Progress committed_;
  Progress pending_;
  AscendingColumn<std::int64_t> numbers_;
  AscendingColumn<double> times_;
  std::optional<KnownExtremes> known_extremes_;  // of a store that is out of order
};

}  // namespace avstore::index
