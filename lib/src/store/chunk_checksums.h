// Checksums of chunks that are there already; those of chunks being written come from their
// chunk::ChunkWriter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "chunk/chunk_writer.h"
#include "index/index.h"
#include "media/scan.h"

namespace avstore::store {

// Of a video file, in pieces that begin where decoding can start. Throws Error: io, not_found.
std::vector<chunk::Checksum> checksums_of_file(const std::filesystem::path& file,
                                               const media::Scan& scan);

// Whether a piece of a chunk that is not finished may be another than it was when its checksum was
// taken, though nothing is wrong. AVI's muxer writes into the beginning of a file with each GiB;
// when other chunks are finished, the checksum of their beginning is withdrawn before.
bool may_have_changed(const index::ChunkRow& row, const index::ChecksumRow& piece,
                      std::int64_t file_bytes);

// Of all pieces one after another.
std::uint32_t joined_checksum(std::span<const chunk::Checksum> pieces);

// As `chunks.checksum` has it: "crc32:" and eight hexadecimal digits.
std::string checksum_text(std::uint32_t crc32);

}  // namespace avstore::store
