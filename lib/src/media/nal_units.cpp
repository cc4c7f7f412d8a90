#include "media/nal_units.h"

#include <algorithm>
#include <iterator>

#include "media/av.h"

namespace avstore::media {
namespace {

std::size_t big_endian(Bytes bytes) {
  std::size_t value = 0;
  for (const std::uint8_t byte : bytes) {
    value = value << 8 | byte;
  }
  return value;
}

// Takes bytes off the front; an empty span once there are not enough left.
class ByteReader {
 public:
  explicit ByteReader(Bytes data) : data_(data) {}
  Bytes take(std::size_t count) {
    if (count > data_.size()) {
      data_ = {};
      return {};
    }
    const Bytes taken = data_.first(count);
    data_ = data_.subspan(count);
    return taken;
  }
  std::size_t number(std::size_t bytes) { return big_endian(take(bytes)); }
  bool at_end() const { return data_.empty(); }

 private:
  Bytes data_;
};

std::vector<Bytes> split_prefixed(Bytes packet, std::size_t length_size) {
  std::vector<Bytes> units;
  ByteReader reader(packet);
  while (!reader.at_end()) {
    const Bytes unit = reader.take(reader.number(length_size));
    if (unit.empty()) {
      break;
    }
    units.push_back(unit);
  }
  return units;
}

std::size_t find_start_code(Bytes data, std::size_t from) {
  for (auto one = data.begin() + static_cast<std::ptrdiff_t>(std::min(from + 2, data.size()));;
       ++one) {
    one = std::find(one, data.end(), 1);
    if (one == data.end()) {
      return data.size();
    }
    if (one[-1] == 0 && one[-2] == 0) {
      return static_cast<std::size_t>(one - data.begin()) - 2;
    }
  }
}

std::vector<Bytes> split_annexb(Bytes packet) {
  std::vector<Bytes> units;
  std::size_t start = find_start_code(packet, 0);
  while (start + 3 < packet.size()) {
    const std::size_t end = find_start_code(packet, start + 3);
    Bytes unit = packet.subspan(start + 3, end - start - 3);
    while (!unit.empty() && unit.back() == 0) {  // belongs to the next start code
      unit = unit.first(unit.size() - 1);
    }
    if (!unit.empty()) {
      units.push_back(unit);
    }
    start = end;
  }
  return units;
}

void take_units(ByteReader& reader, std::size_t count, std::vector<Bytes>& units) {
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes unit = reader.take(reader.number(2));
    if (!unit.empty()) {
      units.push_back(unit);
    }
  }
}

std::vector<Bytes> from_avcc(Bytes record) {
  std::vector<Bytes> units;
  ByteReader reader(record);
  reader.take(5);
  take_units(reader, reader.number(1) & 31, units);
  take_units(reader, reader.number(1), units);
  return units;
}

std::vector<Bytes> from_hvcc(Bytes record) {
  std::vector<Bytes> units;
  ByteReader reader(record);
  reader.take(22);
  for (std::size_t arrays = reader.number(1); arrays > 0; --arrays) {
    reader.take(1);
    take_units(reader, reader.number(2), units);
  }
  return units;
}

Bytes extradata(const AVCodecParameters& parameters) {
  return {parameters.extradata, static_cast<std::size_t>(parameters.extradata_size)};
}

}  // namespace

int nal_length_size(const AVCodecParameters& parameters) {
  const std::size_t offset = parameters.codec_id == AV_CODEC_ID_HEVC ? 21 : 4;
  const Bytes data = extradata(parameters);
  return data.size() > offset && data[0] == 1 ? (data[offset] & 3) + 1 : 0;
}

std::vector<Bytes> split_nal_units(Bytes packet, int length_size) {
  return length_size > 0 ? split_prefixed(packet, static_cast<std::size_t>(length_size))
                         : split_annexb(packet);
}

std::vector<Bytes> parameter_sets(const AVCodecParameters& parameters) {
  const Bytes data = extradata(parameters);
  if (nal_length_size(parameters) == 0) {
    return split_annexb(data);
  }
  return parameters.codec_id == AV_CODEC_ID_HEVC ? from_hvcc(data) : from_avcc(data);
}

std::vector<std::uint8_t> join_nal_units(std::span<const Bytes> units) {
  std::vector<std::uint8_t> packet;
  for (const Bytes unit : units) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      packet.push_back(static_cast<std::uint8_t>(unit.size() >> shift));
    }
    // GCC 14 wrongly warns of an overflow in vector::insert() here.
    std::copy(unit.begin(), unit.end(), std::back_inserter(packet));
  }
  return packet;
}

}  // namespace avstore::media
