// Packets of several files and encoders, joined into one stream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "media/packet.h"

struct AVCodecParameters;

namespace avstore::media {

// A container states the codec's headers once, at its beginning. H.264 and HEVC can repeat them
// within the stream, so packets made with other headers may follow one another there: once any were
// not as stated, each keyframe gets in front what is in force there, as players begin anywhere.
// That is what its source states, or what earlier packets of the source brought since. Other codecs
// can be joined only if their headers are the same.
class JoinedStream {
 public:
  // `first` is what the container will state.
  explicit JoinedStream(const AVCodecParameters* first);
  ~JoinedStream();

  // What the container is to state; owned by this.
  const AVCodecParameters* parameters() const;
  // Whether packets of that source can follow in this stream.
  bool can_join(const AVCodecParameters* source) const;
  // From now on packets come from that source. The first must be one at which a decoder can start
  // that was opened with `source`.
  void change_source(const AVCodecParameters* source);
  // Make a packet of the current source fit for the stream: each of them, in the order of the file.
  void fit(Packet& packet);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
