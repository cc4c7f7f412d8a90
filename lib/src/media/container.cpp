#include "media/container.h"

#include "media/av.h"

namespace avstore::media {
namespace {

bool mp4_takes(AVCodecID codec) {
  const AVOutputFormat* mp4 = av_guess_format("mp4", nullptr, nullptr);
  return mp4 != nullptr && avformat_query_codec(mp4, codec, FF_COMPLIANCE_NORMAL) == 1;
}

}  // namespace

Container choose_container(const Demuxer& source) {
  const std::string& codec = source.stream().codec;
  const std::string from = source.container();
  if (from.starts_with("mov,") && mp4_takes(source.parameters()->codec_id)) {
    return {(codec == "h264" ? "avc1" : codec) + "/mp4", ".mp4", "mp4", true};
  }
  if (from == "avi" && codec == "mjpeg") {
    return {"mjpeg/avi", ".avi", "avi", false};
  }
  return {codec + "/mkv", ".mkv", "matroska", false};
}

}  // namespace avstore::media
