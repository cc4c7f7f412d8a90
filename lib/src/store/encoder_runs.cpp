#include "store/encoder_runs.h"

#include <sstream>

namespace avstore::store {

// Chunks that were made and given up again leave no trace.
void note_encoder(std::vector<EncoderRun>& runs, std::int64_t first_chunk,
                  const std::string& encoder) {
  while (!runs.empty() && runs.back().first_chunk >= first_chunk) {
    runs.pop_back();
  }
  if (runs.empty() || runs.back().encoder != encoder) {
    runs.push_back({first_chunk, encoder});
  }
}

std::string to_text(const std::vector<EncoderRun>& runs) {
  std::string text;
  for (const EncoderRun& run : runs) {
    text += (text.empty() ? "" : " ") + std::to_string(run.first_chunk) + " " + run.encoder;
  }
  return text;
}

std::vector<EncoderRun> parse_encoder_runs(const std::string& text) {
  std::istringstream words(text);
  std::vector<EncoderRun> runs;
  for (EncoderRun run; words >> run.first_chunk >> run.encoder;) {
    runs.push_back(run);
  }
  return words.eof() ? runs : std::vector<EncoderRun>{};
}

}  // namespace avstore::store
