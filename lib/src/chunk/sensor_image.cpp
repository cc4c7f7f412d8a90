#include "chunk/sensor_image.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/sensor.h"
#include "media/codec_table.h"

namespace avstore::chunk {
namespace {

enum class Kind { bayer, planar420, semiplanar420, packed422, channels };

// What an encoding's name stands for. Only the fields of its kind count.
struct Encoding {
  Kind kind = Kind::channels;
  int red_x = 0, red_y = 0;          // bayer: where red is in the top left 2x2 pixels
  bool v_first = false;              // 4:2:0: V comes before U
  int y0 = 0, u = 0, v = 0;          // 4:2:2: offsets in the four bytes of two pixels; y1 = y0 + 2
  int count = 0;                     // channels: how many
  int blue = 0, green = 0, red = 0;  // channels: where each is
  bool operator==(const Encoding&) const = default;
};

Encoding bayer(int red_x, int red_y) {
  Encoding made;
  made.kind = Kind::bayer;
  made.red_x = red_x;
  made.red_y = red_y;
  return made;
}

Encoding halved(Kind kind, bool v_first) {
  Encoding made;
  made.kind = kind;
  made.v_first = v_first;
  return made;
}

Encoding packed(int y0, int u, int v) {
  Encoding made;
  made.kind = Kind::packed422;
  made.y0 = y0;
  made.u = u;
  made.v = v;
  return made;
}

Encoding channels(int count, int blue, int green, int red) {
  Encoding made;
  made.count = count;
  made.blue = blue;
  made.green = green;
  made.red = red;
  return made;
}

// OpenCV names a mosaic by the second and third pixel of its second row; the names of four letters
// count from the top left.
const std::map<std::string, Encoding>& table() {
  static const std::map<std::string, Encoding> kTable{
      {"cv_bayerbg", bayer(0, 0)},
      {"cv_bayerrggb", bayer(0, 0)},
      {"cv_bayergb", bayer(1, 0)},
      {"cv_bayergrbg", bayer(1, 0)},
      {"cv_bayergr", bayer(0, 1)},
      {"cv_bayergbrg", bayer(0, 1)},
      {"cv_bayerrg", bayer(1, 1)},
      {"cv_bayerbggr", bayer(1, 1)},
      {"cv_yuv_i420", halved(Kind::planar420, false)},
      {"cv_yuv_iyuv", halved(Kind::planar420, false)},
      {"cv_yuv_yv12", halved(Kind::planar420, true)},
      {"cv_yuv420p", halved(Kind::planar420, true)},
      {"cv_yuv_nv12", halved(Kind::semiplanar420, false)},
      {"cv_yuv_nv21", halved(Kind::semiplanar420, true)},
      {"cv_yuv420sp", halved(Kind::semiplanar420, true)},
      {"cv_yuv_yuy2", packed(0, 1, 3)},
      {"cv_yuv_yuyv", packed(0, 1, 3)},
      {"cv_yuv_yunv", packed(0, 1, 3)},
      {"cv_yuv_uyvy", packed(1, 0, 2)},
      {"cv_yuv_y422", packed(1, 0, 2)},
      {"cv_yuv_uynv", packed(1, 0, 2)},
      {"cv_yuv_yvyu", packed(0, 3, 1)},
      {"cv_gray", channels(1, 0, 0, 0)},
      {"cv_rgb", channels(3, 2, 1, 0)},
      {"cv_bgr", channels(3, 0, 1, 2)},
      {"cv_rgba", channels(4, 2, 1, 0)},
      {"cv_bgra", channels(4, 0, 1, 2)},
  };
  return kTable;
}

// Pixel formats whose memory is an encoding's data as it stands.
const std::map<std::string, Encoding>& layouts() {
  static const std::map<std::string, Encoding> kLayouts{
      {"rgb24", channels(3, 2, 1, 0)},
      {"bgr24", channels(3, 0, 1, 2)},
      {"rgba", channels(4, 2, 1, 0)},
      {"bgra", channels(4, 0, 1, 2)},
      {"rgb48le", channels(3, 2, 1, 0)},
      {"bgr48le", channels(3, 0, 1, 2)},
      {"rgba64le", channels(4, 2, 1, 0)},
      {"bgra64le", channels(4, 0, 1, 2)},
      {"yuyv422", packed(0, 1, 3)},
      {"uyvy422", packed(1, 0, 2)},
      {"yvyu422", packed(0, 3, 1)},
      {"yuv420p", halved(Kind::planar420, false)},
      {"nv12", halved(Kind::semiplanar420, false)},
      {"nv21", halved(Kind::semiplanar420, true)},
      {"bayer_rggb8", bayer(0, 0)},
      {"bayer_grbg8", bayer(1, 0)},
      {"bayer_gbrg8", bayer(0, 1)},
      {"bayer_bggr8", bayer(1, 1)},
      {"bayer_rggb16le", bayer(0, 0)},
      {"bayer_grbg16le", bayer(1, 0)},
      {"bayer_gbrg16le", bayer(0, 1)},
      {"bayer_bggr16le", bayer(1, 1)},
  };
  return kLayouts;
}

std::string lower(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

const Encoding* find_encoding(const std::string& name) {
  const auto found = table().find(lower(name));
  return found == table().end() ? nullptr : &found->second;
}

const Encoding* find_layout(PixelFormat format) {
  const auto found = layouts().find(std::string(format.name()));
  return found == layouts().end() ? nullptr : &found->second;
}

bool is_halved(const Encoding& encoding) {
  return encoding.kind == Kind::planar420 || encoding.kind == Kind::semiplanar420;
}

// What is stored, as rows of elements.
struct Stored {
  int rows = 0;
  int columns = 0;
  int channels = 0;
  int bytes = 0;  // of an element
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t stride = 0;
};

// All zero if the pixels are not of a kind that sensor data can be stored as.
Stored describe(const ImageView& image) {
  Stored stored{image.height, image.width, 0, 1, image.planes[0], image.strides[0]};
  if (image.format == pixel::gray8 || image.format == pixel::gray16) {
    stored.channels = 1;
    stored.bytes = image.format == pixel::gray8 ? 1 : 2;
  } else if (image.format == pixel::bgr24 || image.format == pixel::bgr48) {
    stored.channels = 3;
    stored.bytes = image.format == pixel::bgr24 ? 1 : 2;
  } else if (image.format == pixel::bgra || image.format == pixel::bgra64) {
    stored.channels = 4;
    stored.bytes = image.format == pixel::bgra ? 1 : 2;
  } else if (image.format == pixel::array && image.array.dtype == "|u1") {
    stored.channels = image.array.shape.size() == 3 ? static_cast<int>(image.array.shape[2]) : 1;
  }
  return stored;
}

// An image of our own, to be filled.
class Picture {
 public:
  Picture(PixelFormat format, int width, int height, int pixel_bytes)
      : pixels_(std::make_shared<std::vector<std::uint8_t>>(
            static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
            static_cast<std::size_t>(pixel_bytes))) {
    view_.format = format;
    view_.width = width;
    view_.height = height;
    view_.planes[0] = pixels_->data();
    view_.strides[0] = std::ptrdiff_t{width} * pixel_bytes;
  }

  std::uint8_t* row(int y) { return pixels_->data() + y * view_.strides[0]; }
  Image finish() { return {view_, pixels_}; }

 private:
  ImageView view_;
  std::shared_ptr<std::vector<std::uint8_t>> pixels_;
};

template <class Value>
const Value* values(const std::uint8_t* bytes) {
  return reinterpret_cast<const Value*>(bytes);
}
template <class Value>
Value* values(std::uint8_t* bytes) {
  return reinterpret_cast<Value*>(bytes);
}

// ---- Bayer mosaics -------------------------------------------------------------------------

// One row of a mosaic but for its first and last pixel: each colour that a pixel has not is the
// mean of its nearest neighbours that have it. `own` is the place in B, G, R of the colour that
// this row has beside green.
template <class Value>
void demosaic_row(const Value* above, const Value* row, const Value* below, int width,
                  int first_green, int own, Value* out) {
  const int other = 2 - own;
  const int half = 1;
  const int quarter = 2;
  for (int x = 1; x < width - 1; ++x) {
    Value* pixel = out + std::ptrdiff_t{3} * x;
    if ((x & 1) == first_green) {
      pixel[own] = static_cast<Value>((row[x - 1] + row[x + 1] + half) >> 1);
      pixel[1] = row[x];
      pixel[other] = static_cast<Value>((above[x] + below[x] + half) >> 1);
    } else {
      pixel[own] = row[x];
      pixel[1] = static_cast<Value>((above[x] + below[x] + row[x - 1] + row[x + 1] + quarter) >> 2);
      pixel[other] = static_cast<Value>(
          (above[x - 1] + above[x + 1] + below[x - 1] + below[x + 1] + quarter) >> 2);
    }
  }
  std::copy_n(out + 3, 3, out);
  std::copy_n(out + std::ptrdiff_t{3} * (width - 2), 3, out + std::ptrdiff_t{3} * (width - 1));
}

// The outermost pixels repeat those beside them. Of a picture without inner pixels nothing is
// known: it stays black.
template <class Value>
Image demosaic(const Stored& stored, const Encoding& encoding, PixelFormat format) {
  const int width = stored.columns;
  const int height = stored.rows;
  Picture picture(format, width, height, 3 * static_cast<int>(sizeof(Value)));
  if (width < 3 || height < 3) {
    return picture.finish();
  }
  for (int y = 1; y < height - 1; ++y) {
    const std::uint8_t* row = stored.data + y * stored.stride;
    const bool red_row = (y & 1) == encoding.red_y;
    const int first_green = red_row ? 1 - encoding.red_x : encoding.red_x;
    demosaic_row(values<Value>(row - stored.stride), values<Value>(row),
                 values<Value>(row + stored.stride), width, first_green, red_row ? 2 : 0,
                 values<Value>(picture.row(y)));
  }
  const std::ptrdiff_t row_bytes = std::ptrdiff_t{3} * width * sizeof(Value);
  std::copy_n(picture.row(1), row_bytes, picture.row(0));
  std::copy_n(picture.row(height - 2), row_bytes, picture.row(height - 1));
  return picture.finish();
}

// ---- YUV -----------------------------------------------------------------------------------

// BT.601, limited range, in fixed point of 20 bits.
class Yuv {
 public:
  Yuv(int u, int v)
      : red_(kHalf + kRedOfV * (v - 128)),
        green_(kHalf + kGreenOfV * (v - 128) + kGreenOfU * (u - 128)),
        blue_(kHalf + kBlueOfU * (u - 128)) {}

  void put(int y, std::uint8_t* bgr) const {
    const int luma = std::max(0, y - 16) * kLuma;
    bgr[0] = to_byte(luma + blue_);
    bgr[1] = to_byte(luma + green_);
    bgr[2] = to_byte(luma + red_);
  }

 private:
  static constexpr int kBits = 20;
  static constexpr int kHalf = 1 << (kBits - 1);
  static constexpr int kLuma = 1220542;      // 1.164
  static constexpr int kRedOfV = 1673527;    // 1.596
  static constexpr int kGreenOfV = -852492;  // -0.813
  static constexpr int kGreenOfU = -409993;  // -0.391
  static constexpr int kBlueOfU = 2116026;   // 2.018

  static std::uint8_t to_byte(int value) {
    return static_cast<std::uint8_t>(std::clamp(value >> kBits, 0, 255));
  }

  int red_, green_, blue_;
};

// Where the chroma of a 4:2:0 image is, in memory without gaps.
struct Chroma {
  const std::uint8_t* u = nullptr;
  const std::uint8_t* v = nullptr;
  int step = 1;  // from a sample to the next
  std::ptrdiff_t row_bytes = 0;
};

Chroma find_chroma(const Encoding& encoding, const std::uint8_t* luma, int width, int height) {
  const std::uint8_t* first = luma + std::ptrdiff_t{width} * height;
  const bool interleaved = encoding.kind == Kind::semiplanar420;
  const std::uint8_t* second = first + (interleaved ? 1 : std::ptrdiff_t{width / 2} * (height / 2));
  Chroma chroma{first, second, interleaved ? 2 : 1, interleaved ? width : width / 2};
  if (encoding.v_first) {
    std::swap(chroma.u, chroma.v);
  }
  return chroma;
}

Image decode_420(const Image& stored, const Encoding& encoding) {
  const std::vector<std::uint8_t> bytes = pack(stored.view());
  const int width = stored.width();
  const int height = stored.height() / 3 * 2;
  const Chroma chroma = find_chroma(encoding, bytes.data(), width, height);
  Picture picture(pixel::bgr24, width, height, 3);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* luma = bytes.data() + std::ptrdiff_t{width} * y;
    const std::ptrdiff_t chroma_row = y / 2 * chroma.row_bytes;
    std::uint8_t* out = picture.row(y);
    for (int x = 0; x < width; x += 2, out += 6) {
      const std::ptrdiff_t at = chroma_row + std::ptrdiff_t{x / 2} * chroma.step;
      const Yuv color(chroma.u[at], chroma.v[at]);
      color.put(luma[x], out);
      color.put(luma[x + 1], out + 3);
    }
  }
  return picture.finish();
}

Image decode_422(const Stored& stored, const Encoding& encoding) {
  Picture picture(pixel::bgr24, stored.columns, stored.rows, 3);
  for (int y = 0; y < stored.rows; ++y) {
    const std::uint8_t* in = stored.data + y * stored.stride;
    std::uint8_t* out = picture.row(y);
    for (int x = 0; x < stored.columns; x += 2, in += 4, out += 6) {
      const Yuv color(in[encoding.u], in[encoding.v]);
      color.put(in[encoding.y0], out);
      color.put(in[encoding.y0 + 2], out + 3);
    }
  }
  return picture.finish();
}

// ---- orders of channels --------------------------------------------------------------------

template <class Value>
Image reorder(const Stored& stored, const Encoding& encoding, PixelFormat format) {
  Picture picture(format, stored.columns, stored.rows, 3 * static_cast<int>(sizeof(Value)));
  for (int y = 0; y < stored.rows; ++y) {
    const Value* in = values<Value>(stored.data + y * stored.stride);
    Value* out = values<Value>(picture.row(y));
    for (int x = 0; x < stored.columns; ++x, in += encoding.count, out += 3) {
      out[0] = in[encoding.blue];
      out[1] = in[encoding.green];
      out[2] = in[encoding.red];
    }
  }
  return picture.finish();
}

// ---- all of them ---------------------------------------------------------------------------

bool fits(const Stored& stored, const Encoding& encoding) {
  const bool even = stored.columns % 2 == 0;
  switch (encoding.kind) {
    case Kind::bayer:
      return stored.channels == 1;
    case Kind::planar420:
    case Kind::semiplanar420:
      return stored.channels == 1 && stored.bytes == 1 && even && stored.rows % 3 == 0;
    case Kind::packed422:
      return stored.channels == 2 && stored.bytes == 1 && even;
    default:
      return stored.channels == encoding.count;
  }
}

Image decode(const Image& image, const Stored& stored, const Encoding& encoding) {
  const bool bytes = stored.bytes == 1;
  switch (encoding.kind) {
    case Kind::bayer:
      return bytes ? demosaic<std::uint8_t>(stored, encoding, pixel::bgr24)
                   : demosaic<std::uint16_t>(stored, encoding, pixel::bgr48);
    case Kind::planar420:
    case Kind::semiplanar420:
      return decode_420(image, encoding);
    case Kind::packed422:
      return decode_422(stored, encoding);
    default:
      return bytes ? reorder<std::uint8_t>(stored, encoding, pixel::bgr24)
                   : reorder<std::uint16_t>(stored, encoding, pixel::bgr48);
  }
}

// The same bytes as rows of channels, without gaps between rows and planes.
Image relabelled_yuv(const Image& image, const Encoding& encoding) {
  const auto bytes = std::make_shared<std::vector<std::uint8_t>>(pack(image.view()));
  ImageView view;
  view.width = image.width();
  view.planes[0] = bytes->data();
  if (encoding.kind != Kind::packed422 && image.height() % 2 != 0) {
    return image;  // chroma would be of more rows than the encoding has
  }
  if (encoding.kind == Kind::packed422) {
    view.format = pixel::array;
    view.height = image.height();
    view.array = {"|u1", {view.height, view.width, 2}};
    view.strides[0] = std::ptrdiff_t{2} * view.width;
  } else {
    view.format = pixel::gray8;
    view.height = image.height() / 2 * 3;
    view.strides[0] = view.width;
  }
  return {view, bytes};
}

Image relabelled(const Image& image, const Encoding& encoding) {
  const bool wide = media::is_deep(image.format());
  ImageView view = image.view();
  view.color = {};
  switch (encoding.kind) {
    case Kind::bayer:
      view.format = wide ? pixel::gray16 : pixel::gray8;
      return {view, std::make_shared<Image>(image)};
    case Kind::channels:
      view.format = encoding.count == 3 ? (wide ? pixel::bgr48 : pixel::bgr24)
                                        : (wide ? pixel::bgra64 : pixel::bgra);
      return {view, std::make_shared<Image>(image)};
    default:
      return relabelled_yuv(image, encoding);
  }
}

// What frames of an encoding must be.
std::string form_of(const Encoding& encoding) {
  switch (encoding.kind) {
    case Kind::bayer:
      return "it must be gray8 or gray16";
    case Kind::planar420:
    case Kind::semiplanar420:
      return "it must be gray8 with the chroma below the luma, of even width and 3/2 of the "
             "picture's rows, or yuv420p, nv12 or nv21, as the encoding says, of even size";
    case Kind::packed422:
      return "it must be an array of two 8-bit channels, or yuyv422, uyvy422 or yvyu422, as the "
             "encoding says, of even width";
    default:
      return "it must have " + std::to_string(encoding.count) +
             (encoding.count == 1 ? " channel" : " channels");
  }
}

std::string kind_of(const ImageView& image) {
  std::string text = std::to_string(image.width) + "x" + std::to_string(image.height) + ", ";
  return text + std::string(image.format == pixel::array ? image.array.dtype : image.format.name());
}

}  // namespace

bool knows_encoding(const std::string& encoding) {
  return find_encoding(encoding) != nullptr;
}

bool is_encoding(const std::string& encoding) {
  static const std::set<std::string> kOthers{"cv_hsv",    "cv_hsv_full", "cv_hls",    "cv_hls_full",
                                             "cv_lab",    "cv_luv",      "cv_xyz",    "cv_ycrcb",
                                             "cv_ycr_cb", "cv_yuv",      "cv_bgr555", "cv_bgr565"};
  return knows_encoding(encoding) || kOthers.contains(lower(encoding));
}

Image as_sensor_data(const Image& image, const std::string& encoding, const std::string& where) {
  const Encoding* wanted = find_encoding(encoding);
  if (wanted == nullptr) {
    return image;
  }
  const Encoding* layout = find_layout(image.format());
  Image data = layout != nullptr && *layout == *wanted ? relabelled(image, *wanted) : image;
  if (!fits(describe(data.view()), *wanted)) {
    throw Error(ErrorKind::invalid_argument, where + ": an image of " + kind_of(image.view()) +
                                                 " is no " + encoding + " data; " +
                                                 form_of(*wanted));
  }
  return data;
}

bool contradicts(PixelFormat format, const std::string& encoding) {
  const Encoding* wanted = find_encoding(encoding);
  const Encoding* layout = find_layout(format);
  return wanted != nullptr && layout != nullptr && !(*layout == *wanted);
}

bool holds_sensor_data(const std::string& format, const std::string& encoding) {
  if (format == "npy" || format == "bpk") {
    return true;
  }
  constexpr int kColor = 3;
  const Encoding* found = find_encoding(encoding);
  const Kind kind = found == nullptr ? Kind::channels : found->kind;
  if (kind == Kind::packed422) {
    return false;  // no other format has two channels
  }
  const int channels = kind != Kind::channels ? 1 : found == nullptr ? kColor : found->count;
  if (channels > kColor) {
    return format == "png" || format == "tif" || format == "ffv1/mkv";
  }
  return format != (channels == 1 ? "ppm" : "pgm");
}

Image black_sensor_data(const ImageView& data, const std::string& encoding) {
  constexpr std::uint8_t kBlackLuma = 16;
  constexpr std::uint8_t kNeutral = 128;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(packed_size(data), 0);
  ImageView view = data;
  view.planes = {bytes->data()};
  view.strides = {static_cast<std::ptrdiff_t>(bytes->size()) / data.height};
  const Encoding* found = find_encoding(encoding);
  if (found != nullptr && is_halved(*found)) {
    const auto luma = static_cast<std::ptrdiff_t>(bytes->size() / 3 * 2);
    std::fill(bytes->begin(), bytes->begin() + luma, kBlackLuma);
    std::fill(bytes->begin() + luma, bytes->end(), kNeutral);
  } else if (found != nullptr && found->kind == Kind::packed422) {
    for (std::size_t i = 0; i < bytes->size(); ++i) {
      (*bytes)[i] = i % 2 == static_cast<std::size_t>(found->y0) ? kBlackLuma : kNeutral;
    }
  }
  return {view, bytes};
}

std::int64_t picture_rows(const std::string& encoding, std::int64_t stored_rows) {
  const Encoding* found = find_encoding(encoding);
  return found != nullptr && is_halved(*found) ? stored_rows / 3 * 2 : stored_rows;
}

Image decode_sensor(const Image& stored, const std::string& encoding, const std::string& where) {
  const Encoding* found = find_encoding(encoding);
  if (found == nullptr) {
    throw Error(ErrorKind::unsupported, where + ": no decoder for the encoding '" + encoding +
                                            "'; the sensor's own data can be read as they are");
  }
  const Stored description = describe(stored.view());
  if (!fits(description, *found)) {
    throw Error(ErrorKind::corrupt, where + ": an image of " + kind_of(stored.view()) +
                                        " holds no " + encoding + " data");
  }
  return decode(stored, description, *found);
}

}  // namespace avstore::chunk

namespace avstore {

Image decode_sensor(const ImageView& data, const std::string& encoding) {
  const std::string where = "sensor data";
  return chunk::decode_sensor(chunk::as_sensor_data(copy(data), encoding, where), encoding, where);
}

}  // namespace avstore
