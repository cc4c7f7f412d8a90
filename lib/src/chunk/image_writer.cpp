// Frames as a folder of image files.
#include <cerrno>
#include <utility>

#include "avstore/error.h"
#include "base/checked_file.h"
#include "base/checksum.h"
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
              std::map<std::string, std::string> options, Durability durability)
      : folder_(std::move(folder)),
        extension_(std::move(extension)),
        options_(std::move(options)),
        durability_(durability) {
    std::error_code error;
    if (!std::filesystem::create_directory(folder_, error)) {
      throw Error(ErrorKind::io,
                  folder_.string() +
                      ": cannot make folder: " + (error ? error.message() : "there is one already"),
                  error ? error.value() : EEXIST);
    }
  }

  void add(const Image& image, double /*seconds*/) override {
    const auto path = folder_ / image_file_name(count_, extension_);
    const auto bytes = encode_image_file(path, image.view(), options_);
    base::CheckedFile& file = *written_.emplace_back(std::make_unique<base::CheckedFile>(path));
    file.write(0, bytes);
    file.end_piece();
    const auto size = static_cast<std::int64_t>(bytes.size());
    bytes_ += size;
    checksum_ = base::join_crc32(checksum_, file.crc32(), size);
    checksums_.push_back({count_++, 0, size, file.crc32()});
    if (written_.size() == kImagesPerGroup) {
      flush();
    }
  }

  void flush_encoded() override { flush(); }

  void flush() override {
    for (const auto& file : written_) {
      if (durability_ == Durability::power) {
        file->sync();
      }
      file->close();
    }
    if (durability_ == Durability::power && !written_.empty()) {
      base::sync_folder(folder_);
    }
    stored_.resize(stored_.size() + written_.size());
    written_.clear();
  }

  void finish() override { flush(); }
  std::vector<Image> end_after_failure() override { return {}; }

  std::vector<StoredFrame> take_stored() override { return std::exchange(stored_, {}); }
  std::vector<Checksum> take_checksums() override { return std::exchange(checksums_, {}); }
  Rational time_base() const override { return {0, 1}; }
  std::string encoder() const override { return {}; }
  std::int64_t bytes() const override { return bytes_; }
  std::uint32_t checksum() const override { return checksum_; }

 private:
  // Waiting for the disk once for many costs less than once for each.
  static constexpr std::size_t kImagesPerGroup = 32;

  std::filesystem::path folder_;
  std::string extension_;
  std::map<std::string, std::string> options_;
  Durability durability_;
  std::int64_t count_ = 0;
  std::int64_t bytes_ = 0;
  std::uint32_t checksum_ = 0;
  std::vector<std::unique_ptr<base::CheckedFile>> written_;  // not reported yet
  std::vector<StoredFrame> stored_;
  std::vector<Checksum> checksums_;
};

}  // namespace

std::unique_ptr<ChunkWriter> create_image_chunk(const std::filesystem::path& folder,
                                                const std::string& extension,
                                                const ChunkWriterOptions& options) {
  return std::make_unique<ImageWriter>(folder, extension, image_options(extension, options.encoder),
                                       options.durability);
}

}  // namespace avstore::chunk
