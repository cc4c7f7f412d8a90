// Which encoder made which chunks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "avstore/reader.h"

namespace avstore::store {

// From `first_chunk` on, chunks come from `encoder`.
void note_encoder(std::vector<EncoderRun>& runs, std::int64_t first_chunk,
                  const std::string& encoder);

// As an entry of the database: "0 h264_nvenc 12 libx264".
std::string to_text(const std::vector<EncoderRun>& runs);
// Empty where the text is none of these.
std::vector<EncoderRun> parse_encoder_runs(const std::string& text);

}  // namespace avstore::store
