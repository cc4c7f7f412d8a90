// Whether a database still agrees with the chunks' own index files, which others may have changed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "index/index.h"

namespace avstore::store {

// What is noted in a database of the index files that its rows agree with, as text.
struct IndexFilesStamp {
  std::string change;   // sizes and times of change: cheap, but a copied store has other times
  std::string content;  // checksums of numbers and times

  bool operator==(const IndexFilesStamp&) const = default;
};

// Of the files as they are now. To be taken before they are read.
IndexFilesStamp stamp_of(const std::filesystem::path& folder,
                         const std::vector<imgstore::ChunkFile>& chunks);
// Note it in the database; to be committed.
void note_stamp(index::Index& index, const IndexFilesStamp& stamp);
// The same, of all chunks of a store that was just written.
void stamp_index_files(index::Index& index, const std::filesystem::path& folder,
                       const imgstore::StoreMetadata& metadata);

enum class IndexFilesState {
  same,      // as noted: costs a look at each file's size and time of change
  agreeing,  // touched, copied or never noted, but of the same numbers and times
  changed,
};
// Files that are missing or cannot be read disagree with nothing.
IndexFilesState compare_index_files(const std::filesystem::path& folder,
                                    const std::vector<imgstore::ChunkFile>& chunks,
                                    const index::Index& index);

}  // namespace avstore::store
