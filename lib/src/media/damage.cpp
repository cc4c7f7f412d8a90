#include "media/damage.h"

#include <algorithm>

#include "media/packet.h"

namespace avstore::media {

Threading threading_to_find_damage(const Demuxer& demuxer) {
  return demuxer.stream().codec == "ffv1" ? Threading::slice : Threading::frame;
}

std::vector<std::int64_t> confirm_damage(const std::string& file, const DemuxerOptions& options,
                                         const std::vector<std::int64_t>& suspects) {
  if (suspects.empty()) {
    return {};
  }
  Demuxer demuxer(file, options);
  if (demuxer.stream().codec != "h264") {
    return suspects;
  }
  Decoder decoder(demuxer, {.threads = 0, .threading = Threading::slice});
  std::vector<std::int64_t> damaged;
  std::int64_t place = 0;
  const auto receive = [&] {
    while (const auto frame = decoder.receive()) {
      if (frame->damaged) {
        damaged.push_back(place);
      }
      ++place;
    }
  };
  Packet packet;
  while (place <= suspects.back() && demuxer.read(packet)) {
    decoder.send(packet);
    receive();
  }
  decoder.send_end();
  receive();
  return damaged;
}

}  // namespace avstore::media
