#include "store/aside.h"

#include <string>
#include <system_error>

#include "avstore/error.h"
#include "base/files.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw Error(ErrorKind::io, folder.string() + ": cannot make the folder: " + error.message(),
                error.value());
  }
}

}  // namespace

fs::path make_aside_folder(const fs::path& folder) {
  fs::path aside = folder / kAsideFolder;
  make_folder(aside);
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
  make_folder(place.parent_path());
  base::rename(folder / relative, place);
}

}  // namespace avstore::store
