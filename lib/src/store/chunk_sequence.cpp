#include "store/chunk_sequence.h"

#include <utility>

#include "avstore/error.h"
#include "chunk/image_file.h"
#include "store/layout.h"

namespace avstore::store {
namespace {

// The shape that the metadata states: [rows, columns] reads back as gray, [rows, columns, 3] as
// colour.
chunk::ArrayDescription describe_frames(const media::VideoFormat& format,
                                        const WriterOptions& options, const ImageView& first) {
  chunk::ArrayDescription description = chunk::describe_as_array(first);
  const std::string& name = format.format.name;
  const bool any_array = name == "npy" || name == "bpk";
  if (format.format.video && media::needs_even_size(format)) {
    description.shape[0] &= ~std::int64_t{1};
    description.shape[1] &= ~std::int64_t{1};
  }
  if (any_array) {
    return description;
  }
  const bool gray_pixels = description.shape.size() == 2;
  const bool color = name == "ppm" || (name != "pgm" && options.color.value_or(!gray_pixels));
  description.shape.resize(2);
  if (color) {
    description.shape.push_back(3);
  }
  return description;
}

}  // namespace

std::int64_t default_chunk_size(bool video) {
  return video ? 10000 : 200;
}

ChunkSequence::ChunkSequence(std::filesystem::path folder, imgstore::StoreMetadata metadata,
                             const WriterOptions& options, const ImageView& first)
    : folder_(std::move(folder)),
      metadata_(std::move(metadata)),
      format_(media::find_video_format(options.format)),
      chunk_options_{options.encoder, options.timing},
      index_(index::Index::create(folder_ / kIndexFile)) {
  const chunk::ArrayDescription frames = describe_frames(format_, options, first);
  metadata_.imgshape = frames.shape;
  metadata_.imgdtype = frames.dtype;
  start_chunk(first);
  imgstore::write_metadata(folder_, metadata_);
  index_.set_information(kEncoderEntry, encoder_);
  index_.set_information(kTimingEntry, options.timing == Timing::real ? "real" : "nominal");
  index_.set_information(kFrameRateEntry, to_text(options.encoder.frame_rate));
  index_.commit();
}

void ChunkSequence::add(const Image& image, FrameNumber number, FrameTime time) {
  if (added_ - chunk_first_frame_ == metadata_.chunksize) {
    finish_chunk();
    start_chunk(image.view());
  }
  if (added_ == chunk_first_frame_) {
    chunk_first_time_ = time.seconds;
  }
  newest_ = {number.value, time.seconds};
  chunk_->add(image, time.seconds - chunk_first_time_);
  pending_.push_back(newest_);
  ++added_;
  record_stored();
}

void ChunkSequence::add_extra(const std::string& json) {
  const imgstore::ExtraRecord record{added_ - 1, newest_.frame_number, newest_.frame_time, json};
  extra_.push_back(record);
  index_.append_extra({record.frame_index, record.frame_number, record.frame_time, record.json});
}

void ChunkSequence::flush() {
  chunk_->flush();
  record_stored();
  commit_stored();
}

void ChunkSequence::close() {
  finish_chunk();
  index_.close();
}

void ChunkSequence::abandon_chunk() noexcept {
  index_.rollback();
  chunk_.reset();
  try {
    index_.close();
  } catch (const Error&) {
    // The failure that brought us here is the one to report; what was committed stays readable.
  }
}

void ChunkSequence::start_chunk(const ImageView& first) {
  ++chunk_number_;
  chunk_first_frame_ = added_;
  const auto path = folder_ / imgstore::chunk_path(metadata_, chunk_number_);
  chunk_ = format_.format.video
               ? chunk::create_video_chunk(path, format_, chunk_options_, first)
               : chunk::create_image_chunk(path, format_.format.extension, chunk_options_);
  encoder_ = chunk_->encoder();
  // All chunks of a store come from one encoder.
  chunk_options_.encoder.encoder = encoder_;
  put_chunk_row(index::ChunkState::open);
}

void ChunkSequence::finish_chunk() {
  chunk_->finish();
  record_stored();
  bytes_ += chunk_->bytes();
  put_chunk_row(index::ChunkState::closed);
  write_chunk_index();
  chunk_index_ = {};
  write_extra();
  index_.commit();
  durable_ = stored_;
  chunk_.reset();
}

// Make rows of the frames that have reached the file. They are committed in groups as the chunk
// hands them over: a keyframe interval of video, or some tens of images.
void ChunkSequence::record_stored() {
  constexpr std::int64_t kImagesPerCommit = 32;
  const auto stored = chunk_->take_stored();
  for (const chunk::StoredFrame& frame : stored) {
    const Pending& names = pending_[static_cast<std::size_t>(&frame - stored.data())];
    const std::int64_t frame_idx = stored_ - chunk_first_frame_;
    index_.append(
        {stored_, chunk_number_, frame_idx, names.frame_number, names.frame_time, frame.pts});
    if (frame.seek_point) {
      index_.append_keyframe({chunk_number_, frame_idx, frame.seek_point->pts,
                              frame.seek_point->dts, frame.seek_point->position});
    }
    chunk_index_.frame_number.push_back(names.frame_number);
    chunk_index_.frame_time.push_back(names.frame_time);
    ++stored_;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(stored.size()));
  const std::int64_t group = format_.format.video ? 1 : kImagesPerCommit;
  if (stored_ - durable_ >= group) {
    commit_stored();
  }
}

void ChunkSequence::commit_stored() {
  put_chunk_row(index::ChunkState::open);
  index_.commit();
  durable_ = stored_;
}

void ChunkSequence::put_chunk_row(index::ChunkState state) {
  index::ChunkRow row;
  row.chunk = chunk_number_;
  row.path = imgstore::chunk_path(metadata_, chunk_number_);
  row.first_frame_index = chunk_first_frame_;
  row.frame_count = stored_ - chunk_first_frame_;
  row.time_base = chunk_->time_base();
  row.state = state;
  row.bytes = state == index::ChunkState::closed ? chunk_->bytes() : 0;
  row.packet_count = row.frame_count;
  index_.put_chunk(row);
}

void ChunkSequence::write_chunk_index() const {
  imgstore::write_chunk_index(folder_ / imgstore::chunk_index_path(metadata_, chunk_number_),
                              chunk_index_, metadata_);
}

void ChunkSequence::write_extra() {
  if (!extra_.empty()) {
    imgstore::write_extra_json(folder_ / imgstore::chunk_extra_path(metadata_, chunk_number_),
                               extra_);
    extra_.clear();
  }
}

}  // namespace avstore::store
