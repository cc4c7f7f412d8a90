#include "tools/loss_records.h"

#include <nlohmann/json.hpp>

namespace avstore::tools {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json& record) {
  return record.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string gap_record(const Gap& gap) {
  return text_of({{"gap", {{"begin", gap.begin}, {"end", gap.end}, {"reason", gap.reason}}}});
}

std::string damage_record() {
  return text_of({{"damaged", true}});
}

std::string LostFrames::take_record() {
  auto numbers = ordered_json::array();
  auto times = ordered_json::array();
  for (const FrameNames& names : names_) {
    numbers.push_back(names.number.value);
    times.push_back(names.time.seconds);
  }
  names_.clear();
  return text_of({{how_, {{"frame_number", numbers}, {"frame_time", times}}}});
}

}  // namespace avstore::tools
