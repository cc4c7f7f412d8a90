// avstore/format.h: the formats that this build has.
#include "avstore/format.h"

#include "imgstore/bloscpack.h"
#include "media/codec_table.h"

namespace avstore {

const std::vector<Format>& formats() {
  static const std::vector<Format> kFormats = [] {
    std::vector<Format> all;
    for (const media::VideoFormat& entry : media::format_table()) {
      if (entry.format.name != "bpk" || imgstore::has_bloscpack()) {
        all.push_back(entry.format);
      }
    }
    return all;
  }();
  return kFormats;
}

const Format& find_format(std::string_view name) {
  return media::find_video_format(std::string(name)).format;
}

}  // namespace avstore
