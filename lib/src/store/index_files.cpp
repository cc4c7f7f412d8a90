#include "store/index_files.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "avstore/error.h"
#include "base/hash.h"
#include "base/same_number.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

namespace fs = std::filesystem;

std::string change_of(const std::vector<imgstore::ChunkFile>& chunks) {
  base::Hash hash;
  for (const imgstore::ChunkFile& chunk : chunks) {
    if (chunk.index) {
      hash.take(
          fmt::format("{} {} {}\n", chunk.index->string(), chunk.index_bytes, chunk.index_changed));
    }
  }
  return hash.text();
}

std::string content_of(const fs::path& folder, const std::vector<imgstore::ChunkFile>& chunks) {
  base::Hash hash;
  for (const imgstore::ChunkFile& chunk : chunks) {
    if (chunk.index) {
      const std::string sum = imgstore::chunk_index_checksum(folder / *chunk.index);
      hash.take(fmt::format("{} {}\n", chunk.index->string(), sum));
    }
  }
  return hash.text();
}

// A list of fewer frames than there were is damage, not a change: the database has them all.
bool agrees(const index::Index& index, const index::ChunkRow& row,
            const imgstore::ChunkIndex& names) {
  const auto count = static_cast<std::int64_t>(names.frame_number.size());
  if (count != row.frame_count) {
    return count < row.frame_count;
  }
  std::size_t i = 0;
  bool same = true;
  index.for_each({row.first_frame_index, row.first_frame_index + row.frame_count},
                 [&](const index::FrameRow& frame) {
                   same = i < names.frame_number.size() &&
                          names.frame_number[i] == frame.frame_number &&
                          base::is_same(names.frame_time[i], frame.frame_time);
                   ++i;
                   return same;
                 });
  return same;
}

bool all_agree(const fs::path& folder, const std::vector<imgstore::ChunkFile>& chunks,
               const index::Index& index) {
  std::map<std::int64_t, const imgstore::ChunkFile*> files;
  for (const imgstore::ChunkFile& chunk : chunks) {
    files.emplace(chunk.chunk, &chunk);
  }
  for (const index::ChunkRow& row : index.chunks()) {
    const auto file = files.find(row.chunk);
    if (file == files.end()) {
      continue;
    }
    std::optional<imgstore::ChunkIndex> names;
    try {
      names = imgstore::read_chunk_index(folder, *file->second, {});
    } catch (const Error&) {
      continue;  // the database has what that file had
    }
    if (!agrees(index, row, *names)) {
      return false;
    }
  }
  return true;
}

}  // namespace

IndexFilesStamp stamp_of(const fs::path& folder, const std::vector<imgstore::ChunkFile>& chunks) {
  return {change_of(chunks), content_of(folder, chunks)};
}

void note_stamp(index::Index& index, const IndexFilesStamp& stamp) {
  index.set_information(kIndexFilesEntry, stamp.change);
  index.set_information(kIndexContentEntry, stamp.content);
}

void stamp_index_files(index::Index& index, const fs::path& folder,
                       const imgstore::StoreMetadata& metadata) {
  note_stamp(index, stamp_of(folder, imgstore::find_chunks(folder, metadata)));
}

IndexFilesState compare_index_files(const fs::path& folder,
                                    const std::vector<imgstore::ChunkFile>& chunks,
                                    const index::Index& index) {
  if (index.information(kIndexFilesEntry) == change_of(chunks)) {
    return IndexFilesState::same;
  }
  const bool agree = index.information(kIndexContentEntry) == content_of(folder, chunks) ||
                     all_agree(folder, chunks, index);
  return agree ? IndexFilesState::agreeing : IndexFilesState::changed;
}

}  // namespace avstore::store
