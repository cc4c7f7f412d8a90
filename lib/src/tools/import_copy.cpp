#include "tools/import_copy.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/codec_table.h"
#include "media/container.h"
#include "media/demuxer.h"
#include "media/muxer.h"
#include "media/rescale.h"
#include "media/scan.h"
#include "store/chunk_sequence.h"
#include "store/index_files.h"
#include "store/layout.h"
#include "store/scanned_chunk.h"
#include "store/store_folder.h"
#include "tools/copy_plan.h"
#include "tools/frame_namer.h"
#include "tools/progress_meter.h"

namespace avstore::tools {
namespace {

namespace fs = std::filesystem;

media::DemuxerOptions demuxer_options(std::optional<int> stream, bool count_packets = false) {
  media::DemuxerOptions options;
  options.stream = stream;
  options.count_packets = count_packets;
  options.unpack_b_frames = true;
  return options;
}

imgstore::StoreMetadata make_metadata(const media::Demuxer& source,
                                      const media::Container& container,
                                      const WriterOptions& options) {
  const media::StreamInfo& stream = source.stream();
  imgstore::StoreMetadata metadata;
  metadata.store_class = imgstore::kVideoClass;
  metadata.format = container.format_name;
  metadata.extension = container.extension;
  metadata.imgshape = {stream.height, stream.width};
  if (!stream.pixel_format.starts_with("gray")) {
    metadata.imgshape.push_back(3);
  }
  if (!stream.pixel_format.empty() && media::is_deep(PixelFormat::from_name(stream.pixel_format))) {
    metadata.imgdtype = "uint16";
  }
  metadata.chunksize =
      options.chunk_size > 0 ? options.chunk_size : store::default_chunk_size(true);
  metadata.created_utc = options.created_utc.empty() ? imgstore::utc_now() : options.created_utc;
  metadata.timezone_local =
      options.timezone_local.empty() ? imgstore::local_timezone_name() : options.timezone_local;
  metadata.uuid = imgstore::new_uuid();
  metadata.user_yaml = imgstore::normalize_user_yaml(options.metadata_yaml);
  return metadata;
}

// Of files that state none.
constexpr Rational kUsualFrameRate{25, 1};

// The copied packets cannot be decoded, or not to the same pixels.
struct CannotCopy {
  std::string why;
};

// Copies the packets as planned, chunk by chunk, and makes rows of what each chunk then really
// gives when it is decoded. In the end all that is compared with what the source gives: codecs may
// depend on what their own container says, and another one cannot.
class Copier {
 public:
  Copier(const fs::path& file, const fs::path& store, const ImportOptions& options, CopyPlan plan)
      : file_(file.string()),
        store_(store),
        options_(options),
        plan_(std::move(plan)),
        source_(file_, demuxer_options(options.stream, plan_.count_packets)),
        container_(media::choose_container(source_).value()),
        metadata_(make_metadata(source_, container_, options.writer)),
        namer_(options, source_.creation_time(), file_),
        meter_(options.progress, static_cast<std::int64_t>(plan_.packets.size()), file_),
        index_(index::Index::create(store / store::kIndexFile)) {
    const Rational rate = source_.stream().frame_rate;
    frame_rate_ = rate.num > 0 ? rate : kUsualFrameRate;
  }

  ImportResult run() {
    imgstore::write_metadata(store_, metadata_);
    index_.set_information(store::kUuidEntry, metadata_.uuid);
    index_.set_information(store::kEncoderEntry, store::kCopied);
    index_.set_information(store::kFrameRateEntry, to_text(frame_rate_));
    media::Packet packet;
    while (next_packet_ < plan_.packets.size() && source_.read(packet)) {
      require_planned(packet, plan_.packets[next_packet_]);
      copy(packet, plan_.packets[next_packet_++]);
      meter_.require();
    }
    require_all_read();
    finish_chunk();
    if (frames_ == 0) {
      throw Error(ErrorKind::corrupt, file_ + ": no frame of it can be decoded");
    }
    require_frames_of_source();
    tell_of_long_chunks();
    namer_.require_all_used();
    store::stamp_index_files(index_, store_, metadata_);
    index_.close();
    return {frames_, metadata_.format, true};
  }

 private:
  fs::path chunk_file() const { return store_ / imgstore::chunk_path(metadata_, chunk_); }

  // The file is read twice, and may have been changed between.
  [[noreturn]] void fail_as_changed(const std::string& how) const {
    throw Error(ErrorKind::corrupt, file_ + ": has changed while it was imported: " + how +
                                        "; import it when nobody writes to it");
  }

  void require_planned(const media::Packet& packet, const PlannedPacket& planned) const {
    if (packet.pts() != planned.source_pts) {
      fail_as_changed("its packet " + std::to_string(next_packet_) + " is another one");
    }
  }

  void require_all_read() const {
    if (next_packet_ < plan_.packets.size()) {
      fail_as_changed("it had " + std::to_string(plan_.packets.size()) + " packets, and then " +
                      std::to_string(next_packet_));
    }
  }

  void copy(media::Packet& packet, const PlannedPacket& planned) {
    if (planned.chunk != chunk_) {
      finish_chunk();
      chunk_ = planned.chunk;
    }
    if (planned.dropped) {
      return;
    }
    if (!muxer_) {
      start_chunk();
    } else if (planned.chunk_start_possible && fragmented()) {
      muxer_->flush();
    }
    const std::int64_t pts = ticks(planned.pts);
    packet.set_timestamps(pts, ticks(planned.dts), ticks(1));
    seconds_.emplace(pts, planned.seconds);
    muxer_->write(packet);
  }

  // An edit list, which is what hides frames, is not written by the muxer for fragments.
  bool fragmented() const { return !(plan_.hides_frames && chunk_ == 0); }

  void start_chunk() {
    media::MuxerOptions options;
    options.muxer = container_.muxer;
    options.time_base = {frame_rate_.den, frame_rate_.num};
    options.frame_rate = frame_rate_;
    options.fragmented = fragmented();
    muxer_.emplace(chunk_file(), source_.parameters(), options);
  }

  // Where frames lie closer than the container's clock can tell, they get a tick each: two with the
  // same could not be told apart. The index has their times.
  std::int64_t ticks(std::int64_t frames) const {
    const Rational step{frame_rate_.den, frame_rate_.num};
    return step.value() < muxer_->time_base().value()
               ? frames
               : media::rescale(frames, step, muxer_->time_base());
  }

  void finish_chunk() {
    if (!muxer_) {
      return;
    }
    muxer_->finish();
    muxer_->file().close();
    const media::Scan scan = scan_copy();
    require_one_layout(scan);
    record(scan);
    muxer_.reset();
    seconds_.clear();
  }

  media::Scan scan_copy() {
    return decode(chunk_file(), std::nullopt, media::ScanMethod::decode,
                  "what is copied into another container cannot be decoded");
  }

  media::Scan decode(const fs::path& file, std::optional<int> stream, media::ScanMethod method,
                     const char* or_else) {
    try {
      return media::scan(
          file, stream, method, [this](std::int64_t) { meter_.require(0); }, {}, true);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::io) {
        throw;
      }
      throw CannotCopy{or_else};
    }
  }

  // Of packets that were dropped the decoder may have made something.
  void require_frames_of_source() {
    const media::Scan source =
        decode(file_, options_.stream,
               plan_.count_packets ? media::ScanMethod::decode_counting : media::ScanMethod::decode,
               "what it shows cannot be compared with the copy");
    const auto& shown = source.pixel_checksums;
    const bool all_copied =
        std::none_of(plan_.packets.begin(), plan_.packets.end(),
                     [](const PlannedPacket& packet) { return packet.dropped; });
    const bool same = copied_.size() <= shown.size() &&
                      (copied_.size() == shown.size() || !all_copied) &&
                      std::equal(copied_.rbegin(), copied_.rend(), shown.rbegin());
    if (!same) {
      throw CannotCopy{"what is copied into another container does not give the same frames"};
    }
  }

  void require_one_layout(const media::Scan& scan) {
    if (scan.pts.empty()) {
      return;
    }
    const std::pair size(scan.width, scan.height);
    const bool differs = size_ && size != *size_;
    size_ = size;
    const bool other_format = pixel_format_ && scan.pixel_format != *pixel_format_;
    pixel_format_ = scan.pixel_format;
    if (scan.format_change || other_format) {
      throw Error(ErrorKind::invalid_argument,
                  file_ + ": the pixel format changes at frame " +
                      std::to_string(frames_ + scan.format_change.value_or(0)) +
                      "; import without copying converts all to the first");
    }
    if (scan.size_change || differs) {
      throw Error(ErrorKind::invalid_argument,
                  file_ + ": the picture changes its size at frame " +
                      std::to_string(frames_ + scan.size_change.value_or(0)) +
                      "; a store has one size");
    }
  }

  void record(const media::Scan& scan) {
    copied_.insert(copied_.end(), scan.pixel_checksums.begin(), scan.pixel_checksums.end());
    imgstore::ChunkIndex names;
    for (const std::int64_t pts : scan.pts) {
      const FrameNames name = namer_.next(seconds_of(pts, scan.time_base));
      names.frame_number.push_back(name.number.value);
      names.frame_time.push_back(name.time.seconds);
    }
    const std::string path = imgstore::chunk_path(metadata_, chunk_);
    store::append_scanned_chunk(index_, {chunk_, store_, path, frames_}, scan, names);
    const auto count = static_cast<std::int64_t>(scan.pts.size());
    frames_ += count;
    longest_chunk_ = std::max(longest_chunk_, count);
    imgstore::write_chunk_index(store_ / imgstore::chunk_index_path(metadata_, chunk_), names,
                                metadata_);
    index_.commit();
  }

  void tell_of_long_chunks() const {
    if (longest_chunk_ > metadata_.chunksize && options_.notice) {
      options_.notice(file_ + ": keyframes lie so far apart that chunks have up to " +
                      std::to_string(longest_chunk_) + " frames instead of " +
                      std::to_string(metadata_.chunksize));
    }
  }

  double seconds_of(std::int64_t pts, Rational time_base) const {
    const auto found = seconds_.find(media::rescale(pts, time_base, muxer_time_base()));
    if (found == seconds_.end()) {
      throw CannotCopy{"the copied packets give a frame that none of them is"};
    }
    return found->second;
  }

  Rational muxer_time_base() const { return muxer_->time_base(); }

  std::string file_;
  fs::path store_;
  const ImportOptions& options_;
  CopyPlan plan_;
  media::Demuxer source_;
  media::Container container_;
  imgstore::StoreMetadata metadata_;
  FrameNamer namer_;
  ProgressMeter meter_;
  index::Index index_;
  Rational frame_rate_;
  std::optional<media::Muxer> muxer_;
  std::unordered_map<std::int64_t, double> seconds_;  // PTS in this chunk -> source time
  std::vector<std::uint32_t> copied_;                 // of each frame's pixels
  std::size_t next_packet_ = 0;
  std::int64_t chunk_ = 0;
  std::int64_t frames_ = 0;
  std::int64_t longest_chunk_ = 0;           // frames
  std::optional<std::pair<int, int>> size_;  // of the pictures, pixels
  std::optional<PixelFormat> pixel_format_;
};

}  // namespace

std::optional<ImportResult> import_copy(const fs::path& file, const fs::path& store,
                                        const ImportOptions& options) {
  const auto cannot = [&](const std::string& why) -> std::optional<ImportResult> {
    if (options.notice) {
      options.notice(file.string() + ": " + why + ", so its packets cannot be kept; encoded " +
                     "without loss as " + std::string(kLosslessInsteadOfCopy) + " instead");
    }
    return std::nullopt;
  };
  const auto container =
      media::choose_container(media::Demuxer(file.string(), demuxer_options(options.stream)));
  if (!container) {
    return cannot("no container of a store takes this codec");
  }
  const std::int64_t chunk_size =
      options.writer.chunk_size > 0 ? options.writer.chunk_size : store::default_chunk_size(true);
  ProgressMeter reading(options.progress, 0, file.string());
  auto plan = plan_copy(file, demuxer_options(options.stream), chunk_size,
                        [&reading] { reading.require(0); });
  if (!plan || (plan->hides_frames && !container->hides_frames)) {
    return cannot("an edit list hides frames among those it shows");
  }
  const std::string truncation = plan->truncation;
  require_whole(truncation, file.string(), options);
  try {
    const ImportResult result = Copier(file, store, options, std::move(*plan)).run();
    // Where packets cannot be kept, who encodes them comes upon it once more, and tells.
    tell_of_truncation(truncation, file.string(), options);
    return result;
  } catch (const CannotCopy& reason) {
    store::remove_store(store);
    store::make_folder(store);
    return cannot(reason.why);
  }
}

}  // namespace avstore::tools
