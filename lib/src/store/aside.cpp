#include "store/aside.h"

#include <string>

#include "base/files.h"
#include "base/own_files.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

}  // namespace

fs::path make_aside_folder(const fs::path& folder) {
  return base::make_own_folders(folder, kAsideFolder);
}

fs::path place_aside(const fs::path& folder, const fs::path& relative) {
  const fs::path aside = make_aside_folder(folder);
  return base::make_own_folders(aside, relative.parent_path()) / relative.filename();
}

fs::path free_name(const fs::path& wanted) {
  fs::path name = wanted;
  for (int i = 2; base::entry_at(name) != base::Entry::none; ++i) {
    name = wanted.string() + "." + std::to_string(i);
  }
  return name;
}

void put_aside(const fs::path& folder, const fs::path& relative) {
  const fs::path from = base::own_path(folder, relative);
  base::rename(from, free_name(place_aside(folder, relative)));
}

}  // namespace avstore::store
