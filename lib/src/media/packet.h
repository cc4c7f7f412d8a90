// A coded packet and where it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

struct AVPacket;

namespace avstore::media {

// Owns one packet. Moves cheaply; copies share the bytes.
class Packet {
 public:
  Packet();
  ~Packet();
  Packet(Packet&&) noexcept;
  Packet& operator=(Packet&&) noexcept;
  Packet(const Packet& other);
  Packet& operator=(const Packet& other);

  // In the stream's time base.
  std::optional<std::int64_t> pts() const;
  std::optional<std::int64_t> dts() const;
  // The PTS that the container states, where pts() is something else (see Demuxer).
  std::optional<std::int64_t> stated_pts() const { return stated_pts_; }
  void set_stated_pts(std::optional<std::int64_t> pts) { stated_pts_ = pts; }
  std::int64_t duration() const;
  void set_timestamps(std::optional<std::int64_t> pts, std::optional<std::int64_t> dts,
                      std::int64_t duration);
  std::int64_t position() const;  // byte offset in the file, -1 if unknown
  bool key() const;
  // To be decoded because others need it, but not to be shown (an edit list says so).
  bool discard() const;
  std::span<const std::uint8_t> bytes() const;
  void replace_bytes(std::span<const std::uint8_t> bytes);

  AVPacket* get() const { return packet_; }

 private:
  std::optional<std::int64_t> stated_pts_;
  AVPacket* packet_;  // owned; AVPacket is incomplete here, so the members above free it
};

}  // namespace avstore::media
