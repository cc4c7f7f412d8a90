// What the chunks of an AVI file say that libavformat's demuxer does not tell.
#pragma once

#include <cstdint>

struct AVIOContext;

namespace avstore::media {

// How many chunks of a stream are empty, up to the end of the file or where it is damaged. An empty
// one stands for a frame that was dropped: players show the one before it once more. The file must
// be one that can be sought in; the place in it is kept.
std::int64_t count_empty_avi_chunks(AVIOContext& file, int stream);

}  // namespace avstore::media
