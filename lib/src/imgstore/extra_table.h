// Records of extra data as typed columns.
#pragma once

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

// The records whose frame numbers are not negative, or were not before the store was renumbered.
ExtraData without_padding(const ExtraData& data);

// By frame_index, then by the column `second` if there is one, else as they were.
ExtraData sorted_extra(const ExtraData& data, const std::string& second);

}  // namespace avstore::imgstore
