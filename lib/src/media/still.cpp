#include "media/still.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "media/av.h"
#include "media/codec_table.h"
#include "media/convert.h"
#include "media/gray_jpeg.h"
#include "media/log.h"

namespace avstore::media {
namespace {

// Of JPEG files, as libavcodec counts it.
constexpr int kUsualQuality = 2 * FF_QP2LAMBDA;

struct StillCodec {
  std::string extension;
  AVCodecID codec;
  // What pixels of each kind are stored as, and those of more than 8 bit; AV_PIX_FMT_NONE: cannot
  // be.
  AVPixelFormat gray, color, alpha;
  AVPixelFormat gray16, color16, alpha16;
};

const std::vector<StillCodec>& codecs() {
  static const std::vector<StillCodec> kCodecs{
      {".png", AV_CODEC_ID_PNG, AV_PIX_FMT_GRAY8, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA,
       AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_RGB48BE, AV_PIX_FMT_RGBA64BE},
      {".tif", AV_CODEC_ID_TIFF, AV_PIX_FMT_GRAY8, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA,
       AV_PIX_FMT_GRAY16LE, AV_PIX_FMT_RGB48LE, AV_PIX_FMT_RGBA64LE},
      {".jpg", AV_CODEC_ID_MJPEG, AV_PIX_FMT_GRAY8, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ420P,
       AV_PIX_FMT_NONE, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ420P},
      {".bmp", AV_CODEC_ID_BMP, AV_PIX_FMT_GRAY8, AV_PIX_FMT_BGR24, AV_PIX_FMT_BGRA,
       AV_PIX_FMT_NONE, AV_PIX_FMT_BGR24, AV_PIX_FMT_BGRA},
      {".ppm", AV_CODEC_ID_PPM, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGB24,
       AV_PIX_FMT_RGB48BE, AV_PIX_FMT_RGB48BE, AV_PIX_FMT_RGB48BE},
      {".pgm", AV_CODEC_ID_PGM, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY8,
       AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_GRAY16BE},
  };
  return kCodecs;
}

const StillCodec* find_codec(std::string extension) {
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (extension == ".tiff") {
    extension = ".tif";
  } else if (extension == ".jpeg") {
    extension = ".jpg";
  }
  for (const StillCodec& codec : codecs()) {
    if (codec.extension == extension) {
      return &codec;
    }
  }
  return nullptr;
}

const StillCodec& require_codec(const std::string& extension, const std::string& where) {
  const StillCodec* codec = find_codec(extension);
  if (codec == nullptr) {
    throw Error(ErrorKind::unsupported, where + ": no image format '" + extension +
                                            "'; known are png, tif, jpg, bmp, ppm, pgm, npy");
  }
  return *codec;
}

AVPixelFormat stored_as(const StillCodec& codec, PixelFormat input) {
  const AVPixelFormat format = to_av(input);
  if (format == AV_PIX_FMT_NONE) {
    return AV_PIX_FMT_NONE;
  }
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  const bool deep = is_deep(input);
  if (desc->nb_components == 1 && (desc->flags & AV_PIX_FMT_FLAG_PAL) == 0) {
    return deep ? codec.gray16 : codec.gray;
  }
  if ((desc->flags & AV_PIX_FMT_FLAG_ALPHA) != 0) {
    return deep ? codec.alpha16 : codec.alpha;
  }
  return deep ? codec.color16 : codec.color;
}

CodecContext open_encoder(const StillCodec& codec, const Image& image,
                          const std::map<std::string, std::string>& options,
                          const std::string& where) {
  const AVCodec* encoder = avcodec_find_encoder(codec.codec);
  if (encoder == nullptr) {
    throw Error(ErrorKind::unsupported, where + ": no encoder for " + codec.extension);
  }
  CodecContext context(avcodec_alloc_context3(encoder));
  if (!context) {
    throw std::bad_alloc();
  }
  context->width = image.width();
  context->height = image.height();
  context->pix_fmt = to_av(image.format());
  context->time_base = {1, 25};
  context->thread_count = 1;
  if (codec.codec == AV_CODEC_ID_MJPEG) {
    context->color_range = AVCOL_RANGE_JPEG;
    context->flags |= AV_CODEC_FLAG_QSCALE;
    context->global_quality = kUsualQuality;
    context->sample_aspect_ratio = {1, 1};  // asks for a JFIF header
  }
  if (codec.codec == AV_CODEC_ID_PNG) {
    // A quarter of the default's time for files a few percent larger.
    context->compression_level = 1;
  }
  const OpenedAs wanted(*context);
  Dictionary dictionary(options);
  check(avcodec_open2(context.get(), encoder, dictionary.address()), where,
        "cannot open the image encoder");
  dictionary.require_all_used(where);
  wanted.require_same(*context, where);
  return context;
}

std::vector<std::uint8_t> encode(const StillCodec& codec, const Image& stored,
                                 const std::map<std::string, std::string>& options,
                                 const std::string& where) {
  const CodecContext context = open_encoder(codec, stored, options, where);
  const AvFrame frame = wrap(stored.view(), std::make_shared<Image>(stored));
  frame->pts = 0;
  frame->quality = context->global_quality;
  frame->color_range = context->color_range;
  check(avcodec_send_frame(context.get(), frame.get()), where, "cannot encode the image");
  check(avcodec_send_frame(context.get(), nullptr), where, "cannot encode the image");
  const AvPacket packet = make_packet();
  check(avcodec_receive_packet(context.get(), packet.get()), where, "cannot encode the image");
  return {packet->data, packet->data + packet->size};
}

// What options of libavcodec's Motion JPEG mean for gray, which libjpeg encodes.
GrayJpegOptions gray_jpeg_options(const std::map<std::string, std::string>& options,
                                  const std::string& where) {
  constexpr double kFinest = 1;
  constexpr double kCoarsest = 31;
  GrayJpegOptions made;
  double quality = kUsualQuality;
  for (const auto& [name, value] : options) {
    const char* const end = value.data() + value.size();
    const bool known =
        name == "huffman"          ? value == "default" || value == "optimal"
        : name == "flags"          ? value == "+qscale"  // libavcodec wants it with global_quality
        : name == "global_quality" ? std::from_chars(value.data(), end, quality).ptr == end
                                   : false;
    if (!known || !(quality > 0)) {
      throw Error(ErrorKind::invalid_argument,
                  where + ": gray JPEG images have no option " + name + "=" + value +
                      "; there are global_quality (a number) and huffman (default, optimal)");
    }
    made.optimal_huffman = made.optimal_huffman || value == "optimal";
  }
  made.quantizer =
      static_cast<int>(std::clamp(std::round(quality / FF_QP2LAMBDA), kFinest, kCoarsest));
  return made;
}

std::vector<std::uint8_t> encode_jpeg(const StillCodec& codec, const ImageView& image,
                                      AVPixelFormat format,
                                      const std::map<std::string, std::string>& options,
                                      const std::string& where) {
  Converter converter(1);
  const Image given(image, nullptr);
  if (format == AV_PIX_FMT_GRAY8) {
    return encode_gray_jpeg(converter.convert(given, pixel::gray8).view(),
                            gray_jpeg_options(options, where), where);
  }
  const Colorimetry jfif{"smpte170m", true};
  return encode(codec, converter.convert(given, from_av(format), jfif), options, where);
}

// Reads a number of the TIFF file's own byte order; 0 past its end.
std::uint32_t tiff_number(std::span<const std::uint8_t> file, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  const bool little = file[0] == 'I';
  for (std::size_t i = 0; i < bytes && at + bytes <= file.size(); ++i) {
    value = value << 8U | file[at + (little ? bytes - 1 - i : i)];
  }
  return value;
}

// libavcodec calls these damaged. Source: TIFF 6.0, section 2 (tags) and 19 (SampleFormat).
void refuse_float_tiff(std::span<const std::uint8_t> file, const std::string& where) {
  constexpr std::uint32_t kSampleFormat = 339;
  constexpr std::uint32_t kBitsPerSample = 258;
  constexpr std::size_t kEntry = 12;
  if (file.size() < 8) {
    return;
  }
  const std::size_t directory = tiff_number(file, 4, 4);
  const std::size_t entries = tiff_number(file, directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntry;
    const std::uint32_t tag = tiff_number(file, entry, 2);
    const bool beside = tiff_number(file, entry + 4, 4) > 2;  // three shorts and more lie elsewhere
    const std::uint32_t value =
        tiff_number(file, beside ? tiff_number(file, entry + 8, 4) : entry + 8, 2);
    if ((tag == kSampleFormat && value > 1) || (tag == kBitsPerSample && value > 16)) {
      throw Error(ErrorKind::unsupported,
                  where + ": a TIFF of floating-point, signed or more than 16-bit numbers, which " +
                      "cannot be read; convert it to .npy");
    }
  }
}

// Whether a palette (256 entries of B, G, R, A) is that of gray images in formats that know no
// gray.
bool is_gray_ramp(const std::uint8_t* palette) {
  for (int i = 0; i < 256; ++i, palette += 4) {
    if (palette[0] != i || palette[1] != i || palette[2] != i) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool is_still_extension(const std::string& extension) {
  return find_codec(extension) != nullptr;
}

bool still_keeps_depth(const std::string& extension) {
  const StillCodec* codec = find_codec(extension);
  return codec == nullptr || codec->color != codec->color16;
}

std::vector<std::uint8_t> encode_still(const ImageView& image, const std::string& extension,
                                       const std::map<std::string, std::string>& options,
                                       const std::string& where) {
  capture_log();
  const StillCodec& codec = require_codec(extension, where);
  const AVPixelFormat format = stored_as(codec, image.format);
  if (format == AV_PIX_FMT_NONE) {
    throw Error(ErrorKind::unsupported, where + ": " + extension + " files cannot hold " +
                                            std::string(image.format.name()) + " images");
  }
  if (codec.codec == AV_CODEC_ID_MJPEG) {
    return encode_jpeg(codec, image, format, options, where);
  }
  const Image stored = Converter(1).convert(Image(image, nullptr), from_av(format), image.color);
  return encode(codec, stored, options, where);
}

Image decode_still(std::span<const std::uint8_t> bytes, const std::string& extension,
                   const std::string& where) {
  capture_log();
  const StillCodec& codec = require_codec(extension, where);
  const AVCodec* decoder = avcodec_find_decoder(codec.codec);
  if (decoder == nullptr) {
    throw Error(ErrorKind::unsupported, where + ": no decoder for " + codec.extension);
  }
  const CodecContext context(avcodec_alloc_context3(decoder));
  if (!context) {
    throw std::bad_alloc();
  }
  context->thread_count = 1;
  check(avcodec_open2(context.get(), decoder, nullptr), where, "cannot open the image decoder");
  const AvPacket packet = make_packet();
  const auto size = to_int(static_cast<std::int64_t>(bytes.size()), where + ": its bytes");
  check(av_new_packet(packet.get(), size), where, "cannot read");
  std::copy(bytes.begin(), bytes.end(), packet->data);
  AvFrame frame = make_frame();
  int code = avcodec_send_packet(context.get(), packet.get());
  if (code >= 0) {
    code = avcodec_send_packet(context.get(), nullptr);
  }
  if (code >= 0) {
    code = avcodec_receive_frame(context.get(), frame.get());
  }
  if (code < 0) {
    if (codec.codec == AV_CODEC_ID_TIFF) {
      refuse_float_tiff(bytes, where);
    }
    throw Error(ErrorKind::corrupt, where + ": cannot decode the image: " + error_text(code));
  }
  if (frame->format == AV_PIX_FMT_PAL8 && is_gray_ramp(frame->data[1])) {
    frame->format = AV_PIX_FMT_GRAY8;
  }
  const Image image = to_image(std::move(frame));
  ImageView view = image.view();
  view.color.smooth_chroma = codec.codec == AV_CODEC_ID_MJPEG;
  return {view, std::make_shared<Image>(image)};
}

}  // namespace avstore::media
