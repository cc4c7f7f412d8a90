// An open file. Its errors name it, with the system's words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace avstore::base {

// Closes the file at the end of its life. For one thread at a time. Member functions throw
// Error(io), and open() also Error(not_found).
class File {
 public:
  // A regular file, or one that a link leads to, for reading. Pipes and devices are refused without
  // opening them: a pipe would keep us waiting, and to open a device can be to act on it.
  static File open(const std::filesystem::path& path);
  // A new, empty file for writing. Errors call it `name`. Throws Error(exists) if something has the
  // name already; what a link leads to is neither opened nor made.
  static File create(const std::filesystem::path& path, const std::filesystem::path& name);
  // A folder, for sync().
  static File open_folder(const std::filesystem::path& path);

  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  std::int64_t size() const;

  // Reads until the end of the file or of the buffer. Returns the number of bytes read.
  std::size_t read(std::span<std::uint8_t> buffer) const;
  // The same from an offset on.
  std::size_t read_at(std::int64_t offset, std::span<std::uint8_t> buffer) const;

  // Bytes [begin, end) of the file.
  struct Extent {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  // The next part of the file from `offset` on that is no hole. Nothing if only holes follow.
  std::optional<Extent> next_data(std::int64_t offset) const;

  // Writes at the end of what was written or skipped.
  void write(std::span<const std::uint8_t> bytes) const;
  // Leaves a hole of that many bytes; the file ends behind it if end() or more bytes follow.
  void skip(std::int64_t bytes) const;
  // The file ends where the next write would begin.
  void end() const;

  // Who may read and write it, as of another file.
  void take_permissions_of(const File& other) const;

  // Makes the content last through a power cut.
  void sync() const;
  // Throws the first error of the writes that the system has put off.
  void close();

 private:
  File(std::string name, int descriptor);
  [[noreturn]] void fail(const char* what) const;

  std::string name_;
  int descriptor_;
};

}  // namespace avstore::base
