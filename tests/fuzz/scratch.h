// Files for the readers that take a path, in memory where there is a file system for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

namespace avstore::fuzz {

// A folder of this process's own. It stays behind when a finding ends the process; tests/fuzz.sh
// and fuzz_replay have it in a folder that they remove.
class Scratch {
 public:
  Scratch() : path_(base() / ("avstore-fuzz-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // The bytes as a file of that name, in place of what it was before.
  std::filesystem::path file(const std::string& name, std::string_view bytes) const {
    std::filesystem::path file = path_ / name;
    std::ofstream stream(file, std::ios::binary | std::ios::trunc);
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file;
  }

  // An empty folder of that name, in place of what it was before.
  std::filesystem::path folder(const std::string& name) const {
    std::filesystem::path folder = path_ / name;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    return folder;
  }

 private:
  static std::filesystem::path base() {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code ignored;
    return std::getenv("TMPDIR") == nullptr && std::filesystem::is_directory(memory, ignored)
               ? memory
               : std::filesystem::temp_directory_path();
  }

  std::filesystem::path path_;
};

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace avstore::fuzz
