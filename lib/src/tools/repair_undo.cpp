// avstore repair --undo: what a repair put aside comes back.
//
// All is checked first. Then the files that were kept are put in place together, and what else the
// repair made or moved follows; the record goes last. So an undoing that was killed is ended by
// beginning again.
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "avstore/error.h"
#include "avstore/tools.h"
#include "base/files.h"
#include "base/own_files.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "index/opening.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/repair_record.h"
#include "store/staged_change.h"
#include "store/store_index.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;
using store::RepairRecord;

bool is_there(const fs::path& path) {
  return base::entry_at(path) != base::Entry::none;
}

bool is_of_database(const fs::path& file) {
  return file.string().starts_with(store::kIndexFile);
}

bool has_content(const fs::path& file, std::int64_t bytes, std::uint32_t crc32) {
  return base::file_size(file) == bytes && base::crc32_of_file(file, 0, bytes) == crc32;
}

bool is_same_content(const fs::path& a, const fs::path& b) {
  std::error_code error;
  const std::int64_t bytes = base::file_size(b);
  return fs::equivalent(a, b, error) || has_content(a, bytes, base::crc32_of_file(b, 0, bytes));
}

store::OpenedIndex look(const fs::path& folder, const imgstore::StoreMetadata& metadata) {
  return store::open_index(folder, metadata, false, [](const std::string&) {});
}

class Undo {
 public:
  Undo(fs::path folder, imgstore::StoreMetadata metadata, RepairRecord record)
      : folder_(std::move(folder)), metadata_(std::move(metadata)), record_(std::move(record)) {}

  UndoResult run() {
    if (store::recording_state(folder_).recording != store::Recording::left) {
      store::require_closed(folder_);
    }
    require_all_kept();
    require_own_folders();
    require_files_unchanged();
    require_rows_unchanged();
    store::RecordingLock recording(folder_);
    {
      const base::FileLock guard(folder_);
      store::finish_staged_change(folder_);
      put_back_kept();
      put_back_links();
      remove_made();
      put_back_moved();
    }
    put_back_lock();
    record_.remove();
    recording.remove();
    return std::move(result_);
  }

 private:
  [[noreturn]] void refuse(const fs::path& file, const std::string& why) const {
    throw Error(ErrorKind::invalid_argument,
                (folder_ / file).string() + ": " + why + "; the repair is not undone");
  }

  fs::path place_of(const RepairRecord::Kept& kept) const { return record_.folder() / kept.as; }

  void require_all_kept() const {
    for (const RepairRecord::Kept& kept : record_.kept()) {
      const base::Entry entry = base::entry_at(place_of(kept));
      if (entry != base::Entry::file && entry != base::Entry::link) {
        refuse(kept.file, "as it was before is no longer in " + place_of(kept).string());
      }
    }
  }

  // A record from a stranger may have files put or removed behind a link.
  void require_own_folders() const {
    const auto require = [this](const fs::path& file) {
      if (file.has_parent_path() && !base::is_own_folder(folder_ / file.parent_path())) {
        refuse(file.parent_path(), "is no folder of the store");
      }
    };
    for (const auto* files : {&record_.kept(), &record_.moved()}) {
      for (const RepairRecord::Kept& kept : *files) {
        require(kept.file);
      }
    }
    for (const RepairRecord::Made& made : record_.made()) {
      require(made.file);
    }
  }

  // A file is as the repair made it or, where an undoing was killed, as it was before.
  void require_files_unchanged() const {
    for (const RepairRecord::Made& made : record_.made()) {
      const fs::path file = store::current_file(folder_, made.file);
      const RepairRecord::Kept* kept = record_.kept_of(made.file);
      if (is_there(file) && !has_content(file, made.bytes, made.crc32) &&
          !(kept != nullptr && is_same_content(file, place_of(*kept)))) {
        refuse(made.file, "has changed since the repair");
      }
    }
    for (const RepairRecord::Kept& moved : record_.moved()) {
      if (is_there(folder_ / moved.file) && is_there(place_of(moved))) {
        refuse(moved.file, "is there again");
      }
    }
  }

  void require_rows_unchanged() const {
    const store::OpenedIndex opened = look(folder_, metadata_);
    const auto entries = store::repair_entries(opened.index);
    const bool has_happened = !entries.empty() && entries.back().record == record_.name();
    const store::RowsState rows = store::rows_state(opened.index);
    const store::RowsState& recorded = has_happened ? record_.after() : record_.before();
    // Fewer records: the database was made anew.
    if (rows.frames != recorded.frames || rows.names != recorded.names ||
        rows.next_extra > recorded.next_extra) {
      refuse(store::kIndexFile, "lists other frames or extra data than the repair left");
    }
  }

  void put_back_kept() {
    store::StagedChange staged(folder_);
    for (const RepairRecord::Kept& kept : record_.kept()) {
      if (kept.file == store::kLockFile) {
        continue;
      }
      result_.steps.push_back(kept.file.string() + ": is as it was before the repair");
      if (base::entry_at(place_of(kept)) == base::Entry::link) {
        continue;  // put_back_links()
      }
      if (is_of_database(kept.file)) {  // others may write into it at once
        base::copy_end_of_file(place_of(kept), 0, staged.place(kept.file));
      } else {
        base::link_or_copy_file(place_of(kept), staged.place(kept.file));
      }
    }
    staged.commit();
  }

  // A staged change has no links in it.
  void put_back_links() {
    for (const RepairRecord::Kept& kept : record_.kept()) {
      if (base::entry_at(place_of(kept)) == base::Entry::link) {
        const fs::path own = base::own_path(folder_, kept.file);
        base::remove(own);
        base::copy_link(place_of(kept), own);
      }
    }
  }

  void remove_made() {
    if (record_.kept_of(store::kIndexFile) == nullptr) {
      remove(store::kIndexFile);
      index::remove_companions(folder_ / store::kIndexFile);
    }
    for (const RepairRecord::Made& made : record_.made()) {
      if (record_.kept_of(made.file) == nullptr) {
        remove(made.file);
      }
    }
  }

  void remove(const fs::path& file) {
    if (is_there(folder_ / file)) {
      base::remove_all(base::own_path(folder_, file));
      result_.steps.push_back(file.string() + ": was made by the repair, is removed");
    }
  }

  void put_back_moved() {
    for (const RepairRecord::Kept& moved : record_.moved()) {
      if (is_there(place_of(moved))) {
        base::rename(place_of(moved), base::own_path(folder_, moved.file));
        result_.steps.push_back(moved.file.string() + ": is back");
      }
    }
  }

  void put_back_lock() {
    if (const RepairRecord::Kept* lock = record_.kept_of(store::kLockFile)) {
      base::write_file_atomically(folder_ / store::kLockFile, base::read_text(place_of(*lock)));
      result_.steps.push_back(std::string(store::kLockFile) + ": is back");
    }
  }

  fs::path folder_;
  imgstore::StoreMetadata metadata_;
  RepairRecord record_;
  UndoResult result_;
};

}  // namespace

UndoResult undo_repair(const fs::path& store) {
  const fs::path folder = imgstore::store_folder(store);
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  UndoResult result;
  if (!RepairRecord::finish_removal(folder)) {
    auto record = RepairRecord::newest(folder);
    if (!record || record->uuid() != metadata.uuid) {
      throw Error(ErrorKind::not_found, folder.string() + ": there is no repair to undo");
    }
    result = Undo(folder, metadata, std::move(*record)).run();
  }
  result.frames = look(folder, metadata).index.frame_count();
  return result;
}

}  // namespace avstore
