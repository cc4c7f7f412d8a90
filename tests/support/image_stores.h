// Stores of given images, what is read from them, and what is said meanwhile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "avstore/image.h"
#include "avstore/writer.h"

namespace avstore::test {

// --- Lines of text that somebody is told ---

using Lines = std::vector<std::string>;

std::string all_of(const Lines& lines);
// Keeps them; `lines` must outlive it.
std::function<void(const std::string&)> into(Lines& lines);

// --- Images ---

// All values of 16 bit, high and low bytes alike.
std::vector<std::uint8_t> noise(std::size_t size);

// The same image several times, with numbers and times from 0.
void write_images(const std::filesystem::path& store, const WriterOptions& options,
                  const ImageView& view, int count = 3);

// The bytes of the first frame.
std::vector<std::uint8_t> packed(const std::filesystem::path& store, PixelFormat format,
                                 bool raw = false);

// The frame numbers, and what the reader warns of.
std::vector<std::int64_t> numbers(const std::filesystem::path& store, Lines& warnings,
                                  bool save = true);

}  // namespace avstore::test
