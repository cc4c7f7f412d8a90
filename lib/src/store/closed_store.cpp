#include "store/closed_store.h"

#include <algorithm>
#include <utility>

#include "avstore/error.h"
#include "avstore/format.h"
#include "base/files.h"
#include "base/own_files.h"
#include "store/layout.h"
#include "store/store_index.h"

namespace avstore::store {
namespace {

// No rate is known of stores that others wrote.
Rational frame_rate_of(const index::Index& index, Rational otherwise) {
  const Rational rate = parse_rational(index.information(kFrameRateEntry).value_or(""));
  return rate.num > 0 ? rate : otherwise;
}

// Also files that links lead to, since the store's frames are in them; not folders.
void sync_contents(const std::filesystem::path& folder) {
  for (const std::string& name : base::names_in(folder)) {
    const std::filesystem::path path = folder / name;
    if (base::is_own_folder(path)) {
      sync_contents(path);
    } else if (base::is_file(path)) {
      base::sync_file(path);
    }
  }
  base::sync_folder(folder);
}

}  // namespace

void require_index_in_store(const std::filesystem::path& folder,
                            const std::function<void(const std::string&)>& warn) {
  const OpenedIndex opened = open_index(
      folder, imgstore::read_metadata(folder), true, warn ? warn : [](const std::string&) {});
  if (!opened.left_alone.empty()) {
    throw Error(ErrorKind::corrupt, opened.left_alone);
  }
  if (opened.in_memory) {
    throw Error(ErrorKind::io, (folder / kIndexFile).string() + ": cannot be written");
  }
}

ClosedStore open_closed_store(const std::filesystem::path& folder) {
  imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  index::Index index = index::Index::open_for_writing(folder / kIndexFile);
  const auto chunks = index.chunks();
  if (std::any_of(chunks.begin(), chunks.end(),
                  [](const auto& row) { return row.state == index::ChunkState::open; })) {
    throw Error(ErrorKind::exists,
                folder.string() + ": was never closed; avstore repair completes it");
  }
  if (index.has_orphans()) {  // they would pass to the frames that come
    throw Error(ErrorKind::exists, folder.string() +
                                       ": has extra data of frames that were lost; avstore repair "
                                       "puts them aside");
  }
  if (index.frame_count() == 0) {
    metadata.imgshape.clear();
  } else {
    metadata.imgshape = imgstore::image_shape(metadata);
  }
  metadata.format = find_format(metadata.format).name;
  return {std::move(metadata), std::move(index)};
}

void sync_store(const std::filesystem::path& folder) {
  sync_contents(folder);
  base::sync_folders_above(folder);
}

WriterOptions options_of(const ClosedStore& store, WriterOptions options) {
  options.format = store.metadata.format;
  options.chunk_size = store.metadata.chunksize;
  options.encoding = store.metadata.encoding;
  options.timing = store.index.information(kTimingEntry) == "real" ? Timing::real : Timing::nominal;
  options.encoder.frame_rate = frame_rate_of(store.index, options.encoder.frame_rate);
  if (!store.metadata.imgshape.empty()) {
    options.color = imgstore::is_color(store.metadata);
  }
  return options;
}

}  // namespace avstore::store
