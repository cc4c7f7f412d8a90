// A folder that goes with the object that made it.
#pragma once

#include <filesystem>
#include <string>

namespace avstore::base {

// Removed with all that is in it at the end of the object's life.
class TemporaryFolder {
 public:
  // A folder in `parent`, or if that is empty in the system's folder for temporary files (TMPDIR,
  // else /tmp). Its name is `beginning` with a part behind it that nobody can foresee. Throws
  // Error(io) naming the folder.
  explicit TemporaryFolder(const std::string& beginning, const std::filesystem::path& parent = {});
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace avstore::base
