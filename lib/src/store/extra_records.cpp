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
    if (fs::is_regular_file(file)) {
      return ExtraSource{chunk.chunk,
                         kind,
                         file,
                         {},
                         current_file(folder, imgstore::chunk_index_path(metadata, chunk.chunk))};
    }
  }
  return std::nullopt;
}

std::optional<index::Index> open_database(const fs::path& file) {
  try {
    return index::Index::open(file);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) {
      throw;
    }
    return std::nullopt;  // no authority on extra data
  }
}

// Records that only the database has, by chunk; `wanted` says of which.
std::map<std::int64_t, ExtraSource> sources_in_database(const fs::path& file,
                                                        const index::Index& index,
                                                        const std::vector<std::int64_t>& wanted) {
  std::map<std::int64_t, ExtraSource> sources;
  try {
    std::vector<index::ChunkRow> chunks = index.chunks();
    std::erase_if(chunks, [&wanted](const index::ChunkRow& row) {
      return std::find(wanted.begin(), wanted.end(), row.chunk) == wanted.end();
    });
    const auto take = [&](std::int64_t chunk, const index::ExtraRow& row) {
      ExtraSource& source = sources[chunk];
      source.chunk = chunk;
      source.kind = ExtraKind::database;
      source.path = file;
      source.records.push_back({row.frame_index, row.frame_number, row.frame_time, row.json});
    };
    const bool first_wanted = std::find(wanted.begin(), wanted.end(), 0) != wanted.end();
    index.for_each_extra([&](const index::ExtraRow& row) {
      if (row.frame_index < 0 && first_wanted) {
        take(0, row);
      }
      for (const index::ChunkRow& chunk : chunks) {
        if (row.frame_index >= chunk.first_frame_index &&
            row.frame_index - chunk.first_frame_index < chunk.frame_count) {
          take(chunk.chunk, row);
        }
      }
      return true;
    });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::io) {
      throw;
    }
  }
  return sources;
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

// ---- of a writer that went on with a store ----

bool has_extra_file(const fs::path& folder, const imgstore::StoreMetadata& metadata,
                    std::int64_t chunk) {
  return fs::exists(current_file(folder, imgstore::chunk_extra_path(metadata, chunk)));
}

// The last chunk of which the database knows, but for those without a file of extra data.
std::optional<index::ChunkRow> last_with_file(const fs::path& folder,
                                              const imgstore::StoreMetadata& metadata,
                                              const index::Index& index) {
  const std::vector<index::ChunkRow> rows = index.chunks();
  const auto row = std::find_if(rows.rbegin(), rows.rend(), [&](const index::ChunkRow& other) {
    return has_extra_file(folder, metadata, other.chunk);
  });
  return row == rows.rend() ? std::nullopt : std::optional(*row);
}

void add_records_behind(std::vector<imgstore::ExtraRecord> records, const fs::path& database,
                        const std::vector<imgstore::ChunkFile>& chunks,
                        std::map<std::int64_t, ExtraSource>& by_chunk) {
  if (records.empty()) {
    return;
  }
  std::int64_t last_with_file = -1;
  for (const auto& [chunk, source] : by_chunk) {
    last_with_file = source.kind == ExtraKind::writer_json ? chunk : last_with_file;
  }
  const auto next = std::find_if(chunks.begin(), chunks.end(),
                                 [&](const auto& chunk) { return chunk.chunk > last_with_file; });
  const std::int64_t chunk = next == chunks.end() ? last_with_file + 1 : next->chunk;
  ExtraSource& source = by_chunk[chunk];
  records.insert(records.end(), source.records.begin(), source.records.end());
  source = {chunk, ExtraKind::database, database, std::move(records), {}};
}

}  // namespace

std::vector<imgstore::ExtraRecord> records_behind_files(const fs::path& folder,
                                                        const imgstore::StoreMetadata& metadata,
                                                        const index::Index& index) {
  std::vector<imgstore::ExtraRecord> records;
  try {
    const auto chunk = last_with_file(folder, metadata, index);
    if (!chunk || chunk->frame_count == 0) {
      return records;
    }
    const std::int64_t frame = chunk->first_frame_index + chunk->frame_count - 1;
    const std::vector<index::ExtraRow> rows = index.extra_of(frame);
    if (rows.empty()) {
      return records;
    }
    const auto written = imgstore::read_extra_json(
        current_file(folder, imgstore::chunk_extra_path(metadata, chunk->chunk)));
    const auto first = std::count_if(written.begin(), written.end(), [frame](const auto& record) {
      return record.frame_index == frame;
    });
    for (auto i = static_cast<std::size_t>(first); i < rows.size(); ++i) {
      records.push_back({frame, rows[i].frame_number, rows[i].frame_time, rows[i].json});
    }
  } catch (const Error& error) {
    // Who reads the file, or the database's rows of frames, is told.
    if (error.kind() == ErrorKind::io) {
      throw;
    }
  }
  return records;
}

std::vector<ExtraSource> extra_sources(const fs::path& folder) {
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  const auto chunks = imgstore::find_chunks(folder, metadata);
  std::vector<std::int64_t> without_file;
  std::map<std::int64_t, ExtraSource> by_chunk;
  for (const imgstore::ChunkFile& chunk : chunks) {
    const fs::path path = current_file(folder, imgstore::chunk_extra_path(metadata, chunk.chunk));
    if (auto source = motif_source(folder, metadata, chunk)) {
      by_chunk[chunk.chunk] = std::move(*source);
    } else if (fs::exists(path)) {
      by_chunk[chunk.chunk] = {chunk.chunk, ExtraKind::writer_json, path, {}, {}};
    } else {
      without_file.push_back(chunk.chunk);
    }
  }
  if (chunks.empty()) {
    without_file.push_back(0);  // records from before a first frame that never came
  }
  const fs::path file = current_file(folder, kIndexFile);
  if (const auto index = open_database(file)) {
    if (!without_file.empty()) {
      by_chunk.merge(sources_in_database(file, *index, without_file));
    }
    add_records_behind(records_behind_files(folder, metadata, *index), file, chunks, by_chunk);
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
