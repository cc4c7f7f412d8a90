// metadata.yaml: what an imgstore v2 store says of itself, and the user's own metadata.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace avstore::imgstore {

// The key `__store` of metadata.yaml, defaults filled in as shared by all readers of the format.
struct StoreMetadata {
  std::string store_class;  // "VideoImgStore" or "DirectoryImgStore"
  int version = 2;
  std::string format;
  std::string extension;               // with the dot; video only
  std::vector<std::int64_t> imgshape;  // [rows, columns] or [rows, columns, channels], as written
  std::string imgdtype = "uint8";      // NumPy name
  std::int64_t chunksize = 0;
  std::string encoding;        // empty: none
  std::string created_utc;     // ISO 8601 without zone, in UTC
  std::string timezone_local;  // IANA name; empty if unknown
  std::string uuid;            // 32 hex digits; empty in old stores
  std::string user_yaml;       // all other top-level keys, as a YAML map; empty if there are none
};

// The folder of a store given as the folder or as its metadata.yaml.
// Throws Error(not_found) naming what is missing.
std::filesystem::path store_folder(const std::filesystem::path& store_or_metadata);

// Read FOLDER/metadata.yaml. Class VideoImgStoreFFMPEG reads as VideoImgStore; missing keys of old
// stores get the defaults that imgstore-format documents.
// Throws Error: not_found, corrupt (no YAML, a key of the wrong kind), unsupported (version not 2).
StoreMetadata read_metadata(const std::filesystem::path& folder);

// Write FOLDER/metadata.yaml, atomically. `user_yaml` must be a map without the key `__store`
// (Error invalid_argument otherwise).
void write_metadata(const std::filesystem::path& folder, const StoreMetadata& metadata);

// Check that `yaml` is a YAML map fit to be user metadata; returns it in normal form ("" for none).
// Throws Error(invalid_argument) with the line and column of what is wrong.
std::string normalize_user_yaml(const std::string& yaml);
// User metadata as JSON text (null for none). Plain YAML scalars become numbers, booleans and null
// by the YAML 1.1 rules that PyYAML follows; quoted ones stay strings.
std::string user_yaml_to_json(const std::string& yaml);
// Set a key (dots separate levels: "subject.id") in user metadata; `value` is parsed as YAML.
std::string set_user_key(const std::string& yaml, const std::string& key, const std::string& value);

// Now, in UTC, as `created_utc` has it: 2026-11-22T06:28:11.142833
std::string utc_now();
// An ISO 8601 time (with zone, or without meaning UTC) in Unix seconds, and back.
double unix_seconds(const std::string& iso8601);
std::string iso8601_utc(double unix_seconds);
// This machine's IANA time zone name, "Etc/UTC" if it has none.
std::string local_timezone_name();
// 32 random hex digits, as of a version 4 UUID.
std::string new_uuid();

}  // namespace avstore::imgstore
