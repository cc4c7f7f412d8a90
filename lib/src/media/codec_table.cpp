#include "media/codec_table.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "media/av.h"
#include "media/planar.h"

namespace avstore::media {
namespace {

using Options = std::map<std::string, std::string>;

// No look-ahead and no scene cuts: a frame leaves the encoder as soon as it is encoded, and
// keyframes come at the interval asked for and nowhere else.
EncoderChoice x264() {
  return {"libx264",
          "veryfast",
          "preset",
          {{"rc-lookahead", "0"}, {"sc_threshold", "0"}, {"forced-idr", "1"}}};
}

EncoderChoice x264_lossless(const std::string& name) {
  return {name,
          "ultrafast",
          "preset",
          {{"qp", "0"}, {"rc-lookahead", "0"}, {"sc_threshold", "0"}, {"forced-idr", "1"}}};
}

EncoderChoice x265() {
  return {"libx265",
          "ultrafast",
          "preset",
          {{"forced-idr", "1"}, {"x265-params", "log-level=error:open-gop=0:scenecut=0"}}};
}

EncoderChoice svt_av1() {
  // Pred-struct 1 is low delay: no frame waits for a later one.
  return {"libsvtav1", "10", "preset", {{"svtav1-params", "pred-struct=1:scd=0:lookahead=0"}}};
}

EncoderChoice aom_av1() {
  return {"libaom-av1", "8", "cpu-used", {{"usage", "realtime"}, {"lag-in-frames", "0"}}};
}

// Hardware makes no B-frames unless asked, looks at no frame ahead, and has at most two frames
// under way: enough to keep it busy while the next is brought to it. Low latency is a tuning of its
// own; constant quality is variable bit rate without a rate.
EncoderChoice nvenc(const std::string& codec) {
  return {codec + "_nvenc",
          "p4",
          "preset",
          {{"tune", "ll"},
           {"rc", "vbr"},
           {"b", "0"},
           {"rc-lookahead", "0"},
           {"delay", "2"},
           {"forced-idr", "1"}}};
}

// Constant quantizers are what every driver has.
EncoderChoice vaapi(const std::string& codec) {
  return {codec + "_vaapi", "", "", {{"rc_mode", "CQP"}, {"async_depth", "2"}}};
}

EncoderChoice qsv(const std::string& codec) {
  return {codec + "_qsv", "veryfast", "preset", {{"async_depth", "2"}, {"forced_idr", "1"}}};
}

// Which codecs FFmpeg has these for depends on its version; what it lacks is passed over.
std::vector<EncoderChoice> hardware_or(const std::string& codec,
                                       const std::vector<EncoderChoice>& software) {
  std::vector<EncoderChoice> all{nvenc(codec), vaapi(codec), qsv(codec)};
  all.insert(all.end(), software.begin(), software.end());
  return all;
}

EncoderChoice mjpeg() {
  return {"mjpeg", "", "", {{"huffman", "optimal"}}};
}

EncoderChoice ffv1() {
  return {"ffv1", "", "", {{"level", "3"}, {"slicecrc", "1"}, {"context", "0"}, {"coder", "1"}}};
}

VideoFormat video(const std::string& name, const std::string& extension, const std::string& muxer,
                  std::vector<EncoderChoice> encoders, const std::string& description) {
  VideoFormat made;
  made.format = {name, extension, true, false, {}, description};
  made.muxer = muxer;
  made.encoders = std::move(encoders);
  return made;
}

VideoFormat lossless(VideoFormat format, std::vector<PixelFormat> pixels) {
  format.format.lossless = true;
  format.format.lossless_pixels = std::move(pixels);
  return format;
}

VideoFormat intra(VideoFormat format) {
  format.intra_only = true;
  return format;
}

VideoFormat images(const std::string& name, std::vector<PixelFormat> lossless_pixels,
                   const std::string& description) {
  VideoFormat made;
  const bool is_lossless = !lossless_pixels.empty();
  made.format = {name, "." + name, false, is_lossless, std::move(lossless_pixels), description};
  made.intra_only = true;
  return made;
}

std::vector<VideoFormat> make_table() {
  using namespace pixel;
  return {
      video("avc1/mp4", ".mp4", "mp4", hardware_or("h264", {x264()}), "H.264 in fragmented MP4"),
      video("h264/mkv", ".mkv", "matroska", hardware_or("h264", {x264()}), "H.264 in Matroska"),
      intra(video("mjpeg/avi", ".avi", "avi", {mjpeg()}, "Motion JPEG in AVI")),
      video("hevc/mp4", ".mp4", "mp4", hardware_or("hevc", {x265()}), "HEVC in fragmented MP4"),
      video("hevc/mkv", ".mkv", "matroska", hardware_or("hevc", {x265()}), "HEVC in Matroska"),
      video("av1/mp4", ".mp4", "mp4", hardware_or("av1", {svt_av1(), aom_av1()}),
            "AV1 in fragmented MP4"),
      video("av1/mkv", ".mkv", "matroska", hardware_or("av1", {svt_av1(), aom_av1()}),
            "AV1 in Matroska"),
      lossless(intra(video("ffv1/mkv", ".mkv", "matroska", {ffv1()}, "FFV1 in Matroska, lossless")),
               {gray8, gray16, bgr24, rgb24, bgra, bgr48, yuv420p}),
      lossless(video("h264-lossless/mkv", ".mkv", "matroska",
                     {x264_lossless("libx264rgb"), x264_lossless("libx264")},
                     "H.264 without loss in Matroska"),
               {gray8, bgr24, rgb24, yuv420p}),
      images("png", {gray8, gray16, bgr24, rgb24, bgra, bgr48, bgra64}, "a folder of PNG images"),
      images("tif", {gray8, gray16, bgr24, rgb24, bgra, bgr48, bgra64}, "a folder of TIFF images"),
      images("jpg", {}, "a folder of JPEG images"),
      images("bmp", {gray8, bgr24, rgb24}, "a folder of BMP images"),
      images("ppm", {bgr24, rgb24, bgr48}, "a folder of PPM images, always colour"),
      images("pgm", {gray8, gray16}, "a folder of PGM images, always gray"),
      images("npy", {gray8, gray16, bgr24, rgb24, bgra, bgr48, bgra64, array},
             "a folder of NumPy arrays of any type"),
      images("bpk", {gray8, gray16, bgr24, rgb24, bgra, bgr48, bgra64, array},
             "a folder of NumPy arrays compressed by Blosc"),
  };
}

// The encoder's own scale at quality 0, at 75 (the default) and at 100; the lowest value is the
// best.
struct QualityScale {
  std::string encoder;
  std::string option;  // kQuantizer: libavcodec's qscale, a constant quantizer
  double worst, usual, best;
  bool whole = false;  // only whole numbers
};

constexpr const char* kQuantizer = "qscale";

const std::vector<QualityScale>& quality_scales() {
  static const std::vector<QualityScale> kScales{
      // Range of the scale, and where it is stated.
      {"libx264", "crf", 45, 21, 10},           // 0 to 51; x264 --fullhelp
      {"libx264rgb", "crf", 45, 21, 10},        // the same
      {"libx265", "crf", 45, 23, 12},           // 0 to 51; x265 --fullhelp
      {"libsvtav1", "crf", 60, 32, 15, true},   // 0 to 63; ffmpeg -h encoder=libsvtav1
      {"libaom-av1", "crf", 60, 28, 10, true},  // 0 to 63; ffmpeg -h encoder=libaom-av1
      {"mjpeg", kQuantizer, 31, 3, 1, true},    // 1 to 31; ffmpeg-codecs, -qmin and -qmax
      // 0 to 51, 0 leaves it to the driver; ffmpeg -h encoder=h264_nvenc. The same of hevc and, but
      // for versions that go to 63, av1.
      {"h264_nvenc", "cq", 45, 23, 10},
      {"hevc_nvenc", "cq", 45, 25, 12},
      {"av1_nvenc", "cq", 50, 30, 12},
      // 0 to 52, 0 stands for unset; ffmpeg -h encoder=h264_vaapi, -h encoder=hevc_vaapi.
      {"h264_vaapi", "qp", 45, 22, 10, true},
      {"hevc_vaapi", "qp", 45, 24, 12, true},
      // 0 to 255, AV1's base_q_idx; ffmpeg-codecs, "VAAPI encoders", on global_quality and CQP.
      {"av1_vaapi", "global_quality", 240, 120, 50, true},
      // 0 to 51, AV1 0 to 255; ffmpeg-codecs, "QSV encoders", on CQP, and libavcodec/qsvenc.c.
      {"h264_qsv", kQuantizer, 45, 22, 10, true},
      {"hevc_qsv", kQuantizer, 45, 24, 12, true},
      {"av1_qsv", kQuantizer, 240, 120, 50, true},
  };
  return kScales;
}

double on_scale(const QualityScale& scale, double quality) {
  const double q = std::clamp(quality, 0.0, 100.0);
  return q <= kDefaultQuality ? scale.worst + (scale.usual - scale.worst) * q / kDefaultQuality
                              : scale.usual + (scale.best - scale.usual) * (q - kDefaultQuality) /
                                                  (100 - kDefaultQuality);
}

bool takes(const std::string& encoder, AVPixelFormat format) {
  const AVCodec* codec = avcodec_find_encoder_by_name(encoder.c_str());
  return codec != nullptr && encoder_takes(*codec, format);
}

bool is_rgb(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  return (desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

bool is_gray(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  return desc->nb_components == 1 && (desc->flags & AV_PIX_FMT_FLAG_PAL) == 0;
}

// Formats without loss keep the layout, or take one that holds the same values.
std::optional<EncoderInput> lossless_input(const std::string& encoder, const ImageView& input) {
  // YUV with its planes apart, as encoders want it: the same samples.
  AVPixelFormat format = to_av(planar_form(input.format).value_or(input.format));
  if (format == AV_PIX_FMT_BGR24 || format == AV_PIX_FMT_RGB24) {
    format = takes(encoder, AV_PIX_FMT_BGR24) ? AV_PIX_FMT_BGR24 : AV_PIX_FMT_BGR0;
  }
  if (format == AV_PIX_FMT_BGR48LE || format == AV_PIX_FMT_RGB48BE) {
    format = AV_PIX_FMT_RGB48LE;
  }
  if (format == AV_PIX_FMT_NONE || !takes(encoder, format)) {
    return std::nullopt;
  }
  return EncoderInput{from_av(format), is_gray(format) ? Colorimetry{"", true} : input.color};
}

// VAAPI and Quick Sync know nothing else; NVENC takes it as it is, and planes apart too.
bool takes_nv12(const std::string& encoder, AVPixelFormat input) {
  const EncoderFamily family = family_of(encoder);
  return family == EncoderFamily::vaapi || family == EncoderFamily::qsv ||
         (family == EncoderFamily::nvenc && input == AV_PIX_FMT_NV12);
}

// Lossy formats are 8 bit with halved chroma, which every player and OpenCV decode. Gray is full
// range so that its values survive; colour keeps what it comes with, RGB becomes BT.601: here and
// not in the hardware, whose matrices are its own.
std::optional<EncoderInput> lossy_input(const VideoFormat& format, const std::string& encoder,
                                        const ImageView& input) {
  const AVPixelFormat from = to_av(input.format);
  if (from == AV_PIX_FMT_NONE || (is_gray(from) && from != AV_PIX_FMT_GRAY8)) {
    return std::nullopt;
  }
  const bool jpeg = format.format.name == "mjpeg/avi";
  const AVPixelFormat as_it_is = without_yuvj(from);
  EncoderInput made;
  made.pixel_format = from_av(jpeg ? AV_PIX_FMT_YUVJ420P
                              : format.keeps_layout && takes(encoder, as_it_is) ? as_it_is
                              : takes_nv12(encoder, from)                       ? AV_PIX_FMT_NV12
                                                          : AV_PIX_FMT_YUV420P);
  made.color =
      is_rgb(from) || is_gray(from) ? Colorimetry{"smpte170m", is_gray(from)} : input.color;
  if (jpeg) {  // JFIF knows one matrix and one range only
    made.color = {"smpte170m", true};
  }
  return made;
}

}  // namespace

const std::vector<VideoFormat>& format_table() {
  static const std::vector<VideoFormat> kTable = make_table();
  return kTable;
}

EncoderFamily family_of(const std::string& encoder) {
  return encoder.ends_with("_nvenc")   ? EncoderFamily::nvenc
         : encoder.ends_with("_vaapi") ? EncoderFamily::vaapi
         : encoder.ends_with("_qsv")   ? EncoderFamily::qsv
                                       : EncoderFamily::software;
}

std::string canonical_format_name(const std::string& name) {
  static const std::map<std::string, std::string> kOldNames{{"mjpeg", "mjpeg/avi"},
                                                            {"libx264", "avc1/mp4"}};
  const auto found = kOldNames.find(name);
  return found == kOldNames.end() ? name : found->second;
}

bool decodes_sensor_data(const std::string& name) {
  static const std::set<std::string> kNames{"png+color", "tif+color", "jpg+color", "bmp+color"};
  return kNames.contains(name);
}

const VideoFormat& find_video_format(const std::string& name) {
  const std::string wanted =
      decodes_sensor_data(name) ? name.substr(0, name.find('+')) : canonical_format_name(name);
  for (const VideoFormat& entry : format_table()) {
    if (entry.format.name == wanted) {
      return entry;
    }
  }
  std::string known;
  for (const VideoFormat& entry : format_table()) {
    known += (known.empty() ? "" : ", ") + entry.format.name;
  }
  throw Error(ErrorKind::unsupported, "unknown format '" + name + "'; known are " + known);
}

Options quality_options(const VideoFormat& format, const std::string& encoder, double quality) {
  if (format.format.lossless) {
    return {};
  }
  for (const QualityScale& scale : quality_scales()) {
    if (scale.encoder != encoder) {
      continue;
    }
    const double value = on_scale(scale, quality);
    if (scale.option == kQuantizer) {
      return {{"flags", "+qscale"},
              {"global_quality", fmt::format("{}", std::lround(value * FF_QP2LAMBDA))}};
    }
    return {{scale.option,
             scale.whole ? fmt::format("{}", std::lround(value)) : fmt::format("{:.1f}", value)}};
  }
  return {};
}

std::optional<EncoderInput> encoder_input(const VideoFormat& format, const std::string& encoder,
                                          const ImageView& input) {
  return format.format.lossless ? lossless_input(encoder, input)
                                : lossy_input(format, encoder, input);
}

bool is_deep(PixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(to_av(format));
  return desc != nullptr && desc->comp[0].depth > 8;
}

bool keeps_depth(const Format& format) {
  return std::any_of(format.lossless_pixels.begin(), format.lossless_pixels.end(), is_deep);
}

bool keeps_depth(const VideoFormat& format, const ImageView& image) {
  return keeps_depth(format.format) ||
         std::any_of(format.encoders.begin(), format.encoders.end(), [&](const EncoderChoice& one) {
           const auto input = encoder_input(format, one.name, image);
           return input && is_deep(input->pixel_format);
         });
}

std::string depth_loss(PixelFormat format, const std::string& destination) {
  return std::string(format.name()) + " pixels become 8 bit a channel in " + destination;
}

PixelFormat nearest_packed_format(PixelFormat format, bool deep_allowed) {
  const AVPixelFormat av = to_av(format);
  if (av == AV_PIX_FMT_NONE) {
    return format;  // a plain array has no other form
  }
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(av);
  const bool deep = deep_allowed && is_deep(format);
  if (is_gray(av)) {
    return deep ? pixel::gray16 : pixel::gray8;
  }
  if ((desc->flags & AV_PIX_FMT_FLAG_ALPHA) != 0) {
    return deep ? pixel::bgra64 : pixel::bgra;
  }
  return deep ? pixel::bgr48 : pixel::bgr24;
}

bool needs_even_size(const VideoFormat& format) {
  return format.format.video && !format.format.lossless;
}

}  // namespace avstore::media
