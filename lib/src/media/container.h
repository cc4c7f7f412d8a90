// Which container takes copied packets.
#pragma once

#include <optional>
#include <string>

#include "media/demuxer.h"

namespace avstore::media {

struct Container {
  std::string format_name;    // codec/container, as stores name it
  std::string extension;      // with the dot
  std::string muxer;          // libav's name
  bool hides_frames = false;  // it can say that frames before the first shown are only for decoding
};

// MP4 for what came in MP4 or QuickTime and fits there, AVI for Motion JPEG in AVI, else Matroska.
// None if that does not take it either.
std::optional<Container> choose_container(const Demuxer& source);

}  // namespace avstore::media
