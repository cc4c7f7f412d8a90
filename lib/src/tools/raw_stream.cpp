#include "tools/raw_stream.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "imgstore/extra_data.h"

namespace avstore::tools {
namespace {

constexpr std::string_view kStreamMagic{"AVSRAW1\n", 8};
constexpr std::string_view kFrameMagic{"FRAM", 4};
constexpr std::size_t kStreamHeaderSize = 64;
constexpr std::size_t kFrameHeaderSize = 32;
constexpr std::size_t kPixelFormatSize = 32;
constexpr std::uint32_t kLargestSide = 1U << 16;
constexpr std::size_t kLargestFrame = std::size_t{1} << 30;
constexpr std::uint32_t kLargestExtra = 1U << 20;

// Fields are little-endian, one after another.
class Fields {
 public:
  explicit Fields(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <typename Number>
  Number number() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
      value |= std::uint64_t{bytes_[i]} << (8 * i);
    }
    bytes_ = bytes_.subspan(sizeof(Number));
    return static_cast<Number>(value);
  }
  double real() { return std::bit_cast<double>(number<std::uint64_t>()); }
  std::string_view text(std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
    return all;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace

struct RawStream::FrameHeader {
  std::uint32_t extra_size = 0;
  std::int64_t number = 0;
  double time = 0;
  std::uint64_t size = 0;
};

RawStream::RawStream(const CameraOptions& camera, std::function<bool()> give_up)
    : name_(source_name(camera)), bytes_(camera.source, camera.input_options, std::move(give_up)) {
  read_header();
}

void RawStream::fail(const std::string& what) const {
  throw Error(ErrorKind::corrupt, name_ + ": " + what + " at byte " + std::to_string(position_));
}

bool RawStream::read(std::uint8_t* bytes, std::size_t size) {
  const std::size_t got = bytes_.read({bytes, size});
  position_ += got;
  return got == size;
}

void RawStream::read_header() {
  std::array<std::uint8_t, kStreamHeaderSize> bytes{};
  if (!read(bytes.data(), bytes.size())) {
    fail("ends within the stream's header,");
  }
  Fields fields(bytes);
  if (fields.text(kStreamMagic.size()) != kStreamMagic) {
    position_ = 0;
    fail("is no stream of raw frames: it does not begin with AVSRAW1 and a newline,");
  }
  const auto width = fields.number<std::uint32_t>();
  const auto height = fields.number<std::uint32_t>();
  const auto rate_num = fields.number<std::uint32_t>();
  const auto rate_den = fields.number<std::uint32_t>();
  const std::string_view padded = fields.text(kPixelFormatSize);
  const std::string format(padded.substr(0, padded.find('\0')));
  if (width == 0 || height == 0 || width > kLargestSide || height > kLargestSide) {
    fail("has frames of " + std::to_string(width) + "x" + std::to_string(height) +
         " pixels, which cannot be,");
  }
  if (rate_num > std::numeric_limits<int>::max() || rate_den > std::numeric_limits<int>::max()) {
    fail("has a frame rate that cannot be,");
  }
  try {
    format_ = PixelFormat::from_name(format);
    frame_size_ = packed_size(format_, static_cast<int>(width), static_cast<int>(height));
  } catch (const Error& error) {
    fail(std::string("has no pixel format that is known (") + error.what() + "),");
  }
  if (format_ == pixel::array || frame_size_ == 0 || frame_size_ > kLargestFrame) {
    fail("has frames of " + std::to_string(frame_size_) + " bytes, which cannot be,");
  }
  width_ = static_cast<int>(width);
  height_ = static_cast<int>(height);
  if (rate_num > 0 && rate_den > 0) {
    rate_ = {rate_num, rate_den};
  }
}

std::optional<RawStream::FrameHeader> RawStream::read_frame_header() {
  std::array<std::uint8_t, kFrameHeaderSize> bytes{};
  const std::uint64_t begin = position_;
  if (!read(bytes.data(), bytes.size())) {
    if (position_ != begin) {
      truncation_ = "it ends within the header of frame " + std::to_string(frames_);
    }
    return std::nullopt;
  }
  const auto refuse = [&](const std::string& what) {
    position_ = begin;
    fail(what);
  };
  Fields fields(bytes);
  if (fields.text(kFrameMagic.size()) != kFrameMagic) {
    refuse("no frame begins where frame " + std::to_string(frames_) + " must,");
  }
  FrameHeader header;
  header.extra_size = fields.number<std::uint32_t>();
  header.number = fields.number<std::int64_t>();
  header.time = fields.real();
  header.size = fields.number<std::uint64_t>();
  if (header.size != frame_size_) {
    refuse("frame " + std::to_string(frames_) + " has " + std::to_string(header.size) +
           " bytes; those of this stream have " + std::to_string(frame_size_) + ",");
  }
  if (header.extra_size > kLargestExtra) {
    refuse("frame " + std::to_string(frames_) + " has " + std::to_string(header.extra_size) +
           " bytes of extra data; the most is " + std::to_string(kLargestExtra) + ",");
  }
  return header;
}

std::optional<LiveFrame> RawStream::next() {
  const auto header = read_frame_header();
  if (!header) {
    return std::nullopt;
  }
  const auto pixels = std::make_shared_for_overwrite<std::uint8_t[]>(frame_size_);
  std::string extra(header->extra_size, '\0');
  if (!read(pixels.get(), frame_size_) ||
      !read(reinterpret_cast<std::uint8_t*>(extra.data()), extra.size())) {
    truncation_ = "it ends within frame " + std::to_string(frames_);
    return std::nullopt;
  }
  LiveFrame frame;
  frame.image = Image(contiguous_view(format_, width_, height_, pixels.get()), pixels);
  if (header->number != std::numeric_limits<std::int64_t>::min()) {
    frame.number = header->number;
  }
  if (std::isfinite(header->time)) {
    frame.seconds = header->time;
  }
  if (!extra.empty()) {
    try {
      frame.extra = imgstore::normalize_extra_json(extra);
    } catch (const Error& error) {
      fail("the extra data of frame " + std::to_string(frames_) + " are no JSON object (" +
           error.what() + ")");
    }
  }
  ++frames_;
  return frame;
}

}  // namespace avstore::tools
