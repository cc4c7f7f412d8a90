// Decodes the packets of one video stream.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "avstore/image.h"
#include "media/demuxer.h"
#include "media/packet.h"

namespace avstore::media {

// How a decoder uses its threads.
enum class Threading {
  // Within a frame only: a frame comes out as soon as its packets are in.
  slice,
  // Several frames at once: the fastest for reading on and on, but frames come out late.
  frame,
};

struct DecoderOptions {
  int threads = 0;  // 0: as many as the machine has cores
  Threading threading = Threading::slice;
};

struct DecodedFrame {
  Image image;                      // the decoder's own planes, pixels as coded
  std::optional<std::int64_t> pts;  // that of the packet which began the frame
  // How many frames that were decoded before it may still come out, at most.
  int may_follow = 0;
  bool interlaced = false;
  // Parts of it could not be decoded and were made up; to be taken as media/damage.h says.
  bool damaged = false;
  double sample_aspect_ratio = 1;
};

// For one thread at a time. Frames it gave out may outlive it.
class Decoder {
 public:
  // For the stream of that demuxer, which is only looked at now.
  // Throws Error(unsupported) if libavcodec has no decoder for it.
  Decoder(const Demuxer& demuxer, const DecoderOptions& options);
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;
  ~Decoder();

  // Give it a packet. Damaged packets are passed over, as ffmpeg's own programs do, and counted.
  // All frames must have been received before.
  void send(const Packet& packet);
  // No more packets: the frames still inside come out now.
  void send_end();
  // The next frame in presentation order; none if it needs more packets or has ended.
  std::optional<DecodedFrame> receive();
  // Forget everything, to start again elsewhere in the stream.
  void flush();

  std::int64_t frames_decoded() const;
  // Packets that were passed over. With threads for frames, some packets later.
  std::int64_t packets_undecodable() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
