// Reads bits of coded video.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace avstore::media {

// Reads bits of a NAL unit's payload, most significant first, passing over emulation prevention
// bytes (ITU-T H.264, 7.3.1).
class BitReader {
 public:
  explicit BitReader(std::span<const std::uint8_t> data) : data_(data) {}

  bool at_end() const { return byte_ >= data_.size(); }

  unsigned bit() {
    if (at_end()) {
      return 0;
    }
    const unsigned value = data_[byte_] >> (7 - bit_) & 1U;
    if (++bit_ == 8) {
      next_byte();
    }
    return value;
  }

  unsigned bits(int count) {
    unsigned value = 0;
    while (count-- > 0) {
      value = value << 1 | bit();
    }
    return value;
  }

  // Exp-Golomb code ue(v), ITU-T H.264, 9.1.
  unsigned ue() {
    int zeros = 0;
    while (zeros < 32 && !at_end() && bit() == 0) {
      ++zeros;
    }
    return zeros >= 32 ? ~0U : (1U << zeros) - 1 + bits(zeros);
  }

 private:
  void next_byte() {
    bit_ = 0;
    zeros_ = data_[byte_] == 0 ? zeros_ + 1 : 0;
    ++byte_;
    if (zeros_ >= 2 && byte_ < data_.size() && data_[byte_] == 3) {
      ++byte_;
      zeros_ = 0;
    }
  }

  std::span<const std::uint8_t> data_;
  std::size_t byte_ = 0;
  int bit_ = 0;
  int zeros_ = 0;
};

}  // namespace avstore::media
