// Raw frames with numbers and times, as any program can send them.
//
// The format is documented in README.md, "Frames of a program of yours".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "avstore/image.h"
#include "avstore/record.h"
#include "media/byte_stream.h"
#include "tools/frame_source.h"

namespace avstore::tools {

// The bytes are not trusted: every frame must be as large as the stream's header says that all are.
class RawStream final : public FrameSource {
 public:
  // Reads the stream's header. Throws Error: as ByteStream, corrupt (no such stream).
  RawStream(const CameraOptions& camera, std::function<bool()> give_up);

  // Throws Error(corrupt), naming frame and byte, where no frame begins or one is of another size.
  std::optional<LiveFrame> next() override;
  Rational frame_rate() const override { return rate_; }
  std::string truncation() const override { return truncation_; }
  bool is_complete() const override { return false; }

 private:
  struct FrameHeader;

  void read_header();
  std::optional<FrameHeader> read_frame_header();
  // Less than all of them is the end within a frame.
  bool read(std::uint8_t* bytes, std::size_t size);
  [[noreturn]] void fail(const std::string& what) const;

  std::string name_;
  media::ByteStream bytes_;
  std::uint64_t position_ = 0;
  std::int64_t frames_ = 0;
  PixelFormat format_;
  int width_ = 0;
  int height_ = 0;
  Rational rate_{0, 1};
  std::size_t frame_size_ = 0;
  std::string truncation_;
};

}  // namespace avstore::tools
