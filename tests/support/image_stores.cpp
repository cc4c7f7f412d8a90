#include "support/image_stores.h"

#include "avstore/reader.h"
#include "support/drawn_store.h"

namespace avstore::test {

namespace fs = std::filesystem;

std::string all_of(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

std::function<void(const std::string&)> into(Lines& lines) {
  return [&lines](const std::string& line) { lines.push_back(line); };
}

// All values of 16 bit, high and low bytes alike.
std::vector<std::uint8_t> noise(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::uint32_t state = 4711;
  for (std::uint8_t& byte : bytes) {
    state = (state * 1103515245U + 12345U) & 0x7FFFFFFFU;
    byte = static_cast<std::uint8_t>(state >> 16U);
  }
  return bytes;
}

void write_images(const fs::path& store, const WriterOptions& options, const ImageView& view,
                  int count) {
  Writer writer(store, options);
  for (int i = 0; i < count; ++i) {
    writer.add(view, FrameNumber(i), FrameTime(i));
  }
  writer.close();
}

std::vector<std::int64_t> numbers(const fs::path& store, Lines& warnings, bool save) {
  ReaderOptions options;
  options.on_warning = into(warnings);
  options.save_index = save;
  const Reader reader(store, options);
  return numbers_of(reader.infos({0, reader.frame_count()}));
}

std::vector<std::uint8_t> packed(const fs::path& store, PixelFormat format, bool raw) {
  ReaderOptions options;
  options.pixel_format = format;
  options.raw_sensor = raw;
  return avstore::pack(Reader(store, options).read(FrameIndex(0)).image.view());
}

}  // namespace avstore::test
