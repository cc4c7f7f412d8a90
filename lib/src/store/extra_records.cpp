#include "store/extra_records.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/extra_table.h"
#include "imgstore/metadata.h"
#include "imgstore/motif_hdf5.h"
#include "index/index.h"
#include "store/layout.h"
#include "store/replaced_store.h"
#include "store/staged_change.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

// ---- where they are ------------------------------------------------------------------------

// Motif puts its files at the root whatever the class of the store. Names are made from numbers, so
// they stay in the folder.
std::optional<ExtraSource> motif_source(const fs::path& folder,
                                        const imgstore::StoreMetadata& metadata,
                                        const imgstore::ChunkFile& chunk) {
  const std::string stem = chunk.data.stem().string() + ".extra_data";
  for (const auto& [kind, extension] :
       {std::pair(ExtraKind::motif_json, ".json"), std::pair(ExtraKind::motif_hdf5, ".h5")}) {
    const fs::path file = current_file(folder, stem + extension);
    if (base::is_file(file)) {
      return ExtraSource{chunk.chunk,
                         kind,
                         file,
                         {},
                         current_file(folder, imgstore::chunk_index_path(metadata, chunk.chunk))};
    }
  }
  return std::nullopt;
}

// ---- records of the database ---------------------------------------------------------------

// Of a chunk that has frames in the database, or a file of extra data.
struct Place {
  std::int64_t chunk = 0;
  fs::path file;                       // the writer API's; empty: there is none
  std::optional<index::ChunkRow> row;  // none without frames
  std::vector<index::ExtraRow> records;

  bool has_file() const { return !file.empty(); }
  std::int64_t last_frame() const { return row->first_frame_index + row->frame_count - 1; }
};

std::vector<Place> find_places(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                               const std::vector<imgstore::ChunkFile>& chunks,
                               const index::Index& index) {
  std::vector<Place> places;
  for (const imgstore::ChunkFile& chunk : chunks) {
    Place place{chunk.chunk, {}, index.chunk(chunk.chunk), {}};
    const fs::path file = current_file(folder, imgstore::chunk_extra_path(metadata, chunk.chunk));
    if (base::is_there(file)) {
      place.file = file;
    }
    if (place.row && place.row->frame_count == 0) {
      place.row.reset();
    }
    if (place.row || place.has_file()) {
      places.push_back(std::move(place));
    }
  }
  return places;
}

// Of a file that cannot be read there are none: who reads it is told.
std::vector<imgstore::ExtraRecord> readable_records(const fs::path& file) {
  try {
    return imgstore::read_extra_json(file);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::corrupt) {
      throw;
    }
    return {};
  }
}

// How many of the `count` records that the database has of a chunk's last frame were given to a
// writer that went on behind it, and so are of the next chunk: they are the last ones.
std::size_t count_behind(const Place& place, const Place* next, std::size_t count,
                         bool has_earlier_records) {
  const std::int64_t frame = place.last_frame();
  const auto is_other = [frame](const auto& record) { return record.frame_index != frame; };
  if (count == 0) {
    return 0;
  }
  if (next != nullptr && next->has_file()) {
    const auto written = readable_records(next->file);
    const auto end = std::find_if(written.begin(), written.end(), is_other);
    return std::min(count, static_cast<std::size_t>(end - written.begin()));
  }
  if (place.has_file()) {
    const auto written = readable_records(place.file);
    const auto others = std::count_if(written.begin(), written.end(), is_other);
    const std::size_t own = written.size() - static_cast<std::size_t>(others);
    return written.empty() || own > count ? 0 : count - own;
  }
  // A writer that closes a chunk writes a file of all that it was given until then.
  return place.row->state == index::ChunkState::closed && !has_earlier_records ? count : 0;
}

// What the database alone has, by chunk.
class DatabaseRecords {
 public:
  DatabaseRecords(const std::vector<imgstore::ChunkFile>& chunks, std::vector<Place> places)
      : chunks_(chunks), places_(std::move(places)) {}

  std::map<std::int64_t, std::vector<imgstore::ExtraRecord>> read(const index::Index& index) {
    const bool all_have_files = std::all_of(places_.begin(), places_.end(),
                                            [](const Place& place) { return place.has_file(); });
    if (!all_have_files || places_.empty()) {
      index.for_each_extra([this](const index::ExtraRow& row) {
        take(row);
        return true;
      });
    } else if (places_.back().row) {
      places_.back().records = index.extra_of(places_.back().last_frame());
    }
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].row) {
        give_out(i);
      }
    }
    return std::move(by_chunk_);
  }

 private:
  // Those from before the first frame are the first chunk's.
  void take(const index::ExtraRow& row) {
    if (row.frame_index < 0) {
      if (places_.empty()) {
        add(chunks_.empty() ? 0 : chunks_.front().chunk, row);
      } else if (!places_.front().has_file()) {
        places_.front().records.push_back(row);
      }
      return;
    }
    // They come chunk by chunk.
    for (std::size_t looked = 0; looked < places_.size(); ++looked) {
      Place& place = places_[current_];
      if (has_frame(place, row.frame_index)) {
        if (!place.has_file() || row.frame_index == place.last_frame()) {
          place.records.push_back(row);
        }
        return;
      }
      current_ = (current_ + 1) % places_.size();
    }
  }

  static bool has_frame(const Place& place, std::int64_t frame_index) {
    return place.row && frame_index >= place.row->first_frame_index &&
           frame_index <= place.last_frame();
  }

  void give_out(std::size_t number) {
    const Place& place = places_[number];
    const Place* next = number + 1 < places_.size() ? &places_[number + 1] : nullptr;
    if (place.has_file() && next != nullptr && next->has_file()) {
      return;
    }
    const auto first_of_last =
        std::find_if(place.records.begin(), place.records.end(),
                     [&](const auto& row) { return row.frame_index == place.last_frame(); });
    const std::size_t behind =
        count_behind(place, next, static_cast<std::size_t>(place.records.end() - first_of_last),
                     first_of_last != place.records.begin());
    const auto end = place.records.end() - static_cast<std::ptrdiff_t>(behind);
    if (!place.has_file()) {
      std::for_each(place.records.begin(), end, [&](const auto& row) { add(place.chunk, row); });
    }
    if (next == nullptr || !next->has_file()) {
      const std::int64_t chunk = next != nullptr ? next->chunk : number_behind(place.chunk);
      std::for_each(end, place.records.end(), [&](const auto& row) { add(chunk, row); });
    }
  }

  std::int64_t number_behind(std::int64_t chunk) const {
    const auto next = std::find_if(chunks_.begin(), chunks_.end(),
                                   [chunk](const auto& other) { return other.chunk > chunk; });
    return next == chunks_.end() ? chunk + 1 : next->chunk;
  }

  void add(std::int64_t chunk, const index::ExtraRow& row) {
    by_chunk_[chunk].push_back({row.frame_index, row.frame_number, row.frame_time, row.json});
  }

  const std::vector<imgstore::ChunkFile>& chunks_;
  std::vector<Place> places_;
  std::size_t current_ = 0;
  std::map<std::int64_t, std::vector<imgstore::ExtraRecord>> by_chunk_;
};

// Of a damaged database there are none.
std::map<std::int64_t, std::vector<imgstore::ExtraRecord>> records_in_database(
    const fs::path& folder, const imgstore::StoreMetadata& metadata,
    const std::vector<imgstore::ChunkFile>& chunks, const index::Index* opened) {
  try {
    if (opened != nullptr) {
      return DatabaseRecords(chunks, find_places(folder, metadata, chunks, *opened)).read(*opened);
    }
    const auto index = index::Index::open(current_file(folder, kIndexFile));
    return DatabaseRecords(chunks, find_places(folder, metadata, chunks, index)).read(index);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) {
      throw;
    }
    return {};
  }
}

// ---- as columns ----------------------------------------------------------------------------

ExtraData parse(const std::string& text, const fs::path& file) {
  try {
    return imgstore::parse_extra_json(text);
  } catch (const imgstore::JsonError& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  }
}

// Frame numbers of HDF5 as renumbering made them: those files stay as they were recorded, the npz
// beside the chunk has both numbers of each frame. Of frames with the same number the one nearest
// in time is meant.
void renumber(ExtraData& data, const imgstore::ChunkIndex& chunk) {
  std::multimap<std::int64_t, std::size_t> frames;
  for (std::size_t i = 0; i < chunk.before_reindex.size(); ++i) {
    frames.emplace(chunk.before_reindex[i], i);
  }
  ExtraColumn before{std::string(imgstore::kBeforeReindex), std::vector<std::int64_t>()};
  for (std::size_t row = 0; row < data.size(); ++row) {
    const std::int64_t number = data.frame_number[row].value;
    std::get<std::vector<std::int64_t>>(before.values).push_back(number);
    const auto [first, last] = frames.equal_range(number);
    const auto distance = [&](const auto& frame) {
      return std::abs(chunk.frame_time[frame.second] - data.frame_time[row].seconds);
    };
    const auto nearest = std::min_element(
        first, last, [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    if (nearest != last) {
      data.frame_number[row] = FrameNumber(chunk.frame_number[nearest->second]);
    }
  }
  data.columns.push_back(std::move(before));
}

// Of Motif's JSON: without padding, in order of frames and within each of time.
imgstore::ExtraRows motif_order(const ExtraData& data) {
  return imgstore::sorted_rows(data, imgstore::rows_without_padding(data), "sensor_time");
}

ExtraData read_hdf5(const ExtraSource& source) {
  const ExtraData recorded = imgstore::read_motif_hdf5(source.path);
  ExtraData data = imgstore::pick(recorded, imgstore::rows_without_padding(recorded));
  try {
    const imgstore::ChunkIndex chunk = imgstore::read_chunk_index(source.chunk_index);
    if (!chunk.before_reindex.empty()) {
      renumber(data, chunk);
    }
  } catch (const Error& error) {
    // A chunk whose index cannot be read was not renumbered; the readers of frames tell of it.
    if (error.kind() == ErrorKind::io) {
      throw;
    }
  }
  return data;
}

// ---- as records ----------------------------------------------------------------------------

// Empty for a member that the record does not have.
std::string json_value(std::uint64_t value) {
  return std::to_string(value);
}
std::string json_value(std::int64_t value) {
  return std::to_string(value);
}
std::string json_value(double value) {
  return imgstore::json_number(value);
}
std::string json_value(const std::string& value) {
  return imgstore::json_string(value);
}
std::string json_value(const ExtraJson& value) {
  return value.text;
}

std::string record_json(const ExtraData& data, std::size_t row) {
  std::vector<imgstore::JsonMember> members;
  for (const ExtraColumn& column : data.columns) {
    std::string value =
        std::visit([row](const auto& values) { return json_value(values[row]); }, column.values);
    if (!value.empty()) {
      members.push_back({column.name, std::move(value)});
    }
  }
  return imgstore::json_object(members);
}

std::vector<imgstore::ExtraRecord> to_records(const ExtraData& data) {
  std::vector<imgstore::ExtraRecord> records;
  records.reserve(data.size());
  for (std::size_t row = 0; row < data.size(); ++row) {
    records.push_back({data.frame_index[row].value, data.frame_number[row].value,
                       data.frame_time[row].seconds, record_json(data, row)});
  }
  return records;
}

// As they are written, digit by digit.
std::vector<imgstore::ExtraRecord> motif_json_records(const fs::path& file) {
  const std::string text = base::read_text(file);
  const ExtraData data = parse(text, file);
  const std::vector<std::string> json = imgstore::users_json(text);
  std::vector<imgstore::ExtraRecord> records;
  for (const std::size_t row : motif_order(data)) {
    records.push_back({data.frame_index[row].value, data.frame_number[row].value,
                       data.frame_time[row].seconds, json[row]});
  }
  return records;
}

// JSON stays as it is written.
std::vector<imgstore::ExtraRecord> records_of(const ExtraSource& source,
                                              std::map<std::string, double>& sample_rates) {
  if (source.kind == ExtraKind::database) {
    return source.records;
  }
  if (source.kind == ExtraKind::writer_json) {
    return imgstore::read_extra_json(source.path);
  }
  if (source.kind == ExtraKind::motif_json) {
    return motif_json_records(source.path);
  }
  const ExtraData data = read_source(source);
  sample_rates.insert(data.sample_rates.begin(), data.sample_rates.end());
  return to_records(data);
}

}  // namespace

std::int64_t first_extra_behind(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                                const index::Index& index) {
  if (index.frame_count() == 0) {
    return 1;
  }
  const auto places = find_places(folder, metadata, imgstore::find_chunks(folder, metadata), index);
  if (places.empty() || !places.back().row) {
    return index.next_extra();
  }
  const Place& last = places.back();
  const auto records = index.extra_of(last.last_frame());
  const std::size_t behind =
      count_behind(last, nullptr, records.size(),
                   index.has_extra({last.row->first_frame_index, last.last_frame()}));
  return behind == 0 ? index.next_extra() : records[records.size() - behind].record;
}

std::vector<ExtraSource> extra_sources(const fs::path& folder, const index::Index* index) {
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  const auto chunks = imgstore::find_chunks(folder, metadata);
  std::map<std::int64_t, ExtraSource> by_chunk;
  for (const imgstore::ChunkFile& chunk : chunks) {
    const fs::path path = current_file(folder, imgstore::chunk_extra_path(metadata, chunk.chunk));
    if (auto source = motif_source(folder, metadata, chunk)) {
      by_chunk[chunk.chunk] = std::move(*source);
    } else if (base::is_there(path)) {
      by_chunk[chunk.chunk] = {chunk.chunk, ExtraKind::writer_json, path, {}, {}};
    }
  }
  const fs::path database = current_file(folder, kIndexFile);
  for (auto& [chunk, records] : records_in_database(folder, metadata, chunks, index)) {
    by_chunk.try_emplace(chunk,
                         ExtraSource{chunk, ExtraKind::database, database, std::move(records), {}});
  }
  std::vector<ExtraSource> sources;
  sources.reserve(by_chunk.size());
  for (auto& [chunk, source] : by_chunk) {
    sources.push_back(std::move(source));
  }
  return sources;
}

ExtraData read_source(const ExtraSource& source) {
  if (source.kind == ExtraKind::motif_hdf5) {
    return read_hdf5(source);
  }
  if (source.kind == ExtraKind::database) {
    return parse(imgstore::extra_json_text(source.records), source.path);
  }
  const ExtraData data = parse(base::read_text(source.path), source.path);
  const imgstore::ExtraRows order = source.kind == ExtraKind::motif_json
                                        ? motif_order(data)
                                        : imgstore::sorted_rows(data, imgstore::all_rows(data), "");
  return imgstore::pick(data, order);
}

void for_each_source(const fs::path& store, const ExtraOptions& options,
                     const std::function<void(const ExtraSource&)>& read) {
  for (const ExtraSource& source : extra_sources(existing_folder(store))) {
    try {
      read(source);
    } catch (const Error& error) {
      if (!options.ignore_corrupt) {
        throw;
      }
      if (options.on_warning) {
        options.on_warning(std::string(error.what()) + "; left out");
      }
    }
  }
}

ExtraRecords read_extra_records(const fs::path& store, const ExtraOptions& options) {
  ExtraRecords all;
  for_each_source(store, options, [&all](const ExtraSource& source) {
    const auto records = records_of(source, all.sample_rates);
    all.records.insert(all.records.end(), records.begin(), records.end());
  });
  std::stable_sort(all.records.begin(), all.records.end(),
                   [](const auto& a, const auto& b) { return a.frame_index < b.frame_index; });
  return all;
}

}  // namespace avstore::store
