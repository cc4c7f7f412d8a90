// What a repair has changed in a store and what it has put aside: a folder .put-aside/repair-1 (-2,
// ...) with the files as they were before, and a list of them in record.json. undo_repair() goes by
// it. Until the repair is done, the folder's name ends with ".unfinished"; a repair that follows
// one that was killed goes on with its record, so that undoing brings back what was there before
// both.
//
// The store's database has an entry for each such record (kRepairsEntry), which changes together
// with the files, so that it says which repairs have happened, and what was lost in them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/index.h"

namespace avstore::store {

// Frames of a chunk whose rows a repair has dropped.
struct Loss {
  std::string chunk;  // its path in the store
  std::int64_t frames = 0;
  std::string numbers;  // such as "7 to 9, 12"
  bool operator==(const Loss&) const = default;
};

// One element of the database's entry.
struct RepairEntry {
  std::string record;  // the name of its folder, without ".unfinished"
  std::vector<Loss> lost;
};
// Empty where the database has none, or none that can be read.
std::vector<RepairEntry> repair_entries(const index::Index& index);
void put_repair_entries(index::Index& index, const std::vector<RepairEntry>& entries);
// Of a store whose database is gone: as the records in its folder have it.
std::vector<RepairEntry> repair_entries_of_records(const std::filesystem::path& store,
                                                   const std::string& uuid);

// A line for each chunk that has lost frames, for whoever asks what is wrong with a store.
std::vector<std::string> describe_losses(const std::filesystem::path& store,
                                         const index::Index& index);

// Tells whether the rows of a store have changed since a repair.
struct RowsState {
  std::int64_t frames = 0;
  std::uint32_t names = 0;  // checksum of all numbers and times
  std::int64_t next_extra = 0;
  bool operator==(const RowsState&) const = default;
};
RowsState rows_state(const index::Index& index);

// Whoever uses one holds the store's RecordingLock. Member functions throw Error(io).
class RepairRecord {
 public:
  // Begins a record, or goes on with that of a repair which was killed. `entries` and `rows` are
  // those of the store's database: they tell whether what that repair was about to do has happened,
  // and whether the store has changed since.
  static RepairRecord begin(const std::filesystem::path& store, const std::string& uuid,
                            const std::vector<RepairEntry>& entries, const RowsState& rows);
  // The newest record of a store; none if there is none. Throws Error(corrupt) for one that cannot
  // be read, or that names what cannot be a file of the store.
  static std::optional<RepairRecord> newest(const std::filesystem::path& store);

  // Ends the removal of a record that was killed amidst it. Returns whether there was one.
  static bool finish_removal(const std::filesystem::path& store);

  struct Kept {
    std::filesystem::path file;  // relative to the store
    std::string as;              // its name in the record's folder
  };
  struct Made {
    std::filesystem::path file;
    std::int64_t bytes = 0;
    std::uint32_t crc32 = 0;
  };

  const std::filesystem::path& folder() const { return folder_; }
  // Of the folder, without ".unfinished".
  std::string name() const;
  const std::string& uuid() const { return uuid_; }
  const std::vector<Kept>& kept() const { return kept_; }
  const std::vector<Kept>& moved() const { return moved_; }
  const std::vector<Made>& made() const { return made_; }
  const RowsState& before() const { return before_; }
  const RowsState& after() const { return after_; }
  const Kept* kept_of(const std::filesystem::path& file) const;  // null: it is not kept

  // --- What the repair is about to do. Nothing counts before save(). ---

  // Keep a file of the store as it is now: a copy, or where nobody will write into the file itself,
  // another name for it. Nothing happens if there is no such file, if it is kept already, or if
  // this very repair made it.
  enum class As { copy, link };
  void keep(const std::filesystem::path& file, As how);
  void keep_text(const std::filesystem::path& file, std::string_view text);
  // Write something into the folder that is for the user to read.
  void add_text(const std::string& name, std::string_view text) const;
  // `content` is what FOLDER/file is to become.
  void note_made(const std::filesystem::path& file, const std::filesystem::path& content);
  void note_lost(Loss loss) { lost_.push_back(std::move(loss)); }
  void note_move(const std::filesystem::path& file);
  // Rows before and after; of several repairs that go on with one record, before the first.
  void note_rows(const RowsState& before, const RowsState& after);
  void save() const;

  // --- What comes after the change. ---

  // Move what note_move() announced out of the store.
  void move() const;
  // The repair is done.
  void finish();
  // It was undone.
  void remove() const;

 private:
  RepairRecord(std::filesystem::path store, std::filesystem::path folder)
      : store_(std::move(store)), folder_(std::move(folder)) {}

  static std::optional<RepairRecord> killed(const std::filesystem::path& store,
                                            const std::filesystem::path& folder,
                                            const std::string& uuid,
                                            const std::vector<RepairEntry>& entries,
                                            const RowsState& rows);
  void load();
  bool is_known(const std::filesystem::path& file) const;
  std::string new_name(const std::filesystem::path& file) const;

  std::filesystem::path store_, folder_;
  std::string uuid_;
  std::vector<Kept> kept_, moved_;
  std::vector<Made> made_;
  std::vector<Loss> lost_;
  bool has_rows_ = false;
  RowsState before_, after_;
};

}  // namespace avstore::store
