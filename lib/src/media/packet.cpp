#include "media/packet.h"

#include <algorithm>
#include <new>
#include <utility>

#include "media/av.h"

namespace avstore::media {
namespace {

std::optional<std::int64_t> known(std::int64_t timestamp) {
  return timestamp == AV_NOPTS_VALUE ? std::nullopt : std::optional(timestamp);
}

}  // namespace

Packet::Packet() : packet_(make_packet().release()) {}
Packet::~Packet() {
  av_packet_free(&packet_);
}
Packet::Packet(Packet&& other) noexcept
    : stated_pts_(other.stated_pts_), packet_(std::exchange(other.packet_, nullptr)) {}
Packet& Packet::operator=(Packet&& other) noexcept {
  stated_pts_ = other.stated_pts_;
  std::swap(packet_, other.packet_);
  return *this;
}
Packet::Packet(const Packet& other)
    : stated_pts_(other.stated_pts_), packet_(av_packet_clone(other.packet_)) {
  if (packet_ == nullptr) {
    throw std::bad_alloc();
  }
}
Packet& Packet::operator=(const Packet& other) {
  Packet copy(other);
  stated_pts_ = copy.stated_pts_;
  std::swap(packet_, copy.packet_);
  return *this;
}

std::optional<std::int64_t> Packet::pts() const {
  return known(packet_->pts);
}
std::optional<std::int64_t> Packet::dts() const {
  return known(packet_->dts);
}
std::int64_t Packet::duration() const {
  return packet_->duration;
}
void Packet::set_timestamps(std::optional<std::int64_t> pts, std::optional<std::int64_t> dts,
                            std::int64_t duration) {
  packet_->pts = pts.value_or(AV_NOPTS_VALUE);
  packet_->dts = dts.value_or(AV_NOPTS_VALUE);
  packet_->duration = duration;
}
std::int64_t Packet::position() const {
  return packet_->pos;
}
bool Packet::key() const {
  return (packet_->flags & AV_PKT_FLAG_KEY) != 0;
}
bool Packet::discard() const {
  return (packet_->flags & AV_PKT_FLAG_DISCARD) != 0;
}
std::span<const std::uint8_t> Packet::bytes() const {
  return {packet_->data, static_cast<std::size_t>(packet_->size)};
}

void Packet::replace_bytes(std::span<const std::uint8_t> bytes) {
  const AvPacket fresh = make_packet();
  const auto size = to_int(static_cast<std::int64_t>(bytes.size()), "bytes of a packet");
  check(av_new_packet(fresh.get(), size), "packet", "cannot make");
  std::copy(bytes.begin(), bytes.end(), fresh->data);
  check(av_packet_copy_props(fresh.get(), packet_), "packet", "cannot copy");
  av_packet_unref(packet_);
  av_packet_move_ref(packet_, fresh.get());
}

}  // namespace avstore::media
