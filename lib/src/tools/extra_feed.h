// Extra data on their way from one store to another.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "store/extra_records.h"

namespace avstore::tools {

// Hands out the records of each frame of a store.
class ExtraFeed {
 public:
  // Records that do not say to which frame they belong go by their frame number. Those with a time
  // of their own, which is not their frame's, get it as recorded_frame_time: a record is stored
  // with its frame's. `notice` is told how many these are, and how many belong to no frame.
  ExtraFeed(const store::ExtraRecords& extra, const Reader& reader, const Notice& notice);

  // The user's keys of a frame's records, a JSON object each, in order. Those from before the first
  // frame come with FrameIndex(-1).
  const std::vector<std::string>& of(FrameIndex frame) const;

 private:
  std::map<FrameIndex, std::vector<std::string>> by_frame_;
};

// User metadata with the sample rates of extra data, for which a record has no place:
// extra_sample_rates.NAME, samples a second. Unchanged if there are none.
std::string with_sample_rates(const std::string& metadata_yaml,
                              const std::map<std::string, double>& sample_rates);

}  // namespace avstore::tools
