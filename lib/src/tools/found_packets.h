// The packets that can be found in a damaged video file whose writer did not finish it.
//
// A writer hands its file to the system piece by piece, each a part of the container that stands
// for itself, and the database has the checksum of each. So damage to one piece need not reach the
// others: each stretch of pieces that are as they were written, and each damaged piece by itself,
// is read behind the file's header as if there was nothing else. What libavformat finds in a
// damaged piece is taken if it is known which frame it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "avstore/types.h"
#include "media/demuxer.h"
#include "media/packet.h"

namespace avstore::tools {

// A video file that was not finished, and what the database knows of it. Frames go by their place
// in the chunk.
struct UnfinishedVideo {
  struct Piece {
    std::int64_t first_frame = 0;  // no frame before that is in the piece
    std::int64_t position = 0;
    std::int64_t bytes = 0;  // that the file has of it
    bool is_as_written = true;
  };

  std::filesystem::path file;
  std::int64_t header_bytes = 0;  // before the first piece
  std::vector<Piece> pieces;      // by position
  std::vector<std::int64_t> pts;  // of all frames that have a row, ascending
  bool is_in_order = false;       // packets are in the order of their frames
  int width = 0, height = 0;      // of the store's frames; 0: it does not say
  std::string muxer;              // libav's name of what writes such a file
  Rational time_base;             // of the PTS
};

class FoundPackets {
 public:
  // Reads the file once. `video` must outlive this. Throws Error: io, not_found.
  explicit FoundPackets(const UnfinishedVideo& video);

  // The frames that have a packet, ascending.
  std::vector<std::int64_t> frames() const;
  // The frames whose packets lie in a damaged piece, ascending.
  std::vector<std::int64_t> frames_of_damage() const;
  // Takes the packets of frames for not found.
  void leave_out(const std::vector<std::int64_t>& frames);

  // What the file's header says. Null if it cannot be read; then there are no packets.
  const media::Demuxer* header() const { return header_ ? &*header_ : nullptr; }

  // Reads the file again, and calls `take` with each packet found and its frame, in decoding order.
  // Timestamps are as a writer makes them: DTS ascend from 0, and PTS are those of the frames'
  // rows, all shifted alike.
  void for_each(const std::function<void(media::Packet&, std::int64_t frame)>& take) const;

 private:
  // What is read in one go: the header, and pieces next to each other.
  struct Stretch {
    std::vector<media::FilePart> parts;
    std::int64_t bytes = 0;  // of all parts
    std::int64_t first_frame = 0;
    std::int64_t frame_count = 0;
    bool is_as_written = true;
    bool is_counted = false;  // no timestamps tell packets apart
    struct Note {
      std::optional<std::int64_t> pts;
      std::int64_t position = 0;  // of its payload, counting the bytes of all parts
      std::int64_t bytes = 0;
      std::optional<std::int64_t> frame;
    };
    std::vector<Note> packets;
  };

  Stretch stretch_of(std::size_t first, std::size_t end) const;
  std::optional<media::Demuxer> open(const Stretch& stretch) const;
  void look_through(Stretch& stretch);
  void match(Stretch& stretch);
  void match_by_order(Stretch& stretch, std::size_t first, std::size_t end, std::int64_t frame);
  void match_around_holes(Stretch& stretch);
  void match_by_pts(Stretch& stretch);
  void match_what_is_left(Stretch& stretch);
  void set_frame(Stretch::Note& packet, std::int64_t frame);
  std::vector<std::int64_t> new_dts() const;
  bool is_wanted(const Stretch::Note& packet) const;

  const UnfinishedVideo& video_;
  std::vector<Stretch> stretches_;
  std::vector<bool> is_found_;  // by frame
  std::optional<media::Demuxer> header_;
};

}  // namespace avstore::tools
