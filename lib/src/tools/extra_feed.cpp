#include "tools/extra_feed.h"

#include <fmt/format.h>

#include "avstore/error.h"
#include "avstore/metadata.h"

namespace avstore::tools {
namespace {

constexpr FrameIndex kBeforeFirst{-1};
constexpr FrameIndex kLost{-2};

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

}  // namespace

ExtraFeed::ExtraFeed(const store::ExtraRecords& extra, const Reader& reader, const Notice& notice) {
  for (const imgstore::ExtraRecord& record : extra.records) {
    by_frame_[frame_of(record, reader)].push_back(record.json);
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
