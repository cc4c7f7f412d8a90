// The files of extra data in a store, against the records of them that the database has.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "imgstore/metadata.h"
#include "index/index.h"

namespace avstore::tools {

struct ExtraCheck {
  const std::filesystem::path& folder;
  const imgstore::StoreMetadata& metadata;
  const index::Index& index;
  // A writer has the store, or was killed: at the store's end file and database may be one ahead of
  // the other.
  bool unfinished = false;
  std::function<void(const std::string&)> find;  // is told of what is wrong, a line each
};

// Finds files that cannot be read, and records that differ. A chunk of which the database has no
// records (others recorded it) is compared with nothing. What others write in another way, with the
// same meaning, is the same: Python's json module, pandas, the reference's renumbering.
void check_extra(const ExtraCheck& check);

}  // namespace avstore::tools
