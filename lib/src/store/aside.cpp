#include "store/aside.h"

#include <string>
#include <system_error>

#include "avstore/error.h"
#include "base/files.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

}  // namespace

fs::path make_aside_folder(const fs::path& folder) {
  fs::path aside = folder / kAsideFolder;
  base::make_folders(aside);
  return aside;
}

fs::path free_name(const fs::path& wanted) {
  fs::path name = wanted;
  std::error_code missing;
  for (int i = 2; fs::exists(fs::symlink_status(name, missing)); ++i) {
    name = wanted.string() + "." + std::to_string(i);
  }
  return name;
}

void put_aside(const fs::path& folder, const fs::path& relative) {
  const fs::path place = free_name(make_aside_folder(folder) / relative);
  base::make_folders(place.parent_path());
  base::rename(folder / relative, place);
}

}  // namespace avstore::store
