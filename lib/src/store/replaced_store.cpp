#include "store/replaced_store.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "index/index.h"
#include "store/aside.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/store_folder.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

fs::path place_of(const fs::path& folder) {
  return folder / kReplacedFolder;
}

bool is_there(const fs::path& path) {
  std::error_code missing;
  return fs::exists(fs::symlink_status(path, missing));
}

bool has_frames(const fs::path& folder) {
  if (!is_there(folder / kMetadataFile)) {
    return false;
  }
  try {
    return index::Index::open(folder / kIndexFile).frame_count() > 0;
  } catch (const Error&) {
    return false;
  }
}

void move(const fs::path& from, const fs::path& to, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::error_code error;
    fs::rename(from / name, to / name, error);
    if (error) {
      throw Error(ErrorKind::io,
                  (from / name).string() + ": cannot be moved to " + (to / name).string() + ": " +
                      error.message(),
                  error.value());
    }
  }
}

// metadata.yaml, by which a store is known, comes last.
void move_back(const fs::path& folder) {
  std::vector<std::string> names = base::names_in(place_of(folder));
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != kMetadataFile; });
  move(place_of(folder), folder, names);
  std::error_code stays;
  fs::remove(place_of(folder), stays);
}

// And is gone first.
void move_away(const fs::path& folder) {
  std::vector<std::string> names{kMetadataFile};
  for (const std::string& name : names_of_store(folder)) {
    if (name != kMetadataFile && name != kLockFile) {
      names.push_back(name);
    }
  }
  std::error_code error;
  fs::create_directory(place_of(folder), error);
  if (error) {
    throw Error(ErrorKind::io,
                place_of(folder).string() + ": cannot make the folder: " + error.message(),
                error.value());
  }
  try {
    move(folder, place_of(folder), names);
  } catch (const Error&) {
    move_back(folder);
    throw;
  }
}

}  // namespace

ReplacedStore::ReplacedStore(fs::path folder) : folder_(std::move(folder)) {
  if (has_replaced(folder_)) {
    remove_store_files(folder_);
    return;
  }
  std::error_code error;
  fs::remove_all(place_of(folder_), error);  // of a store that has long been replaced
  if (error) {
    throw Error(ErrorKind::io, place_of(folder_).string() + ": cannot remove: " + error.message(),
                error.value());
  }
  if (is_there(folder_ / kMetadataFile)) {
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
  if (!std::exchange(dropped_, true) && is_there(place_of(folder_))) {
    // To remove hours of video takes the disk a while.
    remover_ = std::thread([place = place_of(folder_)] {
      std::error_code stays;
      fs::remove_all(place, stays);
    });
  }
}

void ReplacedStore::bring_back() {
  if (!dropped_ && is_there(place_of(folder_))) {
    move_back(folder_);
  }
}

bool has_replaced(const fs::path& folder) {
  return is_there(place_of(folder) / kMetadataFile) && !has_frames(folder);
}

void bring_back_replaced(const fs::path& folder) {
  RecordingLock recording(folder);
  for (const std::string& name : names_of_store(folder)) {
    if (name != kLockFile) {
      put_aside(folder, name);
    }
  }
  move_back(folder);
  recording.remove();
}

}  // namespace avstore::store
