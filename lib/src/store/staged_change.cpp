#include "store/staged_change.h"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "base/files.h"
#include "base/own_files.h"
#include "index/opening.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// Relative to `folder`: what is to be moved, the database last with what belongs to it, and the
// folders in between.
struct Contents {
  std::vector<fs::path> files;
  std::vector<fs::path> folders;
};

// Neither links nor pipes are of a change of ours.
void add_contents(const fs::path& folder, const fs::path& relative, Contents& found) {
  for (const std::string& name : base::names_in(folder / relative)) {
    const fs::path path = relative / name;
    if (base::is_own_folder(folder / path)) {
      found.folders.push_back(path);
      add_contents(folder, path, found);
    } else if (base::is_own_file(folder / path)) {
      found.files.push_back(path);
    } else {
      throw Error(ErrorKind::corrupt,
                  (folder / path).string() + ": is no file; nothing is put in place");
    }
  }
}

Contents contents(const fs::path& folder) {
  Contents found;
  add_contents(folder, "", found);
  std::sort(found.files.begin(), found.files.end());
  std::stable_partition(found.files.begin(), found.files.end(), [](const fs::path& file) {
    return !file.string().starts_with(kIndexFile);
  });
  return found;
}

// Later there would be no way back.
void require_own_places(const fs::path& folder, const std::vector<fs::path>& files) {
  for (const fs::path& file : files) {
    const fs::path place = base::own_path(folder, file);
    if (!file.parent_path().empty() && !base::is_own_folder(place.parent_path())) {
      throw Error(ErrorKind::corrupt, place.parent_path().string() +
                                          ": is no folder of the store; nothing is moved there");
    }
  }
}

void put_in_place(const fs::path& staged, const fs::path& place) {
  if (place.filename() == kIndexFile) {
    // A log left there by the database that is replaced would be taken for the new one's.
    index::remove_companions(place);
  }
  base::rename(staged, place);
  if (place.extension() == ".npz") {
    base::remove(fs::path(place).replace_extension(".yaml"));
  }
}

}  // namespace

StagedChange::StagedChange(fs::path folder)
    : folder_(std::move(folder)), partial_(folder_ / (std::string(kStagedFolder) + ".partial")) {
  base::remove_all(partial_);
  base::make_own_folders(folder_, partial_.filename());
}

StagedChange::~StagedChange() {
  std::error_code ignored;  // what led here is the error to report
  fs::remove_all(partial_, ignored);
}

fs::path StagedChange::place(const fs::path& relative) const {
  return base::make_own_folders(partial_, relative.parent_path()) / relative.filename();
}

std::vector<fs::path> StagedChange::files() const {
  return contents(partial_).files;
}

void StagedChange::commit() {
  const Contents staged = contents(partial_);
  require_own_places(folder_, staged.files);
  for (const fs::path& folder : staged.folders) {
    base::sync_folder(partial_ / folder);
  }
  base::sync_folder(partial_);
  base::rename(partial_, folder_ / kStagedFolder);
  base::sync_folder(folder_);
  finish_staged_change(folder_);
}

fs::path current_file(const fs::path& folder, const fs::path& relative) {
  const fs::path staged = folder / kStagedFolder / relative;
  return has_staged_change(folder) && base::is_there(staged) ? staged : folder / relative;
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
  require_own_places(folder, found.files);
  for (const fs::path& file : found.files) {
    put_in_place(staged / file, folder / file);
  }
  base::sync_folder(folder);
  base::remove_all(staged);
}

}  // namespace avstore::store
