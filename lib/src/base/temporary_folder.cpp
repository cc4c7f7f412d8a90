#include "base/temporary_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "avstore/error.h"

namespace avstore::base {
namespace {

namespace fs = std::filesystem;

fs::path folder_of_system() {
  const char* const chosen = std::getenv("TMPDIR");
  return chosen == nullptr || *chosen == '\0' ? fs::path("/tmp") : fs::path(chosen);
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::string& beginning, const fs::path& parent) {
  const fs::path place = parent.empty() ? folder_of_system() : parent;
  std::string name = (place / (beginning + "XXXXXX")).string();
  if (::mkdtemp(name.data()) == nullptr) {
    const int error = errno;
    throw Error(ErrorKind::io,
                place.string() + ": cannot make a temporary folder in it: " + std::strerror(error),
                error);
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace avstore::base
