#include "tools/pixel_input.h"

#include <algorithm>
#include <utility>

#include "avstore/error.h"
#include "chunk/sensor_image.h"
#include "media/codec_table.h"

namespace avstore::tools {
namespace {

std::string size_of(const ImageView& view) {
  return std::to_string(view.width) + "x" + std::to_string(view.height);
}

}  // namespace

PixelInput::PixelInput(const Format& format, std::string source, const Notice& notice,
                       std::string encoding)
    : format_(format),
      source_(std::move(source)),
      notice_(notice),
      encoding_(std::move(encoding)),
      converter_(1) {}

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
  if (!encoding_.empty()) {
    if (chunk::contradicts(first.format, encoding_)) {
      throw Error(
          ErrorKind::invalid_argument,
          source_ + ": its pixels are " + std::string(first.format.name()) + ", not " + encoding_);
    }
    return first.format;
  }
  const media::VideoFormat& format = media::find_video_format(format_.name);
  if (format_.video && !format.encoders.empty()) {
    for (const media::EncoderChoice& encoder : format.encoders) {
      if (media::encoder_input(format, encoder.name, first)) {
        return first.format;
      }
    }
  }
  const bool keeps_depth = media::keeps_depth(format_);
  if (!keeps_depth && media::is_deep(first.format) && notice_) {
    notice_(source_ + ": " + media::depth_loss(first.format, format_.name));
  }
  return media::nearest_packed_format(first.format, keeps_depth);
}

}  // namespace avstore::tools
