#include "media/hardware.h"

#include <charconv>

#include "media/encoder.h"
#include "media/log.h"

namespace avstore::media {
namespace {

Buffer open_device(AVHWDeviceType type, const std::string& device,
                   const std::map<std::string, std::string>& options, const std::string& where) {
  Dictionary dictionary(options);
  AVBufferRef* made = nullptr;
  const int code = av_hwdevice_ctx_create(&made, type, device.empty() ? nullptr : device.c_str(),
                                          *dictionary.address(), 0);
  if (code < 0) {
    throw Error(ErrorKind::unsupported, where + ": no " + av_hwdevice_get_type_name(type) +
                                            " device: " + with_log(error_text(code)));
  }
  return Buffer(made);
}

Buffer share(const Buffer& buffer) {
  Buffer shared(av_buffer_ref(buffer.get()));
  if (!shared) {
    throw std::bad_alloc();
  }
  return shared;
}

}  // namespace

// Asked for by name, because X11 would be tried else, and a display may be far away.
VaapiFrames::VaapiFrames(const std::string& device, int width, int height, const std::string& where)
    : where_(where),
      device_(open_device(AV_HWDEVICE_TYPE_VAAPI, device, {{"connection_type", "drm"}}, where)) {
  frames_.reset(av_hwframe_ctx_alloc(device_.get()));
  if (!frames_) {
    throw std::bad_alloc();
  }
  auto& frames = *reinterpret_cast<AVHWFramesContext*>(frames_->data);
  frames.format = AV_PIX_FMT_VAAPI;
  frames.sw_format = AV_PIX_FMT_NV12;
  frames.width = width;
  frames.height = height;
  const int code = av_hwframe_ctx_init(frames_.get());
  if (code < 0) {
    throw Error(ErrorKind::unsupported, where + ": no memory for frames of " +
                                            std::to_string(width) + "x" + std::to_string(height) +
                                            ": " + with_log(error_text(code)));
  }
}

void VaapiFrames::feed(AVCodecContext& encoder) const {
  encoder.pix_fmt = AV_PIX_FMT_VAAPI;
  encoder.hw_frames_ctx = share(frames_).release();
}

AvFrame VaapiFrames::upload(const AVFrame& frame) const {
  const auto require = [this](int code, const char* what) {
    if (code < 0) {
      throw EncoderFailure(where_ + ": " + what + ": " + with_log(error_text(code)));
    }
  };
  AvFrame surface = make_frame();
  require(av_hwframe_get_buffer(frames_.get(), surface.get(), 0), "no memory for a frame");
  require(av_hwframe_transfer_data(surface.get(), &frame, 0), "cannot upload a frame");
  require(av_frame_copy_props(surface.get(), &frame), "cannot upload a frame");
  return surface;
}

void use_qsv_device(AVCodecContext& encoder, const std::string& device, const std::string& where) {
  encoder.hw_device_ctx =
      open_device(AV_HWDEVICE_TYPE_QSV, "", {{"child_device", device}}, where).release();
}

std::optional<int> gpu_number(const std::string& device) {
  int number = 0;
  const char* end = device.data() + device.size();
  const auto [stop, error] = std::from_chars(device.data(), end, number);
  const bool whole = error == std::errc() && stop == end && number >= 0;
  return whole ? std::optional(number) : std::nullopt;
}

void require_device_of(EncoderFamily family, const std::string& device, const std::string& where) {
  const bool number = gpu_number(device).has_value();
  if (device.empty() || family == EncoderFamily::software) {
    return;
  }
  if (family == EncoderFamily::nvenc && !number) {
    throw Error(ErrorKind::unsupported,
                where + ": device '" + device + "' is not the number of a GPU");
  }
  if (family != EncoderFamily::nvenc && number) {
    throw Error(ErrorKind::unsupported,
                where + ": device '" + device + "' is no render node such as /dev/dri/renderD128");
  }
}

}  // namespace avstore::media
