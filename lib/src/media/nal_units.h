// NAL units of H.264 and HEVC in their two framings: with start codes, or prefixed by their length.
// Sources: ITU-T H.264 and H.265, annex B; ISO/IEC 14496-15 for avcC and hvcC.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

struct AVCodecParameters;

namespace avstore::media {

using Bytes = std::span<const std::uint8_t>;

// Bytes of the length prefix in packets of such a stream; 0: start codes are used instead.
int nal_length_size(const AVCodecParameters& parameters);

// The NAL units of a packet. `length_size` as above. What is damaged ends the list.
std::vector<Bytes> split_nal_units(Bytes packet, int length_size);

// The parameter sets (VPS, SPS, PPS) in the codec's extradata, whichever framing it has.
std::vector<Bytes> parameter_sets(const AVCodecParameters& parameters);

// NAL units as a packet with length prefixes of four bytes.
std::vector<std::uint8_t> join_nal_units(std::span<const Bytes> units);

}  // namespace avstore::media
