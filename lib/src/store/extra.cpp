// avstore/extra.h: all extra data of a store, from whichever files hold them.
#include "avstore/extra.h"

#include <stdexcept>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/extra_table.h"
#include "imgstore/metadata.h"
#include "imgstore/motif_hdf5.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

enum class Kind { writer_json, motif_json, motif_hdf5 };

struct ExtraFile {
  Kind kind;
  fs::path path;
};

// Motif puts its files at the root whatever the class of the store. Names are made from numbers, so
// they stay in the folder.
std::vector<ExtraFile> motif_files(const fs::path& folder,
                                   const std::vector<imgstore::ChunkFile>& chunks) {
  std::vector<ExtraFile> files;
  for (const imgstore::ChunkFile& chunk : chunks) {
    const std::string stem = chunk.data.stem().string() + ".extra_data";
    if (fs::exists(folder / (stem + ".json"))) {
      files.push_back({Kind::motif_json, folder / (stem + ".json")});
    } else if (fs::exists(folder / (stem + ".h5"))) {
      files.push_back({Kind::motif_hdf5, folder / (stem + ".h5")});
    }
  }
  return files;
}

std::vector<ExtraFile> extra_files(const fs::path& folder) {
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  const auto chunks = imgstore::find_chunks(folder, metadata);
  std::vector<ExtraFile> files = motif_files(folder, chunks);
  if (!files.empty()) {
    return files;
  }
  for (const imgstore::ChunkFile& chunk : chunks) {
    const fs::path path = folder / imgstore::chunk_extra_path(metadata, chunk.chunk);
    if (fs::exists(path)) {
      files.push_back({Kind::writer_json, path});
    }
  }
  return files;
}

ExtraData read_json(const fs::path& file) {
  const std::string text = base::read_text(file);
  try {
    return imgstore::parse_extra_json(text);
  } catch (const imgstore::JsonError& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorKind::corrupt, file.string() + ": " + error.what());
  }
}

ExtraData read_file(const ExtraFile& file) {
  switch (file.kind) {
    case Kind::motif_hdf5:
      return imgstore::without_padding(imgstore::read_motif_hdf5(file.path));
    case Kind::motif_json:
      return imgstore::sorted_extra(imgstore::without_padding(read_json(file.path)), "sensor_time");
    default:
      return imgstore::sorted_extra(read_json(file.path), "");
  }
}

}  // namespace

ExtraData read_extra(const fs::path& store, const ExtraOptions& options) {
  ExtraData all;
  for (const ExtraFile& file : extra_files(imgstore::store_folder(store))) {
    try {
      imgstore::append_extra(all, read_file(file));
    } catch (const Error& error) {
      if (!options.ignore_corrupt) {
        throw;
      }
      if (options.on_warning) {
        options.on_warning(std::string(error.what()) + "; left out");
      }
    }
  }
  return all;
}

}  // namespace avstore
