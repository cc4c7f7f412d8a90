// avstore verify: rows against files.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/tools.h"
#include "base/files.h"
#include "base/same_number.h"
#include "chunk/chunk_reader.h"
#include "chunk/image_file.h"
#include "chunk/sensor_image.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/convert.h"
#include "media/damage.h"
#include "media/decoder.h"
#include "media/demuxer.h"
#include "media/scan.h"
#include "store/chunk_checksums.h"
#include "store/frame_size.h"
#include "store/layout.h"
#include "store/recording_lock.h"
#include "store/repair_record.h"
#include "store/replaced_store.h"
#include "store/sensor_channels.h"
#include "store/staged_change.h"
#include "store/store_index.h"
#include "tools/extra_check.h"
#include "tools/progress_meter.h"
#include "tools/repair_plan.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  Verifier(const fs::path& store, const VerifyOptions& options)
      : folder_(store::existing_folder(store)),
        metadata_(imgstore::read_metadata(folder_)),
        deep_(options.deep),
        was_recorded_(is_recorded_now()),
        index_(open_index(), folder_, false),
        chunks_(index_.with([](index::Index& db) { return db.refresh_chunks(); })),
        meter_(options.progress,
               index_.with([](const index::Index& db) { return db.frame_count(); }),
               folder_.string()) {}

  VerifyResult run() {
    std::for_each(metadata_.doubts.begin(), metadata_.doubts.end(),
                  [this](const std::string& doubt) { find(doubt); });
    if (!metadata_.encoding.empty() && !chunk::is_encoding(metadata_.encoding)) {
      find(std::string(store::kMetadataFile) + ": encoding " + metadata_.encoding +
           " is not known; frames can be read raw only");
    }
    for (const std::string& loss : index_.with(
             [this](const index::Index& db) { return store::describe_losses(folder_, db); })) {
      find(loss);
    }
    result_.frames = index_.with([](const index::Index& db) { return db.frame_count(); });
    result_.chunks = static_cast<std::int64_t>(chunks_.size());
    std::int64_t next_frame = 0;
    for (const index::ChunkRow& row : chunks_) {
      if (row.first_frame_index != next_frame) {
        find(row.path + ": should begin at frame " + std::to_string(next_frame) +
             ", the database says " + std::to_string(row.first_frame_index));
      }
      next_frame = row.first_frame_index + row.frame_count;
      check_chunk(row);
    }
    check_extra();
    if (!made_from_chunks_) {
      check_lost_chunks();
      check_unlisted_chunks();
    }
    if (next_frame != result_.frames) {
      find("the chunks have " + std::to_string(next_frame) + " frames, the database " +
           std::to_string(result_.frames));
    }
    result_.repairs = repairs();
    return std::move(result_);
  }

 private:
  bool is_recorded_now() const {
    return store::recording_state(folder_).recording == store::Recording::yes;
  }

  // Whether what is in the files may be newer than the rows looked at, and the other way round.
  bool may_have_grown() const { return was_recorded_ || is_recorded_now(); }

  // A store that is being recorded is never complete.
  std::vector<std::string> repairs() {
    const store::Recording recording = store::recording_state(folder_).recording;
    if (made_from_chunks_ || recording == store::Recording::yes ||
        recording == store::Recording::untold) {
      return {};
    }
    if (store::has_replaced(folder_)) {
      return {tools::kBringsBack};
    }
    index_.refresh();  // the recording may have ended meanwhile
    return index_.with([&](const index::Index& db) {
      return tools::plan_repair(folder_, metadata_, db, recording == store::Recording::left)
          .steps();
    });
  }

  void check_extra() {
    const bool unfinished = store::recording_state(folder_).recording != store::Recording::no;
    index_.refresh();  // its files are read as they are by now
    index_.with([&](const index::Index& db) {
      tools::check_extra({folder_, metadata_, db, unfinished,
                          [this](const std::string& what) { find_once(what, 0); }});
      return true;
    });
  }

  // Those that the database lists are found with the others.
  void check_lost_chunks() {
    for (const std::int64_t chunk : imgstore::find_lost_chunks(folder_, metadata_)) {
      const bool known = std::any_of(chunks_.begin(), chunks_.end(),
                                     [chunk](const auto& row) { return row.chunk == chunk; });
      if (!known) {
        find(imgstore::chunk_path(metadata_, chunk) + ": is gone, though its index is there");
      }
    }
  }

  // A recording begins its chunks before it lists them.
  void check_unlisted_chunks() {
    if (may_have_grown()) {
      return;
    }
    for (const imgstore::ChunkFile& file : imgstore::find_chunks(folder_, metadata_)) {
      const bool known = std::any_of(chunks_.begin(), chunks_.end(),
                                     [&file](const auto& row) { return row.chunk == file.chunk; });
      if (!known) {
        const auto why = store::why_without_names(folder_, file);
        find(file.data.string() + ": is in no row of the database" +
             (why ? ", and no index lists its frames: " + *why + "; they are not read"
                  : "; avstore index reads it in: its frames are not read"));
      }
    }
  }

  bool is_video() const { return metadata_.is_video(); }
  void find(const std::string& what) { result_.findings.push_back(what); }

  // The database as it is, so that its faults are found; without one, what the chunks give.
  store::OpenedIndex open_index() {
    try {
      index::Index saved = index::Index::open(store::current_file(folder_, store::kIndexFile));
      const std::string damage = saved.integrity_findings();
      if (!damage.empty()) {
        find(std::string(store::kIndexFile) + ": damaged: " + damage);
      }
      return {std::move(saved), false, {}};
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::corrupt) {
        find(error.what());
      } else if (error.kind() != ErrorKind::not_found) {
        throw;
      }
    }
    made_from_chunks_ = true;
    return {store::index_from_chunks(folder_, metadata_,
                                     [this](const std::string& text) { find(text); }),
            true,
            {}};
  }

  // Each check stands for itself: what one cannot get over is not to hide what others would find.
  void check_chunk(const index::ChunkRow& row) {
    const fs::path path = folder_ / row.path;
    if (!base::is_there(path)) {
      if (row.frame_count > 0) {
        find(row.path + ": is missing; its " + std::to_string(row.frame_count) +
             " frames are lost");
      }
      return;
    }
    const std::size_t before = result_.findings.size();
    const auto alone = [&](const auto& check) {
      try {
        check();
      } catch (const Interrupted&) {
        throw;
      } catch (const Error& error) {
        find_once(error.what(), before);
      }
    };
    alone([&] { check_size(row, path); });
    alone([&] { check_rows(row); });
    alone([&] { check_names(row); });
    alone([&] { check_checksums(row, path); });
    alone([&] { is_video() ? check_video(row, path) : check_images(row, path); });
  }

  // Several checks may meet the same damage.
  void find_once(const std::string& what, std::size_t since) {
    const auto begin = result_.findings.begin() + static_cast<std::ptrdiff_t>(since);
    if (std::find(begin, result_.findings.end(), what) == result_.findings.end()) {
      find(what);
    }
  }

  void check_size(const index::ChunkRow& row, const fs::path& path) {
    if (is_video() && row.state == index::ChunkState::closed && row.bytes != 0 &&
        base::file_size(path) != row.bytes) {
      find(row.path + ": has " + std::to_string(base::file_size(path)) +
           " bytes, the database says " + std::to_string(row.bytes));
    }
  }

  void check_rows(const index::ChunkRow& row) {
    std::int64_t misplaced = 0;
    index_.with([&](const index::Index& db) {
      db.for_each({row.first_frame_index, row.first_frame_index + row.frame_count},
                  [&](const index::FrameRow& frame) {
                    const bool right = frame.chunk == row.chunk &&
                                       frame.frame_idx == frame.frame_index - row.first_frame_index;
                    misplaced += right ? 0 : 1;
                    return true;
                  });
      return true;
    });
    if (misplaced > 0) {
      find(row.path + ": " + std::to_string(misplaced) + " of its frames are elsewhere by the " +
           "database");
    }
  }

  // Numbers and times, against the chunk's own index file.
  void check_names(const index::ChunkRow& row) {
    const std::string name = imgstore::chunk_index_path(metadata_, row.chunk);
    fs::path file = folder_ / name;
    if (!base::is_there(file)) {
      file.replace_extension(".yaml");
    }
    if (!base::is_there(file)) {
      if (row.state == index::ChunkState::closed) {
        find(name + ": is missing; the database alone has the numbers and times");
      }
      return;
    }
    const imgstore::ChunkIndex names = imgstore::read_chunk_index(file);
    const auto named = static_cast<std::int64_t>(names.frame_number.size());
    // Of a chunk that was closed after its row was read.
    const bool has_grown =
        row.state == index::ChunkState::open && named > row.frame_count && may_have_grown();
    if (named != row.frame_count && !has_grown) {
      find(name + ": has " + std::to_string(named) + " frames, the database says " +
           std::to_string(row.frame_count));
      return;
    }
    std::int64_t wrong = 0;
    index_.with([&](const index::Index& db) {
      db.for_each({row.first_frame_index, row.first_frame_index + row.frame_count},
                  [&](const index::FrameRow& frame) {
                    const auto i = static_cast<std::size_t>(frame.frame_idx);
                    const bool same = i < names.frame_number.size() &&
                                      names.frame_number[i] == frame.frame_number &&
                                      base::is_same(names.frame_time[i], frame.frame_time);
                    wrong += same ? 0 : 1;
                    return true;
                  });
      return true;
    });
    if (wrong > 0) {
      find(name + ": " + std::to_string(wrong) + " frames have other numbers or times than in " +
           "the database");
    }
  }

  using Pieces = std::vector<index::ChecksumRow>;

  // Bytes that are not as they were written, which decoding need not show. Pieces next to each
  // other are one finding.
  void check_checksums(const index::ChunkRow& row, const fs::path& path) {
    const Pieces pieces =
        index_.with([&row](const index::Index& db) { return db.checksums(row.chunk); });
    for (auto piece = pieces.begin(); piece != pieces.end();) {
      const auto end = std::find_if(piece, pieces.end(), [&](const auto& other) {
        meter_.require(0);
        return is_as_written(row, path, other);
      });
      if (end == piece) {
        ++piece;
        continue;
      }
      find(row.path + ": " +
           (is_video() ? describe_damage(row, pieces, piece, end)
                       : describe_damaged_images(*piece, *std::prev(end))));
      piece = end;
    }
  }

  bool is_as_written(const index::ChunkRow& row, const fs::path& path,
                     const index::ChecksumRow& piece) const {
    if (!is_video()) {
      const std::string extension = find_format(metadata_.format).extension;
      const fs::path file = path / chunk::image_file_name(piece.frame_idx, extension);
      std::error_code missing;
      return fs::exists(file, missing) && base::file_size(file) == piece.bytes &&
             base::crc32_of_file(file, 0, piece.bytes) == piece.crc32;
    }
    if (base::crc32_of_file(path, piece.position, piece.bytes) == piece.crc32) {
      return true;
    }
    // A writer may be changing the beginning of a file just now.
    const bool is_changing =
        row.state == index::ChunkState::open && piece.position == 0 && may_have_grown();
    return is_changing || store::may_have_changed(row, piece, base::file_size(path));
  }

  static std::string describe_damaged_images(const index::ChecksumRow& first,
                                             const index::ChecksumRow& last) {
    return first.frame_idx == last.frame_idx
               ? "frame " + std::to_string(first.frame_idx) + " is not as it was written"
               : "frames " + std::to_string(first.frame_idx) + " to " +
                     std::to_string(last.frame_idx) + " are not as they were written";
  }

  // Of pieces [first, end).
  std::string describe_damage(const index::ChunkRow& row, const Pieces& pieces,
                              Pieces::const_iterator first, Pieces::const_iterator end) const {
    const index::ChecksumRow& last = *std::prev(end);
    const std::string what = "bytes " + std::to_string(first->position) + " to " +
                             std::to_string(last.position + last.bytes - 1) +
                             " are not as they were written; ";
    if (first->frame_idx >= row.frame_count) {
      return what + "no frame is among them";
    }
    // What comes before the first frame's bytes has a piece of its own.
    if (last.position == 0 && end != pieces.end() && end->frame_idx == 0) {
      return what + "they are the file's header";
    }
    return what + "frames " + std::to_string(first->frame_idx) + " to " +
           std::to_string(last_touched(row, pieces, last)) + " of the chunk may be wrong";
  }

  // What depends on a frame ends where decoding can start anew.
  std::int64_t last_touched(const index::ChunkRow& row, const Pieces& pieces,
                            const index::ChecksumRow& damaged) const {
    const auto later = std::find_if(pieces.begin(), pieces.end(), [&damaged](const auto& other) {
      return other.frame_idx > damaged.frame_idx;
    });
    if (later == pieces.end()) {
      return row.frame_count - 1;
    }
    const auto keyframes =
        index_.with([&row](const index::Index& db) { return db.keyframes(row.chunk); });
    const auto next = std::find_if(keyframes.begin(), keyframes.end(), [&later](const auto& key) {
      return key.frame_idx >= later->frame_idx;
    });
    return (next == keyframes.end() ? row.frame_count : next->frame_idx) - 1;
  }

  // The frames of a chunk that are not what metadata.yaml says. If that is wrong, all are: the
  // first is told of as it would be to who reads it, the others are counted.
  class UnlikeFrames {
   public:
    UnlikeFrames(Verifier& verifier, const index::ChunkRow& row) : verifier_(verifier), row_(row) {}

    void look_at(std::int64_t frame_idx, const Image& image) {
      const store::FramePlace place{row_.first_frame_index + frame_idx, row_.chunk};
      try {
        store::require_size(verifier_.folder_, verifier_.metadata_, place, image);
        store::require_type(verifier_.folder_, verifier_.metadata_, place, image);
      } catch (const Error& error) {
        if (++count_ == 1) {
          verifier_.find(error.what());
        }
      }
    }

    void tell_of_others() const {
      if (count_ > 1) {
        verifier_.find(row_.path + ": of " + std::to_string(count_ - 1) +
                       " more of its frames size or type are not the store's");
      }
    }

   private:
    Verifier& verifier_;
    const index::ChunkRow& row_;
    std::int64_t count_ = 0;
  };

  void check_images(const index::ChunkRow& row, const fs::path& path) {
    const auto reader = chunk::open_image_chunk(path, find_format(metadata_.format).extension);
    UnlikeFrames unlike(*this, row);
    // A row may claim more frames than the database has; check_image_count() finds that.
    const std::int64_t count = std::min(row.frame_count, result_.frames);
    for (std::int64_t i = 0; i < count; ++i) {
      meter_.require();
      if (!deep_) {
        continue;
      }
      try {
        const Image image = reader->read(i, chunk::Access::sequential);
        unlike.look_at(i, image);
        check_encoding(image, row.path + ": frame " + std::to_string(i));
      } catch (const Error& error) {
        find(error.what());
      }
    }
    unlike.tell_of_others();
    check_image_count(row, path);
  }

  void check_image_count(const index::ChunkRow& row, const fs::path& path) {
    const std::string extension = find_format(metadata_.format).extension;
    std::int64_t files = 0;
    for (const std::string& name : base::names_in(path)) {
      files += fs::path(name).extension() == extension ? 1 : 0;
    }
    if (files < row.frame_count ||
        (files > row.frame_count && row.state == index::ChunkState::closed)) {
      find(row.path + ": has " + std::to_string(files) + " images, the database says " +
           std::to_string(row.frame_count));
    }
  }

  void check_video(const index::ChunkRow& row, const fs::path& path) {
    if (row.frame_count == 0) {
      return;
    }
    const store::IndexedChunk chunk(index_, row.chunk);
    if (deep_) {
      check_by_decoding(row, path, chunk);
    } else {
      const media::Scan scan =
          media::scan(path, row.stream, media::ScanMethod::packets, {}, chunk.bytes());
      check_time_base(row, scan.time_base);
      check_pts(row, scan.pts, chunk);
      meter_.require(row.frame_count);
    }
  }

  void check_time_base(const index::ChunkRow& row, Rational found) {
    const bool known = row.packet_count > 0;  // else it was never looked into
    if (known && found != row.time_base) {
      find(row.path + ": has ticks of " + std::to_string(found.num) + "/" +
           std::to_string(found.den) + " s, the database says " +
           std::to_string(row.time_base.num) + "/" + std::to_string(row.time_base.den));
    }
  }

  void check_pts(const index::ChunkRow& row, const std::vector<std::int64_t>& found,
                 const store::IndexedChunk& chunk) {
    const auto count = static_cast<std::int64_t>(found.size());
    if (count < row.frame_count ||
        (count > row.frame_count && row.state == index::ChunkState::closed)) {
      find(row.path + ": holds " + std::to_string(count) + " frames, the database says " +
           std::to_string(row.frame_count));
    }
    for (std::int64_t i = 0; i < std::min(count, row.frame_count); ++i) {
      if (found[static_cast<std::size_t>(i)] != chunk.pts(i)) {
        find(row.path + ": frame " + std::to_string(i) + " has PTS " +
             std::to_string(found[static_cast<std::size_t>(i)]) + ", the database says " +
             std::to_string(chunk.pts(i)));
        return;  // one misplaced frame shifts all that follow
      }
    }
  }

  // Decode from the beginning, and again from each keyframe: both must give the same pictures.
  void check_by_decoding(const index::ChunkRow& row, const fs::path& path,
                         const store::IndexedChunk& chunk) {
    media::DemuxerOptions options;
    options.stream = row.stream;
    options.count_packets = chunk.pts_are_ordinals();
    options.bytes = chunk.bytes();
    media::Demuxer demuxer(path.string(), options);
    media::Decoder decoder(demuxer,
                           {.threads = 0, .threading = media::threading_to_find_damage(demuxer)});
    const auto reader = chunk::open_video_chunk(path, row.stream, 0, chunk);
    std::vector<std::int64_t> pts;
    std::vector<std::int64_t> damaged;
    UnlikeFrames unlike(*this, row);
    const auto receive = [&] {
      while (const auto frame = decoder.receive()) {
        const auto i = static_cast<std::int64_t>(pts.size());
        pts.push_back(frame->pts.value_or(-1));
        if (frame->damaged) {
          damaged.push_back(i);
        }
        if (i < row.frame_count) {
          unlike.look_at(i, frame->image);
        }
        if (i == 0) {
          check_encoding(frame->image, row.path);
        }
        if (is_keyframe(chunk, i)) {
          compare(row, i, frame->image, *reader);
        }
        meter_.require(i < row.frame_count ? 1 : 0);
      }
    };
    media::Packet packet;
    while (demuxer.read(packet)) {
      decoder.send(packet);
      receive();
    }
    decoder.send_end();
    receive();
    unlike.tell_of_others();
    for (const std::int64_t frame : media::confirm_damage(path.string(), options, damaged)) {
      find(row.path + ": frame " + std::to_string(frame) + " is damaged");
    }
    if (!chunk.pts_are_ordinals()) {
      check_time_base(row, demuxer.stream().time_base);
    }
    check_pts(row, pts, chunk);
  }

  // Whether sensor data of the store's encoding can be in an image.
  void check_encoding(const Image& image, const std::string& where) {
    if (!chunk::knows_encoding(metadata_.encoding)) {
      return;
    }
    try {
      static_cast<void>(chunk::decode_sensor(store::stored_channels(image, metadata_, converter_),
                                             metadata_.encoding, where));
    } catch (const Error& error) {
      find(error.what());
    }
  }

  static bool is_keyframe(const store::IndexedChunk& chunk, std::int64_t frame_idx) {
    if (frame_idx >= chunk.frame_count()) {
      return false;
    }
    const auto point = chunk.seek_point(frame_idx);
    return point && point->frame_idx == frame_idx;
  }

  void compare(const index::ChunkRow& row, std::int64_t frame_idx, const Image& linear,
               chunk::ChunkReader& reader) {
    const Image sought = reader.read(frame_idx, chunk::Access::anew);
    if (md5(sought.view()) != md5(linear.view())) {
      find(row.path + ": frame " + std::to_string(frame_idx) +
           " differs when decoding starts at its keyframe");
    }
  }

  VerifyResult result_;
  bool made_from_chunks_ = false;  // what that met is among the findings
  fs::path folder_;
  imgstore::StoreMetadata metadata_;
  bool deep_;
  bool was_recorded_;  // before the database was opened
  store::SharedIndex index_;
  std::vector<index::ChunkRow> chunks_;  // of one state with the number of frames
  tools::ProgressMeter meter_;
  media::Converter converter_{1};
};

}  // namespace

VerifyResult verify(const fs::path& store, const VerifyOptions& options) {
  if (store::must_be_brought_back(imgstore::folder_named(store))) {
    VerifyResult result;
    result.repairs.emplace_back(tools::kBringsBack);
    return result;
  }
  return Verifier(store, options).run();
}

}  // namespace avstore
