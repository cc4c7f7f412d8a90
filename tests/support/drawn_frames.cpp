#include "support/drawn_frames.h"

#include <array>
#include <cstdlib>
#include <map>
#include <string_view>
#include <utility>

namespace avstore::test {

namespace {

int wave(int phase, int period) {
  const int place = ((phase % period) + period) % period;
  return 40 + 170 * std::abs(2 * place - period) / period;
}

}  // namespace

Rgb color_at(int x, int y, int number, int width) {
  if (y < kBarRows) {
    const int bar = x * kBars / width;
    const int value = (number >> (kBars - 1 - bar) & 1) != 0 ? 255 : 0;
    return {value, value, value};
  }
  return {wave(x + 2 * number, 128), wave(y - number, 96), wave(x - y + 3 * number, 160)};
}

int luma(Rgb c) {
  return (299 * c.r + 587 * c.g + 114 * c.b + 500) / 1000;
}

namespace {

// A pixel's bytes, and how many there are.
struct Pixel {
  std::array<int, 4> bytes;
  int count;
};

template <typename Paint>
void paint(std::vector<std::uint8_t>& bytes, int width, int height, int number, Paint pixel_of) {
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Pixel pixel = pixel_of(color_at(x, y, number, width), x, y);
      for (int i = 0; i < pixel.count; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(pixel.bytes[static_cast<std::size_t>(i)]));
      }
    }
  }
}

Drawn draw_packed(PixelFormat format, int width, int height, int number) {
  Drawn drawn;
  drawn.bytes.reserve(packed_size(format, width, height));
  const auto painted = [&](auto pixel_of) { paint(drawn.bytes, width, height, number, pixel_of); };
  if (format == pixel::gray8) {
    painted([](Rgb c, int, int) { return Pixel{{luma(c)}, 1}; });
  } else if (format == pixel::gray16) {
    painted([&](Rgb c, int x, int y) {
      return Pixel{{(37 * x + 11 * y + 5 * number) & 255, luma(c)}, 2};
    });
  } else if (format == pixel::rgb24) {
    painted([](Rgb c, int, int) { return Pixel{{c.r, c.g, c.b}, 3}; });
  } else if (format == pixel::bgra) {
    painted([&](Rgb c, int x, int y) { return Pixel{{c.b, c.g, c.r, (x + y + number) & 255}, 4}; });
  } else {
    painted([](Rgb c, int, int) { return Pixel{{c.b, c.g, c.r}, 3}; });
  }
  drawn.view = packed_view(format, width, height, drawn.bytes.data());
  return drawn;
}

// Chroma of yuv420p and nv12 at a place of its plane.
std::array<int, 2> chroma_at(int x, int y, int number) {
  return {64 + wave(x + number, 64) / 2, 64 + wave(y - number, 48) / 2};
}

Drawn draw_planar(PixelFormat format, int width, int height, int number) {
  Drawn drawn;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int value = 16 + luma(color_at(x, y, number, width)) * 219 / 255;
      drawn.bytes.push_back(static_cast<std::uint8_t>(value));
    }
  }
  const int columns = (width + 1) / 2;
  const int rows = (height + 1) / 2;
  const auto put = [&](int x, int y, int plane) {
    const bool code = y < kBarRows / 2;
    drawn.bytes.push_back(static_cast<std::uint8_t>(
        code ? 128 : chroma_at(x, y, number)[static_cast<std::size_t>(plane)]));
  };
  if (format == pixel::nv12) {
    for (int i = 0; i < rows * columns * 2; ++i) {
      put(i / 2 % columns, i / 2 / columns, i % 2);
    }
  } else {
    for (int i = 0; i < rows * columns * 2; ++i) {
      put(i % columns, i / columns % rows, i / (rows * columns));
    }
  }
  drawn.view = contiguous_view(format, width, height, drawn.bytes.data());
  return drawn;
}

}  // namespace

bool is_planar(PixelFormat format) {
  return format == pixel::yuv420p || format == pixel::nv12;
}

Drawn draw(PixelFormat format, int number, int width, int height) {
  return is_planar(format) ? draw_planar(format, width, height, number)
                           : draw_packed(format, width, height, number);
}

namespace {

// Where in a pixel to look for the bar code: bytes a pixel in plane 0, and the one of them to take.
std::pair<int, int> place_of_code(PixelFormat format) {
  static const std::map<std::string_view, std::pair<int, int>> kPlaces{
      {"gray16", {2, 1}}, {"gray16be", {2, 0}}, {"bgr24", {3, 1}},
      {"rgb24", {3, 1}},  {"bgra", {4, 1}},     {"rgba", {4, 1}},
      {"bgr0", {4, 1}},   {"rgb48be", {6, 2}},  {"rgb48le", {6, 3}}};
  const auto found = kPlaces.find(format.name());
  return found == kPlaces.end() ? std::pair(1, 0) : found->second;
}

}  // namespace

int code_of(const ImageView& image) {
  const auto [step, byte] = place_of_code(image.format);
  int number = 0;
  for (int bar = 0; bar < kBars; ++bar) {
    const int x = (2 * bar + 1) * image.width / (2 * kBars);
    const std::uint8_t value = image.planes[0][kBarRows / 2 * image.strides[0] + x * step + byte];
    number = number * 2 + (value > 127 ? 1 : 0);
  }
  return number;
}

}  // namespace avstore::test
