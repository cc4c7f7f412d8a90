#include "store/frame_rules.h"

#include <string>

#include "avstore/error.h"
#include "chunk/sensor_image.h"
#include "media/codec_table.h"
#include "store/chunk_sequence.h"

namespace avstore::store {
namespace {

std::string describe(const ImageView& view) {
  return std::to_string(view.width) + "x" + std::to_string(view.height) + " " +
         std::string(view.format.name()) + (view.array.dtype.empty() ? "" : " " + view.array.dtype);
}

}  // namespace

FrameRules::FrameRules(const std::filesystem::path& folder, const WriterOptions& options,
                       const imgstore::StoreMetadata& metadata, bool decodes)
    : folder_(folder), options_(options), metadata_(metadata), decodes_(decodes) {}

void FrameRules::check(const ImageView& view, std::int64_t place) {
  if (view.planes[0] == nullptr || view.width <= 0 || view.height <= 0) {
    throw Error(ErrorKind::invalid_argument, folder_.string() + ": the image is empty");
  }
  if (!first_) {
    static_cast<void>(packed_size(view));  // throws for what is no image
    require_sensor_data(view);
    require_as_in_store(view);
    first_ = view;
    warn_of_odd_size(view);
    warn_of_depth(view);
    return;
  }
  if (view.format != first_->format || view.width != first_->width ||
      view.height != first_->height || view.array != first_->array) {
    throw Error(ErrorKind::invalid_argument, folder_.string() + ": frame " + std::to_string(place) +
                                                 " is " + describe(view) + ", the first was " +
                                                 describe(*first_));
  }
}

// Of a store that has frames already.
void FrameRules::require_as_in_store(const ImageView& view) const {
  if (metadata_.imgshape.empty()) {
    return;
  }
  const auto& format = media::find_video_format(options_.format);
  const chunk::ArrayDescription given = describe_frames(format, options_, view);
  if (given.shape != metadata_.imgshape || given.dtype != metadata_.imgdtype) {
    throw Error(ErrorKind::invalid_argument,
                folder_.string() + ": the frame is " + describe(view) +
                    ", the store has frames of " + std::to_string(metadata_.imgshape.at(1)) + "x" +
                    std::to_string(metadata_.imgshape.at(0)) + " " + metadata_.imgdtype +
                    (metadata_.imgshape.size() > 2 ? " in colour" : " in gray"));
  }
}

void FrameRules::require_sensor_data(const ImageView& view) const {
  if (options_.encoding.empty()) {
    return;
  }
  static_cast<void>(
      chunk::as_sensor_data(Image(view, nullptr), options_.encoding, folder_.string()));
  if (!decodes_ && !chunk::holds_sensor_data(options_.format, options_.encoding)) {
    throw Error(ErrorKind::invalid_argument, folder_.string() + ": format " + options_.format +
                                                 " cannot hold " + options_.encoding +
                                                 " data; npy and bpk hold all");
  }
}

void FrameRules::warn_of_depth(const ImageView& view) const {
  const media::VideoFormat& format = media::find_video_format(options_.format);
  if (options_.on_warning && media::is_deep(view.format) && !media::keeps_depth(format, view)) {
    options_.on_warning(media::depth_loss(view.format, "format " + format.format.name));
  }
}

void FrameRules::warn_of_odd_size(const ImageView& view) const {
  const bool odd = view.width % 2 != 0 || view.height % 2 != 0;
  if (odd && options_.on_warning &&
      media::needs_even_size(media::find_video_format(options_.format))) {
    options_.on_warning("frames of " + describe(view) + " lose " +
                        (view.width % 2 == 0    ? "their last row"
                         : view.height % 2 == 0 ? "their last column"
                                                : "their last row and column") +
                        ", because format " + options_.format + " halves chroma");
  }
}

}  // namespace avstore::store
