// The chunks of a store being written, one after another.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "avstore/writer.h"
#include "chunk/chunk_writer.h"
#include "chunk/image_file.h"
#include "imgstore/chunk_index.h"
#include "imgstore/metadata.h"
#include "index/index.h"
#include "media/encoder_line.h"
#include "store/encoder_runs.h"
#include "store/thread_share.h"

namespace avstore::store {

// Puts frames into chunks of the size asked for and keeps database, npz and extra data in step: a
// frame's row is committed only after its bytes are in its file. Where an encoder fails, the chunk
// ends with what came out of it, and the next encoder in line makes the next chunk, beginning with
// the frames that did not. For one thread at a time.
class ChunkSequence {
 public:
  // Goes on behind the frames of `index`, which is open for writing. In a new store metadata.yaml
  // follows with the first frame, which tells size and pixel format of all: `metadata` comes
  // without imgshape and imgdtype then. `threads`, which must outlive this, says how many to encode
  // each chunk with.
  ChunkSequence(std::filesystem::path folder, imgstore::StoreMetadata metadata,
                const WriterOptions& options, const ThreadShare& threads, index::Index index);

  // A video file that may become a chunk.
  struct Insertion {
    std::filesystem::path file;
    media::Scan scan;
    imgstore::ChunkIndex names;
    bool move = false;
  };
  // Look whether a file fits into the store, with these names for its frames. Nothing is changed.
  // Throws Error like media::scan, and: invalid_argument (another container, size or number of
  // frames than it must have).
  Insertion check_insertion(std::filesystem::path file, imgstore::ChunkIndex names,
                            bool move) const;
  // End the chunk that is being written, and make the file the next one.
  void insert(const Insertion& insertion);

  void add(const Image& image, FrameNumber number, FrameTime time);
  // A record tied to the frame added last; before the first frame, to none.
  void add_extra(const std::string& json);
  // Make durable what the encoder has given; images, all of them.
  void store_encoded();
  // Make extra data durable, whether frames are or not.
  void store_extra();
  // Make every frame added durable, and extra data.
  void sync();
  void close();
  // What becomes of a chunk that has no durable frame.
  enum class Unfinished { put_aside, removed };
  // Keep what is durable, write nothing more into chunks: after a failure, or when the frames under
  // way are not wanted.
  void abandon_chunk(Unfinished what_becomes) noexcept;

  std::int64_t frames_encoded() const { return added_; }
  std::int64_t frames_durable() const { return durable_; }
  std::int64_t bytes_written() const { return bytes_ + (chunk_ ? chunk_->bytes() : 0); }
  std::string encoder() const { return encoders_.empty() ? "" : encoders_.back().encoder; }
  // With size and type of the frames, once there is one.
  const imgstore::StoreMetadata& metadata() const { return metadata_; }

 private:
  struct Names {
    std::int64_t frame_number = 0;
    double frame_time = 0;
  };
  struct Unencoded {
    Image image;
    Names names;
  };

  void describe(const std::vector<std::int64_t>& shape, const std::string& dtype);
  template <typename Work>
  void with_encoders_in_line(const Work& work);
  void encode_waiting();
  void encode(const Unencoded& frame);
  void fail_over(const std::string& why);
  void start_chunk(const ImageView& first);
  void note_encoder();
  void write_encoders();
  void next_chunk();
  void finish_chunk();
  template <typename Finish>
  void finish_with_header_in_doubt(const Finish& finish);
  void close_chunk();
  void discard_chunk();
  void remove_row();
  void record_stored();
  void record_frames();
  void record_checksums();
  void commit_stored();
  void put_checksum(const chunk::Checksum& sum);
  bool is_for_power_cuts() const { return options_.durability == Durability::power; }
  void keep_names() const;
  void keep_name_of_store() const;
  void put_chunk_row(index::ChunkState state);
  void write_chunk_index() const;
  void write_extra();
  bool has_extra_to_write() const;

  std::filesystem::path folder_;
  imgstore::StoreMetadata metadata_;
  const media::VideoFormat& format_;
  WriterOptions options_;
  chunk::ChunkWriterOptions chunk_options_;
  media::EncoderLine line_;
  const ThreadShare& threads_;
  index::Index index_;
  std::unique_ptr<chunk::ChunkWriter> chunk_;
  std::int64_t chunk_number_ = -1;
  std::int64_t first_chunk_ = 0;  // of those made here
  std::int64_t chunk_first_frame_ = 0;
  double chunk_first_time_ = 0;
  std::deque<Unencoded> waiting_;     // for a chunk to take them
  std::vector<Names> pending_;        // of frames in the chunk whose bytes are not in its file
  imgstore::ChunkIndex chunk_index_;  // of the frames stored in this chunk
  // Extra data are in the database alone until the chunk's end: the first record for this chunk's
  // file, and the first that is not in it.
  std::int64_t extra_begin_ = 1;
  std::int64_t extra_end_ = 1;
  std::int64_t added_ = 0;
  std::int64_t stored_ = 0;   // rows made
  std::int64_t durable_ = 0;  // rows committed
  std::int64_t bytes_ = 0;
  Names newest_{kNoFrameNumber.value, std::numeric_limits<double>::quiet_NaN()};
  std::vector<EncoderRun> encoders_;
};

// Shape and type of such frames as the metadata states them: [rows, columns] reads back as gray,
// [rows, columns, 3] as colour.
chunk::ArrayDescription describe_frames(const media::VideoFormat& format,
                                        const WriterOptions& options, const ImageView& first);

// The database of a new store, made in its folder.
index::Index make_index(const std::filesystem::path& folder,
                        const imgstore::StoreMetadata& metadata, const WriterOptions& options);

// Frames a chunk holds unless told otherwise, as the reference has it.
std::int64_t default_chunk_size(bool video);

}  // namespace avstore::store
