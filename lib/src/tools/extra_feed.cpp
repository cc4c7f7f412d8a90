#include "tools/extra_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "avstore/error.h"
#include "avstore/metadata.h"
#include "imgstore/json_text.h"

namespace avstore::tools {
namespace {

constexpr FrameIndex kBeforeFirst{-1};
constexpr FrameIndex kLost{-2};
constexpr std::string_view kOwnTime = "recorded_frame_time";

FrameIndex frame_of(const imgstore::ExtraRecord& record, const Reader& reader) {
  if (record.frame_index >= 0) {
    return record.frame_index < reader.frame_count() ? FrameIndex(record.frame_index) : kLost;
  }
  if (record.frame_number == kNoFrameNumber.value) {
    return kBeforeFirst;
  }
  try {
    return reader.find(FrameNumber(record.frame_number)).index;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) {
      throw;
    }
    return kLost;
  }
}

bool has_own_time(const imgstore::ExtraRecord& record, const FrameInfo& frame) {
  return std::isfinite(record.frame_time) && record.frame_time != frame.time.seconds;
}

// Unless the record has such a member already: it came this way before.
std::string with_own_time(const imgstore::ExtraRecord& record) {
  imgstore::JsonReader reader(record.json);
  std::vector<imgstore::JsonMember> members = reader.object();
  const bool there = std::any_of(members.begin(), members.end(),
                                 [](const auto& member) { return member.key == kOwnTime; });
  if (!there) {
    members.push_back({std::string(kOwnTime), imgstore::json_number(record.frame_time)});
  }
  return imgstore::json_object(members);
}

}  // namespace

ExtraFeed::ExtraFeed(const store::ExtraRecords& extra, const Reader& reader, const Notice& notice) {
  std::int64_t own_times = 0;
  for (const imgstore::ExtraRecord& record : extra.records) {
    const FrameIndex frame = frame_of(record, reader);
    const bool own_time = frame.value >= 0 && has_own_time(record, reader.find(frame));
    own_times += own_time ? 1 : 0;
    by_frame_[frame].push_back(own_time ? with_own_time(record) : record.json);
  }
  if (own_times > 0 && notice) {
    notice(
        fmt::format("{}: {} records of extra data have another time than their frames; it is "
                    "kept as {}",
                    reader.info().path.string(), own_times, kOwnTime));
  }
  const std::size_t lost = of(kLost).size();
  if (lost > 0 && notice) {
    notice(fmt::format("{}: {} records of extra data belong to no frame; left out",
                       reader.info().path.string(), lost));
  }
}

const std::vector<std::string>& ExtraFeed::of(FrameIndex frame) const {
  static const std::vector<std::string> kNone;
  const auto found = by_frame_.find(frame);
  return found == by_frame_.end() ? kNone : found->second;
}

std::string with_sample_rates(const std::string& metadata_yaml,
                              const std::map<std::string, double>& sample_rates) {
  std::string yaml = metadata_yaml;
  for (const auto& [name, rate] : sample_rates) {
    yaml = set_metadata(yaml, fmt::format("extra_sample_rates.{}", name), fmt::format("{}", rate));
  }
  return yaml;
}

}  // namespace avstore::tools
