#include "store/scanned_chunk.h"

#include "base/files.h"
#include "store/chunk_checksums.h"

namespace avstore::store {

void append_scanned_chunk(index::Index& index, const ChunkPlace& place, const media::Scan& scan,
                          const imgstore::ChunkIndex& names) {
  index::ChunkRow row;
  row.chunk = place.chunk;
  row.path = place.path;
  row.first_frame_index = place.first_frame_index;
  row.frame_count = static_cast<std::int64_t>(scan.pts.size());
  row.time_base = scan.time_base;
  row.state = index::ChunkState::closed;
  const auto checksums = checksums_of_file(place.store / place.path, scan);
  row.bytes = base::file_size(place.store / place.path);
  row.checksum = checksum_text(joined_checksum(checksums));
  row.stream = scan.stream;
  row.packet_count = scan.packet_count;
  index.put_chunk(row);
  for (const chunk::Checksum& sum : checksums) {
    index.put_checksum({place.chunk, sum.frame_idx, sum.offset, sum.size, sum.crc32});
  }
  for (std::size_t i = 0; i < scan.pts.size(); ++i) {
    const auto frame_idx = static_cast<std::int64_t>(i);
    index.append({place.first_frame_index + frame_idx, place.chunk, frame_idx,
                  names.frame_number[i], names.frame_time[i], scan.pts[i]});
  }
  for (const media::SeekPoint& point : scan.seek_points) {
    index.append_keyframe({place.chunk, point.frame_idx, point.pts, point.dts, point.position});
  }
}

}  // namespace avstore::store
