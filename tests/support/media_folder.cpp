#include "support/media_folder.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace avstore::test {

namespace fs = std::filesystem;

fs::path media_folder() {
  const char* folder = std::getenv("AVSTORE_TEST_MEDIA");
  return folder != nullptr ? folder : AVSTORE_MEDIA;
}

fs::path media_file(const std::string& name) {
  return media_folder() / name;
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream input(file);
  if (!input) {
    throw std::runtime_error("cannot read " + file.string());
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(input, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<TestVideo> test_videos() {
  std::vector<TestVideo> videos;
  for (const std::string& line : read_lines(media_folder() / "manifest.tsv")) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    const std::string name = line.substr(0, line.find('\t'));
    videos.push_back({name, media_folder() / name, media_folder() / "framemd5" / (name + ".md5")});
  }
  return videos;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "avstore-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("cannot make a temporary folder");
  }
  path_ = name;
  // Tests enter it as another user.
  fs::permissions(path_, fs::perms(0755));
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::permissions(path_, fs::perms(0755), ignored);
  for (const auto& entry : fs::recursive_directory_iterator(path_, ignored)) {
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) {
      fs::permissions(entry.path(), fs::perms(0755), ignored);
    }
  }
  fs::remove_all(path_, ignored);
}

}  // namespace avstore::test
