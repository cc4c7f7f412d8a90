// Names of files in a store's folder that are not chunks.
#pragma once

namespace avstore::store {

inline constexpr const char* kIndexFile = ".index.sqlite";
inline constexpr const char* kMetadataFile = "metadata.yaml";
// There while a writer is open; the reference looks for it too.
inline constexpr const char* kLockFile = ".lock";

}  // namespace avstore::store
