// How the packets of a file are cut into chunks and timed anew.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "media/demuxer.h"

namespace avstore::tools {

// What becomes of a packet, in decode order.
struct PlannedPacket {
  std::int64_t source_pts = 0;  // what the demuxer tells it apart by
  std::int64_t chunk = 0;
  // In nominal frame intervals from the chunk's start. Negative PTS: decoded, but not shown.
  std::int64_t pts = 0;
  std::int64_t dts = 0;
  bool chunk_start_possible = false;  // decoding can start here
  bool dropped = false;
  double seconds = 0;  // presentation time in the source
};

struct CopyPlan {
  std::vector<PlannedPacket> packets;  // as the demuxer gives them; what comes after is not needed
  std::int64_t chunk_count = 0;
  bool count_packets = false;  // see media::DemuxerOptions
  bool hides_frames = false;   // the first chunk has packets that are not shown
  std::string truncation;      // see Demuxer::truncation()
  // Frames that decoding the file gave, if that was needed.
  std::optional<std::int64_t> decoded_frames;
};

// Reads all packets of the stream (and decodes them, where only that tells their order). Chunks get
// at least one frame and, where keyframes allow, at most `chunk_size`; they are cut only where
// nothing on one side needs anything of the other. Where timestamps are missing or not unique,
// packets are counted instead; `count_packets` says so to who reads the file again. None if frames
// are hidden elsewhere than before the first one shown: no container that we write can say that.
std::optional<CopyPlan> plan_copy(const std::filesystem::path& file,
                                  const media::DemuxerOptions& options, std::int64_t chunk_size,
                                  const std::function<void()>& progress);

}  // namespace avstore::tools
