#include "store/chunk_checksums.h"

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/files.h"

namespace avstore::store {

std::vector<chunk::Checksum> checksums_of_file(const std::filesystem::path& file,
                                               const media::Scan& scan) {
  const auto size = base::file_size(file);
  std::vector<chunk::Checksum> pieces{{0, 0, size, 0}};
  for (const media::SeekPoint& point : scan.seek_points) {
    chunk::Checksum& last = pieces.back();
    if (point.position > last.offset && point.position < size) {
      last.size = point.position - last.offset;
      pieces.push_back({point.frame_idx, point.position, size - point.position, 0});
    }
  }
  for (chunk::Checksum& piece : pieces) {
    piece.crc32 = base::crc32_of_file(file, piece.offset, piece.size);
  }
  return pieces;
}

bool may_have_changed(const index::ChunkRow& row, const index::ChecksumRow& piece,
                      std::int64_t file_bytes) {
  constexpr std::int64_t kPart = std::int64_t{1} << 30;
  return row.state == index::ChunkState::open && piece.position == 0 && file_bytes > kPart &&
         std::filesystem::path(row.path).extension() == ".avi";
}

std::uint32_t joined_checksum(std::span<const chunk::Checksum> pieces) {
  std::uint32_t sum = 0;
  for (const chunk::Checksum& piece : pieces) {
    sum = base::join_crc32(sum, piece.crc32, piece.size);
  }
  return sum;
}

std::string checksum_text(std::uint32_t crc32) {
  return fmt::format("crc32:{:08x}", crc32);
}

}  // namespace avstore::store
