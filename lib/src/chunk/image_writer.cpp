// Frames as a folder of image files.
#include <fmt/format.h>

#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "chunk/chunk_writer.h"
#include "chunk/image_file.h"
#include "media/codec_table.h"

namespace avstore::chunk {
namespace {

// Of images only JPEG has a quality; it is Motion JPEG's.
std::map<std::string, std::string> image_options(const std::string& extension,
                                                 const EncoderOptions& encoder) {
  std::map<std::string, std::string> options = encoder.options;
  if (extension == ".jpg" && encoder.quality) {
    options.merge(
        media::quality_options(media::find_video_format("mjpeg/avi"), "mjpeg", *encoder.quality));
  }
  return options;
}

class ImageWriter final : public ChunkWriter {
 public:
  ImageWriter(std::filesystem::path folder, std::string extension,
              std::map<std::string, std::string> options)
      : folder_(std::move(folder)), extension_(std::move(extension)), options_(std::move(options)) {
    std::error_code error;
    std::filesystem::create_directory(folder_, error);
    if (error) {
      throw Error(ErrorKind::io, folder_.string() + ": cannot make folder: " + error.message());
    }
  }

  void add(const Image& image, double /*seconds*/) override {
    const auto path = folder_ / fmt::format("{:06d}{}", count_++, extension_);
    const auto bytes = encode_image_file(path, image.view(), options_);
    base::write_file(path, bytes);
    bytes_ += static_cast<std::int64_t>(bytes.size());
    stored_.emplace_back();
  }

  void flush() override {}
  void finish() override {}

  std::vector<StoredFrame> take_stored() override { return std::exchange(stored_, {}); }
  Rational time_base() const override { return {0, 1}; }
  std::string encoder() const override { return {}; }
  std::int64_t bytes() const override { return bytes_; }

 private:
  std::filesystem::path folder_;
  std::string extension_;
  std::map<std::string, std::string> options_;
  std::int64_t count_ = 0;
  std::int64_t bytes_ = 0;
  std::vector<StoredFrame> stored_;
};

}  // namespace

std::unique_ptr<ChunkWriter> create_image_chunk(const std::filesystem::path& folder,
                                                const std::string& extension,
                                                const ChunkWriterOptions& options) {
  return std::make_unique<ImageWriter>(folder, extension,
                                       image_options(extension, options.encoder));
}

}  // namespace avstore::chunk
