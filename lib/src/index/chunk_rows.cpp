#include "index/chunk_rows.h"

#include <sqlite3.h>

#include <memory>
#include <new>

namespace avstore::index {
namespace {

using Source = ChunkRows::Source;

enum Column { chunk_column, frame_idx_column, number_column, time_column };

// SQLite knows these two by the structures that they begin with.
struct Table : sqlite3_vtab {
  const Source* source = nullptr;
};
struct Cursor : sqlite3_vtab_cursor {
  const Source* source = nullptr;
  std::size_t row = 0;
};

Cursor& cursor_of(sqlite3_vtab_cursor* cursor) {
  return *static_cast<Cursor*>(cursor);
}

int connect(sqlite3* connection, void* source, int /*argc*/, const char* const* /*argv*/,
            sqlite3_vtab** made, char** /*error*/) {
  const int code = sqlite3_declare_vtab(
      connection, "CREATE TABLE rows (chunk, frame_idx, frame_number, frame_time)");
  if (code != SQLITE_OK) {
    return code;
  }
  auto* table = new (std::nothrow) Table();
  if (table == nullptr) {
    return SQLITE_NOMEM;
  }
  table->source = static_cast<const Source*>(source);
  *made = table;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
  const std::unique_ptr<Table> owned(static_cast<Table*>(table));
  return SQLITE_OK;
}

// There is one way to go through the rows.
int best_index(sqlite3_vtab* /*table*/, sqlite3_index_info* /*info*/) {
  return SQLITE_OK;
}

int open_cursor(sqlite3_vtab* table, sqlite3_vtab_cursor** made) {
  auto* cursor = new (std::nothrow) Cursor();
  if (cursor == nullptr) {
    return SQLITE_NOMEM;
  }
  cursor->source = static_cast<Table*>(table)->source;
  *made = cursor;
  return SQLITE_OK;
}

int close_cursor(sqlite3_vtab_cursor* cursor) {
  const std::unique_ptr<Cursor> owned(static_cast<Cursor*>(cursor));
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* cursor, int /*number*/, const char* /*text*/, int /*argc*/,
           sqlite3_value** /*argv*/) {
  cursor_of(cursor).row = 0;
  return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* cursor) {
  ++cursor_of(cursor).row;
  return SQLITE_OK;
}

int at_end(sqlite3_vtab_cursor* cursor) {
  const Cursor& at = cursor_of(cursor);
  return at.row >= at.source->numbers.size() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int wanted) {
  const Cursor& at = cursor_of(cursor);
  switch (wanted) {
    case chunk_column:
      sqlite3_result_int64(result, at.source->chunk);
      break;
    case frame_idx_column:
      sqlite3_result_int64(result, at.source->first_frame_idx + static_cast<std::int64_t>(at.row));
      break;
    case number_column:
      sqlite3_result_int64(result, at.source->numbers[at.row]);
      break;
    default:  // what is not a number becomes NULL
      sqlite3_result_double(result, at.source->times[at.row]);
  }
  return SQLITE_OK;
}

int row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = static_cast<sqlite3_int64>(cursor_of(cursor).row);
  return SQLITE_OK;
}

const sqlite3_module& module() {
  static const sqlite3_module kModule = [] {
    sqlite3_module made{};
    made.xConnect = connect;
    made.xDisconnect = disconnect;
    made.xBestIndex = best_index;
    made.xOpen = open_cursor;
    made.xClose = close_cursor;
    made.xFilter = filter;
    made.xNext = next;
    made.xEof = at_end;
    made.xColumn = column;
    made.xRowid = row_id;
    return made;
  }();
  return kModule;
}

}  // namespace

ChunkRows::ChunkRows(Database& database) : database_(database) {
  database_.add_table("avstore_chunk_rows", module(), &source_);
}

// Left to itself, SQLite gives a row the id after the last, and need not look where it belongs. Ids
// begin at 1 though, and frames at 0.
void ChunkRows::append(std::int64_t chunk, std::int64_t first_frame_idx,
                       std::span<const std::int64_t> numbers, std::span<const double> times) {
  source_ = {chunk, first_frame_idx, numbers, times};
  database_.expect_new_rows(numbers.size());
  database_.run(
      "INSERT INTO frames (chunk, frame_idx, frame_number, frame_time) "
      "SELECT chunk, frame_idx, frame_number, frame_time FROM avstore_chunk_rows");
  database_.expect_new_rows(0);
  source_ = {};
}

}  // namespace avstore::index
