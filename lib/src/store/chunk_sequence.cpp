#include "store/chunk_sequence.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "chunk/image_file.h"
#include "imgstore/extra_data.h"
#include "media/codec_table.h"
#include "store/aside.h"
#include "store/chunk_checksums.h"
#include "store/extra_records.h"
#include "store/index_files.h"
#include "store/layout.h"
#include "store/scanned_chunk.h"
#include "store/store_folder.h"

namespace avstore::store {
chunk::ArrayDescription describe_frames(const media::VideoFormat& format,
                                        const WriterOptions& options, const ImageView& first) {
  chunk::ArrayDescription description = chunk::describe_as_array(first);
  const std::string& name = format.format.name;
  const bool any_array = name == "npy" || name == "bpk";
  if (media::is_deep(first.format) && !media::keeps_depth(format.format)) {
    description.dtype = "uint8";
  }
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

index::Index make_index(const std::filesystem::path& folder,
                        const imgstore::StoreMetadata& metadata, const WriterOptions& options) {
  index::Index index = index::Index::create(folder / kIndexFile);
  index.set_information(kUuidEntry, metadata.uuid);
  index.set_information(kTimingEntry, options.timing == Timing::real ? "real" : "nominal");
  index.set_information(kFrameRateEntry, to_text(options.encoder.frame_rate));
  return index;
}

std::int64_t default_chunk_size(bool video) {
  return video ? 10000 : 200;
}

ChunkSequence::ChunkSequence(std::filesystem::path folder, imgstore::StoreMetadata metadata,
                             const WriterOptions& options, const ThreadShare& threads,
                             index::Index index)
    : folder_(std::move(folder)),
      metadata_(std::move(metadata)),
      format_(media::find_video_format(options.format)),
      options_(options),
      chunk_options_{options.encoder, options.timing, options.durability},
      line_(format_, options.encoder),
      threads_(threads),
      index_(std::move(index)),
      added_(index_.frame_count()),
      stored_(added_),
      durable_(added_),
      encoders_(parse_encoder_runs(index_.information(kEncodersEntry).value_or(""))) {
  if (is_for_power_cuts()) {
    index_.survive_power_cuts();
  }
  // A chunk may be there that the database knows nothing of.
  chunk_number_ = highest_chunk_number(folder_);
  for (const index::ChunkRow& row : index_.chunks()) {
    chunk_number_ = std::max(chunk_number_, row.chunk);
    bytes_ += row.bytes;
  }
  first_chunk_ = chunk_number_ + 1;
  if (added_ > 0) {
    const index::FrameRow last = index_.at(added_ - 1);
    newest_ = {last.frame_number, last.frame_time};
  }
  extra_begin_ = first_extra_behind(folder_, metadata_, index_);
  extra_end_ = extra_begin_;
}

void ChunkSequence::describe(const std::vector<std::int64_t>& shape, const std::string& dtype) {
  metadata_.imgshape = shape;
  metadata_.imgdtype = dtype;
  imgstore::write_metadata(folder_, metadata_);
  keep_names();
  keep_name_of_store();
  index_.commit();
}

// A file that is on the disk is lost all the same while its folder has not got its name there.
void ChunkSequence::keep_names() const {
  if (is_for_power_cuts()) {
    base::sync_folder(folder_);
  }
}

// Nor is a folder on the disk while those that it lies in have not got its name; who made them is
// not known here.
void ChunkSequence::keep_name_of_store() const {
  if (is_for_power_cuts()) {
    base::sync_folders_above(folder_);
  }
}

void ChunkSequence::add(const Image& image, FrameNumber number, FrameTime time) {
  newest_ = {number.value, time.seconds};
  waiting_.push_back({image, newest_});
  with_encoders_in_line([] {});
}

// Takes the frames that wait into chunks and does the work then; once more with the next encoder in
// line each time that one fails.
template <typename Work>
void ChunkSequence::with_encoders_in_line(const Work& work) {
  for (;;) {
    try {
      encode_waiting();
      work();
      return;
    } catch (const media::EncoderFailure& failure) {
      fail_over(failure.what());
    }
  }
}

void ChunkSequence::encode_waiting() {
  while (!waiting_.empty()) {
    if (chunk_ && added_ - chunk_first_frame_ == metadata_.chunksize) {
      finish_chunk();
    }
    if (!chunk_) {
      start_chunk(waiting_.front().image.view());
    }
    const Unencoded frame = std::move(waiting_.front());
    waiting_.pop_front();
    encode(frame);
  }
}

void ChunkSequence::encode(const Unencoded& frame) {
  if (metadata_.imgshape.empty()) {
    const chunk::ArrayDescription frames = describe_frames(format_, options_, frame.image.view());
    describe(frames.shape, frames.dtype);
  }
  if (added_ == chunk_first_frame_) {
    chunk_first_time_ = frame.names.frame_time;
  }
  pending_.push_back(frame.names);
  ++added_;
  chunk_->add(frame.image, frame.names.frame_time - chunk_first_time_);
  record_stored();
}

void ChunkSequence::fail_over(const std::string& why) {
  std::vector<Image> images;
  finish_with_header_in_doubt([&] { images = chunk_->end_after_failure(); });
  record_frames();
  if (stored_ > chunk_first_frame_) {
    record_checksums();
    close_chunk();
  } else {
    discard_chunk();
  }
  line_.fail(why);
  for (std::size_t i = pending_.size(); i-- > 0;) {
    waiting_.push_front({std::move(images.at(i)), pending_[i]});
  }
  pending_.clear();
  added_ = stored_;
}

void ChunkSequence::add_extra(const std::string& json) {
  index_.append_extra({added_ - 1, newest_.frame_number, newest_.frame_time, json});
}

ChunkSequence::Insertion ChunkSequence::check_insertion(std::filesystem::path file,
                                                        imgstore::ChunkIndex names,
                                                        bool move) const {
  const auto refuse = [name = file.string()](const std::string& why) {
    throw Error(ErrorKind::invalid_argument, name + ": " + why);
  };
  if (!format_.format.video || file.extension() != metadata_.extension) {
    refuse("chunks of this store are " +
           (format_.format.video ? metadata_.extension + " files" : "folders of images"));
  }
  Insertion insertion{std::move(file), {}, std::move(names), move};
  insertion.scan = media::scan(insertion.file, std::nullopt, media::ScanMethod::decode);
  const media::Scan& scan = insertion.scan;
  if (scan.size_change) {
    refuse("the picture changes its size at frame " + std::to_string(*scan.size_change));
  }
  if (scan.pts.size() != insertion.names.frame_number.size()) {
    refuse("has " + std::to_string(scan.pts.size()) + " frames, but numbers and times of " +
           std::to_string(insertion.names.frame_number.size()) + " are given");
  }
  const auto& shape = metadata_.imgshape;
  if (!shape.empty() && (scan.height != shape[0] || scan.width != shape[1])) {
    refuse("is " + std::to_string(scan.width) + "x" + std::to_string(scan.height) +
           ", the frames of the store are " + std::to_string(shape[1]) + "x" +
           std::to_string(shape[0]));
  }
  return insertion;
}

void ChunkSequence::insert(const Insertion& insertion) {
  with_encoders_in_line([this] {
    if (chunk_) {
      finish_chunk();
    }
  });
  next_chunk();
  store::note_encoder(encoders_, chunk_number_, kCopied);
  write_encoders();
  const std::string path = imgstore::chunk_path(metadata_, chunk_number_);
  if (insertion.move) {
    base::link_or_copy_file(insertion.file, folder_ / path);
  } else {
    base::copy_file(insertion.file, folder_ / path);
  }
  if (is_for_power_cuts()) {
    base::sync_file(folder_ / path);
  }
  if (metadata_.imgshape.empty()) {
    std::vector<std::int64_t> shape{insertion.scan.height, insertion.scan.width};
    if (options_.color.value_or(true)) {
      shape.push_back(3);
    }
    describe(shape, media::is_deep(insertion.scan.pixel_format) ? "uint16" : "uint8");
  }
  append_scanned_chunk(index_, {chunk_number_, folder_, path, added_}, insertion.scan,
                       insertion.names);
  chunk_index_ = insertion.names;
  write_chunk_index();
  keep_names();
  chunk_index_ = {};
  added_ += static_cast<std::int64_t>(insertion.scan.pts.size());
  if (!insertion.names.frame_number.empty()) {
    newest_ = {insertion.names.frame_number.back(), insertion.names.frame_time.back()};
  }
  bytes_ += base::file_size(folder_ / path);
  stored_ = added_;
  index_.commit();
  durable_ = stored_;
  if (insertion.move) {
    base::remove_all(insertion.file);  // now that the store has it, whatever happens
  }
}

void ChunkSequence::store_encoded() {
  if (chunk_) {
    chunk_->flush_encoded();
    record_stored();
  }
}

void ChunkSequence::store_extra() {
  index_.commit();
}

void ChunkSequence::sync() {
  with_encoders_in_line([this] {
    if (chunk_) {
      chunk_->flush();
      record_stored();
    }
  });
  store_extra();
}

void ChunkSequence::close() {
  with_encoders_in_line([this] {
    if (chunk_) {
      finish_chunk();
    }
  });
  if (chunk_number_ >= first_chunk_) {
    write_extra();  // of a chunk that was inserted; without a chunk the database alone has them
  }
  if (metadata_.imgshape.empty()) {
    describe({0, 0}, metadata_.imgdtype);  // no frame came after all
  }
  stamp_index_files(index_, folder_, metadata_);
  index_.close();
}

void ChunkSequence::abandon_chunk(Unfinished what_becomes) noexcept {
  index_.rollback();
  const bool has_chunk = chunk_ != nullptr;
  chunk_.reset();
  waiting_.clear();  // whose pixels they are may want them back
  try {
    const auto row = index_.chunk(chunk_number_);
    if (has_chunk && (!row || row->frame_count == 0)) {
      if (row) {
        remove_row();
      }
      const std::string path = imgstore::chunk_path(metadata_, chunk_number_);
      if (what_becomes == Unfinished::put_aside) {
        put_aside(folder_, path);
      } else {
        base::remove_all(folder_ / path);
        index_.remove_orphans();  // extra data of the same frames
      }
    }
    index_.close();
  } catch (...) {
    // The failure that brought us here is the one to report; what was committed stays readable.
  }
}

void ChunkSequence::next_chunk() {
  if (chunk_number_ >= first_chunk_) {
    write_extra();
    extra_begin_ = extra_end_;
  }
  ++chunk_number_;
  chunk_first_frame_ = added_;
}

void ChunkSequence::start_chunk(const ImageView& first) {
  next_chunk();
  const auto path = folder_ / imgstore::chunk_path(metadata_, chunk_number_);
  line_.set_threads(threads_.threads());
  chunk_ = format_.format.video
               ? chunk::create_video_chunk(path, format_, chunk_options_, line_, first)
               : chunk::create_image_chunk(path, format_.format.extension, chunk_options_);
  note_encoder();
  keep_names();
  put_chunk_row(index::ChunkState::open);
}

void ChunkSequence::note_encoder() {
  if (chunk_->encoder().empty()) {
    return;
  }
  store::note_encoder(encoders_, chunk_number_, chunk_->encoder());
  write_encoders();
  const std::string notice = line_.take_notice();
  if (!notice.empty() && options_.on_warning) {
    options_.on_warning(notice + " in chunk " + std::to_string(chunk_number_) + ", from frame " +
                        std::to_string(added_) + " on");
  }
}

void ChunkSequence::write_encoders() {
  index_.set_information(kEncoderEntry, encoder());
  index_.set_information(kEncodersEntry, to_text(encoders_));
}

void ChunkSequence::finish_chunk() {
  finish_with_header_in_doubt([this] { chunk_->finish(); });
  record_stored();
  close_chunk();
}

// Finishing a video file may write into its beginning. Killed amidst that, it is not as it was,
// though nothing is wrong with it: its checksum is withdrawn before. The chunk hands over another
// one if it has written there.
template <typename Finish>
void ChunkSequence::finish_with_header_in_doubt(const Finish& finish) {
  const auto sums = index_.checksums(chunk_number_);
  const bool has_header =
      format_.format.video && !sums.empty() && sums[0].frame_idx == 0 && sums[0].position == 0;
  if (has_header) {
    index_.remove_checksum(chunk_number_, 0, 0);
    index_.commit();
  }
  const auto put_back = [&] {
    if (has_header) {
      index_.put_checksum(sums[0]);
    }
  };
  try {
    finish();
  } catch (const media::EncoderFailure&) {
    put_back();  // before it came to that
    throw;
  }
  put_back();
}

void ChunkSequence::close_chunk() {
  bytes_ += chunk_->bytes();
  put_chunk_row(index::ChunkState::closed);
  write_chunk_index();
  chunk_index_ = {};
  write_extra();
  keep_names();
  index_.commit();
  durable_ = stored_;
  chunk_.reset();
}

// A chunk of which no frame was stored: the next takes its number.
void ChunkSequence::discard_chunk() {
  chunk_.reset();
  remove_row();
  base::remove_all(folder_ / imgstore::chunk_path(metadata_, chunk_number_));
  --chunk_number_;
}

// Extra data may have been committed before the chunk's frames, and its row with them. It goes
// before the file does: of a row without a file nothing could be repaired.
void ChunkSequence::remove_row() {
  index_.remove_chunk(chunk_number_);
  index_.commit();
}

// Make rows of the frames that have reached the file, and commit them: a keyframe interval of
// video, or some tens of images, as the chunk hands them over.
void ChunkSequence::record_stored() {
  record_frames();
  record_checksums();
  if (stored_ > durable_) {
    commit_stored();
  }
}

void ChunkSequence::record_frames() {
  const auto stored = chunk_->take_stored();
  for (const chunk::StoredFrame& frame : stored) {
    const Names& names = pending_[static_cast<std::size_t>(&frame - stored.data())];
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
}

void ChunkSequence::record_checksums() {
  for (const chunk::Checksum& sum : chunk_->take_checksums()) {
    put_checksum(sum);
  }
}

void ChunkSequence::commit_stored() {
  put_chunk_row(index::ChunkState::open);
  index_.commit();
  durable_ = stored_;
}

void ChunkSequence::put_checksum(const chunk::Checksum& sum) {
  index_.put_checksum({chunk_number_, sum.frame_idx, sum.offset, sum.size, sum.crc32});
}

void ChunkSequence::put_chunk_row(index::ChunkState state) {
  index::ChunkRow row;
  row.chunk = chunk_number_;
  row.path = imgstore::chunk_path(metadata_, chunk_number_);
  row.first_frame_index = chunk_first_frame_;
  row.frame_count = stored_ - chunk_first_frame_;
  row.time_base = chunk_->time_base();
  row.state = state;
  row.bytes = chunk_->bytes();
  if (state == index::ChunkState::closed) {
    row.checksum = checksum_text(chunk_->checksum());
  }
  row.packet_count = row.frame_count;
  index_.put_chunk(row);
}

void ChunkSequence::write_chunk_index() const {
  imgstore::write_chunk_index(folder_ / imgstore::chunk_index_path(metadata_, chunk_number_),
                              chunk_index_, metadata_);
}

// Rows of this connection can be read before they are committed.
bool ChunkSequence::has_extra_to_write() const {
  bool found = false;
  index_.for_each_extra(
      [&](const index::ExtraRow& row) {
        found = row.frame_index < stored_;
        return false;
      },
      extra_end_);
  return found;
}

void ChunkSequence::write_extra() {
  if (!has_extra_to_write()) {
    return;
  }
  imgstore::ExtraJsonFile file(folder_ / imgstore::chunk_extra_path(metadata_, chunk_number_));
  index_.for_each_extra(
      [&](const index::ExtraRow& row) {
        if (row.frame_index >= stored_) {
          return false;
        }
        file.add({row.frame_index, row.frame_number, row.frame_time, row.json});
        extra_end_ = row.record + 1;
        return true;
      },
      extra_begin_);
  file.finish();
}

}  // namespace avstore::store
