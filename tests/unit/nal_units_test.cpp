// NAL units and the headers that state how they are framed: against bytes put together by hand.
#include <algorithm>
#include <random>
#include <vector>

#include "media/av.h"
#include "media/nal_units.h"
#include "support/catch.h"
#include "support/codec_parameters.h"

namespace {

using avstore::media::split_nal_units;
using avstore::test::parameters_of;
using Bytes = std::vector<std::uint8_t>;

std::vector<Bytes> contents(const std::vector<avstore::media::Bytes>& units) {
  std::vector<Bytes> all;
  for (const auto& unit : units) {
    all.emplace_back(unit.begin(), unit.end());
  }
  return all;
}

std::vector<Bytes> split(const Bytes& packet, int length_size) {
  return contents(split_nal_units(packet, length_size));
}

std::vector<Bytes> parameter_sets_of(AVCodecID codec, const Bytes& extradata) {
  const auto parameters = parameters_of(codec, extradata);
  return contents(avstore::media::parameter_sets(*parameters));
}

int length_size_of(AVCodecID codec, const Bytes& extradata) {
  const auto parameters = parameters_of(codec, extradata);
  return avstore::media::nal_length_size(*parameters);
}

// avcC (ISO/IEC 14496-15, 5.3.3.1): version, profile, compatibility, level, 0xFC | length size - 1,
// 0xE0 | number of SPS, each with 16 bits of length, number of PPS, each likewise.
const Bytes kAvcc{1, 66, 0, 30, 0xFF, 0xE1, 0, 4, 0x67, 1, 2, 3, 2, 0, 2, 0x68, 5, 0, 1, 0x68};

// hvcC (8.3.3.1): 21 bytes, 0xFC | length size - 1 in the last of them, number of arrays; each
// array: type, 16 bits of count, each unit with 16 bits of length.
Bytes hvcc() {
  Bytes record(22, 0);
  record[0] = 1;
  record[21] = 0xFF;
  const Bytes arrays{2,    0x20, 0, 1, 0, 2,    0x40, 1,                  // one VPS
                     0x21, 0,    2, 0, 3, 0x42, 1,    7, 0, 2, 0x42, 2};  // two SPS
  record.insert(record.end(), arrays.begin(), arrays.end());
  return record;
}

}  // namespace

TEST_CASE("NAL units with their length before them") {
  CHECK(split({0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9}, 4) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 0, 2, 7, 8, 0, 0, 1, 9}, 3) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 2, 7, 8, 0, 1, 9}, 2) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({2, 7, 8, 1, 9}, 1) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({1, 0, 7}, 2).empty());
  CHECK(split({}, 4).empty());
}

TEST_CASE("what is damaged ends the list of NAL units") {
  // Too long, by one and by all there is.
  CHECK(split({0, 0, 0, 1, 7, 0, 0, 0, 3, 8, 9}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 0, 1, 7, 0xFF, 0xFF, 0xFF, 0xFF, 8, 9}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0x7F, 0xFF, 0xFF, 0xFF}, 4).empty());
  // A length that is cut off.
  CHECK(split({0, 0, 0, 1, 7, 0, 0, 0}, 4) == std::vector<Bytes>{{7}});
  CHECK(split({0}, 4).empty());
  // Of no bytes at all: nothing that a reader of NAL units may look into.
  CHECK(split({0, 0, 0, 0}, 4).empty());
  for (const Bytes& unit : split({0, 0, 0, 0, 0, 0, 0, 1, 7}, 4)) {
    CHECK_FALSE(unit.empty());
  }
}

TEST_CASE("NAL units with start codes") {
  CHECK(split({0, 0, 1, 7, 8, 0, 0, 1, 9}, 0) == std::vector<Bytes>{{7, 8}, {9}});
  CHECK(split({0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9}, 0) == std::vector<Bytes>{{7, 8}, {9}});
  // Zeros before a start code belong to it, those at the end to nothing.
  CHECK(split({0, 0, 1, 7, 0, 0, 0, 0, 1, 9, 0, 0}, 0) == std::vector<Bytes>{{7}, {9}});
  // Bytes before the first start code are no unit; neither is nothing between two.
  CHECK(split({5, 6, 0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 1, 0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({0, 0, 1}, 0).empty());
  CHECK(split({7, 0, 0, 1}, 0).empty());
  CHECK(split({0, 0, 1, 7}, 0) == std::vector<Bytes>{{7}});
  CHECK(split({7, 8, 9}, 0).empty());
  CHECK(split({0, 0}, 0).empty());
  CHECK(split({}, 0).empty());
  // 0 0 3 is an escape within a unit.
  CHECK(split({0, 0, 1, 7, 0, 0, 3, 1, 8}, 0) == std::vector<Bytes>{{7, 0, 0, 3, 1, 8}});
}

TEST_CASE("joined NAL units come apart again") {
  const Bytes a{1, 2, 3};
  const Bytes b{4};
  const std::vector<avstore::media::Bytes> units{a, b};
  const Bytes packet = avstore::media::join_nal_units(units);
  CHECK(packet == Bytes{0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 1, 4});
  CHECK(split(packet, 4) == std::vector<Bytes>{a, b});
  CHECK(avstore::media::join_nal_units({}).empty());
  const Bytes large(70000, 9);
  const std::vector<avstore::media::Bytes> one{large};
  CHECK(avstore::media::join_nal_units(one).size() == 70004);
  CHECK(split(avstore::media::join_nal_units(one), 4) == std::vector<Bytes>{large});
}

TEST_CASE("parameter sets and framing, as the codec's header states them") {
  CHECK(length_size_of(AV_CODEC_ID_H264, kAvcc) == 4);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, kAvcc) ==
        std::vector<Bytes>{{0x67, 1, 2, 3}, {0x68, 5}, {0x68}});
  Bytes two = kAvcc;
  two[4] = 0xFD;
  CHECK(length_size_of(AV_CODEC_ID_H264, two) == 2);
  CHECK(length_size_of(AV_CODEC_ID_HEVC, hvcc()) == 4);
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hvcc()) ==
        std::vector<Bytes>{{0x40, 1}, {0x42, 1, 7}, {0x42, 2}});
  const Bytes annexb{0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 5};
  CHECK(length_size_of(AV_CODEC_ID_H264, annexb) == 0);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, annexb) == std::vector<Bytes>{{0x67, 1, 2}, {0x68, 5}});
  CHECK(length_size_of(AV_CODEC_ID_H264, {}) == 0);
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {}).empty());
}

TEST_CASE("headers that are cut off or lie about lengths") {
  for (std::size_t size = 0; size <= kAvcc.size(); ++size) {
    const auto sets = parameter_sets_of(
        AV_CODEC_ID_H264, {kAvcc.begin(), kAvcc.begin() + static_cast<std::ptrdiff_t>(size)});
    CHECK(sets.size() <= 3);
    CHECK((size < 12 || size == 0 || sets.empty() || sets[0] == Bytes{0x67, 1, 2, 3}));
  }
  const Bytes whole = hvcc();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    CHECK(parameter_sets_of(AV_CODEC_ID_HEVC,
                            {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)})
              .size() <= 3);
  }
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {1, 66, 0, 30, 0xFF, 0xFF, 0xFF, 0xFF, 0x67}).empty());
  CHECK(parameter_sets_of(AV_CODEC_ID_H264, {1, 66, 0, 30, 0xFF, 0xFF}).empty());
  Bytes hostile = hvcc();
  hostile.resize(23);
  hostile[22] = 0xFF;
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hostile).empty());
  hostile.insert(hostile.end(), {0x20, 0xFF, 0xFF, 0xFF, 0xFF});
  CHECK(parameter_sets_of(AV_CODEC_ID_HEVC, hostile).empty());
}

TEST_CASE("no bytes make the splitting of NAL units leave the packet") {
  std::mt19937 dice(10);
  for (int round = 0; round < 20000; ++round) {
    Bytes packet(dice() % 40);
    for (std::uint8_t& byte : packet) {
      // Mostly what start codes and lengths are made of.
      byte = dice() % 4 == 0 ? static_cast<std::uint8_t>(dice())
                             : static_cast<std::uint8_t>(dice() % 4);
    }
    for (int length_size = 0; length_size <= 4; ++length_size) {
      const std::uint8_t* end = packet.data();
      for (const auto& unit : split_nal_units(packet, length_size)) {
        const bool inside =
            unit.data() >= end && unit.data() + unit.size() <= packet.data() + packet.size();
        REQUIRE(inside);
        REQUIRE_FALSE(unit.empty());
        end = unit.data() + unit.size();
      }
    }
    packet.resize(std::max<std::size_t>(packet.size(), 1));
    parameter_sets_of(AV_CODEC_ID_H264, packet);
    parameter_sets_of(AV_CODEC_ID_HEVC, packet);
    packet[0] = 1;
    parameter_sets_of(AV_CODEC_ID_H264, packet);
    packet.insert(packet.begin(), 21, 1);
    parameter_sets_of(AV_CODEC_ID_HEVC, packet);
  }
}
