// Names that the parts of a store go by.
#pragma once

namespace avstore::store {

// Files in the store's folder that are not chunks.
inline constexpr const char* kIndexFile = ".index.sqlite";
inline constexpr const char* kMetadataFile = "metadata.yaml";
// There while a writer is open; the reference looks for it too.
inline constexpr const char* kLockFile = ".lock";
// What has no row, put aside by a repair or a writer that failed.
inline constexpr const char* kAsideFolder = ".put-aside";

// The store that a recording is to replace, until that has a frame.
inline constexpr const char* kReplacedFolder = ".replaced";

// Entries of the database's index_information.
inline constexpr const char* kEncoderEntry = "encoder";       // libav's name or kCopied; the last
inline constexpr const char* kEncodersEntry = "encoders";     // of all chunks, see encoder_runs.h
inline constexpr const char* kTimingEntry = "timing";         // "nominal" or "real"
inline constexpr const char* kUuidEntry = "uuid";             // as in metadata.yaml
inline constexpr const char* kFrameRateEntry = "frame_rate";  // nominal, such as "30000/1001"
// Of the chunks' index files that the rows agree with, see index_files.h.
inline constexpr const char* kIndexFilesEntry = "index_files";
inline constexpr const char* kIndexContentEntry = "index_files_content";
// Repairs that have changed the store, and what was lost in them, see repair_record.h.
inline constexpr const char* kRepairsEntry = "repairs";

// The encoder of chunks whose packets were taken as they were.
inline constexpr const char* kCopied = "copy";

}  // namespace avstore::store
