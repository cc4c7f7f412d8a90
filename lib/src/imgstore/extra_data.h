// Extra data of the writer API: a JSON array of records a chunk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/atomic_file.h"

namespace avstore::imgstore {

// One record, tied to the newest frame when it was added. Before the first: frame_index -1,
// kNoFrameNumber, NaN.
struct ExtraRecord {
  std::int64_t frame_index = 0;
  std::int64_t frame_number = 0;
  double frame_time = 0;  // seconds
  std::string json;       // an object: the user's keys alone
};

// Throws Error(invalid_argument) unless `json` is one JSON object; NaN and Infinity are allowed, as
// Python's json module writes them. Returns it in normal form, which keeps numbers digit by digit;
// frame_index, frame_number and frame_time, which are not the user's to give, are taken out.
std::string normalize_extra_json(const std::string& json);

// The text of 000000.extra.json: each record with frame_time, frame_number, frame_index added.
// Throws Error(invalid_argument) for a record's json.
std::string extra_json_text(const std::vector<ExtraRecord>& records);
// What each object of a JSON array of records says beside these three, in normal form. Throws
// JsonError.
std::vector<std::string> users_json(const std::string& text);
// Writes such a file record by record, atomically: it is there once finish() has returned. What is
// in memory meanwhile is a record and a block of text. Member functions throw Error:
// invalid_argument (for a record's json), io.
class ExtraJsonFile {
 public:
  explicit ExtraJsonFile(const std::filesystem::path& file) : file_(file) {}
  void add(const ExtraRecord& record);
  void finish();

 private:
  base::AtomicFile file_;
  std::string text_ = "[";  // not in the file yet
  bool is_first_ = true;
};
// All of it at once. Throws Error: invalid_argument, io.
void write_extra_json(const std::filesystem::path& file, const std::vector<ExtraRecord>& records);
// Records from before the first frame say NaN of it (null, once pandas wrote them): those have
// frame_index -1, kNoFrameNumber and NaN, here as when they are written.
// Throws Error: corrupt (no array of objects, a record without its frame), not_found, io.
std::vector<ExtraRecord> read_extra_json(const std::filesystem::path& file);

}  // namespace avstore::imgstore
