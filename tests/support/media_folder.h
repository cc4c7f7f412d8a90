// The folder of test videos that tests/support/make_media.sh makes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace avstore::test {

struct TestVideo {
  std::string name;  // file name
  std::filesystem::path path;
  std::filesystem::path md5_list;  // one MD5 a frame, as ffmpeg decodes it from beginning to end
};

// The build folder's, or the one that the environment variable AVSTORE_TEST_MEDIA names.
std::filesystem::path media_folder();
// A file in it.
std::filesystem::path media_file(const std::string& name);
std::vector<TestVideo> test_videos();
std::vector<std::string> read_lines(const std::filesystem::path& file);

// A fresh folder that every user may look into. Removed with everything in it at the end of its
// life, also where a test has forbidden to write.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace avstore::test
