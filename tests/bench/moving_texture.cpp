#include "bench/moving_texture.h"

#include <array>
#include <random>
#include <utility>

namespace avstore::bench {
namespace {

constexpr int kTile = 2048;

int at(const std::vector<std::uint8_t>& texture, int x, int y) {
  return texture[static_cast<std::size_t>((y & (kTile - 1)) * kTile + (x & (kTile - 1)))];
}

std::vector<std::uint8_t> smooth_noise() {
  std::mt19937 random(1);
  std::vector<std::uint8_t> texture(static_cast<std::size_t>(kTile) * kTile);
  for (auto& value : texture) {
    value = static_cast<std::uint8_t>(random());
  }
  // Blurring twice leaves structures some pixels wide.
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<std::uint8_t> blurred(texture.size());
    for (int y = 0; y < kTile; ++y) {
      for (int x = 0; x < kTile; ++x) {
        const int sum = at(texture, x, y) * 4 + at(texture, x - 2, y) * 3 +
                        at(texture, x + 2, y) * 3 + at(texture, x, y - 2) * 3 +
                        at(texture, x, y + 2) * 3;
        blurred[static_cast<std::size_t>(y * kTile + x)] = static_cast<std::uint8_t>(sum / 16);
      }
    }
    texture.swap(blurred);
  }
  return texture;
}

}  // namespace

std::vector<std::vector<std::uint8_t>> moving_texture(int count, int width, int height,
                                                      int channels) {
  const std::vector<std::uint8_t> texture = smooth_noise();
  std::vector<std::vector<std::uint8_t>> frames;
  for (int i = 0; i < count; ++i) {
    std::vector<std::uint8_t> frame;
    frame.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height * channels));
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const std::array<int, 3> values{at(texture, x + 3 * i, y + i),
                                        at(texture, x + 3 * i + 500, y + i),
                                        at(texture, x + 2 * i, y + 2 * i + 900)};
        for (int channel = 0; channel < channels; ++channel) {
          frame.push_back(static_cast<std::uint8_t>(values[static_cast<std::size_t>(channel)]));
        }
      }
    }
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace avstore::bench
