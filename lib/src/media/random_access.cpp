#include "media/random_access.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "media/av.h"
#include "media/bit_reader.h"
#include "media/nal_units.h"

namespace avstore::media {
namespace {

// Whether a recovery point message, if the SEI unit has one, says that this picture and all that
// follow are exactly what they are to be: recovery_frame_cnt 0, exact_match_flag 1 (ITU-T H.264,
// D.1.8).
bool recovers_exactly_at_once(Bytes sei) {
  constexpr unsigned kRecoveryPoint = 6;
  BitReader reader(sei.subspan(1));
  while (!reader.at_end()) {
    unsigned type = 0;
    unsigned size = 0;
    unsigned byte = 0;
    do {
      type += byte = reader.bits(8);
    } while (byte == 255 && !reader.at_end());
    do {
      size += byte = reader.bits(8);
    } while (byte == 255 && !reader.at_end());
    if (type == kRecoveryPoint) {
      return reader.ue() == 0 && !reader.at_end() && reader.bit() == 1;
    }
    for (; size > 0 && !reader.at_end(); --size) {
      reader.bits(8);
    }
  }
  return false;
}

// An IDR picture, or a picture that a recovery point declares whole from itself on.
class H264Start {
 public:
  bool operator()(Bytes nal) {
    constexpr int kIdr = 5;
    constexpr int kSlice = 1;
    constexpr int kSei = 6;
    const int type = nal[0] & 31;
    if (type == kIdr) {
      found_ = true;
    } else if (type == kSei) {
      recovers_at_once_ = recovers_at_once_ || recovers_exactly_at_once(nal);
    } else if (type >= kSlice && type < kIdr) {
      found_ = recovers_at_once_;
    } else {
      return true;
    }
    return type == kSei;
  }
  bool found() const { return found_; }

 private:
  bool recovers_at_once_ = false;
  bool found_ = false;
};

// An intra random access point (ITU-T H.265, 7.4.2.2): pictures that follow it in presentation
// order depend on nothing before it.
class HevcStart {
 public:
  bool operator()(Bytes nal) {
    constexpr int kFirstIrap = 16;
    constexpr int kLastIrap = 23;
    constexpr int kFirstNonVcl = 32;
    const int type = nal[0] >> 1 & 63;
    found_ = type >= kFirstIrap && type <= kLastIrap;
    return type >= kFirstNonVcl;
  }
  bool found() const { return found_; }

 private:
  bool found_ = false;
};

template <typename Start>
bool begins_with(Bytes packet, int length_size) {
  Start start;
  for (const Bytes unit : split_nal_units(packet, length_size)) {
    if (!start(unit)) {
      break;
    }
  }
  return start.found();
}

// A picture that is coded without reference to others, by its header (ITU-T H.263, 5.1).
bool is_h263_intra(Bytes packet) {
  constexpr int kStartCode = 22;
  constexpr int kTemporalReference = 8;
  constexpr int kUntilFormat = 5;
  constexpr unsigned kExtended = 7;
  constexpr int kExtendedFormat = 18;
  BitReader reader(packet);
  if (reader.bits(kStartCode) != 32) {
    return false;
  }
  reader.bits(kTemporalReference + kUntilFormat);
  if (reader.bits(3) != kExtended) {
    return !reader.at_end() && reader.bit() == 0;
  }
  const bool states_format = reader.bits(3) == 1;  // else it is as in a picture before
  reader.bits(states_format ? kExtendedFormat : 0);
  return states_format && !reader.at_end() && reader.bits(3) == 0;
}

// Codecs whose keyframes are pictures without references, after which nothing from before is used,
// and whose demuxers and parsers know keyframes.
bool is_known_by_flag(const std::string& codec, const AVCodecParameters& parameters) {
  constexpr std::array<std::string_view, 11> kNames = {"mpeg1video", "mpeg2video", "mpeg4", "flv1",
                                                       "wmv1",       "wmv2",       "vp8",   "vp9",
                                                       "av1",        "theora",     "ffv1"};
  const AVCodecDescriptor* descriptor = avcodec_descriptor_get(parameters.codec_id);
  const bool intra_only =
      descriptor != nullptr && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
  return intra_only || std::find(kNames.begin(), kNames.end(), codec) != kNames.end();
}

}  // namespace

RandomAccess::RandomAccess(const Demuxer& demuxer)
    : RandomAccess(demuxer.stream().codec, demuxer.parameters()) {}

RandomAccess::RandomAccess(const AVCodecParameters* parameters)
    : RandomAccess(avcodec_get_name(parameters->codec_id), parameters) {}

RandomAccess::RandomAccess(const std::string& codec, const AVCodecParameters* parameters)
    : headers_(*parameters) {
  if (codec == "h264") {
    codec_ = Codec::h264;
  } else if (codec == "hevc") {
    codec_ = Codec::hevc;
  } else if (codec == "h263" || codec == "h263p") {
    codec_ = Codec::h263;
  } else if (is_known_by_flag(codec, *parameters)) {
    codec_ = Codec::by_flag;
  }
}

void RandomAccess::take(const Packet& packet) {
  const std::int64_t needed = headers_.take(packet);
  if (is_whole(packet)) {
    starts_.push_back(packets_);
  }
  while (!starts_.empty() && starts_.back() > needed) {
    starts_.pop_back();
  }
  ++packets_;
}

bool RandomAccess::is_whole(const Packet& packet) const {
  if (!packet.key()) {
    return false;
  }
  switch (codec_) {
    case Codec::h264:
      return begins_with<H264Start>(packet.bytes(), headers_.length_size());
    case Codec::hevc:
      return begins_with<HevcStart>(packet.bytes(), headers_.length_size());
    case Codec::h263:
      return is_h263_intra(packet.bytes());
    case Codec::by_flag:
      return true;
    case Codec::only_first:
      break;
  }
  return packets_ == 0;
}

std::vector<bool> RandomAccess::starts() const {
  std::vector<bool> can_start(static_cast<std::size_t>(packets_), false);
  for (const std::int64_t packet : starts_) {
    can_start[static_cast<std::size_t>(packet)] = true;
  }
  return can_start;
}

}  // namespace avstore::media
