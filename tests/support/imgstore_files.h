// Files of the imgstore format made by hand, honest and lying.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "imgstore/metadata.h"

namespace avstore::test {

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(std::string_view text);

imgstore::StoreMetadata video_metadata();
imgstore::StoreMetadata directory_metadata();

// ---- arrays --------------------------------------------------------------------------------

// A version 1.0 array file whose header says what it is told to.
Bytes array_with_header(const std::string& header, const Bytes& data);

Bytes array_of(const std::string& dtype, const std::string& shape, const Bytes& data,
               bool fortran = false);

// What frames of a chunk may be called.
const std::vector<std::int64_t>& odd_numbers();
const std::vector<double>& odd_times();

// ---- archives ------------------------------------------------------------------------------

// A member of an archive, with every field free to lie.
struct RawMember {
  std::string name;
  Bytes stored;  // the bytes in the file
  std::uint16_t method = 0;
  std::uint32_t size = 0;  // claimed, uncompressed
  std::uint32_t stored_size = 0;
  std::uint32_t crc = 0;
};

RawMember honest_member(const std::string& name, const Bytes& bytes);

// The same bytes as one block of a deflate stream that is not compressed.
RawMember deflated_member(const std::string& name, const Bytes& bytes);

Bytes archive_of(const std::vector<RawMember>& members);

// Of a chunk's index with odd_numbers() and odd_times().
std::vector<RawMember> index_members();

}  // namespace avstore::test
