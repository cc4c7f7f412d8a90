// Where decoding can start exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "media/demuxer.h"
#include "media/headers_in_force.h"
#include "media/packet.h"

namespace avstore::media {

// Decides for the packets of one stream whether decoding that starts at them with a fresh decoder
// gives their frame, and all that follow it in presentation order, exactly as a decode from the
// beginning does.
//
// A container's keyframe flag is not enough: encoders also set it on pictures from which decoding
// recovers only gradually (intra refresh). So H.264, HEVC and H.263 packets are looked into. Of
// other codecs only those are trusted whose keyframes are known to need nothing before them; of the
// rest, decoding starts at the first packet.
//
// Nor may a picture from there on need headers that came before and are not what the decoder is
// opened with.
class RandomAccess {
 public:
  explicit RandomAccess(const Demuxer& demuxer);
  explicit RandomAccess(const AVCodecParameters* parameters);
  RandomAccess(const std::string& codec, const AVCodecParameters* parameters);

  // Whether the picture in the packet needs none before it: where all headers are the decoder's
  // own, as an encoder's are, it can start there.
  bool is_whole(const Packet& packet) const;

  // Each packet once, in the order of the file.
  void take(const Packet& packet);
  // For each packet taken. What comes later may take a start back: to be asked when all is taken.
  std::vector<bool> starts() const;

 private:
  enum class Codec { h264, hevc, h263, by_flag, only_first };

  Codec codec_ = Codec::only_first;
  HeadersInForce headers_;
  std::int64_t packets_ = 0;
  std::vector<std::int64_t> starts_;  // ordinals of packets, ascending
};

}  // namespace avstore::media
