#include "tools/pixel_input.h"

#include <algorithm>
#include <utility>

#include "avstore/error.h"
#include "media/codec_table.h"

namespace avstore::tools {
namespace {

std::string size_of(const ImageView& view) {
  return std::to_string(view.width) + "x" + std::to_string(view.height);
}

}  // namespace

PixelInput::PixelInput(const Format& format, std::string source, const Notice& notice)
    : format_(format), source_(std::move(source)), notice_(notice), converter_(1) {}

Image PixelInput::prepare(const Image& image) {
  if (!first_) {
    first_ = image.view();
    wanted_ = choose(*first_);
  }
  if (image.width() != first_->width || image.height() != first_->height) {
    throw Error(ErrorKind::invalid_argument, source_ + ": the picture changes its size from " +
                                                 size_of(*first_) + " to " + size_of(image.view()) +
                                                 " at frame " + std::to_string(count_) +
                                                 "; a store has one size");
  }
  if (image.format() != first_->format && !said_ && notice_) {
    said_ = true;
    notice_(source_ + ": the pixel format changes from " + std::string(first_->format.name()) +
            " to " + std::string(image.format().name()) + " at frame " + std::to_string(count_) +
            "; converted to the first");
  }
  ++count_;
  return converter_.convert(image, wanted_);
}

// What the format takes as it is stays; else it becomes the nearest of the library's own formats.
PixelFormat PixelInput::choose(const ImageView& first) const {
  const media::VideoFormat& format = media::find_video_format(format_.name);
  if (format_.video && !format.encoders.empty()) {
    for (const media::EncoderChoice& encoder : format.encoders) {
      if (media::encoder_input(format, encoder.name, first)) {
        return first.format;
      }
    }
  }
  const auto& kept = format_.lossless_pixels;
  const bool holds_gray16 = std::find(kept.begin(), kept.end(), pixel::gray16) != kept.end();
  return media::nearest_packed_format(first.format, holds_gray16);
}

}  // namespace avstore::tools
