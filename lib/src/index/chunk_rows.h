// The frames of a chunk as a table that SQL can select from, so that one statement inserts all of
// them: several times as fast as a statement for each.
// Source: https://sqlite.org/vtab.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/database.h"

namespace avstore::index {

// The table avstore_chunk_rows of one connection. Only this connection sees it, and nothing of it
// is stored.
class ChunkRows {
 public:
  // Must live as long as the connection.
  explicit ChunkRows(Database& database);
  ChunkRows(const ChunkRows&) = delete;
  ChunkRows& operator=(const ChunkRows&) = delete;

  // Append frames to the table `frames`, whose last row is the one before: frame_idx counts from
  // `first_frame_idx`, pts are not known. The spans are of equal length.
  void append(std::int64_t chunk, std::int64_t first_frame_idx,
              std::span<const std::int64_t> numbers, std::span<const double> times);

  // What the table's callbacks read.
  struct Source {
    std::int64_t chunk = 0;
    std::int64_t first_frame_idx = 0;
    std::span<const std::int64_t> numbers;
    std::span<const double> times;
  };

 private:
  Database& database_;
  Source source_;
};

}  // namespace avstore::index
