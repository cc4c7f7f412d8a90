// The tables of the index database and their version. lib/README.md describes what they hold.
#pragma once

#include <cstdint>
#include <string_view>

#include "index/database.h"

namespace avstore::index {

// Raise it when a table changes so that an older avstore would read it wrong.
inline constexpr std::int64_t schema_version = 1;

// Names in table index_information that this part keeps itself.
namespace information_name {
inline constexpr std::string_view reference_version = "version";
inline constexpr std::string_view schema_version = "avstore_schema_version";
// frame_index of the first row whose number (time) is less than the one before; no row: none is.
inline constexpr std::string_view numbers_unordered_at = "avstore_numbers_unordered_at";
inline constexpr std::string_view times_unordered_at = "avstore_times_unordered_at";
}  // namespace information_name

// Whether set_information() must not touch it.
bool is_reserved(std::string_view information_name);

// Makes all tables in an empty database, in one transaction.
void create_tables(Database& database);

// Throws Error: not_found (not a database that avstore made), unsupported (a newer schema), corrupt
// (a table or column is missing).
void check_tables(Database& database);

// Indexes on frame_number and frame_time, for stores where those do not ascend.
void make_number_index(Database& database);
void make_time_index(Database& database);
void drop_number_index(Database& database);
void drop_time_index(Database& database);

// Checksums of frames without a row. Chunks that are closed may end with pieces that no frame is
// in.
#define AVSTORE_ORPHANED_CHECKSUMS                                                            \
  "checksums WHERE (chunk NOT IN (SELECT chunk FROM chunks) OR EXISTS (SELECT 1 FROM chunks " \
  "WHERE chunks.chunk = checksums.chunk AND state = 'open' AND checksums.frame_idx >= "       \
  "frame_count))"
inline constexpr Sql has_orphaned_checksums =
    "SELECT EXISTS (SELECT 1 FROM " AVSTORE_ORPHANED_CHECKSUMS ")";
inline constexpr Sql remove_orphaned_checksums = "DELETE FROM " AVSTORE_ORPHANED_CHECKSUMS;
#undef AVSTORE_ORPHANED_CHECKSUMS

}  // namespace avstore::index
