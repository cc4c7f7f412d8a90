// Index: rows out by their place, and the tables beside `frames`.
#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "base/same_number.h"
#include "index/impl.h"
#include "index/schema.h"

namespace avstore::index {
namespace {

// Rows are handed out in blocks, each read to its end first: no lock is held while the caller works
// on a row, however long that takes, and it may call anything meanwhile.
constexpr std::int64_t block_rows = 256;

// Names are small and nobody is called between them; a block ends so that a writer's log may be
// merged now and then.
constexpr std::int64_t names_block_rows = 65536;

constexpr std::int64_t any_chunk_from = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t any_chunk_to = std::numeric_limits<std::int64_t>::max();

// Extra data of some hundred bytes a record are the rule; where they are more, fewer make a block.
constexpr std::size_t block_bytes = std::size_t{1} << 20U;

// Rows are asked for in the order of their keys. Pages that lead to one another in circles give the
// same ones again, without an end.
void require_ascending(const Database& database, bool ascending) {
  if (!ascending) {
    database.fail(ErrorKind::corrupt, "rows are not in their order");
  }
}

std::vector<FrameRow> frame_rows(Database& database, IndexRange range) {
  Query query = database.query(
      "SELECT frame_index, chunk, frame_idx, frame_number, frame_time, pts FROM frames "
      "WHERE frame_index >= ?1 AND frame_index < ?2 ORDER BY frame_index",
      range.begin, range.end);
  std::vector<FrameRow> rows;
  while (query.next()) {
    require_ascending(database, rows.empty() || rows.back().frame_index < query.integer(0));
    rows.push_back({.frame_index = query.integer(0),
                    .chunk = query.integer(1),
                    .frame_idx = query.integer(2),
                    .frame_number = query.integer(3),
                    .frame_time = query.real(4),
                    .pts = query.optional_integer(5)});
  }
  return rows;
}

// Up to block_rows records, or block_bytes of them, after number `record`, which becomes that of
// the last.
std::vector<ExtraRow> extra_rows(Database& database, std::int64_t& record) {
  Query query = database.query(
      "SELECT record, frame_index, frame_number, frame_time, json FROM extra_data "
      "WHERE record > ?1 ORDER BY record LIMIT ?2",
      record, block_rows);
  std::vector<ExtraRow> rows;
  for (std::size_t bytes = 0; bytes < block_bytes && query.next();
       bytes += rows.back().json.size()) {
    require_ascending(database, record < query.integer(0));
    record = query.integer(0);
    rows.push_back({.frame_index = query.integer(1),
                    .frame_number = query.integer(2),
                    .frame_time = query.real(3),
                    .json = query.text(4),
                    .record = record});
  }
  return rows;
}

ChunkState chunk_state(const Database& database, const std::string& name) {
  if (name != "open" && name != "closed") {
    database.fail(ErrorKind::corrupt, "'" + name + "' is no state of a chunk");
  }
  return name == "open" ? ChunkState::open : ChunkState::closed;
}

// Databases come from strangers. A chunk lies right in the store's folder and is named by its
// number with an ending, so that its path leads nowhere else and files made beside it have names of
// ours.
std::string chunk_path(const Database& database, std::int64_t chunk, std::string text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_of_ending = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const auto ending = std::find_if_not(text.begin(), text.end(), is_digit);
  const std::string digits(text.begin(), ending);
  std::int64_t number = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool has_ending =
      ending == text.end() || (*ending == '.' && std::all_of(ending + 1, text.end(), is_of_ending));
  if (parsed.ec != std::errc() || number != chunk || !has_ending) {
    database.fail(ErrorKind::corrupt,
                  "'" + text + "' is no path of chunk " + std::to_string(chunk));
  }
  return text;
}

bool is_possible(Rational time_base) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();  // libav's own limit
  return time_base.num >= 0 && time_base.num <= most && time_base.den > 0 && time_base.den <= most;
}

// Others add the two, and make room for as many frames. The database has room for `most` frames.
void require_possible(const Database& database, const ChunkRow& row, std::int64_t most) {
  if (!is_possible(row.time_base)) {
    database.fail(ErrorKind::corrupt, "chunk " + std::to_string(row.chunk) +
                                          " is said to have the time base " +
                                          to_text(row.time_base));
  }
  if (row.chunk < 0 || row.first_frame_index < 0 || row.frame_count < 0 ||
      row.first_frame_index > most - row.frame_count) {
    database.fail(ErrorKind::corrupt, "chunk " + std::to_string(row.chunk) + " is said to have " +
                                          std::to_string(row.frame_count) + " frames from frame " +
                                          std::to_string(row.first_frame_index) + " on");
  }
}

int stream_number(const Database& database, std::int64_t number) {
  if (!std::in_range<int>(number)) {
    database.fail(ErrorKind::corrupt, std::to_string(number) + " is no stream of a file");
  }
  return static_cast<int>(number);
}

std::vector<ChunkRow> chunk_rows(Database& database, std::int64_t first, std::int64_t last) {
  Query query = database.query(
      "SELECT chunk, chunk_path, first_frame_index, frame_count, time_base_num, time_base_den, "
      "state, bytes, checksum, stream, packet_count FROM chunks "
      "WHERE chunk >= ?1 AND chunk <= ?2 ORDER BY chunk",
      first, last);
  std::vector<ChunkRow> rows;
  while (query.next()) {
    require_ascending(database, rows.empty() || rows.back().chunk < query.integer(0));
    rows.push_back({.chunk = query.integer(0),
                    .path = chunk_path(database, query.integer(0), query.text(1)),
                    .first_frame_index = query.integer(2),
                    .frame_count = query.integer(3),
                    .time_base = {query.integer(4), query.integer(5)},
                    .state = chunk_state(database, query.text(6)),
                    .bytes = query.integer(7),
                    .checksum = query.text(8),
                    .stream = stream_number(database, query.integer(9)),
                    .packet_count = query.integer(10)});
  }
  const std::int64_t most = most_frames(database);
  for (const ChunkRow& row : rows) {
    require_possible(database, row, most);
  }
  return rows;
}

ChecksumRow checksum_row(const Database& database, const Query& query) {
  const ChecksumRow row{.chunk = query.integer(0),
                        .frame_idx = query.integer(1),
                        .position = query.integer(2),
                        .bytes = query.integer(3),
                        .crc32 = static_cast<std::uint32_t>(query.integer(4))};
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (row.frame_idx < 0 || row.position < 0 || row.bytes < 0 || row.position > most - row.bytes) {
    database.fail(ErrorKind::corrupt,
                  "a checksum of chunk " + std::to_string(row.chunk) + " is of no piece of a file");
  }
  return row;
}

KeyframeRow keyframe_row(const Query& query) {
  return {.chunk = query.integer(0),
          .frame_idx = query.integer(1),
          .pts = query.integer(2),
          .dts = query.optional_integer(3),
          .position = query.integer(4)};
}

}  // namespace

FrameRow Index::Impl::existing(std::int64_t frame_index) {
  const auto rows = frame_rows(database(), {frame_index, frame_index + 1});
  if (rows.empty()) {
    fail_missing(frame_index);
  }
  return rows.front();
}

// Rows are only added, but for another process that cuts a store whose writer was killed. What is
// added then is in another chunk, at another place or of another time.
bool Index::Impl::still_holds(const KnownExtremes& known) {
  const FrameRow& last = known.last;
  if (last.frame_index >= visible_.frame_count) {
    return false;
  }
  const auto rows = frame_rows(database(), {last.frame_index, last.frame_index + 1});
  return !rows.empty() && rows[0].chunk == last.chunk && rows[0].frame_idx == last.frame_idx &&
         rows[0].frame_number == last.frame_number &&
         base::is_same(rows[0].frame_time, last.frame_time);
}

// Who follows a recording asks each time it has grown: only rows that are new are looked at then.
Extremes Index::Impl::extremes() {
  const Ordering order = visible_.ordering();
  if (writable_ || visible_.frame_count == 0 || (order.numbers_ascend && order.times_ascend)) {
    return load_extremes(database(), visible_);
  }
  const std::int64_t count = visible_.frame_count;
  const bool known = known_extremes_ && still_holds(*known_extremes_);
  const Extremes found = known ? widen(database(), known_extremes_->extremes,
                                       {known_extremes_->last.frame_index + 1, count})
                               : load_extremes(database(), visible_);
  known_extremes_.reset();
  if (const auto last = frame_rows(database(), {count - 1, count}); !last.empty()) {
    known_extremes_ = {found, last[0]};
  }
  return found;
}

// Either another process cut the store since we counted, or the table has a hole.
void Index::Impl::fail_missing(std::int64_t frame_index) {
  const bool removed = load_extent(database()).frame_count <= frame_index;
  database().fail(removed ? ErrorKind::end_of_store : ErrorKind::corrupt,
                  "frame " + std::to_string(frame_index) +
                      (removed ? " has been removed" : " is missing between others"));
}

FrameRow Index::at(std::int64_t frame_index) const {
  const std::int64_t count = frame_count();
  if (frame_index < 0 || frame_index >= count) {
    impl_->database().fail(ErrorKind::end_of_store, "frame index " + std::to_string(frame_index) +
                                                        " asked for, but there are " +
                                                        std::to_string(count) + " frames");
  }
  return impl_->existing(frame_index);
}

void Index::for_each(IndexRange range, const std::function<bool(const FrameRow&)>& visit) const {
  const std::int64_t end = std::min(range.end, frame_count());
  for (std::int64_t begin = std::max<std::int64_t>(range.begin, 0); begin < end;) {
    const IndexRange block{begin, begin + std::min(block_rows, end - begin)};
    const auto rows = frame_rows(impl_->database(), block);
    for (const FrameRow& row : rows) {
      if (row.frame_index != begin) {
        break;
      }
      if (!visit(row)) {
        return;
      }
      ++begin;
    }
    if (begin != block.end) {
      impl_->fail_missing(begin);
    }
  }
}

FrameNameArrays Index::names(IndexRange range) const {
  const std::int64_t end = std::min(range.end, frame_count());
  std::int64_t next = std::max<std::int64_t>(range.begin, 0);
  FrameNameArrays names;
  while (next < end) {
    const std::int64_t block_end = std::min(next + names_block_rows, end);
    Query query = impl_->database().query(
        "SELECT frame_index, frame_number, frame_time FROM frames "
        "WHERE frame_index >= ?1 AND frame_index < ?2 ORDER BY frame_index",
        next, block_end);
    for (; next < block_end; ++next) {
      if (!query.next() || query.integer(0) != next) {
        impl_->fail_missing(next);
      }
      names.numbers.push_back(query.integer(1));
      names.times.push_back(query.real(2));
    }
  }
  return names;
}

std::optional<ChunkRow> Index::chunk(std::int64_t chunk) const {
  auto rows = chunk_rows(impl_->database(), chunk, chunk);
  if (rows.empty()) {
    return std::nullopt;
  }
  return std::move(rows.front());
}

std::vector<ChunkRow> Index::chunks() const {
  return chunk_rows(impl_->database(), any_chunk_from, any_chunk_to);
}

std::vector<ChunkRow> Index::refresh_chunks() {
  if (impl_->database().in_transaction()) {
    return chunks();
  }
  const ReadTransaction snapshot(impl_->database());
  impl_->reload();
  return chunks();
}

std::int64_t Index::chunk_count() const {
  // SQLite goes through a table for count(*) without looking at its work.
  Query query = impl_->database().query("SELECT count(chunk) FROM chunks");
  query.next();
  return query.integer(0);
}

std::optional<KeyframeRow> Index::keyframe_at_or_before(std::int64_t chunk,
                                                        std::int64_t frame_idx) const {
  Query query = impl_->database().query(
      "SELECT chunk, frame_idx, pts, dts, position FROM keyframes "
      "WHERE chunk = ?1 AND frame_idx <= ?2 ORDER BY frame_idx DESC LIMIT 1",
      chunk, frame_idx);
  if (!query.next()) {
    return std::nullopt;
  }
  return keyframe_row(query);
}

std::vector<ChecksumRow> Index::checksums(std::int64_t chunk) const {
  Query query = impl_->database().query(
      "SELECT chunk, frame_idx, position, bytes, crc32 FROM checksums "
      "WHERE chunk = ?1 ORDER BY frame_idx, position",
      chunk);
  std::vector<ChecksumRow> rows;
  while (query.next()) {
    rows.push_back(checksum_row(impl_->database(), query));
  }
  return rows;
}

std::vector<KeyframeRow> Index::keyframes(std::int64_t chunk) const {
  Query query = impl_->database().query(
      "SELECT chunk, frame_idx, pts, dts, position FROM keyframes "
      "WHERE chunk = ?1 ORDER BY frame_idx",
      chunk);
  std::vector<KeyframeRow> rows;
  while (query.next()) {
    require_ascending(impl_->database(), rows.empty() || rows.back().frame_idx < query.integer(1));
    rows.push_back(keyframe_row(query));
  }
  return rows;
}

std::map<std::string, std::string> Index::all_information() const {
  Query query = impl_->database().query("SELECT name, value FROM index_information");
  std::map<std::string, std::string> all;
  while (query.next()) {
    const std::string name = query.text(0);
    if (!is_reserved(name)) {
      all[name] = query.text(1);
    }
  }
  return all;
}

void Index::for_each_extra(const std::function<bool(const ExtraRow&)>& visit,
                           std::int64_t first) const {
  std::int64_t record = first - 1;
  while (true) {
    const auto rows = extra_rows(impl_->database(), record);
    if (rows.empty() || !std::all_of(rows.begin(), rows.end(), std::cref(visit))) {
      return;
    }
  }
}

std::vector<ExtraRow> Index::extra_of(std::int64_t frame_index) const {
  Query query = impl_->database().query(
      "SELECT frame_number, frame_time, json, record FROM extra_data WHERE frame_index = ?1 "
      "ORDER BY record",
      frame_index);
  std::vector<ExtraRow> rows;
  while (query.next()) {
    rows.push_back({frame_index, query.integer(0), query.real(1), query.text(2), query.integer(3)});
  }
  return rows;
}

bool Index::has_extra(IndexRange range) const {
  Query query = impl_->database().query(
      "SELECT EXISTS (SELECT 1 FROM extra_data WHERE frame_index >= ?1 AND frame_index < ?2)",
      range.begin, range.end);
  return query.next() && query.integer(0) != 0;
}

std::int64_t Index::next_extra() const {
  Query query = impl_->database().query("SELECT coalesce(max(record), 0) + 1 FROM extra_data");
  query.next();
  return query.integer(0);
}

bool Index::has_orphans() const {
  Query extra = impl_->database().query(
      "SELECT EXISTS (SELECT 1 FROM extra_data WHERE frame_index >= ?1)", frame_count());
  Query sums = impl_->database().query(has_orphaned_checksums);
  return (extra.next() && extra.integer(0) != 0) || (sums.next() && sums.integer(0) != 0);
}

std::optional<std::string> Index::information(const std::string& name) const {
  Query query =
      impl_->database().query("SELECT value FROM index_information WHERE name = ?1", name);
  if (!query.next()) {
    return std::nullopt;
  }
  return query.text(0);
}

Extremes Index::extremes() const {
  const ReadTransaction snapshot(impl_->database());
  return impl_->extremes();
}

std::string Index::integrity_findings() const {
  std::string findings;
  try {
    Query query = impl_->database().query("PRAGMA integrity_check");
    while (query.next()) {
      findings += findings.empty() ? "" : "\n";
      findings += query.text(0);
    }
  } catch (const Error& error) {
    // Damage so bad that the check itself cannot go on is a finding as well.
    if (error.kind() != ErrorKind::corrupt) {
      throw;
    }
    findings += findings.empty() ? "" : "\n";
    findings += error.what();
  }
  return findings == "ok" ? std::string() : findings;
}

}  // namespace avstore::index
