#include "store/repair_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "avstore/error.h"
#include "base/checksum.h"
#include "base/files.h"
#include "base/own_files.h"
#include "store/aside.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::string_view kFolder = "repair-";
constexpr std::string_view kUnfinished = ".unfinished";
constexpr std::string_view kUndone = "undone-";
constexpr const char* kList = "record.json";

std::string to_text(const ordered_json& json) {
  return json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// Files and databases may come from strangers.
constexpr std::uint64_t kLongestList = std::uint64_t{64} << 20;

template <typename Integer>
Integer integer(const ordered_json& json) {
  if (!json.is_number_integer()) {
    throw ordered_json::type_error::create(302, "no integer", &json);
  }
  return json.get<Integer>();
}

// ---- losses ----

ordered_json to_json(const std::vector<Loss>& losses) {
  ordered_json array = ordered_json::array();
  for (const Loss& loss : losses) {
    array.push_back({{"chunk", loss.chunk}, {"frames", loss.frames}, {"numbers", loss.numbers}});
  }
  return array;
}

std::vector<Loss> to_losses(const ordered_json& array) {
  std::vector<Loss> losses;
  for (const ordered_json& loss : array) {
    losses.push_back(
        {loss.at("chunk"), integer<std::int64_t>(loss.at("frames")), loss.at("numbers")});
  }
  return losses;
}

// ---- names ----

bool is_there(const fs::path& path) {
  return base::entry_at(path) != base::Entry::none;
}

// A list may come from a stranger. What lies in a store is right in its folder, or in that of a
// chunk's images.
bool can_be_of_store(const fs::path& file) {
  const auto levels = std::distance(file.begin(), file.end());
  return file.is_relative() && levels >= 1 && levels <= 2 &&
         std::none_of(file.begin(), file.end(), [](const fs::path& level) {
           return level.empty() || level == "." || level == ".." || level == kAsideFolder;
         });
}

bool can_be_kept_as(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
}

// Of `repair-12` and `repair-12.unfinished`; 0 for what is no record's name.
std::int64_t number_of(std::string_view name) {
  if (!name.starts_with(kFolder)) {
    return 0;
  }
  name.remove_prefix(kFolder.size());
  if (name.ends_with(kUnfinished)) {
    name.remove_suffix(kUnfinished.size());
  }
  std::int64_t number = 0;
  const auto result = std::from_chars(name.data(), name.data() + name.size(), number);
  return result.ec == std::errc() && result.ptr == name.data() + name.size() && number > 0 ? number
                                                                                           : 0;
}

// Records by number, ascending.
std::vector<fs::path> folders_of_records(const fs::path& store) {
  std::vector<fs::path> folders;
  const fs::path aside = store / kAsideFolder;
  if (!base::is_own_folder(aside)) {
    return folders;
  }
  for (const std::string& name : base::names_in(aside)) {
    if (number_of(name) > 0 && base::is_own_folder(aside / name)) {
      folders.push_back(aside / name);
    }
  }
  std::sort(folders.begin(), folders.end(), [](const fs::path& a, const fs::path& b) {
    return number_of(a.filename().string()) < number_of(b.filename().string());
  });
  return folders;
}

bool is_unfinished(const fs::path& folder) {
  return folder.string().ends_with(kUnfinished);
}

std::string without_end(const fs::path& folder) {
  std::string name = folder.filename().string();
  return is_unfinished(folder) ? name.substr(0, name.size() - kUnfinished.size()) : name;
}

bool remove_undone(const fs::path& aside) {
  bool any = false;
  for (const std::string& name : base::names_in(aside)) {
    if (name.starts_with(kUndone)) {
      base::remove_all(aside / name);
      any = true;
    }
  }
  return any;
}

// What else is in there is somebody's.
void remove_if_empty(const fs::path& aside) {
  std::error_code has_more;
  fs::remove(aside, has_more);
}

}  // namespace

std::vector<RepairEntry> repair_entries(const index::Index& index) {
  std::vector<RepairEntry> entries;
  try {
    for (const ordered_json& entry :
         ordered_json::parse(index.information(kRepairsEntry).value_or("[]"))) {
      entries.push_back({entry.at("record"), to_losses(entry.at("lost"))});
    }
  } catch (const ordered_json::exception&) {
    return {};
  }
  return entries;
}

void put_repair_entries(index::Index& index, const std::vector<RepairEntry>& entries) {
  ordered_json array = ordered_json::array();
  for (const RepairEntry& entry : entries) {
    array.push_back({{"record", entry.record}, {"lost", to_json(entry.lost)}});
  }
  index.set_information(kRepairsEntry,
                        array.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

std::vector<RepairEntry> repair_entries_of_records(const fs::path& store, const std::string& uuid) {
  std::vector<RepairEntry> entries;
  for (const fs::path& folder : folders_of_records(store)) {
    try {
      const auto json = ordered_json::parse(base::read_text(folder / kList, kLongestList));
      if (!is_unfinished(folder) && json.at("uuid") == uuid) {
        entries.push_back({without_end(folder), to_losses(json.at("lost"))});
      }
    } catch (const ordered_json::exception&) {
      // Nothing can be said of a list that cannot be read.
    } catch (const Error&) {
    }
  }
  return entries;
}

std::vector<std::string> describe_losses(const fs::path& store, const index::Index& index) {
  std::vector<std::string> lines;
  for (const RepairEntry& entry : repair_entries(index)) {
    const std::string folder = std::string(kAsideFolder) + "/" + entry.record;
    const bool is_kept = number_of(entry.record) > 0 &&
                         (base::is_own_folder(store / folder) ||
                          base::is_own_folder(store / (folder + std::string(kUnfinished))));
    for (const Loss& loss : entry.lost) {
      lines.push_back(fmt::format(
          "{}: a repair dropped {} frame{} that could not be read: frame_number {}; {}", loss.chunk,
          loss.frames, loss.frames == 1 ? "" : "s", loss.numbers,
          is_kept
              ? "the file as it was lies in " + folder + ", avstore repair --undo brings it back"
              : "the file as it was is not kept any more"));
    }
  }
  return lines;
}

RowsState rows_state(const index::Index& index) {
  constexpr std::int64_t kBlock = std::int64_t{1} << 16;
  RowsState state{index.frame_count(), 0, index.next_extra()};
  const auto add = [&state](const auto& values) {
    const auto bytes = std::as_bytes(std::span(values));
    state.names = base::crc32({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                              state.names);
  };
  for (std::int64_t first = 0; first < state.frames; first += kBlock) {
    const FrameNameArrays names = index.names({first, first + kBlock});
    add(names.numbers);
    add(names.times);
  }
  return state;
}

// ---- RepairRecord ----

RepairRecord RepairRecord::begin(const fs::path& store, const std::string& uuid,
                                 const std::vector<RepairEntry>& entries, const RowsState& rows) {
  const fs::path aside = make_aside_folder(store);
  remove_undone(aside);
  const auto folders = folders_of_records(store);
  if (!folders.empty() && is_unfinished(folders.back())) {
    if (auto record = killed(store, folders.back(), uuid, entries, rows)) {
      return std::move(*record);
    }
  }
  // The database may remember records whose folders somebody has removed.
  std::int64_t number = folders.empty() ? 1 : number_of(folders.back().filename().string()) + 1;
  for (const RepairEntry& entry : entries) {
    number = std::max(number, number_of(entry.record) + 1);
  }
  RepairRecord record(store, aside / fmt::format("{}{}{}", kFolder, number, kUnfinished));
  record.uuid_ = uuid;
  std::error_code error;
  if (!fs::create_directory(record.folder_, error)) {
    throw Error(ErrorKind::io,
                record.folder_.string() + ": cannot make the folder: " +
                    (error ? error.message() : std::string("something has that name")),
                error.value());
  }
  return record;
}

// What was killed may have happened all the same, and the store may have changed since: then that
// record ends there, with all that it keeps.
std::optional<RepairRecord> RepairRecord::killed(const fs::path& store, const fs::path& folder,
                                                 const std::string& uuid,
                                                 const std::vector<RepairEntry>& entries,
                                                 const RowsState& rows) {
  RepairRecord record(store, folder);
  if (!base::is_own_file(folder / kList)) {  // before anything was changed
    base::remove_all(folder);
    return std::nullopt;
  }
  try {
    record.load();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) {
      throw;
    }
    return std::nullopt;  // it stays where it is
  }
  const bool has_happened =
      std::any_of(entries.begin(), entries.end(),
                  [&](const RepairEntry& entry) { return entry.record == record.name(); });
  if (record.uuid_ != uuid || rows != (has_happened ? record.after_ : record.before_)) {
    record.finish();
    return std::nullopt;
  }
  if (!has_happened) {
    record.made_.clear();
    record.lost_.clear();
    record.moved_.clear();
    record.has_rows_ = false;
  }
  return record;
}

std::optional<RepairRecord> RepairRecord::newest(const fs::path& store) {
  auto folders = folders_of_records(store);
  while (!folders.empty() && !base::is_own_file(folders.back() / kList)) {
    folders.pop_back();
  }
  if (folders.empty()) {
    return std::nullopt;
  }
  RepairRecord record(store, folders.back());
  record.load();
  return record;
}

std::string RepairRecord::name() const {
  return without_end(folder_);
}

const RepairRecord::Kept* RepairRecord::kept_of(const fs::path& file) const {
  const auto found = std::find_if(kept_.begin(), kept_.end(),
                                  [&file](const Kept& kept) { return kept.file == file; });
  return found == kept_.end() ? nullptr : &*found;
}

void RepairRecord::load() {
  const fs::path file = folder_ / kList;
  const auto fail = [&file](const std::string& why) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + why);
  };
  const auto files = [&](const ordered_json& array) {
    std::vector<Kept> all;
    for (const ordered_json& entry : array) {
      all.push_back({entry.at("file").get<std::string>(), entry.at("as")});
      if (!can_be_of_store(all.back().file) || !can_be_kept_as(all.back().as)) {
        fail("names what is no file of the store");
      }
    }
    return all;
  };
  const auto rows = [](const ordered_json& json) {
    return RowsState{integer<std::int64_t>(json.at("frames")),
                     integer<std::uint32_t>(json.at("names")),
                     integer<std::int64_t>(json.at("next_extra"))};
  };
  try {
    const auto json = ordered_json::parse(base::read_text(file, kLongestList));
    uuid_ = json.at("uuid");
    kept_ = files(json.at("kept"));
    moved_ = files(json.at("moved"));
    for (const ordered_json& entry : json.at("made")) {
      made_.push_back({entry.at("file").get<std::string>(),
                       integer<std::int64_t>(entry.at("bytes")),
                       integer<std::uint32_t>(entry.at("crc32"))});
      if (!can_be_of_store(made_.back().file)) {
        fail("names what is no file of the store");
      }
    }
    lost_ = to_losses(json.at("lost"));
    before_ = rows(json.at("rows_before"));
    after_ = rows(json.at("rows_after"));
    has_rows_ = true;
  } catch (const ordered_json::exception& error) {
    fail(error.what());
  }
}

void RepairRecord::save() const {
  const auto files = [](const std::vector<Kept>& all) {
    ordered_json array = ordered_json::array();
    for (const Kept& kept : all) {
      array.push_back({{"file", kept.file.string()}, {"as", kept.as}});
    }
    return array;
  };
  const auto rows = [](const RowsState& state) {
    return ordered_json{
        {"frames", state.frames}, {"names", state.names}, {"next_extra", state.next_extra}};
  };
  ordered_json made = ordered_json::array();
  for (const Made& file : made_) {
    made.push_back({{"file", file.file.string()}, {"bytes", file.bytes}, {"crc32", file.crc32}});
  }
  base::write_file_atomically(folder_ / kList, to_text({{"uuid", uuid_},
                                                        {"kept", files(kept_)},
                                                        {"moved", files(moved_)},
                                                        {"made", made},
                                                        {"lost", to_json(lost_)},
                                                        {"rows_before", rows(before_)},
                                                        {"rows_after", rows(after_)}}));
  base::sync_folder(folder_);
  base::sync_folder(folder_.parent_path());
  base::sync_folder(store_);
}

bool RepairRecord::is_known(const fs::path& file) const {
  return kept_of(file) != nullptr ||
         std::any_of(made_.begin(), made_.end(),
                     [&file](const Made& made) { return made.file == file; });
}

// Numbered, since names come from the store, with what is harmless of the file's own.
std::string RepairRecord::new_name(const fs::path& file) const {
  std::string own = file.filename().string();
  std::erase_if(own, [](unsigned char c) {
    return std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
               .find(static_cast<char>(c)) == std::string_view::npos;
  });
  for (std::size_t number = kept_.size() + moved_.size() + 1;; ++number) {
    std::string name = fmt::format("{}-{}", number, own);
    const auto has_it = [&name](const Kept& kept) { return kept.as == name; };
    if (!is_there(folder_ / name) && std::none_of(moved_.begin(), moved_.end(), has_it)) {
      return name;
    }
  }
}

void RepairRecord::keep(const fs::path& file, As how) {
  if (is_known(file) || !is_there(store_ / file)) {
    return;
  }
  const fs::path own = base::own_path(store_, file);
  const std::string name = new_name(file);
  if (base::entry_at(own) == base::Entry::link) {
    // The link itself: what it leads to is not the store's, and stays as it is.
    base::copy_link(own, folder_ / name);
  } else if (how == As::link) {
    base::link_or_copy_file(own, folder_ / name);
  } else {
    base::copy_end_of_file(own, 0, folder_ / name);
  }
  kept_.push_back({file, name});
}

void RepairRecord::keep_text(const fs::path& file, std::string_view text) {
  if (!is_known(file)) {
    const std::string name = new_name(file);
    base::write_file_atomically(folder_ / name, text);
    kept_.push_back({file, name});
  }
}

void RepairRecord::add_text(const std::string& name, std::string_view text) const {
  base::write_file_atomically(store::free_name(folder_ / name), text);
}

void RepairRecord::note_made(const fs::path& file, const fs::path& content) {
  const std::int64_t bytes = base::file_size(content);
  std::erase_if(made_, [&file](const Made& other) { return other.file == file; });
  made_.push_back({file, bytes, base::crc32_of_file(content, 0, bytes)});
}

void RepairRecord::note_move(const fs::path& file) {
  moved_.push_back({file, new_name(file)});
}

void RepairRecord::note_rows(const RowsState& before, const RowsState& after) {
  if (!std::exchange(has_rows_, true)) {
    before_ = before;
  }
  after_ = after;
}

void RepairRecord::move() const {
  for (const Kept& moved : moved_) {
    if (is_there(store_ / moved.file) && !is_there(folder_ / moved.as)) {
      base::rename(base::own_path(store_, moved.file), folder_ / moved.as);
    }
  }
}

void RepairRecord::finish() {
  const fs::path done = folder_.parent_path() / name();
  base::rename(folder_, done);
  folder_ = done;
  base::sync_folder(folder_.parent_path());
}

void RepairRecord::remove() const {
  const fs::path aside = folder_.parent_path();
  const fs::path undone = aside / (std::string(kUndone) + name());
  base::remove_all(undone);
  base::rename(folder_, undone);
  remove_undone(aside);
  remove_if_empty(aside);
}

bool RepairRecord::finish_removal(const fs::path& store) {
  const fs::path aside = store / kAsideFolder;
  if (!base::is_own_folder(aside)) {
    return false;
  }
  const bool any = remove_undone(aside);
  remove_if_empty(aside);
  return any;
}

}  // namespace avstore::store
