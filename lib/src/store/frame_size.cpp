#include "store/frame_size.h"

#include <string>

#include "avstore/error.h"
#include "chunk/image_file.h"

namespace avstore::store {
namespace {

std::string size_text(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

[[noreturn]] void fail(const std::filesystem::path& folder, const FramePlace& place,
                       const std::string& found, const std::string& expected) {
  throw Error(ErrorKind::corrupt, folder.string() + ": frame " + std::to_string(place.frame_index) +
                                      " in chunk " + std::to_string(place.chunk) + " is " + found +
                                      ", those of the store are " + expected);
}

}  // namespace

void require_size(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                  const FramePlace& place, const Image& image) {
  const std::int64_t height = metadata.imgshape.at(0);
  const std::int64_t width = metadata.imgshape.at(1);
  const bool known = width > 0 && height > 0 && metadata.encoding.empty();
  if (known && (image.width() != width || image.height() != height)) {
    fail(folder, place, size_text(image.width(), image.height()), size_text(width, height));
  }
}

void require_type(const std::filesystem::path& folder, const imgstore::StoreMetadata& metadata,
                  const FramePlace& place, const Image& image) {
  if (metadata.format != "npy" && metadata.format != "bpk") {
    return;
  }
  const std::string type = chunk::describe_as_array(image.view()).dtype;
  // Times, texts and the like have no such name, but signs that NumPy itself does not write so.
  const bool named = type.find_first_of("<>|=") == std::string::npos;
  if (named && type != metadata.imgdtype) {
    fail(folder, place, type, metadata.imgdtype);
  }
}

}  // namespace avstore::store
