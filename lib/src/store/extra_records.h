// The extra data of a whole store: where they are, and as records.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "imgstore/extra_data.h"
#include "imgstore/metadata.h"
#include "index/index.h"

namespace avstore::store {

enum class ExtraKind { writer_json, motif_json, motif_hdf5, database };

// The extra data of one chunk.
struct ExtraSource {
  std::int64_t chunk = 0;
  ExtraKind kind = ExtraKind::writer_json;
  std::filesystem::path path;                  // the file, or the database
  std::vector<imgstore::ExtraRecord> records;  // of the database only
  // Where the chunk's npz is, if it has one.
  std::filesystem::path chunk_index;
};

// The extra data of a store, a source a chunk, in order. In a chunk that has both, Motif's win over
// the writer API's. A chunk that has neither file has what the database kept of it: the recording
// was killed before the chunk's end. Records that a writer which went on with a store was given
// before its first frame are of the frame before, but of the next chunk; as long as there is none
// they come last, with the number it will have or more.
// `index` is the store's database, where the caller has it open; else it is opened here.
std::vector<ExtraSource> extra_sources(const std::filesystem::path& folder,
                                       const index::Index* index = nullptr);

// Of a closed store the number of the first record that no chunk's file has because it was given to
// a writer which went on and got no frame: it and all behind it go into the next chunk's file. That
// of the next record where there is none. Throws Error: io, corrupt.
std::int64_t first_extra_behind(const std::filesystem::path& folder,
                                const imgstore::StoreMetadata& metadata, const index::Index& index);

// As columns, in order of frames, without padding. Throws Error: corrupt (naming the file), io,
// unsupported.
ExtraData read_source(const ExtraSource& source);

// Calls `read` for each source of a store, in order. What cannot be read is left out, with a
// warning, where the options say so.
void for_each_source(const std::filesystem::path& store, const ExtraOptions& options,
                     const std::function<void(const ExtraSource&)>& read);

// All extra data as records ordered by frame_index; those whose file does not say to which frame
// they belong have frame_index -1 and come first, as do those from before the first frame, which
// have no number either (kNoFrameNumber).
struct ExtraRecords {
  std::deque<imgstore::ExtraRecord> records;
  std::map<std::string, double> sample_rates;  // as of ExtraData
};
// Throws Error as read_source(), unless damaged chunks are to be left out.
ExtraRecords read_extra_records(const std::filesystem::path& store, const ExtraOptions& options);

}  // namespace avstore::store
