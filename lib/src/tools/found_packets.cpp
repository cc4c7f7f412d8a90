#include "tools/found_packets.h"

#include <algorithm>
#include <utility>

#include "avstore/error.h"

namespace avstore::tools {
namespace {

// With B-frames a piece may end before all frames that come before its last one in presentation
// order: they are at most so many.
constexpr std::int64_t kMostReordered = 16;

// What precedes the payload of a chunk of AVI.
constexpr std::int64_t kAviHeader = 8;

}  // namespace

FoundPackets::FoundPackets(const UnfinishedVideo& video)
    : video_(video), is_found_(video.pts.size()) {
  for (std::size_t first = 0, end = 0; first < video.pieces.size(); first = end) {
    end = first + 1;
    while (video.pieces[first].is_as_written && end < video.pieces.size() &&
           video.pieces[end].is_as_written) {
      ++end;
    }
    stretches_.push_back(stretch_of(first, end));
    look_through(stretches_.back());
  }
  // Timestamps that are whole come first: damage may make one look like another.
  for (const bool whole : {true, false}) {
    for (Stretch& stretch : stretches_) {
      if (stretch.is_as_written == whole) {
        match(stretch);
      }
    }
  }
}

std::vector<std::int64_t> FoundPackets::frames() const {
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < is_found_.size(); ++i) {
    if (is_found_[i]) {
      found.push_back(static_cast<std::int64_t>(i));
    }
  }
  return found;
}

std::vector<std::int64_t> FoundPackets::frames_of_damage() const {
  std::vector<std::int64_t> found;
  for (const Stretch& stretch : stretches_) {
    for (const Stretch::Note& packet : stretch.packets) {
      if (!stretch.is_as_written && is_wanted(packet)) {
        found.push_back(*packet.frame);
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void FoundPackets::leave_out(const std::vector<std::int64_t>& frames) {
  for (const std::int64_t frame : frames) {
    is_found_[static_cast<std::size_t>(frame)] = false;
  }
}

void FoundPackets::for_each(
    const std::function<void(media::Packet&, std::int64_t frame)>& take) const {
  const std::vector<std::int64_t> dts = new_dts();
  const std::int64_t shift = dts.empty() ? 0 : dts.front();
  std::size_t taken = 0;
  for (const Stretch& stretch : stretches_) {
    auto demuxer = stretch.packets.empty() ? std::nullopt : open(stretch);
    for (const Stretch::Note& note : stretch.packets) {
      media::Packet packet;
      if (!demuxer || !demuxer->read(packet)) {
        throw Error(ErrorKind::io, video_.file.string() + ": has changed while it was read");
      }
      if (is_wanted(note)) {
        packet.set_timestamps(video_.pts[static_cast<std::size_t>(*note.frame)] - shift,
                              dts.at(taken++) - shift, packet.duration());
        take(packet, *note.frame);
      }
    }
  }
}

bool FoundPackets::is_wanted(const Stretch::Note& packet) const {
  return packet.frame && is_found_[static_cast<std::size_t>(*packet.frame)];
}

FoundPackets::Stretch FoundPackets::stretch_of(std::size_t first, std::size_t end) const {
  const auto& pieces = video_.pieces;
  Stretch stretch;
  if (video_.header_bytes > 0) {
    stretch.parts.push_back({0, video_.header_bytes});
  }
  const std::int64_t begin = pieces[first].position;
  const std::int64_t bytes = pieces[end - 1].position + pieces[end - 1].bytes - begin;
  stretch.parts.push_back({begin, bytes});
  stretch.bytes = video_.header_bytes + bytes;
  stretch.first_frame = pieces[first].first_frame;
  stretch.frame_count = (end < pieces.size() ? pieces[end].first_frame
                                             : static_cast<std::int64_t>(video_.pts.size())) -
                        stretch.first_frame;
  stretch.is_as_written = pieces[first].is_as_written;
  return stretch;
}

// None where libavformat does not take it for a video.
std::optional<media::Demuxer> FoundPackets::open(const Stretch& stretch) const {
  media::DemuxerOptions options;
  options.parts = stretch.parts;
  try {
    return media::Demuxer(video_.file.string(), options);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void FoundPackets::look_through(Stretch& stretch) {
  auto demuxer = open(stretch);
  if (!demuxer) {
    return;
  }
  stretch.is_counted = demuxer->timestamps_in_decode_order();
  try {
    media::Packet packet;
    while (demuxer->read(packet)) {
      stretch.packets.push_back({packet.pts(), packet.position(),
                                 static_cast<std::int64_t>(packet.bytes().size()), std::nullopt});
    }
  } catch (const Error&) {
    // What came before counts.
  }
  if (!header_) {
    header_ = std::move(demuxer);
  }
}

void FoundPackets::match(Stretch& stretch) {
  const bool all_are_there =
      static_cast<std::int64_t>(stretch.packets.size()) == stretch.frame_count;
  if (all_are_there && (stretch.is_counted || video_.is_in_order)) {
    match_by_order(stretch, 0, stretch.packets.size(), stretch.first_frame);
  } else if (stretch.is_counted) {
    match_around_holes(stretch);
  } else {
    match_by_pts(stretch);
    match_what_is_left(stretch);
  }
}

// Packets [first, end) are those of the frames from `frame` on.
void FoundPackets::match_by_order(Stretch& stretch, std::size_t first, std::size_t end,
                                  std::int64_t frame) {
  for (std::size_t i = first; i < end; ++i) {
    set_frame(stretch.packets[i], frame++);
  }
}

// Packets are missing where there are bytes that belong to none. Those before the first such hole
// are known by counting from the beginning, and those behind the last by counting from the end.
// Which frames are between two holes nothing tells.
void FoundPackets::match_around_holes(Stretch& stretch) {
  const std::size_t count = stretch.packets.size();
  std::optional<std::size_t> first_hole, last_hole;  // how many packets come before
  const auto look = [&](std::size_t place, bool is_hole) {
    if (is_hole) {
      first_hole = first_hole.value_or(place);
      last_hole = place;
    }
  };
  std::int64_t next = video_.header_bytes;
  for (std::size_t i = 0; i < count; ++i) {
    const Stretch::Note& packet = stretch.packets[i];
    look(i, packet.position != next + kAviHeader);
    next = packet.position + packet.bytes + packet.bytes % 2;
  }
  look(count, next < stretch.bytes);
  const std::size_t before = first_hole.value_or(count);
  const std::size_t behind = count - last_hole.value_or(count);
  if (static_cast<std::int64_t>(before + behind) <= stretch.frame_count) {
    match_by_order(stretch, 0, before, stretch.first_frame);
    match_by_order(stretch, count - behind, count,
                   stretch.first_frame + stretch.frame_count - static_cast<std::int64_t>(behind));
  }
}

void FoundPackets::match_by_pts(Stretch& stretch) {
  const auto begin = video_.pts.begin() + stretch.first_frame;
  const auto end = video_.pts.end() - begin > stretch.frame_count + kMostReordered
                       ? begin + stretch.frame_count + kMostReordered
                       : video_.pts.end();
  for (Stretch::Note& packet : stretch.packets) {
    const auto place = packet.pts ? std::lower_bound(begin, end, *packet.pts) : end;
    const std::int64_t frame = place - video_.pts.begin();
    if (place != end && *place == packet.pts && !is_found_[static_cast<std::size_t>(frame)]) {
      set_frame(packet, frame);
    }
  }
}

// Where packets with other timestamps are as many as frames without a packet, they are those: in
// the order of their timestamps, which are all shifted alike if the head of their piece is damaged.
void FoundPackets::match_what_is_left(Stretch& stretch) {
  std::vector<Stretch::Note*> packets;
  for (Stretch::Note& packet : stretch.packets) {
    if (!packet.frame) {
      packets.push_back(&packet);
    }
  }
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < stretch.frame_count; ++i) {
    const std::int64_t frame = stretch.first_frame + i;
    if (!is_found_[static_cast<std::size_t>(frame)]) {
      frames.push_back(frame);
    }
  }
  if (packets.size() != frames.size()) {
    return;
  }
  std::stable_sort(packets.begin(), packets.end(),
                   [](const auto* a, const auto* b) { return a->pts < b->pts; });
  for (std::size_t i = 0; i < packets.size(); ++i) {
    set_frame(*packets[i], frames[i]);
  }
}

void FoundPackets::set_frame(Stretch::Note& packet, std::int64_t frame) {
  packet.frame = frame;
  is_found_[static_cast<std::size_t>(frame)] = true;
}

// Of the packets found, in decoding order: the PTS of as many frames before as decoding runs ahead.
std::vector<std::int64_t> FoundPackets::new_dts() const {
  std::vector<std::int64_t> presented;  // PTS
  for (const std::int64_t frame : frames()) {
    presented.push_back(video_.pts[static_cast<std::size_t>(frame)]);
  }
  std::int64_t decoded = 0;
  std::int64_t ahead = 0;
  for (const Stretch& stretch : stretches_) {
    for (const Stretch::Note& packet : stretch.packets) {
      if (is_wanted(packet)) {
        const auto place = std::lower_bound(presented.begin(), presented.end(),
                                            video_.pts[static_cast<std::size_t>(*packet.frame)]);
        ahead = std::max(ahead, decoded++ - (place - presented.begin()));
      }
    }
  }
  const std::int64_t step = presented.size() > 1 ? presented[1] - presented[0] : 1;
  std::vector<std::int64_t> dts;
  for (std::int64_t i = 0; i < decoded; ++i) {
    dts.push_back(i < ahead ? presented.front() - (ahead - i) * step
                            : presented[static_cast<std::size_t>(i - ahead)]);
  }
  return dts;
}

}  // namespace avstore::tools
