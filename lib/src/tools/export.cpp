// avstore export: one video file of a store's frames.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "media/convert.h"
#include "media/demuxer.h"
#include "media/encoder.h"
#include "media/encoder_line.h"
#include "media/joined_stream.h"
#include "media/muxer.h"
#include "media/rescale.h"
#include "store/reader_access.h"
#include "store/replaced_store.h"
#include "store/writer_options.h"
#include "tools/export_plan.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"
#include "tools/store_copy.h"
#include "tools/timeline.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;
using tools::ExportPlan;
using tools::ExportSegment;
using tools::Timeline;

struct Target {
  std::string muxer;
  std::map<std::string, std::string> formats;  // codec -> format to encode it with
};

Target target_of(const fs::path& file) {
  const std::string muxer = tools::video_muxer(file);
  if (muxer.empty()) {
    throw Error(ErrorKind::invalid_argument, file.string() + ": exported files are .mp4 or .mkv");
  }
  const std::string container = muxer == "mp4" ? "mp4" : "mkv";
  return {
      muxer,
      {{"h264", (muxer == "mp4" ? "avc1/" : "h264/") + container}, {"hevc", "hevc/" + container}}};
}

[[noreturn]] void refuse_b_frames(const fs::path& file) {
  throw Error(ErrorKind::invalid_argument,
              file.string() +
                  ": export makes no B-frames: what it encodes goes between frames that it "
                  "copies, whose timestamps leave no room for reordering");
}

media::Demuxer open_packets(Reader& reader, const ExportSegment& segment) {
  return tools::open_packets(
      reader, store::IndexedChunk(store::ReaderAccess::index(reader), segment.chunk));
}

class Exporter {
 public:
  Exporter(Reader& reader, const fs::path& file, IndexRange range, const ExportOptions& options,
           Rational frame_rate, ExportPlan plan)
      : reader_(reader),
        file_(file),
        range_(range),
        options_(options),
        frame_rate_(frame_rate),
        target_(target_of(file)),
        meter_(options.progress, range.size(), file.string()),
        plan_(std::move(plan)) {
    options_.encoder.frame_rate = frame_rate_;
    if (!can_join()) {
      choose_codec();
      plan_ = tools::encode_all(range_);
      joined_.reset();
    }
    timeline_.emplace(reader, range, options.timing, frame_rate, target_.muxer, plan_.order);
    const Rational real_rate = timeline_->mean_rate();
    if (options.timing == Timing::real && options.encoder.frame_rate.num == 0 &&
        real_rate.num > 0) {
      frame_rate_ = real_rate;
      options_.encoder.frame_rate = real_rate;
    }
  }

  ExportResult run(const fs::path& temporary) {
    temporary_ = temporary;
    for (const std::string& notice : timeline_->notices()) {
      if (options_.notice) {
        options_.notice(notice);
      }
    }
    for (const ExportSegment& segment : plan_.segments) {
      if (segment.copied) {
        copy(segment);
      } else {
        encode(segment);
      }
    }
    muxer_->finish();
    muxer_->file().close();
    return {range_.size(), encoded_};
  }

 private:
  // Whether all segments can be one stream: copied ones alike, and encoded ones like them.
  bool can_join() {
    for (const ExportSegment& segment : plan_.segments) {
      if (!segment.copied) {
        continue;
      }
      const media::Demuxer demuxer = open_packets(reader_, segment);
      codec_ = demuxer.stream().codec;
      if (!joined_) {
        joined_.emplace(demuxer.parameters());
      }
      if (!joined_->can_join(demuxer.parameters()) || !container_takes(demuxer)) {
        return false;
      }
    }
    const bool encodes = std::any_of(plan_.segments.begin(), plan_.segments.end(),
                                     [](const ExportSegment& s) { return !s.copied; });
    return joined_ && (!encodes || encodes_alike());
  }

  // H.264 of 8 bit is played everywhere. Where that would lose depth, players of the store's own
  // codec are needed for its chunks as well.
  void choose_codec() {
    encode_as_ = "h264";
    keeps_layout_ = false;
    if (!store::ReaderAccess::metadata(reader_).is_video()) {
      return;
    }
    const media::StreamInfo source = open_packets(reader_, plan_.segments.front()).stream();
    const bool deep =
        !source.pixel_format.empty() && media::is_deep(PixelFormat::from_name(source.pixel_format));
    if (deep && target_.formats.contains(source.codec) && keeps_depth(source.codec)) {
      encode_as_ = source.codec;
      keeps_layout_ = true;
    }
  }

  // There are pixels that decoders know and no encoder takes, such as gray of 10 bit in HEVC.
  bool keeps_depth(const std::string& codec) {
    media::VideoFormat format = media::find_video_format(target_.formats.at(codec));
    format.keeps_layout = true;
    return media::keeps_depth(format, reader_.read(FrameIndex(range_.begin)).image.view());
  }

  bool container_takes(const media::Demuxer& demuxer) const {
    return media::Muxer::takes(target_.muxer, demuxer.parameters());
  }

  // Try the first frame to be encoded: an encoder must open, for the same size and pixels.
  bool encodes_alike() {
    if (!target_.formats.contains(codec_)) {
      return false;
    }
    const auto segment = std::find_if(plan_.segments.begin(), plan_.segments.end(),
                                      [](const ExportSegment& s) { return !s.copied; });
    encode_as_ = codec_;
    keeps_layout_ = true;
    const Frame frame = reader_.read(FrameIndex(segment->frames.begin));
    try {
      const media::Encoder encoder =
          open_encoder({frame_rate_.den, frame_rate_.num}, frame.image.view());
      return joined_->can_join(encoder.parameters());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) {
        throw;
      }
      return false;  // none takes such pixels
    }
  }

  media::Encoder open_encoder(Rational time_base, const ImageView& first) {
    media::VideoFormat format = media::find_video_format(target_.formats.at(encode_as_));
    format.keeps_layout = keeps_layout_;
    media::Encoder encoder = media::EncoderLine(format, options_.encoder).open(time_base, first);
    if (encoder.b_frames() > 0) {
      refuse_b_frames(file_);
    }
    return encoder;
  }

  void start(const AVCodecParameters* parameters) {
    if (!muxer_) {
      media::MuxerOptions options;
      options.muxer = target_.muxer;
      options.time_base = timeline_->time_base();
      options.keeps_time_base = options_.timing == Timing::real;
      options.frame_rate = frame_rate_;
      options.fragmented = false;
      muxer_.emplace(temporary_, joined_ ? joined_->parameters() : parameters, options);
    }
    if (joined_) {
      joined_->change_source(parameters);
    }
  }

  void copy(const ExportSegment& segment) {
    const store::IndexedChunk chunk(store::ReaderAccess::index(reader_), segment.chunk);
    media::Demuxer demuxer = tools::open_packets(reader_, chunk);
    start(demuxer.parameters());
    std::unordered_map<std::int64_t, std::int64_t> place;  // PTS -> exported frame
    for (std::int64_t i = segment.frames.begin; i < segment.frames.end; ++i) {
      place.emplace(chunk.pts(i - chunk.row().first_frame_index), i - range_.begin);
    }
    std::int64_t copied = 0;
    media::Packet packet;
    while (copied < segment.frames.size() && demuxer.read(packet)) {
      const auto found = packet.pts() ? place.find(*packet.pts()) : place.end();
      if (found != place.end()) {
        write(packet, found->second);
        ++copied;
      }
    }
    if (copied < segment.frames.size()) {
      throw Error(ErrorKind::corrupt, demuxer.url() + ": has only " + std::to_string(copied) +
                                          " of " + std::to_string(segment.frames.size()) +
                                          " packets that were to be copied; did it change?");
    }
  }

  void encode(const ExportSegment& segment) {
    tools::PixelInput input(find_format(target_.formats.at(encode_as_)), file_.string(),
                            options_.notice);
    std::optional<media::Encoder> encoder;
    const auto drain = [&] {
      media::Packet packet;
      while (encoder->receive(packet)) {
        write(packet, place_of(packet.pts().value_or(0)));
      }
    };
    for (std::int64_t i = segment.frames.begin; i < segment.frames.end; ++i) {
      const Image image = input.prepare(to_encode(reader_.read(FrameIndex(i)).image));
      if (!encoder) {
        encoder.emplace(open_encoder(timeline_->time_base(), image.view()));
        tell_of_loss(image.format(), encoder->pixel_format());
        start(encoder->parameters());
      }
      encoder->send(image, timeline_->pts(i - range_.begin), false);
      drain();
      ++encoded_;
    }
    encoder->send_end();
    drain();
  }

  void tell_of_loss(PixelFormat from, PixelFormat to) {
    if (media::is_deep(from) && !media::is_deep(to) && options_.notice && !told_) {
      told_ = true;
      options_.notice(media::depth_loss(from, file_.string()));
    }
  }

  // A gray store's colour planes, where it has any, mean nothing.
  Image to_encode(const Image& image) {
    if (keeps_layout_ || reader_.info().color || reader_.info().dtype != "uint8") {
      return image;
    }
    tell_of_loss(image.format(), pixel::gray8);
    return media::Converter(1).convert(image, pixel::gray8);
  }

  std::int64_t place_of(std::int64_t pts) const {
    std::int64_t low = 0;
    std::int64_t high = timeline_->count();
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (timeline_->pts(middle) < pts) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void write(media::Packet& packet, std::int64_t frame) {
    if (joined_) {
      joined_->fit(packet);
    }
    const Rational from = timeline_->time_base();
    const auto ticks = [&](std::int64_t t) { return media::rescale(t, from, muxer_->time_base()); };
    packet.set_timestamps(ticks(timeline_->pts(frame)), ticks(timeline_->dts(packets_++)),
                          ticks(timeline_->duration(frame)));
    muxer_->write(packet);
    meter_.require();
  }

  Reader& reader_;
  fs::path file_;
  fs::path temporary_;
  IndexRange range_;
  ExportOptions options_;
  Rational frame_rate_;
  Target target_;
  tools::ProgressMeter meter_;
  ExportPlan plan_;
  std::optional<Timeline> timeline_;           // of what the plan came to be
  std::string codec_;                          // of what is copied
  std::string encode_as_ = "h264";             // codec
  bool keeps_layout_ = false;                  // see media::VideoFormat
  std::optional<media::JoinedStream> joined_;  // none if everything is encoded
  std::optional<media::Muxer> muxer_;
  bool told_ = false;  // of what encoding loses
  std::int64_t packets_ = 0;
  std::int64_t encoded_ = 0;
};

// Of the frames' own times where they make sense, else the format's usual one.
Rational mean_frame_rate(const StoreInfo& info) {
  const double seconds = info.time_max.seconds - info.time_min.seconds;
  if (info.frame_count < 2 || !(seconds > 0) || !std::isfinite(seconds)) {
    return {25, 1};
  }
  const double rate = static_cast<double>(info.frame_count - 1) / seconds;
  return {std::llround(std::clamp(rate * 1000, 1.0, 1e6)), 1000};
}

// What the store was made with; of stores that do not say, what their video says.
Rational nominal_frame_rate(Reader& reader, const ExportPlan& plan) {
  const StoreInfo& info = reader.info();
  if (info.nominal_frame_rate.num > 0) {
    return info.nominal_frame_rate;
  }
  for (const ExportSegment& segment : plan.segments) {
    if (store::ReaderAccess::metadata(reader).is_video()) {
      const Rational stated = open_packets(reader, segment).stream().frame_rate;
      return stated.num > 0 ? stated : mean_frame_rate(info);
    }
  }
  return mean_frame_rate(info);
}

void require_writable_name(const fs::path& file, bool overwrite) {
  if (base::is_there(file) && !overwrite) {
    throw Error(ErrorKind::exists,
                file.string() +
                    ": is there already; choose another name, or replace it (option overwrite)");
  }
}

// A file of the store's own must not be replaced, nor one be added that may be taken for one.
void require_outside(const fs::path& store, const fs::path& file) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(store::existing_folder(store), error);
  const fs::path target = fs::weakly_canonical(file, error);
  const auto [end, rest] =
      std::mismatch(folder.begin(), folder.end(), target.begin(), target.end());
  if (!error && end == folder.end()) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": is within the store; export to another place");
  }
}

}  // namespace

ExportResult export_video(const fs::path& store, const fs::path& file,
                          const ExportOptions& options) {
  target_of(file);
  store::require_valid_rate(options.encoder.frame_rate);
  if (options.encoder.b_frames != 0) {
    refuse_b_frames(file);
  }
  require_writable_name(file, options.overwrite);
  require_outside(store, file);
  ReaderOptions reader_options;
  reader_options.on_warning = options.notice;
  reader_options.save_index = options.save_index;
  Reader reader(store, reader_options);
  if (reader.frame_count() == 0) {
    throw Error(ErrorKind::invalid_argument,
                store.string() + ": the store has no frames, and a video must have one");
  }
  const IndexRange range = tools::frames_in(options.range, reader);
  const fs::path temporary = base::partial_name(file, file.extension().string());
  try {
    ExportPlan plan = tools::plan_export(reader, range);
    const Rational rate = options.encoder.frame_rate.num > 0 ? options.encoder.frame_rate
                                                             : nominal_frame_rate(reader, plan);
    Exporter exporter(reader, file, range, options, rate, std::move(plan));
    const ExportResult result = exporter.run(temporary);
    base::rename(temporary, file);
    return result;
  } catch (const Error& error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    std::string what = error.what();
    if (const auto at = what.find(temporary.string()); at != std::string::npos) {
      what.replace(at, temporary.string().size(), file.string());
      throw Error(error.kind(), what, error.system_error());
    }
    throw;
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

}  // namespace avstore
