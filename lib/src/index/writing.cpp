// Index: rows in, changed, and out again.
#include <string>

#include "index/impl.h"
#include "index/schema.h"

namespace avstore::index {
namespace {

constexpr Sql insert_frame = "INSERT INTO frames VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
constexpr Sql insert_keyframe = "INSERT INTO keyframes VALUES (?1, ?2, ?3, ?4, ?5)";

std::string_view state_name(ChunkState state) {
  return state == ChunkState::closed ? "closed" : "open";
}

void insert(Database& database, const KeyframeRow& row) {
  database.run(insert_keyframe, row.chunk, row.frame_idx, row.pts, row.dts, row.position);
}

void update_pts(Database& database, std::int64_t first, std::span<const std::int64_t> pts) {
  std::int64_t frame_index = first;
  for (const std::int64_t value : pts) {
    database.run("UPDATE frames SET pts = ?2 WHERE frame_index = ?1", frame_index++, value);
  }
}

void replace_keyframes(Database& database, std::int64_t chunk,
                       std::span<const KeyframeRow> keyframes) {
  database.run("DELETE FROM keyframes WHERE chunk = ?1", chunk);
  for (const KeyframeRow& row : keyframes) {
    if (row.chunk != chunk) {
      database.fail(ErrorKind::invalid_argument,
                    "a keyframe of chunk " + std::to_string(row.chunk) + " among those of chunk " +
                        std::to_string(chunk));
    }
    insert(database, row);
  }
}

// Keyframes at or after the first frame that goes, whose place is (chunk, frame_idx), and all of
// the chunks that go entirely. Must run while the frames are still there.
void remove_keyframes(Database& database, std::int64_t frame_count) {
  database.run(
      "DELETE FROM keyframes WHERE "
      "chunk IN (SELECT DISTINCT chunk FROM frames WHERE frame_index >= ?1 "
      "  UNION SELECT chunk FROM chunks WHERE first_frame_index >= ?1) "
      "AND NOT EXISTS (SELECT 1 FROM frames WHERE frame_index = ?1 "
      "  AND frames.chunk = keyframes.chunk AND keyframes.frame_idx < frames.frame_idx)",
      frame_count);
}

// A piece of a file that holds frames that go as well as frames that stay keeps its checksum.
void remove_checksums(Database& database, std::int64_t frame_count) {
  database.run(
      "DELETE FROM checksums WHERE "
      "chunk IN (SELECT chunk FROM chunks WHERE first_frame_index >= ?1) "
      "OR EXISTS (SELECT 1 FROM chunks WHERE chunks.chunk = checksums.chunk "
      "  AND first_frame_index + frame_count > ?1 "
      "  AND first_frame_index + checksums.frame_idx >= ?1)",
      frame_count);
}

void remove_frames(Database& database, std::int64_t frame_count) {
  remove_keyframes(database, frame_count);
  remove_checksums(database, frame_count);
  database.run("DELETE FROM extra_data WHERE frame_index >= ?1", frame_count);
  database.run("DELETE FROM chunks WHERE first_frame_index >= ?1", frame_count);
  database.run(
      "UPDATE chunks SET frame_count = ?1 - first_frame_index "
      "WHERE first_frame_index + frame_count > ?1",
      frame_count);
  database.run("DELETE FROM frames WHERE frame_index >= ?1", frame_count);
}

// The extent of the frames left. A column whose first row out of order went ascends again, and
// needs its index no longer.
Extent cut(Database& database, Extent extent, std::int64_t frame_count) {
  extent.frame_count = frame_count;
  if (extent.numbers_unordered_at >= frame_count) {
    extent.numbers_unordered_at.reset();
    drop_number_index(database);
  }
  if (extent.times_unordered_at >= frame_count) {
    extent.times_unordered_at.reset();
    drop_time_index(database);
  }
  return extent;
}

}  // namespace

void Index::append(const FrameRow& row) {
  Impl& impl = *impl_;
  impl.require_writable();
  if (row.frame_index != impl.given()) {
    impl.database().fail(ErrorKind::invalid_argument,
                         "frame " + std::to_string(row.frame_index) + " given where frame " +
                             std::to_string(impl.given()) + " is next");
  }
  impl.write([&] {
    impl.database().run(insert_frame, row.frame_index, row.chunk, row.frame_idx, row.frame_number,
                        row.frame_time, row.pts);
    impl.count(row);
  });
}

void Index::append_chunk(std::int64_t chunk, std::span<const std::int64_t> frame_numbers,
                         std::span<const double> frame_times) {
  Impl& impl = *impl_;
  impl.require_writable();
  if (frame_numbers.size() != frame_times.size()) {
    impl.database().fail(ErrorKind::invalid_argument,
                         std::to_string(frame_numbers.size()) + " frame numbers but " +
                             std::to_string(frame_times.size()) + " frame times");
  }
  if (frame_numbers.empty()) {
    return;
  }
  std::size_t done = 0;
  if (impl.given() == 0) {  // SQLite would count rows from 1
    append({0, chunk, 0, frame_numbers[0], frame_times[0], std::nullopt});
    done = 1;
  }
  impl.write([&] {
    Savepoint all_or_none(impl.database());
    impl.chunk_rows().append(chunk, static_cast<std::int64_t>(done), frame_numbers.subspan(done),
                             frame_times.subspan(done));
    all_or_none.release();
  });
  for (std::size_t i = done; i < frame_numbers.size(); ++i) {
    impl.count({impl.given(), chunk, static_cast<std::int64_t>(i), frame_numbers[i], frame_times[i],
                std::nullopt});
  }
}

void Index::put_chunk(const ChunkRow& row) {
  impl_->write([&] {
    impl_->database().run(
        "INSERT OR REPLACE INTO chunks (chunk, chunk_path, first_frame_index, frame_count, "
        "time_base_num, time_base_den, state, bytes, checksum, stream, packet_count) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        row.chunk, row.path, row.first_frame_index, row.frame_count, row.time_base.num,
        row.time_base.den, state_name(row.state), row.bytes, row.checksum,
        static_cast<std::int64_t>(row.stream), row.packet_count);
  });
}

void Index::append_keyframe(const KeyframeRow& row) {
  impl_->write([&] { insert(impl_->database(), row); });
}

void Index::append_extra(const ExtraRow& row) {
  impl_->write([&] {
    impl_->database().run(
        "INSERT INTO extra_data (frame_index, frame_number, frame_time, json) "
        "VALUES (?1, ?2, ?3, ?4)",
        row.frame_index, row.frame_number, row.frame_time, row.json);
  });
}

void Index::put_checksum(const ChecksumRow& row) {
  impl_->write([&] {
    impl_->database().run("INSERT OR REPLACE INTO checksums VALUES (?1, ?2, ?3, ?4, ?5)", row.chunk,
                          row.frame_idx, row.position, row.bytes,
                          static_cast<std::int64_t>(row.crc32));
  });
}

void Index::remove_checksum(std::int64_t chunk, std::int64_t frame_idx, std::int64_t position) {
  impl_->write([&] {
    impl_->database().run(
        "DELETE FROM checksums WHERE chunk = ?1 AND frame_idx = ?2 AND position = ?3", chunk,
        frame_idx, position);
  });
}

void Index::remove_checksums(std::int64_t chunk) {
  impl_->write([&] { impl_->database().run("DELETE FROM checksums WHERE chunk = ?1", chunk); });
}

void Index::remove_chunk(std::int64_t chunk) {
  remove_checksums(chunk);
  impl_->write([&] { impl_->database().run("DELETE FROM chunks WHERE chunk = ?1", chunk); });
}

void Index::set_information(const std::string& name, const std::string& value) {
  if (is_reserved(name)) {
    impl_->database().fail(ErrorKind::invalid_argument, "'" + name + "' is kept by the index");
  }
  impl_->write([&] {
    impl_->database().run("INSERT OR REPLACE INTO index_information VALUES (?1, ?2)", name, value);
  });
}

void Index::set_pts(std::int64_t first_frame_index, std::span<const std::int64_t> pts,
                    std::span<const KeyframeRow> keyframes) {
  Impl& impl = *impl_;
  impl.require_writable();
  const auto size = static_cast<std::int64_t>(pts.size());
  if (first_frame_index < 0 || first_frame_index >= impl.given() ||
      size > impl.given() - first_frame_index) {
    impl.database().fail(ErrorKind::invalid_argument,
                         "PTS of " + std::to_string(size) + " frames from frame " +
                             std::to_string(first_frame_index) + " on given, but there are " +
                             std::to_string(impl.given()) + " frames");
  }
  impl.write([&] {
    Savepoint all_or_none(impl.database());
    const std::int64_t chunk = impl.existing(first_frame_index).chunk;
    update_pts(impl.database(), first_frame_index, pts);
    replace_keyframes(impl.database(), chunk, keyframes);
    all_or_none.release();
  });
}

void Index::truncate(std::int64_t frame_count) {
  Impl& impl = *impl_;
  impl.require_writable();
  if (frame_count < 0) {
    impl.database().fail(ErrorKind::invalid_argument, "cannot be cut to a negative frame count");
  }
  if (frame_count >= impl.given()) {
    return;
  }
  impl.write([&] {
    Database& database = impl.database();
    Savepoint all_or_none(database);
    remove_frames(database, frame_count);
    const Extent left = cut(database, impl.pending().extent, frame_count);
    const Progress progress = load_progress(database, left);
    all_or_none.release();
    impl.count_after_removal(progress);
  });
}

void Index::remove_orphans() {
  Impl& impl = *impl_;
  impl.require_writable();
  impl.write([&] {
    impl.database().run("DELETE FROM extra_data WHERE frame_index >= ?1", impl.given());
    impl.database().run(remove_orphaned_checksums);
  });
}

}  // namespace avstore::index
