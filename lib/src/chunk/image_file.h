// Image files of every kind, NumPy arrays among them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "avstore/image.h"

namespace avstore::chunk {

// The name of a frame's file in its chunk's folder.
std::string image_file_name(std::int64_t frame_idx, const std::string& extension);

// The bytes of an image file, whose kind the path's extension tells.
std::vector<std::uint8_t> encode_image_file(const std::filesystem::path& path,
                                            const ImageView& image,
                                            const std::map<std::string, std::string>& options);

// The image in the bytes of such a file, which the path names. Throws Error: corrupt, unsupported.
Image decode_image_file(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes);
// Throws Error: not_found, io, corrupt (also: longer than such a file can be), unsupported.
Image read_image_file(const std::filesystem::path& path);

// The NumPy type and shape that an image has as an array, such as "uint8" and [48, 64, 3].
struct ArrayDescription {
  std::string dtype;
  std::vector<std::int64_t> shape;
};
ArrayDescription describe_as_array(const ImageView& image);

}  // namespace avstore::chunk
