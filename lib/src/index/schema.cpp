#include "index/schema.h"

#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace avstore::index {
namespace {

// The reference implementation asks for `frames` ORDER BY rowid LIMIT 1 OFFSET n, so the rowid is
// frame_index. Types of its own columns are as it declares them; summary.value is REAL there, and
// 64-bit numbers lose digits in it, so it is written for the reference and never read here.
constexpr const char* table_definitions = R"sql(
  CREATE TABLE frames (
    frame_index INTEGER PRIMARY KEY,
    chunk INTEGER NOT NULL,
    frame_idx INTEGER NOT NULL,
    frame_number INTEGER NOT NULL,
    frame_time REAL,                 -- seconds; NULL: not a number
    pts INTEGER                      -- in the chunk's time base
  );
  CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    chunk_path TEXT NOT NULL,        -- relative to the store
    first_frame_index INTEGER NOT NULL,
    frame_count INTEGER NOT NULL,
    time_base_num INTEGER NOT NULL,  -- seconds a tick; 0/1: no time base
    time_base_den INTEGER NOT NULL,
    state TEXT NOT NULL,             -- open, closed
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,          -- empty: none taken
    stream INTEGER NOT NULL,
    packet_count INTEGER NOT NULL
  );
  CREATE TABLE keyframes (
    chunk INTEGER NOT NULL,
    frame_idx INTEGER NOT NULL,
    pts INTEGER NOT NULL,
    dts INTEGER,
    position INTEGER NOT NULL,       -- byte offset of the packet; -1: unknown
    PRIMARY KEY (chunk, frame_idx)
  ) WITHOUT ROWID;
  CREATE TABLE checksums (
    chunk INTEGER NOT NULL,
    frame_idx INTEGER NOT NULL,      -- frames of the chunk before it do not depend on these bytes
    position INTEGER NOT NULL,       -- of the first byte in the file
    bytes INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    PRIMARY KEY (chunk, frame_idx, position)
  ) WITHOUT ROWID;
  CREATE TABLE extra_data (
    record INTEGER PRIMARY KEY,      -- in the order given
    frame_index INTEGER NOT NULL,
    frame_number INTEGER NOT NULL,
    frame_time REAL,
    json TEXT NOT NULL
  );
  CREATE TABLE index_information (name TEXT PRIMARY KEY, value TEXT);
  CREATE TABLE summary (name TEXT PRIMARY KEY, value REAL);
)sql";

// Compiling these proves that every table and column is there.
constexpr const char* table_probes[] = {
    "SELECT frame_index, chunk, frame_idx, frame_number, frame_time, pts FROM frames",
    R"sql(SELECT chunk, chunk_path, first_frame_index, frame_count, time_base_num, time_base_den,
          state, bytes, checksum, stream, packet_count FROM chunks)sql",
    "SELECT chunk, frame_idx, pts, dts, position FROM keyframes",
    "SELECT chunk, frame_idx, position, bytes, crc32 FROM checksums",
    "SELECT record, frame_index, frame_number, frame_time, json FROM extra_data",
    "SELECT name, value FROM summary",
};

constexpr Sql insert_information = "INSERT INTO index_information VALUES (?1, ?2)";

bool has_table(Database& database, std::string_view name) {
  return database.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", name)
      .next();
}

// SQLite itself begins the texts that it keeps in this way. Nothing else is made here, and what
// else there can be is code: views, triggers, and virtual tables of whatever module.
constexpr Sql foreign_schema = R"sql(
    SELECT name FROM sqlite_master WHERE NOT (sql IS NULL OR sql GLOB 'CREATE TABLE *'
    OR sql GLOB 'CREATE INDEX *' OR sql GLOB 'CREATE UNIQUE INDEX *'))sql";

// Of columns that are worked out when they are read.
constexpr Sql generated_columns = R"sql(
    SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 0)sql";

constexpr std::array<std::string_view, 7> table_names = {
    "frames", "chunks", "keyframes", "checksums", "extra_data", "index_information", "summary"};

// Reading what is in a file must not run what is in it.
void refuse_code(Database& database) {
  Query foreign = database.query(foreign_schema);
  if (foreign.next()) {
    database.fail(ErrorKind::corrupt,
                  "'" + foreign.text(0) + "' in it is neither a table nor an index");
  }
  for (const std::string_view table : table_names) {
    Query generated = database.query(generated_columns, table);
    if (generated.next()) {
      database.fail(ErrorKind::corrupt, "column '" + generated.text(0) + "' of table '" +
                                            std::string(table) + "' is generated");
    }
  }
}

// The text of avstore_schema_version; none in a database that something else made.
std::optional<std::string> stored_version(Database& database) {
  if (!has_table(database, "index_information")) {
    return std::nullopt;
  }
  Query query = database.query("SELECT value FROM index_information WHERE name = ?1",
                               information_name::schema_version);
  if (!query.next()) {
    return std::nullopt;
  }
  return query.text(0);
}

std::int64_t parsed_version(const Database& database, const std::string& text) {
  std::int64_t version = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, version);
  if (error != std::errc() || stop != end || version < 1) {
    database.fail(ErrorKind::corrupt, "schema version is '" + text + "', which is no version");
  }
  return version;
}

}  // namespace

bool is_reserved(std::string_view name) {
  return name == information_name::reference_version || name == information_name::schema_version ||
         name == information_name::numbers_unordered_at ||
         name == information_name::times_unordered_at;
}

void create_tables(Database& database) {
  database.execute("BEGIN IMMEDIATE");
  database.execute(table_definitions);
  // The version of the reference's own tables, which it checks.
  database.run(insert_information, information_name::reference_version, std::string_view("1"));
  database.run(insert_information, information_name::schema_version,
               std::string_view(std::to_string(schema_version)));
  database.execute("COMMIT");
}

void check_tables(Database& database) {
  refuse_code(database);
  const std::optional<std::string> text = stored_version(database);
  if (!text) {
    database.fail(ErrorKind::not_found, "has none of avstore's tables");
  }
  const std::int64_t version = parsed_version(database, *text);
  if (version > schema_version) {
    database.fail(ErrorKind::unsupported, "written by a newer avstore (schema version " + *text +
                                              ", this one reads up to " +
                                              std::to_string(schema_version) +
                                              "): use a newer avstore");
  }
  for (const char* probe : table_probes) {
    const Statement compiled(database, probe);
  }
}

void make_number_index(Database& database) {
  database.execute("CREATE INDEX IF NOT EXISTS frames_by_number ON frames (frame_number)");
}

void make_time_index(Database& database) {
  database.execute("CREATE INDEX IF NOT EXISTS frames_by_time ON frames (frame_time)");
}

void drop_number_index(Database& database) {
  database.execute("DROP INDEX IF EXISTS frames_by_number");
}

void drop_time_index(Database& database) {
  database.execute("DROP INDEX IF EXISTS frames_by_time");
}

}  // namespace avstore::index
