// Where decoding can start exactly.
#pragma once

#include "media/demuxer.h"
#include "media/packet.h"

namespace avstore::media {

// Decides for the packets of one stream whether decoding that starts at them gives their frame, and
// all that follow it in presentation order, exactly as a decode from the beginning does.
//
// A container's keyframe flag is not enough: encoders also set it on pictures from which decoding
// recovers only gradually (intra refresh). So H.264 and HEVC packets are looked into. Of other
// codecs only those are trusted whose keyframes are known to need nothing before them; of the rest,
// decoding starts at the first packet.
class RandomAccess {
 public:
  explicit RandomAccess(const Demuxer& demuxer);
  RandomAccess(const std::string& codec, const AVCodecParameters* parameters);

  // To be asked of each packet once, in the order of the file.
  bool can_start_at(const Packet& packet);

 private:
  enum class Codec { h264, hevc, by_flag, only_first };
  Codec codec_ = Codec::only_first;
  bool begun_ = false;
  int length_size_ = 0;  // bytes of a NAL unit's length prefix; 0: start codes
};

}  // namespace avstore::media
