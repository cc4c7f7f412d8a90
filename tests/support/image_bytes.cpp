#include "support/image_bytes.h"

#include <algorithm>
#include <random>

#include "support/programs.h"

namespace avstore::test {

Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 dice(seed);
  Bytes bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&dice] { return static_cast<std::uint8_t>(dice()); });
  return bytes;
}

ImageView view_of(PixelFormat format, int width, int height, const Bytes& bytes) {
  return contiguous_view(format, width, height, bytes.data());
}

Bytes converted(const ImageView& image, PixelFormat format) {
  return pack(convert(image, format).view());
}

void write_bytes(const std::filesystem::path& file, const Bytes& bytes) {
  write_text(file, {bytes.begin(), bytes.end()});
}

Bytes read_bytes(const std::filesystem::path& file) {
  const std::string all = read_text(file);
  return {all.begin(), all.end()};
}

std::string ffmpeg_name(PixelFormat format) {
  return format == pixel::gray8    ? "gray"
         : format == pixel::gray16 ? "gray16le"
                                   : std::string(format.name());
}

Bytes by_ffmpeg(const std::string& input, PixelFormat to) {
  const std::string output =
      run("ffmpeg -v error " + input + " -f rawvideo -pix_fmt " + ffmpeg_name(to) + " -");
  return {output.begin(), output.end()};
}

}  // namespace avstore::test
