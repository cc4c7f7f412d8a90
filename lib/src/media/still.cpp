#include "media/still.h"

#include <algorithm>
#include <cctype>

#include "media/av.h"
#include "media/convert.h"
#include "media/log.h"

namespace avstore::media {
namespace {

struct StillCodec {
  std::string extension;
  AVCodecID codec;
  // What pixels of each kind are stored as; AV_PIX_FMT_NONE: cannot be.
  AVPixelFormat gray, gray16, color, alpha;
};

const std::vector<StillCodec>& codecs() {
  static const std::vector<StillCodec> kCodecs{
      {".png", AV_CODEC_ID_PNG, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_RGB24,
       AV_PIX_FMT_RGBA},
      {".tif", AV_CODEC_ID_TIFF, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16LE, AV_PIX_FMT_RGB24,
       AV_PIX_FMT_RGBA},
      {".jpg", AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_NONE, AV_PIX_FMT_YUVJ420P,
       AV_PIX_FMT_YUVJ420P},
      {".bmp", AV_CODEC_ID_BMP, AV_PIX_FMT_GRAY8, AV_PIX_FMT_NONE, AV_PIX_FMT_BGR24,
       AV_PIX_FMT_BGRA},
      {".ppm", AV_CODEC_ID_PPM, AV_PIX_FMT_RGB24, AV_PIX_FMT_NONE, AV_PIX_FMT_RGB24,
       AV_PIX_FMT_RGB24},
      {".pgm", AV_CODEC_ID_PGM, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_GRAY8,
       AV_PIX_FMT_GRAY8},
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
  const bool gray = desc->nb_components == 1 && (desc->flags & AV_PIX_FMT_FLAG_PAL) == 0;
  if (gray) {
    return desc->comp[0].depth > 8 ? codec.gray16 : codec.gray;
  }
  return (desc->flags & AV_PIX_FMT_FLAG_ALPHA) != 0 ? codec.alpha : codec.color;
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
    context->global_quality = 2 * FF_QP2LAMBDA;
  }
  if (codec.codec == AV_CODEC_ID_PNG) {
    // A quarter of the default's time for files a few percent larger.
    context->compression_level = 1;
  }
  Dictionary dictionary(options);
  check(avcodec_open2(context.get(), encoder, dictionary.address()), where,
        "cannot open the image encoder");
  dictionary.require_all_used(where);
  return context;
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
  const bool jpeg = codec.codec == AV_CODEC_ID_MJPEG;
  const Image stored = Converter(1).convert(Image(image, nullptr), from_av(format),
                                            jpeg ? Colorimetry{"smpte170m", true} : image.color);
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
  check(av_new_packet(packet.get(), static_cast<int>(bytes.size())), where, "cannot read");
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
