#include "media/headers_in_force.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "media/av.h"
#include "media/bit_reader.h"

namespace avstore::media {
namespace {

// Kinds of headers are the numbers that their units have in the stream.
constexpr int kH264Sps = 7;
constexpr int kH264Pps = 8;
constexpr int kHevcVps = 32;
constexpr int kHevcSps = 33;
constexpr int kHevcPps = 34;
constexpr int kMpegSequence = 0xB3;
constexpr int kMpegExtension = 0xB5;
constexpr unsigned kSequenceExtension = 1;
constexpr unsigned kMatrixExtension = 3;
constexpr int kMpeg4Layer = 0x20;
constexpr int kMpeg4UserData = 0xB2;

// How many of a kind there can be.
constexpr unsigned kH264SpsCount = 32;
constexpr unsigned kH264PpsCount = 256;
constexpr unsigned kHevcVpsCount = 16;
constexpr unsigned kHevcSpsCount = 16;
constexpr unsigned kHevcPpsCount = 64;

// profile_tier_level() (ITU-T H.265, 7.3.3)
void pass_hevc_profile(BitReader& reader, unsigned sub_layers) {
  constexpr int kProfile = 88;
  constexpr int kLevel = 8;
  constexpr unsigned kMaxSubLayers = 8;
  reader.bits(kProfile + kLevel);
  std::array<bool, kMaxSubLayers> has_profile{};
  std::array<bool, kMaxSubLayers> has_level{};
  for (unsigned i = 0; i < sub_layers; ++i) {
    has_profile[i] = reader.bit() != 0;
    has_level[i] = reader.bit() != 0;
  }
  for (unsigned i = sub_layers; sub_layers > 0 && i < kMaxSubLayers; ++i) {
    reader.bits(2);
  }
  for (unsigned i = 0; i < sub_layers; ++i) {
    reader.bits(has_profile[i] ? kProfile : 0);
    reader.bits(has_level[i] ? kLevel : 0);
  }
}

// Programs by whose faults the decoder goes, if they name themselves.
constexpr std::array<std::string_view, 4> kMpeg4Encoders = {"DivX", "FFmpe", "Lavc", "XviD"};

// Which of them user data names; as many as there are if none.
unsigned encoder_named(Bytes user_data) {
  const auto found = std::find_if(kMpeg4Encoders.begin(), kMpeg4Encoders.end(), [&](auto name) {
    return user_data.size() >= name.size() &&
           std::equal(name.begin(), name.end(), user_data.begin());
  });
  return static_cast<unsigned>(found - kMpeg4Encoders.begin());
}

// Without the mark that two frames share packets, which unpacking takes away from some places only.
Bytes without_packed_mark(Bytes user_data) {
  while (!user_data.empty() && (user_data.back() == 0 || user_data.back() == 'p')) {
    user_data = user_data.first(user_data.size() - 1);
  }
  return user_data;
}

}  // namespace

HeadersInForce::HeadersInForce(const AVCodecParameters& parameters) {
  switch (parameters.codec_id) {
    case AV_CODEC_ID_H264:
      syntax_ = Syntax::h264;
      length_size_ = nal_length_size(parameters);
      break;
    case AV_CODEC_ID_HEVC:
      syntax_ = Syntax::hevc;
      length_size_ = nal_length_size(parameters);
      break;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
      syntax_ = Syntax::mpeg12;
      break;
    case AV_CODEC_ID_MPEG4:
      syntax_ = Syntax::mpeg4;
      break;
    default:
      return;
  }
  for (const Bytes unit : media::parameter_sets(parameters)) {
    look_at(unit);
  }
  stated_ = headers_;
  changed_ = false;
}

std::int64_t HeadersInForce::take(const Packet& packet) {
  const std::int64_t here = packets_++;
  if (syntax_ == Syntax::none) {
    return here;
  }
  needed_ = here;
  // A demuxer that has sought may take it that these are known already: not a place to start.
  place_ = here - 1;
  take_stated_anew(packet);
  place_ = here;
  for (const Bytes unit : split_nal_units(packet.bytes(), length_size_)) {
    look_at(unit);
  }
  return needed_;
}

// What the container says anew, as MP4 can for some of its samples.
void HeadersInForce::take_stated_anew(const Packet& packet) {
  std::size_t size = 0;
  std::uint8_t* const data =
      av_packet_get_side_data(packet.get(), AV_PKT_DATA_NEW_EXTRADATA, &size);
  if (data == nullptr || (syntax_ != Syntax::h264 && syntax_ != Syntax::hevc)) {
    return;
  }
  AVCodecParameters stated{};
  stated.codec_id = syntax_ == Syntax::hevc ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264;
  stated.extradata = data;
  stated.extradata_size = to_int(static_cast<std::int64_t>(size), "bytes of a header");
  length_size_ = nal_length_size(stated);
  for (const Bytes unit : media::parameter_sets(stated)) {
    look_at(unit);
  }
}

std::vector<std::vector<std::uint8_t>> HeadersInForce::parameter_sets() const {
  std::vector<std::vector<std::uint8_t>> units;
  if (syntax_ != Syntax::h264 && syntax_ != Syntax::hevc) {
    return units;
  }
  constexpr unsigned kH264Reference = 3 << 5;  // other pictures need it
  constexpr unsigned kHevcBase = 1;            // the base layer's, of every picture rate
  for (const auto& [name, header] : headers_) {
    const auto kind = static_cast<unsigned>(name.first);
    std::vector<std::uint8_t> unit;
    if (syntax_ == Syntax::h264) {
      unit = {static_cast<std::uint8_t>(kH264Reference | kind)};
    } else {
      unit = {static_cast<std::uint8_t>(kind << 1), kHevcBase};
    }
    unit.insert(unit.end(), header.content.begin(), header.content.end());
    units.push_back(std::move(unit));
  }
  return units;
}

void HeadersInForce::look_at(Bytes unit) {
  switch (syntax_) {
    case Syntax::h264:
      return look_at_h264(unit);
    case Syntax::hevc:
      return look_at_hevc(unit);
    case Syntax::mpeg12:
      return look_at_mpeg12(unit);
    case Syntax::mpeg4:
      return look_at_mpeg4(unit);
    case Syntax::none:
      return;
  }
}

void HeadersInForce::look_at_h264(Bytes unit) {
  constexpr int kSlice = 1;
  constexpr int kPartition = 2;
  constexpr int kIdr = 5;
  constexpr int kProfileAndLevel = 24;
  const Bytes content = unit.subspan(1);
  BitReader reader(content);
  const int type = unit[0] & 31;
  if (type == kH264Sps) {
    reader.bits(kProfileAndLevel);
    put({type, reader.ue()}, kH264SpsCount, content);
  } else if (type == kH264Pps) {
    const unsigned number = reader.ue();
    put({type, number}, kH264PpsCount, content, Name(kH264Sps, reader.ue()));
  } else if (type == kSlice || type == kPartition || type == kIdr) {
    reader.ue();  // its first macroblock
    reader.ue();  // its type
    need({kH264Pps, reader.ue()});
  }
}

void HeadersInForce::look_at_hevc(Bytes unit) {
  constexpr std::size_t kUnitHeader = 2;
  constexpr int kFirstIrap = 16;
  constexpr int kLastIrap = 23;
  constexpr int kFirstNonVcl = 32;
  // Only the base layer is decoded.
  if (unit.size() < kUnitHeader || (unit[0] & 1) != 0 || unit[1] >> 3 != 0) {
    return;
  }
  const Bytes content = unit.subspan(kUnitHeader);
  BitReader reader(content);
  const int type = unit[0] >> 1 & 63;
  if (type == kHevcVps) {
    put({type, reader.bits(4)}, kHevcVpsCount, content);
  } else if (type == kHevcSps) {
    const unsigned vps = reader.bits(4);
    const unsigned sub_layers = reader.bits(3);
    reader.bit();
    pass_hevc_profile(reader, sub_layers);
    put({type, reader.ue()}, kHevcSpsCount, content, Name(kHevcVps, vps));
  } else if (type == kHevcPps) {
    const unsigned number = reader.ue();
    put({type, number}, kHevcPpsCount, content, Name(kHevcSps, reader.ue()));
  } else if (type < kFirstNonVcl) {
    reader.bit();  // whether it is the picture's first
    reader.bits(type >= kFirstIrap && type <= kLastIrap ? 1 : 0);
    need({kHevcPps, reader.ue()});
  }
}

// ISO/IEC 13818-2, 6.2.2 and 6.2.3
void HeadersInForce::look_at_mpeg12(Bytes unit) {
  constexpr int kFirstSlice = 1;
  constexpr int kLastSlice = 0xAF;
  const int code = unit[0];
  const Bytes content = unit.subspan(1);
  const Name sequence(kMpegSequence, 0);
  const Name extension(kMpegExtension, kSequenceExtension);
  const Name matrix(kMpegExtension, kMatrixExtension);
  if (code == kMpegSequence) {
    headers_.erase(matrix);  // which it replaces
    put(sequence, 1, content);
  } else if (code == kMpegExtension && !content.empty()) {
    const Name name(code, content[0] >> 4);
    if (name == extension || name == matrix) {
      put(name, kMatrixExtension + 1, content, sequence);
    }
  } else if (code >= kFirstSlice && code <= kLastSlice) {
    need(sequence);
    need(extension);
    need(matrix);
  }
}

// ISO/IEC 14496-2, 6.2
void HeadersInForce::look_at_mpeg4(Bytes unit) {
  constexpr int kLastLayer = 0x2F;
  constexpr int kPicture = 0xB6;
  const int code = unit[0];
  const Bytes content = unit.subspan(1);
  if (code >= kMpeg4Layer && code <= kLastLayer) {
    put({kMpeg4Layer, 0}, 1, content);
  } else if (code == kMpeg4UserData) {
    put({code, encoder_named(content)}, kMpeg4Encoders.size(), without_packed_mark(content));
  } else if (code == kPicture) {
    need({kMpeg4Layer, 0});
    for (unsigned encoder = 0; encoder < kMpeg4Encoders.size(); ++encoder) {
      need({kMpeg4UserData, encoder});
    }
  }
}

void HeadersInForce::put(Name name, unsigned limit, Bytes content, std::optional<Name> parent) {
  if (name.second >= limit) {
    return;  // damaged
  }
  while (!content.empty() && content.back() == 0) {  // a framing may leave or drop these
    content = content.first(content.size() - 1);
  }
  headers_[name] = {{content.begin(), content.end()}, parent, place_};
  changed_ = changed_ || !is_as_stated(name);
}

// A header that is not as stated, or that is to be understood by one that is not, must come again
// after the start.
void HeadersInForce::need(Name name) {
  constexpr int kMaxDepth = 3;
  std::optional<Name> next = name;
  for (int depth = 0; next && depth < kMaxDepth; ++depth) {
    const auto found = headers_.find(*next);
    if (found == headers_.end()) {
      return;
    }
    if (!is_as_stated(*next)) {
      needed_ = std::min(needed_, found->second.packet);
    }
    next = found->second.parent;
  }
}

bool HeadersInForce::is_as_stated(Name name) const {
  const auto now = headers_.find(name);
  if (now == headers_.end()) {
    return true;
  }
  const auto stated = stated_.find(name);
  return stated != stated_.end() && stated->second.content == now->second.content &&
         (!now->second.parent || is_as_stated(*now->second.parent));
}

}  // namespace avstore::media
