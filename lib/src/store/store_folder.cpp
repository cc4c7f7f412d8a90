#include "store/store_folder.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "base/files.h"
#include "index/index.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/staged_change.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// What may follow the number in the names of chunks, their indexes and extra data: other files with
// such a name are the user's. An AVI file is the reference's too.
bool is_chunk_ending(std::string_view ending) {
  static const std::set<std::string, std::less<>> kEndings = [] {
    std::set<std::string, std::less<>> endings{
        "", ".npz", ".yaml", ".extra.json", ".extra_data.json", ".extra_data.h5"};
    for (const Format& format : formats()) {
      if (format.video) {
        endings.insert(format.extension);
      }
    }
    return endings;
  }();
  // What a killed process was about to put in place.
  return kEndings.contains(ending.substr(0, ending.find(".tmp")));
}

// Chunks, their indexes and extra data are all named by a number of six or more digits.
bool is_chunk_name(const std::string& name) {
  const std::size_t digits = std::min(name.find('.'), name.size());
  return digits >= 6 &&
         std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(digits),
                     [](unsigned char c) { return std::isdigit(c) != 0; }) &&
         is_chunk_ending(std::string_view(name).substr(digits));
}

bool belongs_to_store(const std::string& name) {
  return name == kMetadataFile || name == kLockFile || name.starts_with(kIndexFile) ||
         name.starts_with(kStagedFolder) || is_chunk_name(name);
}

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw Error(ErrorKind::io, path.string() + ": " + what + ": " + error.message(), error.value());
}

bool is_store(const fs::path& folder) {
  return base::is_there(folder / kMetadataFile);
}

// Into a folder where other things lie. metadata.yaml, by which a store is known, comes last.
void move_contents(const fs::path& from, const fs::path& to) {
  std::vector<std::string> names = base::names_in(from);
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != kMetadataFile; });
  std::error_code error;
  for (const std::string& name : names) {
    fs::rename(from / name, to / name, error);
    if (error) {
      fail(to, "cannot put the store in place", error);
    }
  }
  fs::remove(from, error);  // empty; if it stays it does no harm
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
  return text;
}

}  // namespace

void require_free(const fs::path& folder, bool overwrite) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) {
    return;
  }
  if (!fs::is_directory(folder, error)) {
    throw Error(ErrorKind::exists, folder.string() + ": is there already and is no folder");
  }
  const bool empty = fs::is_empty(folder, error);
  if (error) {
    fail(folder, "cannot look into", error);
  }
  if (empty) {
    return;
  }
  if (!is_store(folder) && !base::is_there(folder / kLockFile)) {
    throw Error(ErrorKind::exists, folder.string() + ": the folder is not empty and no store");
  }
  if (!overwrite) {
    throw Error(ErrorKind::exists, folder.string() +
                                       ": a store is there already; choose another name, or "
                                       "replace it (option overwrite)");
  }
  require_not_recording(folder);
}

bool make_folder(const fs::path& folder) {
  std::error_code error;
  const bool made = fs::create_directory(folder, error);
  if (error) {
    fail(folder, "cannot make the folder", error);
  }
  return made;
}

namespace {

// A folder beside the place that a store is to have.
class NewStore {
 public:
  NewStore(const fs::path& destination, bool overwrite)
      : destination_(destination), overwrite_(overwrite) {
    require_free(destination, overwrite_);
    // Links lead to where the store is, maybe on another disk; ".", "a/." and "a/" are folders too.
    std::error_code error;
    place_ = fs::weakly_canonical(destination, error);
    if (error) {
      fail(destination, "cannot be followed", error);
    }
    if (!place_.has_filename()) {
      place_ = place_.parent_path();
    }
    temporary_ = base::partial_name(place_);
  }

  // Removes what was made, unless it was put in place.
  ~NewStore() {
    if (made_) {
      std::error_code stays;  // what led here is the error to report
      fs::remove_all(temporary_, stays);
    }
  }
  NewStore(const NewStore&) = delete;
  NewStore& operator=(const NewStore&) = delete;

  const fs::path& make_folder() {
    made_ = store::make_folder(temporary_);
    if (!made_) {
      throw Error(ErrorKind::exists, temporary_.string() + ": is there already");
    }
    return temporary_;
  }

  void put_in_place() {
    require_free(place_, overwrite_);
    std::error_code error;
    if (fs::is_directory(place_, error) && !fs::is_empty(place_, error)) {
      remove_store(place_);
    }
    if (fs::is_directory(place_, error) && !fs::is_empty(place_, error)) {
      move_contents(temporary_, place_);
    } else {
      fs::rename(temporary_, place_, error);
      if (error) {
        fail(destination_, "cannot put the store in place", error);
      }
    }
    made_ = false;
  }

  // A message about the folder, as one about the place.
  std::string renamed(const std::string& message) const {
    return replaced(message, temporary_.string(), destination_.string());
  }

 private:
  fs::path destination_;  // as it was named
  fs::path place_;
  fs::path temporary_;
  bool made_ = false;  // and not in place yet
  bool overwrite_;
};

}  // namespace

void make_store(const fs::path& destination, bool overwrite,
                const std::function<void(const fs::path& folder)>& make) {
  NewStore made(destination, overwrite);
  try {
    make(made.make_folder());
  } catch (const Error& error) {
    const std::string what = made.renamed(error.what());
    if (what == error.what()) {
      throw;
    }
    throw Error(error.kind(), what, error.system_error());
  }
  made.put_in_place();
}

namespace {

// What holds for the frames to come as well; nothing if the database is not to be read.
std::map<std::string, std::string> lasting_information(const fs::path& database) {
  std::map<std::string, std::string> lasting;
  try {
    const index::Index index = index::Index::open(database);
    for (const char* name : {kUuidEntry, kTimingEntry, kFrameRateEntry}) {
      if (const auto value = index.information(name)) {
        lasting[name] = *value;
      }
    }
  } catch (const Error&) {
    lasting.clear();
  }
  return lasting;
}

}  // namespace

void empty_store(const fs::path& folder) {
  const base::FileLock lock(folder);
  require_closed(folder);
  const auto lasting = lasting_information(folder / kIndexFile);
  // A change that was cut short would put its files back.
  const std::vector<std::string> names = names_of_store(folder);
  for (const std::string& name : names) {
    if (name.starts_with(kStagedFolder)) {
      base::remove_all(folder / name);
    }
  }
  for (const std::string& name : names) {
    if (is_chunk_name(name) || name.starts_with(kIndexFile)) {
      base::remove_all(folder / name);
    }
  }
  index::Index made = index::Index::create(folder / kIndexFile);
  for (const auto& [name, value] : lasting) {
    made.set_information(name, value);
  }
  made.close();
}

std::vector<std::string> names_of_store(const fs::path& folder) {
  std::vector<std::string> names = base::names_in(folder);
  std::erase_if(names, [](const std::string& name) { return !belongs_to_store(name); });
  return names;
}

std::int64_t highest_chunk_number(const fs::path& folder) {
  // Who would count that far? A longer number is no chunk's.
  constexpr std::size_t kMostDigits = 12;
  std::int64_t highest = -1;
  for (const std::string& name : base::names_in(folder)) {
    const std::string number = name.substr(0, name.find('.'));
    if (is_chunk_name(name) && number.size() <= kMostDigits) {
      highest = std::max<std::int64_t>(highest, std::stoll(number));
    }
  }
  return highest;
}

void remove_store_files(const fs::path& folder) {
  base::remove_all(folder / kMetadataFile);  // what is removed in part must not look like a store
  for (const std::string& name : names_of_store(folder)) {
    if (name != kLockFile) {
      base::remove_all(folder / name);
    }
  }
}

void remove_store(const fs::path& folder) {
  remove_store_files(folder);
  for (const std::string& name : base::names_in(folder)) {
    if (name.starts_with(kReplacedFolder)) {
      base::remove_all(folder / name);
    }
  }
  base::remove_all(folder / kLockFile);
  std::error_code error;
  fs::remove(folder, error);  // stays if the user has put something else there
}

}  // namespace avstore::store
