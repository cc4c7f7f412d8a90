// What a store keeps of frames that are not in it, or not whole: as extra data.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "avstore/record.h"
#include "avstore/types.h"

namespace avstore::tools {

// {"gap": {"begin": ..., "end": ..., "reason": ...}}
std::string gap_record(const Gap& gap);

// Of a frame of which parts were made up: {"damaged": true}
std::string damage_record();

// What came with a frame that was dropped, a JSON object, with "of_dropped" in it, which says with
// what frame: {..., "of_dropped": {"frame_number": ..., "frame_time": ...}}
std::string extra_of_dropped(const std::string& extra, const FrameNames& names);

// Frames in a row that were lost in one way.
class LostFrames {
 public:
  // How they were lost, for the record: "undecodable" or "dropped"
  explicit LostFrames(std::string how) : how_(std::move(how)) {}

  void add(FrameNumber number, FrameTime time) { names_.push_back({number, time}); }
  std::size_t size() const { return names_.size(); }
  // {HOW: {"frame_number": [...], "frame_time": [...]}}; they are forgotten then.
  std::string take_record();

 private:
  std::string how_;
  std::vector<FrameNames> names_;
};

}  // namespace avstore::tools
