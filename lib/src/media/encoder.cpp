#include "media/encoder.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <string_view>
#include <thread>
#include <vector>

#include "media/av.h"
#include "media/convert.h"
#include "media/hardware.h"
#include "media/log.h"

namespace avstore::media {
namespace {

using Options = std::map<std::string, std::string>;

int core_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

const EncoderChoice* find_choice(const VideoFormat& format, const std::string& encoder) {
  for (const EncoderChoice& choice : format.encoders) {
    if (choice.name == encoder) {
      return &choice;
    }
  }
  return nullptr;
}

// "x265-params" and the like are lists of their own: the user's entries follow ours and win.
void merge(Options& into, const Options& from) {
  for (const auto& [key, value] : from) {
    const bool list = key.ends_with("-params") && into.contains(key);
    into[key] = list ? into[key] + ":" + value : value;
  }
}

// Threads are worth more to the slices of FFV1 than one frame can use by default.
int slice_count(int threads) {
  return threads <= 4 ? 4 : threads <= 9 ? 9 : 16;
}

// Below this many pixels a slice is not worth having, or not even possible.
constexpr int kMinSlicedPixels = 64 * 64;
constexpr int kMinSlicedH264 = 640 * 360;

Options all_options(const VideoFormat& format, const std::string& encoder,
                    const EncoderOptions& wanted, int threads, int pixels) {
  Options options;
  if (const EncoderChoice* choice = find_choice(format, encoder)) {
    options = choice->options;
    const std::string preset = wanted.preset.empty() ? choice->default_preset : wanted.preset;
    if (!wanted.preset.empty() && choice->preset_option.empty()) {
      throw Error(ErrorKind::invalid_argument, encoder + " has no presets");
    }
    if (!preset.empty()) {
      options[choice->preset_option] = preset;
    }
  } else if (!wanted.preset.empty()) {
    options["preset"] = wanted.preset;
  }
  if (encoder == "ffv1") {
    options["slices"] = std::to_string(pixels < kMinSlicedPixels ? 1 : slice_count(threads));
  }
  if (encoder.starts_with("libx264") && pixels >= kMinSlicedH264) {
    // Frames in four parts cost next to nothing in size, and random access decodes these side by
    // side: frame threads are of no use to it.
    options["slices"] = "4";
  }
  if (encoder == "libx265") {
    // B-frames need to look ahead by more than their number.
    const int ahead = wanted.b_frames == 0 ? 0 : wanted.b_frames + 1;
    options["x265-params"] +=
        ":bframes=" + std::to_string(wanted.b_frames) + ":rc-lookahead=" + std::to_string(ahead);
    // Its pool of threads is as large as the machine, whatever libavcodec's thread count is. That
    // is taken for the number of frames to encode at once, and with more than one x265 3.5 now and
    // then waits forever when it is to finish: the signal that no more frames come can get lost
    // (some 1 in 20,000 short videos). The pool shares the work within a frame.
    options["x265-params"] += ":frame-threads=1:pools=" + std::to_string(threads);
  }
  if (encoder == "libsvtav1" && threads < core_count()) {
    // libavcodec does not hand it the thread count, and its default is the whole machine. A number
    // of processors, and from SVT-AV1 2.3 on a level, of which the highest is 6.
    constexpr int kHighestLevel = 6;
    options["svtav1-params"] += ":lp=" + std::to_string(std::min(threads, kHighestLevel));
  }
  if (const auto gpu = gpu_number(wanted.device);
      gpu && family_of(encoder) == EncoderFamily::nvenc) {
    options["gpu"] = std::to_string(*gpu);
  }
  merge(options, quality_options(format, encoder, wanted.quality.value_or(kDefaultQuality)));
  merge(options, wanted.options);
  return options;
}

std::atomic<int>& open_count(EncoderFamily family) {
  static std::array<std::atomic<int>, 4> counts{};
  return counts.at(static_cast<std::size_t>(family));
}

}  // namespace

const AVCodec& find_encoder(const std::string& name) {
  const AVCodec* codec = avcodec_find_encoder_by_name(name.c_str());
  if (codec == nullptr) {
    throw Error(ErrorKind::unsupported, "encoder " + name + ": not in this build of FFmpeg");
  }
  return *codec;
}

int open_encoders(EncoderFamily family) {
  return open_count(family);
}

int default_keyframe_interval(Rational frame_rate) {
  const double half_second = frame_rate.den == 0 ? 0 : frame_rate.value() / 2;
  return static_cast<int>(std::clamp(std::lround(half_second), 1L, 60L));
}

class Encoder::Impl {
 public:
  Impl(const VideoFormat& format, const std::string& encoder, const EncoderOptions& options,
       Rational time_base, const ImageView& first, bool for_container)
      : name_(encoder), where_("encoder " + encoder), family_(family_of(encoder)), converter_(1) {
    capture_log();
    clear_log();
    const AVCodec& codec = find_encoder(encoder);
    require_codec(format, codec);
    require_device_of(family_, options.device, where_);
    choose_input(format, first);
    const Options all =
        all_options(format, name_, options, thread_count(options), width_ * height_);
    const auto prepare = [&] { make_context(codec, format, options, time_base, for_container); };
    prepare();
    require_known(all);
    require_known_preset(all);
    require_b_frames_told(options.options);
    if (family_ == EncoderFamily::vaapi && !all.contains("low_power")) {
      open_vaapi(all, prepare);
    } else {
      open(all);
    }
    parameters_.reset(avcodec_parameters_alloc());
    if (!parameters_) {
      throw std::bad_alloc();
    }
    check(avcodec_parameters_from_context(parameters_.get(), context_.get()), where_,
          "cannot read parameters");
    ++open_count(family_);
  }

  ~Impl() {
    settle();
    context_.reset();
    --open_count(family_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void send(const Image& image, std::int64_t pts, bool force_keyframe) {
    clear_log();
    AvFrame frame = prepare(image);
    if (vaapi_) {
      frame = vaapi_->upload(*frame);
    }
    frame->pts = pts;
    frame->pict_type = force_keyframe ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    frame->quality = context_->global_quality;
    require_success(avcodec_send_frame(context_.get(), frame.get()), "cannot encode a frame");
    started_ = true;
  }

  void send_end() {
    if (!started_) {
      return;  // see settle()
    }
    ended_ = true;
    const int code = avcodec_send_frame(context_.get(), nullptr);
    if (code != AVERROR_EOF) {
      require_success(code, "cannot finish");
    }
  }

  bool receive(Packet& packet) {
    if (!started_) {
      return false;
    }
    const int code = avcodec_receive_packet(context_.get(), packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) {
      return false;
    }
    require_success(code, "cannot encode");
    return true;
  }

  const std::string& name() const { return name_; }
  PixelFormat pixel_format() const { return input_.pixel_format; }
  const AVCodecContext& context() const { return *context_; }
  const AVCodecParameters* parameters() const { return parameters_.get(); }

 private:
  void require_success(int code, const char* what) const {
    if (code < 0) {
      throw EncoderFailure(where_ + ": " + what + ": " + with_log(error_text(code)));
    }
  }

  // SVT-AV1's threads wait for ever if it is closed before it has had a frame and been told of the
  // end.
  void settle() noexcept {
    if (name_ != "libsvtav1") {
      return;
    }
    if (!started_) {
      const std::unique_ptr<AVFrame, FrameDeleter> blank(av_frame_alloc());
      if (blank) {
        blank->format = context_->pix_fmt;
        blank->width = context_->width;  // not ours, if an option has changed it
        blank->height = context_->height;
        if (av_frame_get_buffer(blank.get(), 0) >= 0) {
          avcodec_send_frame(context_.get(), blank.get());
        }
      }
    }
    if (!ended_) {
      avcodec_send_frame(context_.get(), nullptr);
    }
    const std::unique_ptr<AVPacket, PacketDeleter> packet(av_packet_alloc());
    while (packet && avcodec_receive_packet(context_.get(), packet.get()) >= 0) {
      av_packet_unref(packet.get());
    }
  }

  void require_codec(const VideoFormat& format, const AVCodec& codec) const {
    for (const EncoderChoice& choice : format.encoders) {
      const AVCodec* known = avcodec_find_encoder_by_name(choice.name.c_str());
      if (known != nullptr && known->id == codec.id) {
        return;
      }
    }
    throw Error(ErrorKind::invalid_argument, where_ + ": makes " + avcodec_get_name(codec.id) +
                                                 ", which format " + format.format.name +
                                                 " does not hold");
  }

  void choose_input(const VideoFormat& format, const ImageView& first) {
    const auto input = encoder_input(format, name_, first);
    if (!input) {
      const std::string frames =
          first.array.dtype.empty()
              ? std::string(first.format.name()) + " frames; ffv1/mkv, png, tif or npy may"
              : "arrays of " + first.array.dtype + "; npy and bpk hold all";
      throw Error(ErrorKind::unsupported,
                  where_ + ": format " + format.format.name + " cannot hold " + frames);
    }
    input_ = *input;
    const int mask = needs_even_size(format) ? ~1 : ~0;
    width_ = first.width & mask;
    height_ = first.height & mask;
    if (width_ <= 0 || height_ <= 0) {
      throw Error(ErrorKind::invalid_argument, where_ + ": the frames are too small");
    }
  }

  static int thread_count(const EncoderOptions& options) {
    return options.threads > 0 ? options.threads : core_count();
  }

  void make_context(const AVCodec& codec, const VideoFormat& format, const EncoderOptions& options,
                    Rational time_base, bool for_container) {
    context_.reset(avcodec_alloc_context3(&codec));
    if (!context_) {
      throw std::bad_alloc();
    }
    configure(format, options, time_base, for_container);
    device_ = options.device;
  }

  void configure(const VideoFormat& format, const EncoderOptions& options, Rational time_base,
                 bool for_container) {
    context_->width = width_;
    context_->height = height_;
    context_->pix_fmt = to_av(input_.pixel_format);
    context_->time_base = to_av(time_base);
    context_->framerate = to_av(options.frame_rate);
    context_->gop_size = format.intra_only ? 1
                         : options.keyframe_interval > 0
                             ? options.keyframe_interval
                             : default_keyframe_interval(options.frame_rate);
    if (name_ == "libsvtav1" && options.keyframe_interval == 0) {
      context_->gop_size = std::max(2, context_->gop_size);  // see require_possible()
    }
    context_->keyint_min = context_->gop_size;
    context_->max_b_frames = format.intra_only ? 0 : options.b_frames;
    context_->thread_count = thread_count(options);
    if (for_container) {
      context_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    require_possible();
    const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(to_av(input_.pixel_format));
    if ((desc->flags & AV_PIX_FMT_FLAG_RGB) == 0) {
      context_->color_range = input_.color.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
      const int matrix = av_color_space_from_name(input_.color.matrix.c_str());
      context_->colorspace = matrix < 0 ? AVCOL_SPC_UNSPECIFIED : static_cast<AVColorSpace>(matrix);
    }
    chroma_rows_ = AV_CEIL_RSHIFT(height_, desc->log2_chroma_h);
    chroma_row_bytes_ = AV_CEIL_RSHIFT(width_, desc->log2_chroma_w) * desc->comp[1].step;
    chroma_planes_ = av_pix_fmt_count_planes(to_av(input_.pixel_format)) - 1;
  }

  // What encoders accept and then do wrong.
  void require_possible() const {
    constexpr int kSmallestFfv1 = 8;
    if (name_ == "libsvtav1" && context_->gop_size == 1) {
      throw Error(ErrorKind::unsupported, where_ + ": cannot make every frame a keyframe");
    }
    if (name_ == "ffv1" && (width_ < kSmallestFfv1 || height_ < kSmallestFfv1)) {
      throw Error(ErrorKind::unsupported, where_ + ": frames must be at least 8x8 pixels");
    }
  }

  // Once it is open: options of its own may have asked for them.
  void require_possible_b_frames() const {
    constexpr int kMostBFrames = 16;  // x264 silently makes no more
    if (context_->max_b_frames > kMostBFrames) {
      throw Error(ErrorKind::invalid_argument,
                  where_ + ": makes at most " + std::to_string(kMostBFrames) +
                      " B-frames between others, not " + std::to_string(context_->max_b_frames));
    }
  }

  // It does not tell how many its own options make, which the timestamps depend on.
  void require_b_frames_told(const Options& options) const {
    const auto list = options.find("x265-params");
    const bool in_list = list != options.end() && list->second.find("bframes") != std::string::npos;
    if (name_ == "libx265" && (in_list || options.contains("bf"))) {
      throw Error(ErrorKind::invalid_argument,
                  where_ +
                      ": its B-frames are asked for by their number (b_frames, --b-frames), "
                      "not by an option");
    }
  }

  bool is_x26x() const { return name_.starts_with("libx264") || name_ == "libx265"; }

  // These print what they think of an unknown preset on standard error, where nobody can stop them.
  void require_known_preset(const Options& all) const {
    constexpr std::array<std::string_view, 10> kNames{
        "ultrafast", "superfast", "veryfast", "faster",   "fast",
        "medium",    "slow",      "slower",   "veryslow", "placebo"};
    const auto preset = all.find("preset");
    if (!is_x26x() || preset == all.end()) {
      return;
    }
    const std::string& wanted = preset->second;
    const bool is_number = wanted.size() == 1 && wanted[0] >= '0' && wanted[0] <= '9';
    if (!is_number && std::find(kNames.begin(), kNames.end(), wanted) == kNames.end()) {
      std::string known;
      for (const std::string_view name : kNames) {
        known += (known.empty() ? "" : ", ") + std::string(name);
      }
      throw Error(ErrorKind::invalid_argument,
                  where_ + ": no preset '" + wanted + "'; there are " + known);
    }
  }

  // Newer Intel hardware has nothing but what VAAPI calls its low-power encoders, older has no such
  // ones, and libavcodec uses either only if told.
  template <typename Prepare>
  void open_vaapi(Options all, const Prepare& prepare) {
    try {
      open(all);
    } catch (const Error&) {
      const std::exception_ptr failure = std::current_exception();
      if (!vaapi_ || !was_logged("entrypoint")) {
        throw;
      }
      prepare();
      all["low_power"] = "1";
      try {
        open(all);
      } catch (const Error&) {
        std::rethrow_exception(failure);
      }
    }
  }

  void connect_device() {
    if (family_ == EncoderFamily::vaapi) {
      vaapi_.emplace(device_, width_, height_, where_);
      vaapi_->feed(*context_);
    } else if (family_ == EncoderFamily::qsv && !device_.empty()) {
      use_qsv_device(*context_, device_, where_);
    }
  }

  void open(const Options& all) {
    connect_device();
    const OpenedAs wanted(*context_);
    Dictionary dictionary(all);
    const int code = avcodec_open2(context_.get(), context_->codec, dictionary.address());
    if (code < 0) {
      throw Error(ErrorKind::unsupported, where_ + ": does not open for " + std::to_string(width_) +
                                              "x" + std::to_string(height_) + " " +
                                              std::string(input_.pixel_format.name()) + ": " +
                                              with_log(error_text(code)));
    }
    try {
      dictionary.require_all_used(where_);
      wanted.require_same(*context_, where_);
      require_possible_b_frames();
    } catch (const Error&) {
      settle();
      throw;
    }
  }

  // Before opening, because closing what was opened in vain takes time.
  void require_known(const Options& options) const {
    for (const auto& [key, value] : options) {
      if (av_opt_find(context_.get(), key.c_str(), nullptr, 0, AV_OPT_SEARCH_CHILDREN) == nullptr) {
        throw Error(ErrorKind::invalid_argument, where_ + ": unknown option '" + key + "'");
      }
    }
  }

  AvFrame prepare(const Image& image) {
    ImageView view = image.view();
    view.width = width_;
    view.height = height_;
    Image cropped(view, std::make_shared<Image>(image));
    if (is_luma_only(view)) {
      cropped = with_neutral_chroma(cropped);
    } else {
      cropped = converter_.convert(cropped, input_.pixel_format, input_.color);
    }
    AvFrame frame = wrap(cropped.view(), std::make_shared<Image>(cropped));
    frame->color_range = context_->color_range;
    frame->colorspace = context_->colorspace;
    return frame;
  }

  bool is_luma_only(const ImageView& view) const {
    const AVPixelFormat wanted = without_yuvj(to_av(input_.pixel_format));
    return view.format == pixel::gray8 && input_.color.full_range &&
           (wanted == AV_PIX_FMT_YUV420P || wanted == AV_PIX_FMT_NV12);
  }

  // Gray is the luma plane as it is; the chroma planes are the same for all frames.
  Image with_neutral_chroma(const Image& gray) {
    const auto stride = static_cast<std::size_t>(chroma_row_bytes_);
    const auto rows = static_cast<std::size_t>(chroma_rows_);
    if (!neutral_) {
      constexpr std::uint8_t kNeutral = 128;
      // Room behind the end, because encoders read whole SIMD registers.
      neutral_ = std::make_shared<std::vector<std::uint8_t>>(
          stride * rows + AV_INPUT_BUFFER_PADDING_SIZE, kNeutral);
    }
    ImageView view = gray.view();
    view.format = input_.pixel_format;
    for (std::size_t plane = 1; plane <= static_cast<std::size_t>(chroma_planes_); ++plane) {
      view.planes[plane] = neutral_->data();
      view.strides[plane] = static_cast<std::ptrdiff_t>(stride);
    }
    using Owners = std::pair<Image, std::shared_ptr<const void>>;
    return {view, std::make_shared<Owners>(gray, neutral_)};
  }

  std::string name_;
  std::string where_;
  EncoderFamily family_;
  EncoderInput input_;
  int width_ = 0;
  int height_ = 0;
  int chroma_rows_ = 0;
  int chroma_row_bytes_ = 0;  // of each plane
  int chroma_planes_ = 0;
  std::string device_;
  std::optional<VaapiFrames> vaapi_;
  CodecContext context_;
  bool started_ = false;  // has had a frame
  bool ended_ = false;    // has been told that no more come
  CodecParametersPtr parameters_;
  Converter converter_;
  std::shared_ptr<std::vector<std::uint8_t>> neutral_;
};

Encoder::Encoder(const VideoFormat& format, const std::string& encoder,
                 const EncoderOptions& options, Rational time_base, const ImageView& first,
                 bool for_container)
    : impl_(std::make_unique<Impl>(format, encoder, options, time_base, first, for_container)) {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;

void Encoder::send(const Image& image, std::int64_t pts, bool force_keyframe) {
  impl_->send(image, pts, force_keyframe);
}
void Encoder::send_end() {
  impl_->send_end();
}
bool Encoder::receive(Packet& packet) {
  return impl_->receive(packet);
}
std::string Encoder::name() const {
  return impl_->name();
}
PixelFormat Encoder::pixel_format() const {
  return impl_->pixel_format();
}
Rational Encoder::time_base() const {
  return from_av(impl_->context().time_base);
}
int Encoder::width() const {
  return impl_->context().width;
}
int Encoder::height() const {
  return impl_->context().height;
}
int Encoder::keyframe_interval() const {
  return impl_->context().gop_size;
}
int Encoder::b_frames() const {
  return std::max(impl_->context().max_b_frames, impl_->context().has_b_frames);
}
const AVCodecParameters* Encoder::parameters() const {
  return impl_->parameters();
}
std::vector<std::uint8_t> Encoder::headers() const {
  const AVCodecParameters& parameters = *impl_->parameters();
  return {parameters.extradata, parameters.extradata + parameters.extradata_size};
}

}  // namespace avstore::media
