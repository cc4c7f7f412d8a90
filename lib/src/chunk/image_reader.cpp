// Frames of a folder of image files.
#include "avstore/error.h"
#include "chunk/chunk_reader.h"
#include "chunk/image_file.h"

namespace avstore::chunk {
namespace {

class ImageReader final : public ChunkReader {
 public:
  ImageReader(std::filesystem::path folder, std::string extension)
      : folder_(std::move(folder)), extension_(std::move(extension)) {}

  Image read(std::int64_t frame_idx, Access /*access*/) override {
    const auto path = folder_ / image_file_name(frame_idx, extension_);
    try {
      ++statistics_.files_opened;
      Image image = read_image_file(path);
      ++statistics_.packets_read;
      ++statistics_.frames_decoded;
      return image;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::not_found) {
        throw Error(ErrorKind::corrupt,
                    std::string(error.what()) + "; the index has this frame, its file is gone");
      }
      throw;
    }
  }

  ReadStatistics statistics() const override { return statistics_; }

 private:
  std::filesystem::path folder_;
  std::string extension_;
  ReadStatistics statistics_;
};

}  // namespace

std::unique_ptr<ChunkReader> open_image_chunk(const std::filesystem::path& folder,
                                              const std::string& extension) {
  return std::make_unique<ImageReader>(folder, extension);
}

}  // namespace avstore::chunk
