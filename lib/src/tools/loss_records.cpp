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

// Its text stays as it is: it may hold what is no strict JSON, such as NaN.
std::string extra_of_dropped(const std::string& extra, const FrameNames& names) {
  const std::size_t begin = extra.find('{') + 1;
  const std::string mark = text_of(
      {{"of_dropped", {{"frame_number", names.number.value}, {"frame_time", names.time.seconds}}}});
  const bool is_empty = extra.find_first_not_of(" \t\r\n", begin) == extra.rfind('}');
  return extra.substr(0, extra.rfind('}')) + (is_empty ? "" : ", ") + mark.substr(1);
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
