// The extra data of a whole store.
#pragma once

#include <deque>
#include <filesystem>

#include "imgstore/extra_data.h"

namespace avstore::store {

// All records of the writer API's JSON files, ordered by frame_index; none if there are no such
// files. Throws Error(corrupt) naming the file.
std::deque<imgstore::ExtraRecord> read_extra_records(const std::filesystem::path& store);

}  // namespace avstore::store
