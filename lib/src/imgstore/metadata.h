// metadata.yaml: what an imgstore v2 store says of itself, and the user's own metadata.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::imgstore {

// The classes of stores: chunks are video files, or folders of images.
inline constexpr std::string_view kVideoClass = "VideoImgStore";
inline constexpr std::string_view kDirectoryClass = "DirectoryImgStore";

// The key `__store` of metadata.yaml, defaults filled in as shared by all readers of the format.
struct StoreMetadata {
  std::string store_class;  // kVideoClass or kDirectoryClass
  int version = 2;
  std::string format;
  std::string extension;               // with the dot, then letters and digits; video only
  std::vector<std::int64_t> imgshape;  // [rows, columns] or [rows, columns, channels], as written
  std::string imgdtype = "uint8";      // NumPy name
  std::int64_t chunksize = 0;
  std::string encoding;        // empty: none
  std::string created_utc;     // ISO 8601 without zone, in UTC
  std::string timezone_local;  // IANA name, of old stores the user's `timezone`; empty if unknown
  std::string uuid;            // 32 hex digits; empty in old stores
  // What read_metadata() met that is wrong but could be worked around, a line each.
  std::vector<std::string> doubts = {};
  std::string user_yaml;  // all other top-level keys, as a YAML map; empty if there are none

  bool is_video() const { return store_class == kVideoClass; }
};

// Whether images read back in colour. What others state as [rows, columns, 1] does not.
bool is_color(const StoreMetadata& metadata);
// Of an image as it reads back: imgshape, but [rows, columns] for pictures in gray.
std::vector<std::int64_t> image_shape(const StoreMetadata& metadata);

// The folder of a store given as the folder or as its metadata.yaml, whether these are there or
// not.
std::filesystem::path folder_named(const std::filesystem::path& store_or_metadata);
// The same of a store that is there. Throws Error(not_found) naming what is missing.
std::filesystem::path store_folder(const std::filesystem::path& store_or_metadata);

// Read FOLDER/metadata.yaml. Class VideoImgStoreFFMPEG reads as VideoImgStore, a directory's format
// such as "png+color" as "png" without encoding; missing keys of old stores get the defaults that
// imgstore-format documents; so does a created_utc that is no time, with a doubt, as is a zone that
// is not known. YAML tags that PyYAML's safe_load does
// not know are dropped from the user's metadata, so that what is read can be written again. Throws
// Error: not_found, corrupt (no YAML, a key missing or of the wrong kind), unsupported (version not
// 2, a class that is not known).
StoreMetadata read_metadata(const std::filesystem::path& folder);

// Write FOLDER/metadata.yaml, atomically. Empty strings among the fields are left out (encoding is
// null). Throws Error: invalid_argument (a field that read_metadata would refuse, `user_yaml` not a
// map or with the key `__store`), io.
void write_metadata(const std::filesystem::path& folder, const StoreMetadata& metadata);

// Check that `yaml` is a YAML map fit to be user metadata; returns it in normal form ("" for none):
// block style, comments gone, aliases and merge keys expanded, of equal keys the last.
// Throws Error(invalid_argument) with the line and column of what is wrong: not YAML, not a map,
// the key `__store`, keys that are not scalars, tags unknown to safe_load, more than 400 levels, a
// million values or 64 MiB.
std::string normalize_user_yaml(const std::string& yaml);
// User metadata as JSON text (null for none). Plain YAML scalars become numbers, booleans and null
// by the YAML 1.1 rules that PyYAML follows; quoted ones stay strings, and so do dates and binary
// data. As Python's json does, .nan and .inf become NaN and Infinity, which strict JSON lacks.
// Throws Error(invalid_argument) as normalize_user_yaml.
std::string user_yaml_to_json(const std::string& yaml);
// Set a key (dots separate levels: "subject.id") in user metadata; `value` is parsed as YAML, and
// levels that do not exist are made. Returns the normal form. Throws Error(invalid_argument) as
// normalize_user_yaml, and where a level is something else than a map.
std::string set_user_key(const std::string& yaml, const std::string& key, const std::string& value);

// Now, in UTC, as `created_utc` has it: 2026-11-22T06:28:11.142833
std::string utc_now();
// An ISO 8601 time (with zone, or without meaning UTC; seconds or the whole time of day may be left
// out) in Unix seconds, and back, to the microsecond; the fraction is left out if it is zero, as
// Python does. Throws Error(invalid_argument).
double unix_seconds(const std::string& iso8601);
std::string iso8601_utc(double unix_seconds);
// This machine's IANA time zone name: the environment variable TZ if it holds one, else the
// system's, else "Etc/UTC".
std::string local_timezone_name();
// Whether there is an IANA time zone of that name. True on machines that know none.
bool is_timezone(const std::string& name);
// 32 random hex digits, as of a version 4 UUID.
std::string new_uuid();

}  // namespace avstore::imgstore
