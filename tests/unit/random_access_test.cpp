// Where decoding can start: packets put together by hand.
#include <algorithm>
#include <string>
#include <vector>

#include "media/av.h"
#include "media/nal_units.h"
#include "media/packet.h"
#include "media/random_access.h"
#include "support/catch.h"
#include "support/codec_parameters.h"

namespace {

using avstore::test::parameters_of;
using Bytes = std::vector<std::uint8_t>;

// Packets of H.264 in avcC framing: units with their lengths before them.
avstore::media::Packet key_packet(const std::vector<Bytes>& units) {
  const std::vector<avstore::media::Bytes> parts(units.begin(), units.end());
  avstore::media::Packet packet;
  packet.replace_bytes(avstore::media::join_nal_units(parts));
  packet.get()->flags |= AV_PKT_FLAG_KEY;
  return packet;
}

std::vector<bool> starts_of(const std::string& codec, const AVCodecParameters* parameters,
                            const std::vector<avstore::media::Packet>& packets) {
  avstore::media::RandomAccess access(codec, parameters);
  for (const auto& packet : packets) {
    access.take(packet);
  }
  return access.starts();
}

// Profile and level, then the number as Exp-Golomb code: 1 is 0, 010 is 1, 011 is 2.
const Bytes kSps0{0x67, 66, 0, 30, 0x80};
const Bytes kOtherSps0{0x67, 66, 0, 31, 0x80};
const Bytes kSps1{0x67, 66, 0, 30, 0x48};
// Its number and that of the SPS.
const Bytes kPps0{0x68, 0xC1};
const Bytes kOtherPps0{0x68, 0xC3};
const Bytes kPps1{0x68, 0x4B};  // 010 010 11
// First macroblock 0, type 7 (0001000), number of the PPS.
const Bytes kIdr0{0x65, 0x88, 0x80};
const Bytes kIdr1{0x65, 0x88, 0x40};

}  // namespace

TEST_CASE("decoding starts only where a fresh decoder has the headers that are in force") {
  const Bytes avcc{1, 66, 0, 30, 0xFF, 0xE1, 0, 5, 0x67, 66, 0, 30, 0x80, 1, 0, 2, 0x68, 0xC1};
  const auto parameters = parameters_of(AV_CODEC_ID_H264, avcc);
  const auto starts = [&](const std::vector<std::vector<Bytes>>& packets) {
    std::vector<avstore::media::Packet> all;
    for (const auto& units : packets) {
      all.push_back(key_packet(units));
    }
    return starts_of("h264", parameters.get(), all);
  };
  using Starts = std::vector<bool>;
  SECTION("there are none but the container's") {
    CHECK(starts({{kIdr0}, {kIdr0}}) == Starts{true, true});
  }
  SECTION("the same are repeated now and then") {
    CHECK(starts({{kIdr0}, {kSps0, kPps0, kIdr0}, {kIdr0}}) == Starts{true, true, true});
    const Bytes other_priority{0x27, 66, 0, 30, 0x80};
    CHECK(starts({{other_priority, kPps0, kIdr0}, {kIdr0}}) == Starts{true, true});
  }
  SECTION("others come once") {
    CHECK(starts({{kIdr0}, {kSps0, kOtherPps0, kIdr0}, {kIdr0}}) == Starts{true, true, false});
  }
  SECTION("others come with each keyframe") {
    CHECK(starts({{kIdr0}, {kOtherSps0, kPps0, kIdr0}, {kOtherSps0, kPps0, kIdr0}}) ==
          Starts{true, true, true});
  }
  SECTION("a changed SPS comes without the PPS that is understood by it") {
    CHECK(starts({{kOtherSps0, kPps0, kIdr0}, {kOtherSps0, kIdr0}}) == Starts{true, false});
  }
  SECTION("the container's come back") {
    CHECK(starts({{kIdr0}, {kSps0, kOtherPps0, kIdr0}, {kIdr0}, {kPps0, kIdr0}, {kIdr0}}) ==
          Starts{true, true, false, true, true});
  }
  SECTION("others of another number, which what follows does not need") {
    CHECK(starts({{kIdr0}, {kSps1, kPps1, kIdr1}, {kIdr0}, {kSps1, kPps1, kIdr1}}) ==
          Starts{true, true, true, true});
  }
  SECTION("others of another number, which a later picture needs") {
    CHECK(starts({{kIdr0}, {kSps1, kPps1, kIdr1}, {kIdr0}, {kIdr1}}) ==
          Starts{true, true, false, false});
  }
  SECTION("the container states them anew, which after a seek it may not") {
    avstore::media::Packet told = key_packet({kIdr0});
    Bytes other = avcc;
    other.back() = 0xC3;
    std::copy(other.begin(), other.end(),
              av_packet_new_side_data(told.get(), AV_PKT_DATA_NEW_EXTRADATA, other.size()));
    CHECK(starts_of("h264", parameters.get(),
                    {key_packet({kIdr0}), told, key_packet({kIdr0}),
                     key_packet({kSps0, kOtherPps0, kIdr0})}) == Starts{true, false, false, true});
  }
  SECTION("numbers beyond what there can be, and units cut off") {
    const Bytes far{0x68, 0, 0, 0, 0, 0, 1};
    CHECK(starts({{far, {0x67}, {0x68}, {0x65}, kIdr0}, {kIdr0}}).size() == 2);
  }
}

TEST_CASE("H.263 says in each picture whether it needs others") {
  const auto parameters = parameters_of(AV_CODEC_ID_H263, {});
  const auto starts = [&](const Bytes& bytes) {
    avstore::media::Packet packet;
    packet.replace_bytes(bytes);
    packet.get()->flags |= AV_PKT_FLAG_KEY;  // as libavformat marks each
    return starts_of("h263", parameters.get(), {packet}) == std::vector<bool>{true};
  };
  // Start code, temporal reference 5, PTYPE: 10000, format 011 (352x288), intra 0 or inter 1.
  CHECK(starts({0, 0, 0x80, 0x16, 0x0C, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x0E, 0, 0}));
  // Format 111: UFEP 001, 18 bits of OPPTYPE, then the type 000 or 001; or UFEP 000.
  CHECK(starts({0, 0, 0x80, 0x16, 0x1C, 0x80, 0, 0x00, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x1C, 0x80, 0, 0x04, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16, 0x1C, 0, 0, 0, 0, 0}));
  CHECK_FALSE(starts({0, 0, 0x80, 0x16}));
  CHECK_FALSE(starts({1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_CASE("a recovery point is a start only where what follows is exact from itself on") {
  const Bytes avcc{1, 66, 0, 30, 0xFF, 0xE1, 0, 5, 0x67, 66, 0, 30, 0x80, 1, 0, 2, 0x68, 0xC1};
  const auto parameters = parameters_of(AV_CODEC_ID_H264, avcc);
  const Bytes intra0{0x61, 0x88, 0x80};
  // recovery_frame_cnt, exact_match_flag, broken_link_flag, two bits, and what fills the byte up.
  const Bytes exact{0x06, 6, 1, 0xC4, 0x80};        // 1 1 0 00
  const Bytes approximate{0x06, 6, 1, 0x84, 0x80};  // 1 0 0 00
  const Bytes gradual{0x06, 6, 1, 0x61, 0x80};      // 011 0 0 00
  std::vector<avstore::media::Packet> packets;
  packets.push_back(key_packet({kIdr0}));
  packets.push_back(key_packet({exact, intra0}));
  packets.push_back(key_packet({approximate, intra0}));
  packets.push_back(key_packet({gradual, intra0}));
  packets.push_back(key_packet({intra0}));
  CHECK(starts_of("h264", parameters.get(), packets) ==
        std::vector<bool>{true, true, false, false, false});
}
