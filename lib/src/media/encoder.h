// Encodes images into packets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/writer.h"
#include "media/codec_table.h"
#include "media/packet.h"

struct AVCodec;
struct AVCodecParameters;

namespace avstore::media {

// An encoder that opened and then failed. The packets that it gave before are good.
class EncoderFailure : public Error {
 public:
  explicit EncoderFailure(const std::string& message) : Error(ErrorKind::io, message) {}
};

// Encodes frames of one size and pixel format. Timestamps are in time_base(). For one thread at a
// time.
class Encoder {
 public:
  // `first` tells size, pixel format and colorimetry; its pixels are not looked at. Odd sizes lose
  // their last column or row in formats that need even ones.
  // `for_container` asks for codec headers out of band, as MP4 and Matroska want them.
  // Hardware is used as it is: see EncoderLine for trying it out first.
  // Throws Error: unsupported (the encoder does not open; the message has the reason, or the format
  // cannot hold such pixels), invalid_argument (an unknown option).
  Encoder(const VideoFormat& format, const std::string& encoder, const EncoderOptions& options,
          Rational time_base, const ImageView& first, bool for_container = true);
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  ~Encoder();

  // These three throw EncoderFailure where libav reports an error; nothing but the end of this
  // object's life may follow.

  // PTS must ascend. The image is converted to the encoder's pixel format if it has another.
  void send(const Image& image, std::int64_t pts, bool force_keyframe);
  void send_end();
  // The next packet in decode order; false if it needs more frames or has ended.
  bool receive(Packet& packet);

  std::string name() const;
  PixelFormat pixel_format() const;  // of what is encoded
  Rational time_base() const;
  int width() const;
  int height() const;
  int keyframe_interval() const;
  int b_frames() const;  // at most, between others; whichever option asked for them
  const AVCodecParameters* parameters() const;  // for a Muxer; owned by this
  std::vector<std::uint8_t> headers() const;    // the codec's, as the container gets them

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Of this name, libavcodec's own. Throws Error(unsupported) if there is none.
const AVCodec& find_encoder(const std::string& name);

// How many encoders of that family are open in this process. A card may allow only so many.
int open_encoders(EncoderFamily family);

// Half a second's worth of frames, at most 60 and at least 1.
int default_keyframe_interval(Rational frame_rate);

}  // namespace avstore::media
