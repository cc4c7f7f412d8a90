// Zip archives, as far as .npz files need them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct zip;

namespace avstore::imgstore {

// An archive open for reading. Nothing in it is trusted: a member's size is checked against what
// the file could hold, and memory grows only as its bytes come out.
class ZipReader {
 public:
  // Throws Error: not_found, corrupt (no archive), io.
  explicit ZipReader(const std::filesystem::path& file);

  // The index of a member; of several with one name the last, as Python's zipfile. -1 if none.
  std::int64_t find(const std::string& name) const;

  // Of all members, in their order.
  std::vector<std::string> names() const;

  // CRC-32 of a member, as the archive's directory has it. Throws Error(corrupt) if there is none.
  std::uint32_t checksum(const std::string& name) const;
  // The bytes of a member, stored or deflated, with its checksum verified. Throws Error: corrupt
  // (more than `limit` bytes, damaged), unsupported (another compression, encrypted).
  std::vector<std::uint8_t> read(std::int64_t index, std::uint64_t limit) const;

 private:
  struct Discard {
    void operator()(zip* archive) const noexcept;
  };
  // The size that a member claims, if the file can hold as much. Throws Error.
  std::uint64_t believable_size(std::int64_t index, std::uint64_t limit) const;
  [[noreturn]] void fail(std::int64_t index, const std::string& what) const;

  std::string file_;
  std::uint64_t file_size_;
  std::unique_ptr<zip, Discard> archive_;
};

struct ZipMember {
  std::string name;
  std::vector<std::uint8_t> bytes;
};

// An archive of members that are stored, not deflated, and dated 1980-01-01 as NumPy does, so that
// equal members make equal archives. Throws Error(io).
std::vector<std::uint8_t> zip_stored(std::span<const ZipMember> members);

}  // namespace avstore::imgstore
