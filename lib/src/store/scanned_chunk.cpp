#include "store/scanned_chunk.h"

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
  row.bytes = place.bytes;
  row.stream = scan.stream;
  row.packet_count = scan.packet_count;
  index.put_chunk(row);
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
