#include "base/checksum.h"

#include <zlib.h>

namespace avstore::base {

std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t before) {
  return static_cast<std::uint32_t>(::crc32_z(before, bytes.data(), bytes.size()));
}

std::uint32_t join_crc32(std::uint32_t first, std::uint32_t second, std::int64_t second_size) {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, second_size));
}

}  // namespace avstore::base
