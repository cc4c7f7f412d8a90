#include "chunk/image_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/bloscpack.h"
#include "imgstore/npy.h"
#include "media/codec_table.h"
#include "media/still.h"

namespace avstore::chunk {
namespace {

bool is_npy(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".npy";
}

bool is_bloscpack(const std::filesystem::path& path) {
  return path.extension() == ".bpk";
}

// Pixel formats whose memory is a NumPy array as it stands.
struct ArrayLayout {
  PixelFormat format;
  std::string dtype;
  std::int64_t channels;  // 0: two-dimensional
};

const std::vector<ArrayLayout>& layouts() {
  static const std::vector<ArrayLayout> kLayouts{
      {pixel::gray8, "|u1", 0},  {pixel::bgr24, "|u1", 3}, {pixel::bgra, "|u1", 4},
      {pixel::gray16, "<u2", 0}, {pixel::bgr48, "<u2", 3}, {pixel::bgra64, "<u2", 4},
  };
  return kLayouts;
}

ArrayType array_type(const ImageView& image) {
  if (image.format == pixel::array) {
    return image.array;
  }
  for (const ArrayLayout& layout : layouts()) {
    if (layout.format == image.format) {
      ArrayType type{layout.dtype, {image.height, image.width}};
      if (layout.channels != 0) {
        type.shape.push_back(layout.channels);
      }
      return type;
    }
  }
  throw Error(ErrorKind::unsupported,
              std::string(image.format.name()) + " images are no NumPy array as they are");
}

// Colour is B, G, R in this format; whatever is not an array yet becomes that.
Image as_array(const ImageView& image) {
  const PixelFormat packed = media::nearest_packed_format(image.format, true);
  return packed == image.format ? Image(image, nullptr) : convert(image, packed);
}

std::vector<std::uint8_t> encode_npy(const ImageView& image) {
  const Image array = as_array(image);
  const ArrayType type = array_type(array.view());
  std::vector<std::uint8_t> file = imgstore::npy_header(type.dtype, type.shape);
  const std::vector<std::uint8_t> pixels = pack(array.view());
  file.insert(file.end(), pixels.begin(), pixels.end());
  return file;
}

// An extent may be any number where another is 0, and no bytes are needed for it.
void require_pixels(const std::string& name, const std::vector<std::int64_t>& shape) {
  for (const std::int64_t extent : shape) {
    if (extent < 1 || extent > std::numeric_limits<int>::max()) {
      throw Error(ErrorKind::corrupt,
                  name + ": an array with an extent of " + std::to_string(extent) + " is no image");
    }
  }
}

Image decode_npy(const std::string& name, const std::vector<std::uint8_t>& file) {
  imgstore::NpyHeader header = imgstore::parse_npy_header(file, file.size(), name);
  if (header.shape.size() != 2 && header.shape.size() != 3) {
    throw Error(ErrorKind::corrupt, name + ": an array of " + std::to_string(header.shape.size()) +
                                        " dimensions is no image");
  }
  require_pixels(name, header.shape);
  auto pixels =
      std::make_shared<std::vector<std::uint8_t>>(imgstore::npy_to_c_order(file, header, name));
  ImageView view;
  view.format = pixel::array;
  view.array = {header.dtype, header.shape};
  view.height = static_cast<int>(header.shape[0]);
  view.width = static_cast<int>(header.shape[1]);
  view.planes[0] = pixels->data();
  view.strides[0] =
      view.height == 0 ? 0 : static_cast<std::ptrdiff_t>(pixels->size()) / view.height;
  for (const ArrayLayout& layout : layouts()) {
    const std::int64_t channels = header.shape.size() == 3 ? header.shape[2] : 0;
    if (layout.dtype == header.dtype && layout.channels == channels) {
      view.format = layout.format;
      view.array = {};
    }
  }
  return {view, std::move(pixels)};
}

// "<u2" is "uint16": NumPy's names for its type strings.
std::string dtype_name(const std::string& type) {
  if (type.size() < 3) {
    return type;
  }
  const std::string bytes = type.substr(2);
  const auto bits = [&bytes](int factor) { return std::to_string(std::stoi(bytes) * factor); };
  switch (type[1]) {
    case 'u':
      return "uint" + bits(8);
    case 'i':
      return "int" + bits(8);
    case 'f':
      return "float" + bits(8);
    case 'c':
      return "complex" + bits(8);
    case 'b':
      return "bool";
    default:
      return type;
  }
}

}  // namespace

std::string image_file_name(std::int64_t frame_idx, const std::string& extension) {
  return fmt::format("{:06d}{}", frame_idx, extension);
}

std::vector<std::uint8_t> encode_image_file(const std::filesystem::path& path,
                                            const ImageView& image,
                                            const std::map<std::string, std::string>& options) {
  if (!is_npy(path) && !is_bloscpack(path)) {
    return media::encode_still(image, path.extension().string(), options, path.string());
  }
  if (!options.empty()) {
    throw Error(ErrorKind::invalid_argument,
                "arrays have no encoder, and so no option '" + options.begin()->first + "'");
  }
  const std::vector<std::uint8_t> npy = encode_npy(image);
  return is_npy(path) ? npy : imgstore::npy_to_bloscpack(npy, path.string());
}

Image decode_image_file(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  const std::string name = path.string();
  if (is_bloscpack(path)) {
    return decode_npy(name, imgstore::bloscpack_to_npy(bytes, name));
  }
  if (is_npy(path)) {
    return decode_npy(name, bytes);
  }
  return media::decode_still(bytes, path.extension().string(), name);
}

Image read_image_file(const std::filesystem::path& path) {
  const bool is_array = is_bloscpack(path) || is_npy(path);
  return decode_image_file(
      path, is_array ? base::read_file(path) : base::read_file(path, media::kLongestStill));
}

ArrayDescription describe_as_array(const ImageView& image) {
  const ArrayType type = array_type(as_array(image).view());
  return {dtype_name(type.dtype), type.shape};
}

}  // namespace avstore::chunk

namespace avstore {

void write_image(const std::string& path, const ImageView& image) {
  base::write_file_atomically(path, chunk::encode_image_file(path, image, {}));
}

bool loses_depth(const std::string& path, PixelFormat format) {
  return media::is_deep(format) &&
         !media::still_keeps_depth(std::filesystem::path(path).extension().string());
}

Image read_image(const std::string& path) {
  return chunk::read_image_file(path);
}

}  // namespace avstore
