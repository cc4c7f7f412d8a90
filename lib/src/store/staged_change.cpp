#include "store/staged_change.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "index/opening.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw Error(ErrorKind::io, path.string() + ": " + what + ": " + error.message(), error.value());
}

// Relative to `folder`: what is to be moved, the database last, and the folders in between.
struct Contents {
  std::vector<fs::path> files;
  std::vector<fs::path> folders;
};

Contents contents(const fs::path& folder) {
  Contents found;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const fs::path relative = entry.path().lexically_relative(folder);
      (entry.is_directory() ? found.folders : found.files).push_back(relative);
    }
  } catch (const fs::filesystem_error& error) {
    fail(folder, "cannot list", error.code());
  }
  std::sort(found.files.begin(), found.files.end());
  std::stable_partition(found.files.begin(), found.files.end(),
                        [](const fs::path& file) { return file != kIndexFile; });
  return found;
}

void require_own_folder(const fs::path& folder, const fs::path& file) {
  fs::path place = folder;
  for (const fs::path& level : file.parent_path()) {
    place /= level;
    if (!base::is_own_folder(place)) {
      throw Error(ErrorKind::corrupt,
                  place.string() + ": is no folder of the store; nothing is moved there");
    }
  }
}

void put_in_place(const fs::path& staged, const fs::path& place) {
  if (place.filename() == kIndexFile) {
    // A log left there by the database that is replaced would be taken for the new one's.
    index::remove_companions(place);
  }
  std::error_code error;
  fs::rename(staged, place, error);
  if (error) {
    fail(place, "cannot put in place", error);
  }
  if (place.extension() == ".npz") {
    fs::remove(fs::path(place).replace_extension(".yaml"), error);
    if (error) {
      fail(place, "cannot remove the YAML file beside it", error);
    }
  }
}

}  // namespace

StagedChange::StagedChange(fs::path folder)
    : folder_(std::move(folder)), partial_(folder_ / (std::string(kStagedFolder) + ".partial")) {
  base::remove_all(partial_);
  base::make_folders(partial_);
}

StagedChange::~StagedChange() {
  std::error_code ignored;  // what led here is the error to report
  fs::remove_all(partial_, ignored);
}

fs::path StagedChange::place(const fs::path& relative) const {
  fs::path path = partial_ / relative;
  base::make_folders(path.parent_path());
  return path;
}

void StagedChange::commit() {
  const Contents staged = contents(partial_);
  for (const fs::path& file : staged.files) {
    require_own_folder(folder_, file);  // later there would be no way back
  }
  for (const fs::path& folder : staged.folders) {
    base::sync_folder(partial_ / folder);
  }
  base::sync_folder(partial_);
  std::error_code error;
  fs::rename(partial_, folder_ / kStagedFolder, error);
  if (error) {
    fail(partial_, "cannot be renamed", error);
  }
  base::sync_folder(folder_);
  finish_staged_change(folder_);
}

fs::path current_file(const fs::path& folder, const fs::path& relative) {
  std::error_code missing;
  const fs::path staged = folder / kStagedFolder / relative;
  return has_staged_change(folder) && fs::exists(staged, missing) ? staged : folder / relative;
}

bool has_staged_change(const fs::path& folder) {
  return base::is_own_folder(folder / kStagedFolder);
}

void finish_staged_change(const fs::path& folder) {
  if (!has_staged_change(folder)) {
    return;
  }
  const fs::path staged = folder / kStagedFolder;
  const Contents found = contents(staged);
  for (const fs::path& file : found.files) {
    require_own_folder(folder, file);
  }
  for (const fs::path& file : found.files) {
    put_in_place(staged / file, folder / file);
  }
  base::sync_folder(folder);
  base::remove_all(staged);
}

}  // namespace avstore::store
