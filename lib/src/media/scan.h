// Finds out which frames a video file holds and where decoding can start.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/types.h"

namespace avstore::media {

// A place in a file where decoding can start: it gives the frame at frame_idx and all that follow
// it in presentation order exactly.
struct SeekPoint {
  std::int64_t frame_idx = 0;
  std::int64_t pts = 0;
  std::optional<std::int64_t> dts;
  std::int64_t position = -1;  // byte offset of the packet, -1 unknown
};

struct Scan {
  int stream = 0;
  Rational time_base;  // 0/1: PTS are the ordinals of packets, the file has no timestamps to go by
  std::int64_t packet_count = 0;
  std::vector<std::int64_t> pts;       // one a frame, in presentation order; tells frames apart
  std::vector<SeekPoint> seek_points;  // by frame_idx
  int width = 0;                       // of the first frame, pixels; only if decoded
  int height = 0;
  bool decoded = false;                     // see ScanMethod
  std::optional<std::int64_t> size_change;  // first frame_idx of another size; only if decoded
  PixelFormat pixel_format;                 // of the first frame; only if decoded
  // First frame_idx of another one (a mere change of range is none); only if decoded.
  std::optional<std::int64_t> format_change;
  std::vector<std::uint32_t> pixel_checksums;  // of each frame; only if decoded and asked for
};

enum class ScanMethod {
  // Read packets only, and take each for a frame. Falls back to `decode` where that can't be:
  // hidden packets, repeated or missing PTS.
  packets,
  // Decode the whole file: what comes out is what there is. Packets are told apart by their PTS,
  // or,
  // where some have none, by counting them.
  decode,
  // The same, counting packets in any case.
  decode_counting,
};

// `bytes`: as of DemuxerOptions. Throws Error like Demuxer and Decoder do. `progress`, if given, is
// called with the frames found so far, about once a hundred frames.
Scan scan(const std::filesystem::path& file, std::optional<int> stream, ScanMethod method,
          const std::function<void(std::int64_t)>& progress = {},
          std::optional<std::int64_t> bytes = {}, bool pixel_checksums = false);

}  // namespace avstore::media
