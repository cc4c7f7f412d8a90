#include "store/replaced_store.h"

#include <algorithm>
#include <exception>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "base/own_files.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "store/aside.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/store_folder.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// Complete, and not replaced yet.
fs::path place_of(const fs::path& folder) {
  return folder / kReplacedFolder;
}
// On the way to that place, or back from it: nothing of a new store is there then.
fs::path half_moved(const fs::path& folder) {
  return folder / (std::string(kReplacedFolder) + ".partial");
}
// Of no use any more.
fs::path dropped(const fs::path& folder) {
  return folder / (std::string(kReplacedFolder) + ".dropped");
}

// Also of a link that leads nowhere.
bool has_entry(const fs::path& path) {
  return base::entry_at(path) != base::Entry::none;
}

// One that cannot be read may have some.
bool may_have_frames(const fs::path& folder) {
  if (!has_entry(folder / kMetadataFile)) {
    return false;
  }
  try {
    return index::Index::open(folder / kIndexFile).frame_count() > 0;
  } catch (const Error& error) {
    return error.kind() != ErrorKind::not_found;
  }
}

// What was moved is moved back; metadata.yaml, by which a store is known, comes last.
void finish_moving_back(const fs::path& folder) {
  const fs::path from = half_moved(folder);
  if (!base::is_own_folder(from)) {
    return;
  }
  std::vector<std::string> names = base::names_in(from);
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != kMetadataFile; });
  for (const std::string& name : names) {
    if (has_entry(folder / name)) {
      put_aside(folder, name);  // not of that store
    }
    base::rename(from / name, folder / name);
  }
  base::remove_all(from);
}

void move_back(const fs::path& folder) {
  if (base::is_own_folder(place_of(folder))) {
    base::rename(place_of(folder), half_moved(folder));
  }
  finish_moving_back(folder);
}

// metadata.yaml is gone first.
void move_away(const fs::path& folder) {
  std::vector<std::string> names{kMetadataFile};
  for (const std::string& name : names_of_store(folder)) {
    if (name != kMetadataFile && name != kLockFile) {
      names.push_back(name);
    }
  }
  make_folder(half_moved(folder));
  try {
    for (const std::string& name : names) {
      base::rename(folder / name, half_moved(folder) / name);
    }
    base::rename(half_moved(folder), place_of(folder));
  } catch (const Error&) {
    finish_moving_back(folder);
    throw;
  }
}

}  // namespace

ReplacedStore::ReplacedStore(fs::path folder) : folder_(std::move(folder)) {
  finish_moving_back(folder_);
  if (has_replaced(folder_)) {
    remove_store_files(folder_);
    return;
  }
  base::remove_all(half_moved(folder_));  // no folder of ours
  remove_replaced(folder_);
  if (has_entry(folder_ / kMetadataFile)) {
    move_away(folder_);
  } else {
    remove_store_files(folder_);  // of one that never had a frame
  }
}

ReplacedStore::~ReplacedStore() {
  if (remover_.joinable()) {
    remover_.join();
  }
}

void ReplacedStore::drop() {
  if (std::exchange(dropped_, true) || !has_entry(place_of(folder_))) {
    return;
  }
  std::error_code stays;
  fs::rename(place_of(folder_), dropped(folder_), stays);
  if (!stays) {
    remove_beside(dropped(folder_));
  }
}

// To remove hours of video takes the disk a while. What stays a repair removes.
void ReplacedStore::remove_beside(const fs::path& path) {
  try {
    remover_ = std::thread([path] {
      try {
        base::remove_all(path);
      } catch (const std::exception&) {
        // The recording goes well all the same.
      }
    });
  } catch (const std::system_error&) {
    // There are as many threads as there may be.
  }
}

void ReplacedStore::bring_back() {
  if (!dropped_) {
    move_back(folder_);
  }
}

bool has_replaced(const fs::path& folder) {
  return base::is_own_folder(half_moved(folder)) ||
         (base::is_own_folder(place_of(folder)) && !may_have_frames(folder));
}

fs::path replaced_store(const fs::path& folder) {
  return has_replaced(folder) && base::is_own_folder(place_of(folder)) ? place_of(folder)
                                                                       : fs::path();
}

bool is_replaced_left(const fs::path& folder) {
  return !has_replaced(folder) && (has_entry(place_of(folder)) || has_entry(dropped(folder)));
}

void remove_replaced(const fs::path& folder) {
  base::remove_all(place_of(folder));
  base::remove_all(dropped(folder));
}

bool must_be_brought_back(const fs::path& folder) {
  return has_replaced(folder) && !has_entry(folder / kMetadataFile) &&
         recording_state(folder).recording != Recording::yes;
}

fs::path existing_folder(const fs::path& store_or_metadata) {
  const fs::path folder = imgstore::folder_named(store_or_metadata);
  if (must_be_brought_back(folder)) {
    throw Error(ErrorKind::not_found,
                folder.string() +
                    ": a recording that was to replace this store was killed; avstore "
                    "repair brings the store back");
  }
  return imgstore::store_folder(store_or_metadata);
}

void bring_back_replaced(const fs::path& folder) {
  RecordingLock recording(folder);
  finish_moving_back(folder);
  if (has_replaced(folder)) {
    for (const std::string& name : names_of_store(folder)) {
      if (name != kLockFile) {
        put_aside(folder, name);
      }
    }
    move_back(folder);
  }
  recording.remove();
}

}  // namespace avstore::store
