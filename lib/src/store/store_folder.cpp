#include "store/store_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <system_error>
#include <utility>

#include "avstore/error.h"
#include "index/index.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// Chunks, their indexes and extra data are all named by a number of six or more digits.
bool is_chunk_name(const std::string& name) {
  const std::string stem = name.substr(0, name.find('.'));
  return stem.size() >= 6 && std::all_of(stem.begin(), stem.end(),
                                         [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool belongs_to_store(const std::string& name) {
  return name == kMetadataFile || name == kLockFile || name.starts_with(kIndexFile) ||
         is_chunk_name(name);
}

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw Error(ErrorKind::io, path.string() + ": " + what + ": " + error.message());
}

bool is_store(const fs::path& folder) {
  return fs::exists(folder / kMetadataFile);
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
  if (!is_store(folder) && !fs::exists(folder / kLockFile)) {
    throw Error(ErrorKind::exists, folder.string() + ": the folder is not empty and no store");
  }
  if (!overwrite) {
    throw Error(ErrorKind::exists, folder.string() +
                                       ": a store is there already; overwrite it explicitly, or "
                                       "choose another name");
  }
}

void prepare_folder(const fs::path& folder, bool overwrite) {
  require_free(folder, overwrite);
  std::error_code error;
  if (fs::is_directory(folder, error) && !fs::is_empty(folder, error)) {
    remove_store(folder);
  }
  fs::create_directory(folder, error);
  if (error) {
    fail(folder, "cannot make the folder", error);
  }
}

NewStore::NewStore(fs::path destination, bool overwrite)
    : destination_(std::move(destination)), overwrite_(overwrite) {
  // "a/b/" names the folder b too.
  if (!destination_.has_filename()) {
    destination_ = destination_.parent_path();
  }
  require_free(destination_, overwrite_);
  temporary_ = destination_;
  temporary_ += ".partial-" + std::to_string(::getpid());
  prepare_folder(temporary_, true);
}

NewStore::~NewStore() {
  std::error_code error;
  if (!temporary_.empty() && fs::exists(temporary_, error)) {
    fs::remove_all(temporary_, error);  // nobody is told: what led here is the error to report
  }
}

void NewStore::put_in_place() {
  require_free(destination_, overwrite_);
  std::error_code error;
  if (fs::is_directory(destination_, error) && !fs::is_empty(destination_, error)) {
    remove_store(destination_);
  }
  fs::rename(temporary_, destination_, error);
  if (error) {
    fail(destination_, "cannot put the store in place", error);
  }
  temporary_.clear();
}

void write_empty_store(const fs::path& folder, imgstore::StoreMetadata metadata) {
  metadata.imgshape = {0, 0};
  imgstore::write_metadata(folder, metadata);
  index::Index::create(folder / kIndexFile).close();
}

void remove_store(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (belongs_to_store(entry.path().filename().string())) {
      fs::remove_all(entry.path(), error);
      if (error) {
        fail(entry.path(), "cannot remove", error);
      }
    }
  }
  if (error) {
    fail(folder, "cannot look into", error);
  }
  fs::remove(folder, error);  // stays if the user has put something else there
}

}  // namespace avstore::store
