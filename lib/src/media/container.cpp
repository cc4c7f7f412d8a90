#include "media/container.h"

#include "media/muxer.h"

namespace avstore::media {
namespace {

bool takes(const Container& container, const Demuxer& source) {
  return Muxer::takes(container.muxer, source.parameters());
}

}  // namespace

std::optional<Container> choose_container(const Demuxer& source) {
  const std::string& codec = source.stream().codec;
  const std::string from = source.container();
  const Container mp4{(codec == "h264" ? "avc1" : codec) + "/mp4", ".mp4", "mp4", true};
  const Container avi{codec + "/avi", ".avi", "avi", false};
  const Container matroska{codec + "/mkv", ".mkv", "matroska", false};
  if (from.starts_with("mov,") && takes(mp4, source)) {
    return mp4;
  }
  if (from == "avi" && codec == "mjpeg") {
    return avi;
  }
  return takes(matroska, source) ? std::optional(matroska) : std::nullopt;
}

}  // namespace avstore::media
