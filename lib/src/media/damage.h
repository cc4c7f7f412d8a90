// Which frames of a video are damaged.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "media/decoder.h"
#include "media/demuxer.h"

namespace avstore::media {

// The threads of a decoder that must miss no damaged frame. With threads for frames, libavcodec
// does not tell where checksums of FFV1 fail.
Threading threading_to_find_damage(const Demuxer& demuxer);

// Of frames that a decoder with such threads called damaged when it read the file from the start,
// those that are, by place in presentation order, ascending. With threads for frames, libavcodec
// also names whole H.264 pictures in videos that mix fields and frames, which ones depending on the
// number of threads; such a video is decoded once more, as far as the last suspect.
// Throws Error(io or corrupt) when the file can't be read.
std::vector<std::int64_t> confirm_damage(const std::string& file, const DemuxerOptions& options,
                                         const std::vector<std::int64_t>& suspects);

}  // namespace avstore::media
