// Frames that show their number: a bar code of it above smooth waves that move with it.
#pragma once

#include <cstdint>
#include <vector>

#include "avstore/image.h"

namespace avstore::test {

constexpr int kBars = 8;
constexpr int kBarRows = 16;
constexpr int kWidth = 96;
constexpr int kHeight = 64;

struct Rgb {
  int r, g, b;
};

// What is drawn at a place of frame `number`, and its brightness.
Rgb color_at(int x, int y, int number, int width);
int luma(Rgb c);

// Pixels and a view of them. Moving it keeps the view right.
struct Drawn {
  std::vector<std::uint8_t> bytes;
  ImageView view;
};

// Of the number, its lowest eight bits are seen in the bar code.
Drawn draw(PixelFormat format, int number, int width = kWidth, int height = kHeight);

bool is_planar(PixelFormat format);

// The number in the bar code of any image whose plane 0 tells bright from dark.
int code_of(const ImageView& image);

}  // namespace avstore::test
