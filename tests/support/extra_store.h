// Small stores with extra data, as tests of work on whole stores make and compare them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/writer.h"
#include "support/drawn_store.h"

namespace avstore::test {

// Of a rig in Vienna.
WriterOptions vienna_options(const std::string& format, std::int64_t chunk_size = 3);

enum class Extra { none, each_frame };

// A store in gray whose frame i shows the number first_code + i, and has the record {"k": i}.
void write_extra_store(const std::filesystem::path& store, const std::vector<Name>& names,
                       int first_code, const WriterOptions& options,
                       Extra extra = Extra::each_frame);

// The camera was started after the recording: seven frames in three chunks, the third has number 0.
const std::vector<Name>& names_of_late_camera();

// A copy, which may be written, of a store in data/golden.
std::filesystem::path golden_copy(const std::string& name, const std::filesystem::path& folder);

// Frame numbers of all frames, and of all records.
std::vector<std::int64_t> numbers(const std::filesystem::path& store, ReaderOptions options = {});
std::vector<std::int64_t> extra_numbers(const std::filesystem::path& store);

// A column of extra data as text, for comparing: frame_index, frame_number, value.
using ExtraRow = std::tuple<std::int64_t, std::int64_t, std::string>;
std::vector<ExtraRow> extra_rows(const ExtraData& data, const std::string& column);

}  // namespace avstore::test
