// Images as plain bytes, and what the ffmpeg program makes of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "avstore/image.h"

namespace avstore::test {

using Bytes = std::vector<std::uint8_t>;

// Those that the writer takes and the reader converts to.
inline constexpr std::array kPixelFormats{pixel::gray8, pixel::gray16,  pixel::bgr24, pixel::rgb24,
                                          pixel::bgra,  pixel::yuv420p, pixel::nv12};

// The same for the same seed.
Bytes random_bytes(std::size_t count, unsigned seed);

// Of bytes without padding, which must outlive it.
ImageView view_of(PixelFormat format, int width, int height, const Bytes& bytes);

// Without padding.
Bytes converted(const ImageView& image, PixelFormat format);

void write_bytes(const std::filesystem::path& file, const Bytes& bytes);
Bytes read_bytes(const std::filesystem::path& file);

std::string ffmpeg_name(PixelFormat format);

// Raw pixels as the ffmpeg program converts them. `input` are its options up to and with the input.
Bytes by_ffmpeg(const std::string& input, PixelFormat to);

}  // namespace avstore::test
