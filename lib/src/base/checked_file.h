// A file that is written with checksums of its pieces taken on the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace avstore::base {

// For one thread at a time. All functions throw Error(io) with the path and the system's words.
class CheckedFile {
 public:
  // Bytes [offset, offset + size) of the file.
  struct Piece {
    std::int64_t offset = 0;
    std::int64_t size = 0;
    std::uint32_t crc32 = 0;  // see base/checksum.h
  };

  // Creates the file. One that is there already is never written to, nor what a link leads to: it
  // may hold a recording that nobody knows of any more.
  explicit CheckedFile(const std::filesystem::path& path);
  ~CheckedFile();
  CheckedFile(const CheckedFile&) = delete;
  CheckedFile& operator=(const CheckedFile&) = delete;

  std::int64_t size() const { return size_; }
  // Write at a place up to size(): at the end, or over what is there.
  void write(std::int64_t offset, std::span<const std::uint8_t> bytes);
  // What was written at the end since the last call becomes a piece.
  void end_piece();
  // The pieces that are new or were written over since the last call. Those written over are read
  // back, so bytes at the end should be written once.
  std::vector<Piece> take_pieces();
  // Of the whole file, up to the end of its last piece.
  std::uint32_t crc32() const;
  // Make what was written last through a power cut; the file's name is the folder's affair
  // (sync_folder).
  void sync();
  void close();

 private:
  struct Known {
    Piece piece;
    bool changed = false;  // its checksum is not right any more
    bool taken = false;
  };

  void write_over(std::int64_t offset, std::span<const std::uint8_t> bytes);
  void append(std::span<const std::uint8_t> bytes);
  void put(std::int64_t offset, std::span<const std::uint8_t> bytes) const;
  std::uint32_t read_back(const Piece& piece) const;
  [[noreturn]] void fail(const char* what) const;

  std::string name_;
  int descriptor_;
  std::int64_t size_ = 0;
  std::vector<Known> pieces_;
  Known current_;  // grows at the end
};

}  // namespace avstore::base
