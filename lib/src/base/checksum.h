// CRC-32 as zlib, gzip and PNG have it (ISO 3309): finds any flipped bit, and any damage of up to
// 32 bits in a row.
#pragma once

#include <cstdint>
#include <span>

namespace avstore::base {

// Of `bytes`, or of what `before` is the checksum of with `bytes` after it.
std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t before = 0);

// Of two pieces one after the other, the second `second_size` bytes long.
std::uint32_t join_crc32(std::uint32_t first, std::uint32_t second, std::int64_t second_size);

}  // namespace avstore::base
