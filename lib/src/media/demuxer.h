// Reads the packets of one video stream of a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "avstore/types.h"
#include "media/file_parts.h"
#include "media/packet.h"

struct AVCodecParameters;

namespace avstore::media {

// What a file says of its video stream.
struct StreamInfo {
  int index = 0;        // libav's stream index in the file
  std::string codec;    // libav's name, such as "h264"
  std::string profile;  // empty if unknown
  int width = 0;        // pixels as coded, before any display rotation
  int height = 0;
  std::string pixel_format;      // libav's name; empty if unknown
  Rational time_base;            // seconds a tick
  Rational frame_rate;           // guessed, frames per second; 0/1 if unknown
  std::int64_t frame_count = 0;  // as the container claims; 0 if it does not
  double duration = 0;           // seconds, as the container claims; 0 if it does not
  bool intra_only = false;       // every packet can be decoded on its own
};

struct DemuxerOptions {
  // libav's index of the stream to read. Empty: the first video stream that is no cover picture.
  std::optional<int> stream;
  std::string input_format;  // libav demuxer; empty: by content
  std::map<std::string, std::string>
      options;  // of the demuxer or protocol; unknown ones are errors
  // MPEG-4 in AVI may come with two frames in one packet; give one a packet, as other containers
  // want.
  bool unpack_b_frames = false;
  // Number the packets from 0 instead of taking the container's timestamps, for files in which
  // these are missing. Seeking is not possible then.
  bool count_packets = false;
  // Open a fragmented MP4 by the table at its end instead of walking through all fragments. The
  // times in that table are right only if PTS and DTS agree at the start of each fragment.
  bool use_fragment_table = false;
  // Do not decode the first frames to find out what the headers of MP4 and Matroska leave out: how
  // far frames are reordered above all. For files whose frames are known to come in order.
  bool in_order = false;
  // Of a file that may be in the midst of being written: read only so many bytes of it, as if it
  // ended there. Demuxers refuse to open some files that are cut off at the wrong place.
  std::optional<std::int64_t> bytes;
  // Read only these parts of a file, one after another, as if it held nothing else: to get around
  // damage. Packets' positions count the parts' bytes. `bytes` is not used then.
  std::vector<FilePart> parts;
  // The source may name others that are read as well, as playlists do: files anywhere, addresses on
  // the net. Else only what is in the file itself is, since files come from strangers.
  bool leads_elsewhere = false;
  // Asked, on the thread that reads, while the source keeps us waiting; true ends the waiting, with
  // Error(io). With it, pipes and devices are waited for in a way that lets it be asked; standard
  // input is "-".
  std::function<bool()> give_up;
};

// Throws Error(invalid_argument) if libav has no demuxer or device of that name. An empty name
// stands for any.
void require_input_format(const std::string& name);

// Opens a file (or any URL libavformat takes) and reads one video stream of it, in file order.
// For one thread at a time.
//
// A packet's PTS is what tells it apart from the others of the stream. AVI files and elementary
// streams store none; there it is the DTS that the container gives, or the packet's ordinal: in
// decode order then, see timestamps_in_decode_order().
class Demuxer {
 public:
  // Throws Error naming the file: not_found, io (also a pipe or a device, unless the source may
  // lead elsewhere), corrupt (not a media file), not_found (no video stream, or not that stream),
  // unsupported (leads elsewhere), invalid_argument (unknown option).
  explicit Demuxer(const std::string& url, const DemuxerOptions& options = {});
  Demuxer(Demuxer&&) noexcept;
  Demuxer& operator=(Demuxer&&) noexcept;
  ~Demuxer();

  const std::string& url() const;
  const StreamInfo& stream() const;
  // libav's short name of the container's demuxer, such as "matroska,webm".
  std::string container() const;
  // The file's creation_time tag (or the stream's), as text; empty if there is none.
  std::string creation_time() const;
  // All video streams of the file, cover pictures left out.
  std::vector<StreamInfo> video_streams() const;

  // The next packet of the stream; false at the end of the file.
  // Throws Error(io or corrupt) when reading fails before that.
  bool read(Packet& packet);

  // Go to the last place at or before `timestamp` (stream time base) that the demuxer thinks a
  // decoder can start from. Where it really went, the next packet tells. False if it cannot.
  bool seek(std::int64_t timestamp);
  // Whether packets are only counted, so that seeking is not possible.
  bool counts_packets() const;

  // True if packets carry no presentation times; the PTS given then ascend in decode order.
  bool timestamps_in_decode_order() const;

  // After the end: a line that says so if the file holds less than it claims; else empty.
  std::string truncation() const;

  // After the end: whether all bytes were read of a source that says how many it has.
  bool has_read_all() const;

  // After the end: whether only a part of the last packet was there.
  bool ends_with_partial_packet() const;

  // Counters since construction.
  std::int64_t packets_read() const;
  std::int64_t seeks() const;

  const AVCodecParameters* parameters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace avstore::media
