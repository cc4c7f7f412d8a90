// RAII handles for libav* objects, and errors from its return codes. Included within media/ only.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/adler32.h>
#include <libavutil/imgutils.h>
#include <libavutil/md5.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "avstore/error.h"
#include "avstore/image.h"
#include "avstore/types.h"

namespace avstore::media {

struct FrameDeleter {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
struct PacketDeleter {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct CodecContextDeleter {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
};
struct InputDeleter {
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
};
struct FormatContextDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
struct BsfDeleter {
  void operator()(AVBSFContext* context) const { av_bsf_free(&context); }
};
struct SwsDeleter {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
struct BufferPoolDeleter {
  void operator()(AVBufferPool* pool) const { av_buffer_pool_uninit(&pool); }
};
struct CodecParametersDeleter {
  void operator()(AVCodecParameters* parameters) const { avcodec_parameters_free(&parameters); }
};

using AvFrame = std::unique_ptr<AVFrame, FrameDeleter>;
using AvPacket = std::unique_ptr<AVPacket, PacketDeleter>;
using CodecContext = std::unique_ptr<AVCodecContext, CodecContextDeleter>;
using InputContext = std::unique_ptr<AVFormatContext, InputDeleter>;
using FormatContext = std::unique_ptr<AVFormatContext, FormatContextDeleter>;  // not open
using Bsf = std::unique_ptr<AVBSFContext, BsfDeleter>;
using Sws = std::unique_ptr<SwsContext, SwsDeleter>;
using BufferPool = std::unique_ptr<AVBufferPool, BufferPoolDeleter>;
using CodecParametersPtr = std::unique_ptr<AVCodecParameters, CodecParametersDeleter>;

// libav's text for one of its error codes.
std::string error_text(int code);

// Throws Error when `code` is negative: "WHERE: WHAT: libav's words". The kind follows from the
// code.
int check(int code, const std::string& where, const std::string& what);

// Never null: throws std::bad_alloc.
AvFrame make_frame();
AvPacket make_packet();
CodecParametersPtr clone(const AVCodecParameters* parameters);

// Options for a libav call; afterwards holds those that it did not know.
class Dictionary {
 public:
  Dictionary() = default;
  explicit Dictionary(const std::map<std::string, std::string>& entries);
  ~Dictionary() { av_dict_free(&dictionary_); }
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  void set(const std::string& key, const std::string& value);
  AVDictionary** address() { return &dictionary_; }
  // Throws Error(invalid_argument) naming an entry that is left, if any is.
  void require_all_used(const std::string& where) const;

 private:
  AVDictionary* dictionary_ = nullptr;
};

// What an encoder was to be opened for. Some of libavcodec's own options change that, and what is
// then read of frames lies outside of them.
class OpenedAs {
 public:
  explicit OpenedAs(const AVCodecContext& context)
      : width_(context.width),
        height_(context.height),
        format_(context.pix_fmt),
        time_base_(context.time_base) {}

  // Throws Error(invalid_argument) if it was opened for anything else.
  void require_same(const AVCodecContext& context, const std::string& where) const;

 private:
  int width_;
  int height_;
  AVPixelFormat format_;
  AVRational time_base_;
};

AVPixelFormat to_av(PixelFormat format);        // AV_PIX_FMT_NONE for "array" and the empty one
PixelFormat from_av(AVPixelFormat format);      // the constants' names where there is one
bool is_full_range_yuvj(AVPixelFormat format);  // the deprecated yuvj formats
// The same layout without the range in its name: yuvj420p is yuv420p.
AVPixelFormat without_yuvj(AVPixelFormat format);
// Whether the encoder lists it; false if it lists none.
bool encoder_takes(const AVCodec& encoder, AVPixelFormat format);

// libav counts bytes, and parts of fractions, in int. Throws Error(unsupported) for a number that
// is none; `what` says which number of what it is.
int to_int(std::int64_t number, std::string_view what);

AVRational to_av(Rational r);  // throws Error as to_int() does
inline Rational from_av(AVRational r) {
  return {r.num, r.den};
}

// A frame that refers to the view's pixels without copying; `owner` is kept until libav lets go.
AvFrame wrap(const ImageView& view, std::shared_ptr<const void> owner);

// The view of a frame's planes, cropped as the decoder says, and an image that owns the frame.
Image to_image(AvFrame frame);

}  // namespace avstore::media
