#include "tools/extra_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/extra.h"
#include "base/files.h"
#include "base/same_number.h"
#include "imgstore/chunk_index.h"
#include "imgstore/extra_data.h"
#include "imgstore/json_text.h"
#include "imgstore/motif_hdf5.h"
#include "store/extra_records.h"
#include "store/staged_change.h"

namespace avstore::tools {
namespace {

namespace fs = std::filesystem;

// ---- values --------------------------------------------------------------------------------

using Members = std::map<std::string, std::string>;

bool is_number(std::string_view text) {
  return !text.empty() && std::string_view("-0123456789NI").find(text.front()) != std::string::npos;
}

bool is_integer(std::string_view number) {
  return number.find_first_not_of("-0123456789") == std::string_view::npos;
}

bool is_nothing(const std::string& value) {
  return value.empty() || value == "null" || value == "NaN";
}

// Whether `value` stands for `recorded`, both in normal form. `as_python`: it was written by
// avstore or by Python's json module, and so has the digits recorded or those that Python prints
// the number with. Else it may come from pandas, which keeps ten decimals, makes floats of integers
// and has a null where there is nothing.
class SameValue {
 public:
  explicit SameValue(bool as_python) : as_python_(as_python) {}

  bool operator()(const std::string& value, const std::string& recorded) const {
    if (value == recorded || (!as_python_ && is_nothing(value) && is_nothing(recorded))) {
      return true;
    }
    std::string_view left = value, right = recorded;
    while (!left.empty() && !right.empty()) {
      const std::string a(take_token(left));
      const std::string b(take_token(right));
      if (a != b && !(is_number(a) && is_number(b) && is_same_number(a, b))) {
        return false;
      }
    }
    return left.empty() && right.empty();
  }

 private:
  // A string with its quotes, a number or a word, or one character of punctuation.
  static std::string_view take_token(std::string_view& text) {
    std::size_t end = 1;
    if (text.front() == '"') {
      while (end < text.size() && text[end] != '"') {
        end += text[end] == '\\' ? 2 : 1;
      }
      ++end;
    } else if (std::string_view("[]{},: ").find(text.front()) == std::string_view::npos) {
      end = text.find_first_of("[]{},: ");
    }
    end = std::min(end, text.size());
    const std::string_view token = text.substr(0, end);
    text.remove_prefix(end);
    return token;
  }

  bool is_same_number(const std::string& value, const std::string& recorded) const {
    const double number = imgstore::json_to_double(recorded);
    if (as_python_) {
      return !is_integer(recorded) && value == imgstore::json_number(number);
    }
    const double other = imgstore::json_to_double(value);
    const double tolerance = std::max(1e-10, std::abs(number) * 1e-15);
    return base::is_same(other, number) || std::abs(other - number) <= tolerance;
  }

  bool as_python_;
};

std::string number_text(std::int64_t frame_number) {
  return frame_number == kNoFrameNumber.value ? "NaN" : std::to_string(frame_number);
}

// ---- a file --------------------------------------------------------------------------------

struct FileRecord {
  std::int64_t frame_index = 0;
  Members members;
};

struct ExtraFile {
  std::string name;   // relative to the store
  std::string error;  // why it cannot be read; empty: it can
  bool as_python = true;
  std::vector<FileRecord> records;
};

// White space where Python's json module puts it.
bool is_as_python_writes(const std::string& text) {
  imgstore::JsonReader reader(text);
  return reader.value() == text;
}

ExtraFile read_file(const fs::path& path, const std::string& name) {
  ExtraFile file{name, {}, true, {}};
  try {
    // As who asks for extra data meets it.
    static_cast<void>(store::read_source({0, store::ExtraKind::writer_json, path, {}, {}}));
    const auto records = imgstore::read_extra_json(path);
    const std::string text = base::read_text(path);
    file.as_python = is_as_python_writes(text);
    imgstore::JsonReader reader(text);
    reader.enter_array();
    for (const imgstore::ExtraRecord& record : records) {
      if (!reader.next_element()) {
        break;  // changed just now
      }
      FileRecord made{record.frame_index, {}};
      for (imgstore::JsonMember& member : reader.object()) {
        made.members[member.key] = std::move(member.value);
      }
      file.records.push_back(std::move(made));
    }
  } catch (const Error& error) {
    file.error = error.what();
  } catch (const imgstore::JsonError& error) {
    file.error = path.string() + ": " + error.what();
  }
  return file;
}

// ---- all files -----------------------------------------------------------------------------

using Rows = std::vector<index::ExtraRow>;

// Goes through the database's records once; they come chunk by chunk, as the files were written.
class Checker {
 public:
  explicit Checker(const ExtraCheck& check) : check_(check), chunks_(check.index.chunks()) {}

  void run() {
    try {
      check_.index.for_each_extra([this](const index::ExtraRow& row) {
        take(row);
        return true;
      });
    } catch (const Error& error) {
      check_.find(error.what());
      rows_.clear();  // of this chunk there may be more
    }
    while (place_ < chunks_.size()) {
      end_chunk();
    }
    check_other_files();
  }

 private:
  void take(const index::ExtraRow& row) {
    const auto chunk = chunk_of(row);
    if (!chunk || *chunk < place_) {
      return;
    }
    while (place_ < *chunk) {
      end_chunk();
    }
    rows_.push_back(row);
  }

  // Those from before the first frame are the first chunk's. None for what is of a frame that never
  // was durable, or of one that another has the place of by now.
  std::optional<std::size_t> chunk_of(const index::ExtraRow& row) const {
    if (row.frame_index < 0) {
      return chunks_.empty() ? std::nullopt : std::optional<std::size_t>(0);
    }
    if (row.frame_index >= check_.index.frame_count()) {
      return std::nullopt;
    }
    const index::FrameRow frame = check_.index.at(row.frame_index);
    const auto chunk = std::find_if(
        chunks_.begin() + static_cast<std::ptrdiff_t>(std::min(place_, chunks_.size())),
        chunks_.end(), [&frame](const auto& other) { return other.chunk == frame.chunk; });
    const bool is_its =
        row.frame_number == frame.frame_number || base::is_same(row.frame_time, frame.frame_time);
    return is_its && chunk != chunks_.end()
               ? std::optional(static_cast<std::size_t>(chunk - chunks_.begin()))
               : std::nullopt;
  }

  void end_chunk() {
    const index::ChunkRow& chunk = chunks_[place_];
    const std::optional<ExtraFile> file = next_read_ ? std::move(next_) : file_of(chunk);
    ++place_;
    next_ = place_ < chunks_.size() ? file_of(chunks_[place_]) : std::nullopt;
    next_read_ = true;
    Rows rows = std::exchange(carried_, {});
    rows.insert(rows.end(), std::make_move_iterator(rows_.begin()),
                std::make_move_iterator(rows_.end()));
    rows_.clear();
    if (!(file && are_same(*file, rows))) {
      take_over_to_next(rows);
    }
    if (file) {
      compare(chunk, *file, rows);
    }
  }

  // None of a chunk that is gone: what there is of it is not read.
  std::optional<ExtraFile> file_of(const index::ChunkRow& chunk) {
    const std::string name = imgstore::chunk_extra_path(check_.metadata, chunk.chunk);
    const fs::path path = path_of(chunk);
    std::error_code missing;
    if (!fs::exists(check_.folder / chunk.path, missing) || !fs::exists(path, missing)) {
      return std::nullopt;
    }
    read_.push_back(path);
    return read_file(path, name);
  }

  // What a writer that went on with the store was given before its first frame belongs to the frame
  // before, and is in the next chunk's file.
  void take_over_to_next(Rows& rows) {
    if (!next_) {
      return;
    }
    const std::int64_t before = chunks_[place_].first_frame_index - 1;
    const auto end = std::find_if(next_->records.begin(), next_->records.end(),
                                  [before](const auto& r) { return r.frame_index != before; });
    const auto count = end - next_->records.begin();
    auto first = rows.end();
    while (rows.end() - first < count && first != rows.begin() &&
           std::prev(first)->frame_index == before) {
      --first;
    }
    carried_.assign(std::make_move_iterator(first), std::make_move_iterator(rows.end()));
    rows.erase(first, rows.end());
  }

  bool are_same(const ExtraFile& file, const Rows& rows) const {
    return std::equal(file.records.begin(), file.records.end(), rows.begin(), rows.end(),
                      [&](const FileRecord& record, const index::ExtraRow& row) {
                        return is_same_record(file, record, row);
                      });
  }

  void compare(const index::ChunkRow& chunk, const ExtraFile& file, const Rows& rows) const {
    if (!file.error.empty()) {
      find_unreadable(chunk, file, rows);
      return;
    }
    if (rows.empty() || are_same(file, rows)) {
      return;
    }
    const std::size_t both = std::min(file.records.size(), rows.size());
    std::vector<bool> same(both);
    for (std::size_t i = 0; i < both; ++i) {
      same[i] = is_same_record(file, file.records[i], rows[i]);
    }
    if (file.records.size() == rows.size()) {
      find_differing(chunk, file, rows, same);
    } else if (std::find(same.begin(), same.end(), false) != same.end() ||
               !may_be_ahead(chunk, file, rows)) {
      find_other_count(chunk, file, rows);
    }
  }

  // At the end of a store the file is written before its rows are committed. And a writer that goes
  // on with a store leaves what it is told before its first frame to the next chunk's file.
  bool may_be_ahead(const index::ChunkRow& chunk, const ExtraFile& file, const Rows& rows) const {
    const bool last = chunk.chunk == chunks_.back().chunk;
    if (last && (check_.unfinished || chunk.state == index::ChunkState::open)) {
      return true;
    }
    const std::int64_t last_frame = chunk.first_frame_index + chunk.frame_count - 1;
    return file.records.size() < rows.size() &&
           rows[file.records.size()].frame_index == last_frame && !has_file_behind();
  }

  bool has_file_behind() const {
    return std::any_of(chunks_.begin() + static_cast<std::ptrdiff_t>(place_), chunks_.end(),
                       [this](const index::ChunkRow& chunk) {
                         std::error_code missing;
                         return fs::exists(path_of(chunk), missing);
                       });
  }

  fs::path path_of(const index::ChunkRow& chunk) const {
    return store::current_file(check_.folder,
                               imgstore::chunk_extra_path(check_.metadata, chunk.chunk));
  }

  void find_unreadable(const index::ChunkRow& chunk, const ExtraFile& file,
                       const Rows& rows) const {
    if (rows.empty()) {
      check_.find(fmt::format(
          "{}; the extra data of {} cannot be read", file.error,
          frames_text(chunk, chunk.first_frame_index,
                      chunk.first_frame_index + std::max<std::int64_t>(1, chunk.frame_count) - 1)));
      return;
    }
    check_.find(fmt::format("{}; the extra data of {} are in the database alone", file.error,
                            frames_text(chunk, rows.front().frame_index, rows.back().frame_index)));
  }

  // Records next to each other are one finding.
  void find_differing(const index::ChunkRow& chunk, const ExtraFile& file, const Rows& rows,
                      const std::vector<bool>& same) const {
    for (auto run = same.begin(); (run = std::find(run, same.end(), false)) != same.end();) {
      const auto end = std::find(run, same.end(), true);
      const auto first = static_cast<std::size_t>(run - same.begin());
      const auto last = static_cast<std::size_t>(end - same.begin()) - 1;
      check_.find(fmt::format("{}: the extra data of {} are not what the database has", file.name,
                              frames_text(chunk, rows[first].frame_index, rows[last].frame_index)));
      run = end;
    }
  }

  void find_other_count(const index::ChunkRow& chunk, const ExtraFile& file,
                        const Rows& rows) const {
    const std::size_t both = std::min(file.records.size(), rows.size());
    std::size_t front = 0;
    while (front < both && is_same_record(file, file.records[front], rows[front])) {
      ++front;
    }
    std::size_t back = 0;
    while (back < both - front && is_same_record(file, file.records[file.records.size() - 1 - back],
                                                 rows[rows.size() - 1 - back])) {
      ++back;
    }
    const bool fewer = rows.size() - back > front;
    const std::int64_t first = fewer ? rows[front].frame_index : file.records[front].frame_index;
    const std::int64_t last = fewer ? rows[rows.size() - back - 1].frame_index
                                    : file.records[file.records.size() - back - 1].frame_index;
    check_.find(fmt::format("{}: has {} records of extra data, the database {}; those of {} differ",
                            file.name, file.records.size(), rows.size(),
                            frames_text(chunk, first, last)));
  }

  // As of a chunk, counted in it.
  static std::string frames_text(const index::ChunkRow& chunk, std::int64_t first,
                                 std::int64_t last) {
    const std::int64_t from = first - chunk.first_frame_index;
    const std::int64_t to = last - chunk.first_frame_index;
    if (to < 0) {
      return "the time before frame 0";
    }
    const std::string text =
        from >= to || to == 0 ? fmt::format("frame {}", to)
                              : fmt::format("frames {} to {}", std::max<std::int64_t>(0, from), to);
    return from < 0 ? "the time before frame 0 and of " + text : text;
  }

  bool is_same_record(const ExtraFile& file, const FileRecord& record,
                      const index::ExtraRow& row) const {
    Members expected;
    try {
      imgstore::JsonReader reader(row.json);
      for (imgstore::JsonMember& member : reader.object()) {
        expected[member.key] = std::move(member.value);
      }
    } catch (const imgstore::JsonError&) {
      return false;
    }
    const SameValue same(file.as_python);
    Members members = record.members;
    if (!is_same_frame(same, members, row)) {
      return false;
    }
    for (const char* name : {"frame_index", "frame_number", "frame_time"}) {
      members.erase(name);
    }
    const std::string before(imgstore::kBeforeReindex);
    if (members.contains(before) && !expected.contains(before)) {
      expected[before] = number_text(row.frame_number);  // others renumbered the files alone
    }
    for (const auto& [key, value] : members) {
      expected.try_emplace(key, "");
    }
    return std::all_of(expected.begin(), expected.end(), [&](const auto& member) {
      const auto found = members.find(member.first);
      return same(found == members.end() ? "" : found->second, member.second);
    });
  }

  // Others may have given the frame another number or time, in all files.
  bool is_same_frame(const SameValue& same, const Members& members,
                     const index::ExtraRow& row) const {
    const auto value = [&members](const char* name) {
      const auto found = members.find(name);
      return found == members.end() ? std::string() : found->second;
    };
    const std::string number = value("frame_number");
    const std::string time = value("frame_time");
    bool same_number = same(number, number_text(row.frame_number));
    bool same_time = same(time, imgstore::json_number(row.frame_time));
    if ((!same_number || !same_time) && row.frame_index >= 0) {
      const index::FrameRow frame = check_.index.at(row.frame_index);
      same_number = same_number || same(number, std::to_string(frame.frame_number));
      same_time = same_time || same(time, imgstore::json_number(frame.frame_time));
    }
    // pandas has nothing for -1, or makes a float of it.
    const std::string index = value("frame_index");
    return same_number && same_time &&
           (same(index, std::to_string(row.frame_index)) ||
            (row.frame_index < 0 && same(index, "NaN")));
  }

  // Motif's, and those of chunks that the database does not list.
  void check_other_files() {
    std::vector<store::ExtraSource> sources;
    try {
      sources = store::extra_sources(check_.folder);
    } catch (const Error& error) {
      check_.find(error.what());
    }
    for (const store::ExtraSource& source : sources) {
      const bool read = std::find(read_.begin(), read_.end(), source.path) != read_.end();
      const bool readable = source.kind != store::ExtraKind::motif_hdf5 || imgstore::has_hdf5();
      if (source.kind == store::ExtraKind::database || read || !readable) {
        continue;
      }
      try {
        static_cast<void>(store::read_source(source));
      } catch (const Error& error) {
        check_.find(std::string(error.what()) + "; the extra data of its chunk cannot be read");
      }
    }
  }

  const ExtraCheck& check_;
  std::vector<index::ChunkRow> chunks_;
  std::size_t place_ = 0;  // of the chunk whose records come
  Rows rows_;              // those that came
  Rows carried_;           // of the frame before it, but in its file
  std::optional<ExtraFile> next_;
  bool next_read_ = false;
  std::vector<fs::path> read_;
};

}  // namespace

void check_extra(const ExtraCheck& check) {
  Checker(check).run();
}

}  // namespace avstore::tools
