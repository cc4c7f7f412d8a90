// Records of extra data as typed columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "imgstore/json_text.h"

namespace avstore::imgstore {

// The records in a JSON array of objects, whatever members they have beside frame_number.
// Throws JsonError, or std::invalid_argument saying which record is wrong.
ExtraData parse_extra_json(const std::string& text);

// Put `more` behind `all`. A column that either lacks is filled up, one whose types differ becomes
// what holds both.
void append_extra(ExtraData& all, ExtraData more);

// Places of records, in some order.
using ExtraRows = std::vector<std::size_t>;

// The records whose frame numbers are not negative, or were not before the store was renumbered.
ExtraRows rows_without_padding(const ExtraData& data);

// These by frame_index, then by the column `second` if there is one, else as they were.
ExtraRows sorted_rows(const ExtraData& data, ExtraRows rows, const std::string& second);
ExtraRows all_rows(const ExtraData& data);

// The records at these places, in this order.
ExtraData pick(const ExtraData& data, const ExtraRows& rows);

}  // namespace avstore::imgstore
