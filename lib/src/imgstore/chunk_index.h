// Index files beside the chunks: frame numbers and times, one entry a frame.
// 000000.npz or 000000.yaml for video, 000000/index.npz or 000000/index.yaml for directories.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imgstore/metadata.h"

namespace avstore::imgstore {

// The key of the numbers that frames had before the store was renumbered, in npz and in records of
// extra data.
inline constexpr std::string_view kBeforeReindex = "_frame_number_before_reindex";

struct ChunkIndex {
  std::vector<std::int64_t> frame_number;
  std::vector<double> frame_time;  // seconds; as long as frame_number
  // The numbers that the frames had before the store was renumbered; empty if it never was.
  std::vector<std::int64_t> before_reindex{};
};

// Where the chunk files of a store are.
struct ChunkFile {
  std::int64_t chunk = 0;
  std::filesystem::path data;                  // video file or folder, relative to the store
  std::optional<std::filesystem::path> index;  // relative to the store; none if missing
  std::int64_t index_bytes = 0;
  std::int64_t index_changed = 0;  // nanoseconds since 1970
};

// "000000.mp4" or "000000", relative to the store.
std::string chunk_path(const StoreMetadata& metadata, std::int64_t chunk);
// "000000.npz" or "000000/index.npz", relative to the store.
std::string chunk_index_path(const StoreMetadata& metadata, std::int64_t chunk);
// "000000.extra.json" or "000000/index.extra.json", relative to the store.
std::string chunk_extra_path(const StoreMetadata& metadata, std::int64_t chunk);

// All chunks present in a store's folder, by number: the video files or folders whose names are
// numbers of six digits, or more where six do not suffice. Of two indexes the .npz is named. Names
// come from the listing of the folder alone. Throws Error: not_found, io.
std::vector<ChunkFile> find_chunks(const std::filesystem::path& folder,
                                   const StoreMetadata& metadata);

// The chunks that are links which lead out of the store's folder, by name. Throws as find_chunks().
std::vector<std::filesystem::path> find_chunks_elsewhere(const std::filesystem::path& folder,
                                                         const StoreMetadata& metadata);

// The numbers of video chunks of which only the index is there, ascending. Throws as find_chunks().
std::vector<std::int64_t> find_lost_chunks(const std::filesystem::path& folder,
                                           const StoreMetadata& metadata);

// What a chunk's index may list without the chunk being looked at for it.
inline constexpr std::int64_t kUsualFrames = std::int64_t{1} << 20U;
inline constexpr std::int64_t kMostFrames = std::int64_t{1} << 27U;

// Read an .npz or .yaml. Sizes are checked against the file before anything is allocated; pickled
// members are ignored. Throws Error(corrupt) naming the file: no zip, no YAML, arrays missing or of
// unequal length, frame numbers that are not whole; not_found, io.
// An .npz that lists more than `most_frames` is corrupt.
ChunkIndex read_chunk_index(const std::filesystem::path& file,
                            std::int64_t most_frames = kMostFrames);

// Read a chunk's index; one that lists more frames than the chunk's files can hold is corrupt.
// Where the .npz cannot be read but the .yaml beside it can, that serves, and `warn` is told if it
// is set. Throws Error as read_chunk_index(); not_found for a chunk without an index.
ChunkIndex read_chunk_index(const std::filesystem::path& folder, const ChunkFile& chunk,
                            const std::function<void(const std::string&)>& warn);

// Something that changes with the numbers and times in an index file; quick for an .npz. The same
// for all that cannot be read.
std::string chunk_index_checksum(const std::filesystem::path& file);

// Write an .npz as the reference does (stored, with the store's metadata as further members, no
// pickled ones), atomically. Equal contents make equal files. Throws Error: invalid_argument
// (arrays of unequal length), io.
void write_chunk_index(const std::filesystem::path& file, const ChunkIndex& index,
                       const StoreMetadata& metadata);

// Write numbers and times of an .npz anew, as `to`; what else is in the archive `from` stays as it
// is. Throws Error as read_chunk_index() and write_chunk_index().
void rewrite_chunk_index(const std::filesystem::path& from, const std::filesystem::path& to,
                         const ChunkIndex& index);

}  // namespace avstore::imgstore
