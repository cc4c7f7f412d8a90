#include "media/demuxer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>

#include "media/av.h"
#include "media/avi_chunks.h"
#include "media/byte_stream.h"
#include "media/devices.h"
#include "media/log.h"

namespace avstore::media {
namespace {

// What the Matroska demuxer logs when it finds no more bytes, and calls an I/O error.
constexpr std::string_view kEndsEarly = "File ended prematurely";

int ask_whether_to_give_up(void* give_up) {
  return (*static_cast<std::function<bool()>*>(give_up))() ? 1 : 0;
}

bool is_real_video(const AVStream& stream) {
  return stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
         (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) == 0;
}

StreamInfo describe(AVFormatContext* file, AVStream* stream) {
  const AVCodecParameters& parameters = *stream->codecpar;
  StreamInfo info;
  info.index = stream->index;
  info.codec = avcodec_get_name(parameters.codec_id);
  const char* profile = avcodec_profile_name(parameters.codec_id, parameters.profile);
  info.profile = profile == nullptr ? "" : profile;
  info.width = parameters.width;
  info.height = parameters.height;
  const char* format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(parameters.format));
  info.pixel_format = format == nullptr ? "" : format;
  info.time_base = from_av(stream->time_base);
  const AVRational rate = av_guess_frame_rate(file, stream, nullptr);
  info.frame_rate = rate.num > 0 && rate.den > 0 ? from_av(rate) : Rational{0, 1};
  info.frame_count = stream->nb_frames;
  if (stream->duration != AV_NOPTS_VALUE) {
    info.duration = static_cast<double>(stream->duration) * av_q2d(stream->time_base);
  } else if (file->duration != AV_NOPTS_VALUE) {
    info.duration = static_cast<double>(file->duration) / AV_TIME_BASE;
  }
  const AVCodecDescriptor* codec = avcodec_descriptor_get(parameters.codec_id);
  info.intra_only = codec != nullptr && (codec->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
  return info;
}

// Null for an empty name.
const AVInputFormat* find_input_format(const std::string& name) {
  if (name.empty()) {
    return nullptr;
  }
  const AVInputFormat* format = av_find_input_format(name.c_str());
  bool has_devices = true;
  if (format == nullptr) {
    has_devices = register_devices();
    format = av_find_input_format(name.c_str());
  }
  if (format == nullptr) {
    throw Error(ErrorKind::invalid_argument,
                "unknown input format '" + name + "'" +
                    (has_devices ? "" : "; libavdevice, for capture devices, is not installed"));
  }
  return format;
}

// What libavformat opens for the beginning of a file.
std::string beginning_of(const std::string& file, std::int64_t bytes) {
  return "subfile,,start,0,end," + std::to_string(bytes) + ",,:" + file;
}

// For libav to own. Never null, which would stand for no list at all.
char* copy_of(const std::string& text) {
  char* const copy = av_strdup(text.c_str());
  if (copy == nullptr) {
    throw std::bad_alloc();
  }
  return copy;
}

// As libavformat takes it. A path with a colon looks like an address to it otherwise.
std::string to_url(const std::string& source, const DemuxerOptions& options) {
  std::error_code error;
  const bool may_be_address = options.leads_elsewhere;
  const bool is_path = !may_be_address || (source.find(':') != std::string::npos &&
                                           std::filesystem::is_regular_file(source, error));
  const std::string url = is_path ? "file:" + source : source;
  return options.bytes ? beginning_of(url, *options.bytes) : url;
}

// What libavformat says of a file in a format that it may not take, and an unwanted list with it.
constexpr std::string_view kNotOnWhitelist = "Format not on whitelist";

// Formats of files that name other files or addresses, or are programs.
bool leads_elsewhere(std::string_view format) {
  constexpr std::array<std::string_view, 12> kThese = {
      "avisynth", "concat", "concatf", "dash", "hls", "hls,applehttp",
      "imf",      "rtp",    "rtsp",    "sap",  "sdp", "vapoursynth"};
  return std::find(kThese.begin(), kThese.end(), format) != kThese.end();
}

// All other formats, as libavformat wants them listed.
const std::string& self_contained_formats() {
  static const std::string kFormats = [] {
    std::string all;
    void* place = nullptr;
    while (const AVInputFormat* format = av_demuxer_iterate(&place)) {
      if (!leads_elsewhere(format->name)) {
        all += (all.empty() ? "" : ",") + std::string(format->name);
      }
    }
    return all;
  }();
  return kFormats;
}

// libavformat would wait for somebody to write to a pipe, and read a device without an end.
void refuse_pipes_and_devices(const std::string& file) {
  std::error_code unknown;  // of what is not there libavformat will say so
  switch (std::filesystem::status(file, unknown).type()) {
    case std::filesystem::file_type::fifo:
    case std::filesystem::file_type::character:
    case std::filesystem::file_type::socket:
      throw Error(ErrorKind::io, file + ": is a pipe or a device, not a file");
    default:
      return;
  }
}

}  // namespace

void require_input_format(const std::string& name) {
  find_input_format(name);
}

class Demuxer::Impl {
 public:
  Impl(const std::string& url, const DemuxerOptions& options)
      : url_(url), give_up_(options.give_up) {
    capture_log();
    open(options);
    select(options.stream);
    if (options.unpack_b_frames && stream_->codecpar->codec_id == AV_CODEC_ID_MPEG4) {
      open_unpacker();
    }
    uneven_times_ = makes_up_uneven_times();
    ordinal_timestamps_ = options.count_packets || uneven_times_;
    // AVI counts frames in decode order and stores no presentation times. Of MPEG-1 and MPEG-2
    // without a container libavformat makes up the DTS, and some of the PTS.
    decode_order_ =
        ordinal_timestamps_ || is_avi() || std::string_view(file_->iformat->name) == "mpegvideo";
  }

  const std::string& url() const { return url_; }
  const StreamInfo& stream() const { return info_; }
  const AVFormatContext* file() const { return file_.get(); }
  const AVStream* av_stream() const { return stream_; }
  bool counts_packets() const { return ordinal_timestamps_; }
  bool decode_order() const { return decode_order_; }
  std::int64_t packets_read() const { return packets_read_; }
  std::int64_t seeks() const { return seeks_; }

  std::string truncation() const {
    // An edit list may leave samples out; MP4 reports a cut-off file in its own words instead.
    const bool counts_samples = std::string_view(file_->iformat->name).starts_with("mov");
    if (!counts_samples && info_.frame_count > packets_read_ &&
        info_.frame_count > packets_read_ + empty_chunks()) {
      return "it ends after " + std::to_string(packets_read_) + " of " +
             std::to_string(info_.frame_count) + " frames";
    }
    return damage_;
  }

  bool ends_with_partial_packet() const { return last_is_partial_; }

  bool has_read_all() const {
    AVIOContext* const bytes = file_->pb;
    const std::int64_t size = bytes == nullptr ? -1 : avio_size(bytes);
    return size >= 0 && avio_tell(bytes) >= size;
  }

  std::vector<StreamInfo> video_streams() const {
    std::vector<StreamInfo> found;
    for (unsigned i = 0; i < file_->nb_streams; ++i) {
      if (is_real_video(*file_->streams[i])) {
        found.push_back(describe(file_.get(), file_->streams[i]));
      }
    }
    return found;
  }

  bool read(Packet& packet) {
    if (!(unpacker_ ? read_unpacked(packet.get()) : read_raw(packet.get()))) {
      return false;
    }
    last_dts_ = packet.get()->dts;
    first_dts_ = packets_read_ == 0 ? last_dts_ : first_dts_;
    ++packets_read_;
    packet.set_stated_pts(uneven_times_ ? std::nullopt : packet.pts());
    identify(*packet.get());
    return true;
  }

  bool seek(std::int64_t timestamp) {
    ++seeks_;
    return av_seek_frame(file_.get(), stream_->index, timestamp, AVSEEK_FLAG_BACKWARD) >= 0;
  }

 private:
  bool read_raw(AVPacket* raw) {
    do {
      av_packet_unref(raw);
      clear_log();
      const int code = read_patiently(raw);
      if (code == AVERROR_EOF) {
        damage_ = last_log_line();
        if (damage_.empty() && last_is_partial_) {
          damage_ = "its last packet is only in part there";
        }
        return false;
      }
      check(code, url_, "cannot read a packet");
      if (raw->stream_index == stream_->index) {
        last_is_partial_ = (raw->flags & AV_PKT_FLAG_CORRUPT) != 0;
      }
    } while (raw->stream_index != stream_->index || raw->size == 0 || is_useless_part());
    return true;
  }

  bool is_avi() const { return std::string_view(file_->iformat->name) == "avi"; }

  // Elementary streams store no times. libavformat makes up even ones for most, and none for others
  // (H.264). For these it makes up others: Dirac pictures last a tick, and the first picture of
  // H.261 and H.263 lasts longer than the rest. AVFMT_NOTIMESTAMPS does not tell them: FFmpeg 7.1
  // sets it for elementary streams of all kinds, 5.1 for few.
  bool makes_up_uneven_times() const {
    const std::string_view name = file_->iformat->name;
    return name == "dirac" || name == "h261" || name == "h263";
  }

  // AVI counts dropped frames too, for which it has chunks without a byte. Its demuxer passes over
  // these, and counts them in the DTS of what comes after them; DTS need not begin at 0. Where the
  // file can be sought in, the chunks themselves are counted, as no DTS tells of those before the
  // first frame or behind the last.
  std::int64_t empty_chunks() const {
    if (!is_avi()) {
      return 0;
    }
    AVIOContext* const bytes = file_->pb;
    if (bytes != nullptr && (bytes->seekable & AVIO_SEEKABLE_NORMAL) != 0) {
      return count_empty_avi_chunks(*bytes, stream_->index);
    }
    const bool counted = first_dts_ != AV_NOPTS_VALUE && last_dts_ != AV_NOPTS_VALUE;
    return counted ? std::max<std::int64_t>(0, last_dts_ - first_dts_ + 1 - packets_read_) : 0;
  }

  int read_patiently(AVPacket* raw) {
    constexpr auto kPause = std::chrono::milliseconds(1);
    int code = av_read_frame(file_.get(), raw);
    while (code == AVERROR(EAGAIN) && give_up_) {
      if (give_up_()) {
        return AVERROR_EXIT;
      }
      std::this_thread::sleep_for(kPause);
      code = av_read_frame(file_.get(), raw);
    }
    return code;
  }

  // Nothing can be made of a part of an uncompressed frame.
  bool is_useless_part() const {
    return last_is_partial_ && stream_->codecpar->codec_id == AV_CODEC_ID_RAWVIDEO;
  }

  void open_unpacker() {
    AVBSFContext* raw = nullptr;
    const AVBitStreamFilter* filter = av_bsf_get_by_name("mpeg4_unpack_bframes");
    if (filter == nullptr) {
      throw Error(ErrorKind::unsupported, url_ + ": this FFmpeg cannot unpack B-frames");
    }
    check(av_bsf_alloc(filter, &raw), url_, "cannot unpack B-frames");
    unpacker_.reset(raw);
    check(avcodec_parameters_copy(raw->par_in, stream_->codecpar), url_, "cannot unpack B-frames");
    raw->time_base_in = stream_->time_base;
    check(av_bsf_init(raw), url_, "cannot unpack B-frames");
  }

  bool read_unpacked(AVPacket* packet) {
    av_packet_unref(packet);  // the filter would overwrite it
    for (;;) {
      const int code = av_bsf_receive_packet(unpacker_.get(), packet);
      if (code >= 0) {
        return true;
      }
      if (code == AVERROR_EOF) {
        return false;
      }
      if (code != AVERROR(EAGAIN)) {
        check(code, url_, "cannot unpack B-frames");
      }
      const AvPacket input = make_packet();
      const bool more = read_raw(input.get());
      check(av_bsf_send_packet(unpacker_.get(), more ? input.get() : nullptr), url_,
            "cannot unpack B-frames");
    }
  }

  void open(const DemuxerOptions& options) {
    Dictionary dictionary(options.options);
    if (options.use_fragment_table) {
      dictionary.set("use_mfra_for", "pts");
    }
    if (!options.leads_elsewhere) {
      refuse_pipes_and_devices(url_);
      dictionary.set("pattern_type", "none");  // a % in the name of an image stands for itself
    }
    const AVInputFormat* const format = find_input_format(options.input_format);
    if (!options.parts.empty()) {
      parts_.emplace(url_, options.parts);
    }
    FormatContext prepared = prepare(options);
    const std::string url = to_url(url_, options);
    clear_log();
    AVFormatContext* raw = prepared.release();
    int code = avformat_open_input(&raw, url.c_str(), format, dictionary.address());
    file_.reset(raw);  // none if it failed: libavformat has freed it
    const std::string reason = last_log_line();
    if (reason.starts_with(kNotOnWhitelist)) {
      throw Error(ErrorKind::unsupported,
                  url_ + ": is no video itself but names others, as playlists do");
    }
    if (code == AVERROR(EIO) && reason == kEndsEarly) {
      code = AVERROR_INVALIDDATA;
    }
    std::error_code no_file;
    if (code < 0 && std::filesystem::is_regular_file(url_, no_file) &&
        std::filesystem::is_empty(url_, no_file)) {
      throw Error(ErrorKind::corrupt, url_ + ": the file is empty");
    }
    check(code, url_, "cannot open as video" + (reason.empty() ? "" : ": " + reason));
    // Other demuxers do not know these, and need not.
    av_dict_set(dictionary.address(), "use_mfra_for", nullptr, 0);
    if (!options.leads_elsewhere) {
      av_dict_set(dictionary.address(), "pattern_type", nullptr, 0);
    }
    dictionary.require_all_used(url_);
    if (!options.in_order || !has_telling_headers()) {
      check(avformat_find_stream_info(raw, nullptr), url_, "cannot read stream information");
    }
  }

  // What is to be opened, with all that may be read of it.
  FormatContext prepare(const DemuxerOptions& options) {
    FormatContext context(avformat_alloc_context());
    if (!context) {
      throw std::bad_alloc();
    }
    if (!options.leads_elsewhere) {
      context->protocol_whitelist = copy_of(options.bytes ? "file,subfile" : "file");
      context->format_whitelist = copy_of(self_contained_formats());
    }
    if (give_up_) {
      context->interrupt_callback = {ask_whether_to_give_up, &give_up_};
      if (is_pipe(url_)) {
        pipe_.emplace(url_, std::map<std::string, std::string>(), give_up_);
        context->pb = pipe_->context();
      }
      // Else a camera that sends nothing would be waited for in the driver, and not asked about.
      context->flags |= AVFMT_FLAG_NONBLOCK;
    }
    if (parts_) {
      context->pb = parts_->context();
    }
    return context;
  }

  // Whether the container's headers hold all that a decoder must be told, timestamps included.
  bool has_telling_headers() const {
    const std::string_view name = file_->iformat->name;
    return name.starts_with("mov") || name.starts_with("matroska");
  }

  void select(std::optional<int> wanted) {
    for (unsigned i = 0; i < file_->nb_streams && stream_ == nullptr; ++i) {
      AVStream* candidate = file_->streams[i];
      const bool fits = wanted ? candidate->index == *wanted : is_real_video(*candidate);
      if (fits && candidate->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) {
        stream_ = candidate;
      }
    }
    if (stream_ == nullptr) {
      throw Error(ErrorKind::not_found,
                  url_ + (wanted ? ": stream " + std::to_string(*wanted) + " is no video stream"
                                 : ": has no video stream"));
    }
    info_ = describe(file_.get(), stream_);
    for (unsigned i = 0; i < file_->nb_streams; ++i) {
      if (file_->streams[i] != stream_) {
        file_->streams[i]->discard = AVDISCARD_ALL;
      }
    }
  }

  // Give the packet a PTS that no other of the stream has.
  void identify(AVPacket& packet) const {
    if (ordinal_timestamps_) {
      packet.pts = packets_read_ - 1;
    } else if (decode_order_) {
      packet.pts = packet.dts;
    }
  }

  std::string url_;
  std::function<bool()> give_up_;   // libav holds its address
  std::optional<ByteStream> pipe_;  // what file_ reads, if that is a pipe
  std::optional<FileParts> parts_;  // what file_ reads, if that is parts of a file
  InputContext file_;
  Bsf unpacker_;                // none unless asked for
  AVStream* stream_ = nullptr;  // owned by file_
  StreamInfo info_;
  bool uneven_times_ = false;
  bool ordinal_timestamps_ = false;
  bool decode_order_ = false;
  std::int64_t packets_read_ = 0;
  std::int64_t first_dts_ = AV_NOPTS_VALUE;  // of the packet read first
  std::int64_t last_dts_ = AV_NOPTS_VALUE;   // and last
  std::int64_t seeks_ = 0;
  bool last_is_partial_ = false;
  std::string damage_;  // what libav complained of at the end of the file
};

Demuxer::Demuxer(const std::string& url, const DemuxerOptions& options)
    : impl_(std::make_unique<Impl>(url, options)) {}
Demuxer::Demuxer(Demuxer&&) noexcept = default;
Demuxer& Demuxer::operator=(Demuxer&&) noexcept = default;
Demuxer::~Demuxer() = default;

const std::string& Demuxer::url() const {
  return impl_->url();
}
const StreamInfo& Demuxer::stream() const {
  return impl_->stream();
}
std::string Demuxer::container() const {
  return impl_->file()->iformat->name;
}

std::string Demuxer::creation_time() const {
  for (const AVDictionary* tags : {impl_->file()->metadata, impl_->av_stream()->metadata}) {
    const AVDictionaryEntry* entry = av_dict_get(tags, "creation_time", nullptr, 0);
    if (entry != nullptr) {
      return entry->value;
    }
  }
  return {};
}

std::vector<StreamInfo> Demuxer::video_streams() const {
  return impl_->video_streams();
}
bool Demuxer::read(Packet& packet) {
  return impl_->read(packet);
}
std::string Demuxer::truncation() const {
  return impl_->truncation();
}
bool Demuxer::ends_with_partial_packet() const {
  return impl_->ends_with_partial_packet();
}
bool Demuxer::seek(std::int64_t timestamp) {
  return impl_->seek(timestamp);
}
bool Demuxer::counts_packets() const {
  return impl_->counts_packets();
}
bool Demuxer::timestamps_in_decode_order() const {
  return impl_->decode_order();
}
bool Demuxer::has_read_all() const {
  return impl_->has_read_all();
}
std::int64_t Demuxer::packets_read() const {
  return impl_->packets_read();
}
std::int64_t Demuxer::seeks() const {
  return impl_->seeks();
}
const AVCodecParameters* Demuxer::parameters() const {
  return impl_->av_stream()->codecpar;
}

}  // namespace avstore::media
