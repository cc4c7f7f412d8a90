// Extra data: records tied to frames while they were recorded, such as readings of sensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "avstore/types.h"

namespace avstore {

// A value of any other kind, as JSON; empty where a record has none. NaN and Infinity may stand in
// it, as Python's json module writes them.
struct ExtraJson {
  std::string text;
  bool operator==(const ExtraJson&) const = default;
};

// What all records say under one key, one element a record.
struct ExtraColumn {
  std::string name;
  // Integers, if each record has one; unsigned, if some of them take 64 bits for that, and none is
  // negative. Doubles, if each has a number, null or nothing (both become NaN), unless an integer
  // among them would lose digits. Strings, if each has one. Else JSON: also booleans.
  std::variant<std::vector<std::int64_t>, std::vector<std::uint64_t>, std::vector<double>,
               std::vector<std::string>, std::vector<ExtraJson>>
      values;
};

// Of a record that was added before the first frame.
inline constexpr FrameNumber kNoFrameNumber{std::numeric_limits<std::int64_t>::min()};

// Records as columns, all of the same length.
struct ExtraData {
  std::vector<FrameIndex> frame_index;    // the frame a record belongs to; -1 if the file is silent
  std::vector<FrameNumber> frame_number;  // kNoFrameNumber if the file is silent
  std::vector<FrameTime> frame_time;      // NaN if the file is silent
  std::vector<ExtraColumn> columns;       // in the order in which they first appear
  // Samples a second of each group of columns that was sampled evenly (Motif's HDF5), by its name.
  std::map<std::string, double> sample_rates;

  std::size_t size() const { return frame_number.size(); }
  // The column of that name; null if there is none.
  const ExtraColumn* find(const std::string& name) const;
};

struct ExtraOptions {
  // Leave out chunks whose extra data are damaged or cannot be read instead of failing.
  bool ignore_corrupt = false;
  // Called with a line of text for each chunk that was left out.
  std::function<void(const std::string&)> on_warning;
};

// All extra data of a store, in order of their frames. Those that Motif recorded
// (000000.extra_data.json, .h5) come before those of the writer API (000000.extra.json): a chunk
// that has the former is read for them alone. Records that Motif padded its files with (negative
// frame numbers) are left out. `store` is the folder or its metadata.yaml.
// Throws Error: not_found (no store), corrupt, io; unsupported for HDF5 if built without it.
ExtraData read_extra(const std::filesystem::path& store, const ExtraOptions& options = {});

}  // namespace avstore
