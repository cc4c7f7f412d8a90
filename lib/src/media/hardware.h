// Devices that encode, and frames on their way to them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "media/av.h"
#include "media/codec_table.h"

namespace avstore::media {

struct BufferDeleter {
  void operator()(AVBufferRef* buffer) const { av_buffer_unref(&buffer); }
};
using Buffer = std::unique_ptr<AVBufferRef, BufferDeleter>;

// The memory of a VAAPI device as the input of an encoder. For one thread at a time.
class VaapiFrames {
 public:
  // `device` is a render node; empty: the first that opens. Frames are NV12.
  // Throws Error(unsupported) with the driver's words.
  VaapiFrames(const std::string& device, int width, int height, const std::string& where);

  // Make them the input of an encoder that is not open yet.
  void feed(AVCodecContext& encoder) const;
  // The frame in the device's memory, with its timestamps and tags. Throws EncoderFailure.
  AvFrame upload(const AVFrame& frame) const;

 private:
  std::string where_;
  Buffer device_;
  Buffer frames_;
};

// Make Quick Sync use this render node. Throws Error(unsupported).
void use_qsv_device(AVCodecContext& encoder, const std::string& device, const std::string& where);

// The number of a GPU, if `device` is one.
std::optional<int> gpu_number(const std::string& device);

// Throws Error(unsupported) if an encoder of that family cannot use a device of that name.
void require_device_of(EncoderFamily family, const std::string& device, const std::string& where);

}  // namespace avstore::media
