#include "store/extra_records.h"

#include <algorithm>

#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"

namespace avstore::store {

std::deque<imgstore::ExtraRecord> read_extra_records(const std::filesystem::path& store) {
  const auto folder = imgstore::store_folder(store);
  const imgstore::StoreMetadata metadata = imgstore::read_metadata(folder);
  std::deque<imgstore::ExtraRecord> all;
  for (const imgstore::ChunkFile& chunk : imgstore::find_chunks(folder, metadata)) {
    const auto file = folder / imgstore::chunk_extra_path(metadata, chunk.chunk);
    if (std::filesystem::exists(file)) {
      const auto records = imgstore::read_extra_json(file);
      all.insert(all.end(), records.begin(), records.end());
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.frame_index < b.frame_index; });
  return all;
}

}  // namespace avstore::store
