// A store's folder as a whole: making room for it, leaving it empty, taking it away.
#pragma once

#include <filesystem>

#include "imgstore/metadata.h"

namespace avstore::store {

// Make an empty folder for a new store. A folder that is there and empty is taken as it is. With
// `overwrite` a store that is there is removed first; anything else never is.
// Throws Error: exists, io.
void prepare_folder(const std::filesystem::path& folder, bool overwrite);

// Throws Error(exists) if prepare_folder() with these arguments would.
void require_free(const std::filesystem::path& folder, bool overwrite);

// A store that comes into being beside its place and is put there when it is complete, so that a
// store that is overwritten stays until then, and nothing half-made looks whole.
class NewStore {
 public:
  // Throws Error: exists, io. The folder at path() is there and empty afterwards.
  NewStore(std::filesystem::path destination, bool overwrite);
  // Removes what was made, unless it was put in place.
  ~NewStore();
  NewStore(const NewStore&) = delete;
  NewStore& operator=(const NewStore&) = delete;

  // Where to make it.
  const std::filesystem::path& path() const { return temporary_; }
  void put_in_place();

 private:
  std::filesystem::path destination_;
  std::filesystem::path temporary_;
  bool overwrite_;
};

// A store without frames: its image size is not known and stated as 0 x 0.
void write_empty_store(const std::filesystem::path& folder, imgstore::StoreMetadata metadata);

// Remove a store, or what there is of one that was given up: only files that belong to a store, and
// the folder if nothing else is in it.
void remove_store(const std::filesystem::path& folder);

}  // namespace avstore::store
