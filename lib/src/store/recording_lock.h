// The file .lock: there while a store is open for writing, and left behind by a writer that was
// killed. Ours says in it who the writer is; the reference's is empty.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace avstore::store {

// Keeps other writers out of a store, until the end of its life or of this process, however that
// comes. For the rest of the file's time see remove().
class RecordingLock {
 public:
  // Makes the file, or takes one over that was left behind. Throws Error: exists (a writer that is
  // alive has it, or what has the name is no file), io.
  explicit RecordingLock(const std::filesystem::path& folder);
  // Leaves the file.
  ~RecordingLock();
  RecordingLock(const RecordingLock&) = delete;
  RecordingLock& operator=(const RecordingLock&) = delete;

  // Remove the file: the store is closed. Nothing happens if it is gone, or another has its name.
  void remove() noexcept;
  // Whether the file still has its name: else somebody has moved or replaced the store's folder.
  bool is_in_place() const noexcept;

 private:
  bool make(const std::filesystem::path& folder);

  std::filesystem::path file_;
  int descriptor_ = -1;
};

enum class Recording {
  no,      // there is no .lock
  yes,     // its writer is alive
  left,    // its writer is dead
  untold,  // it does not say whose it is, as the reference's, or is no file
};
struct RecordingState {
  Recording recording = Recording::no;
  std::string owner;  // such as "process 4711"; empty where it is not told
};
// Throws Error(io).
RecordingState recording_state(const std::filesystem::path& folder);

// Throws Error(exists) if a writer that is alive has the store open.
void require_not_recording(const std::filesystem::path& folder);

// The same, and where a writer was killed or may be alive: what changes a store as a whole needs
// one that was closed.
void require_closed(const std::filesystem::path& folder);

}  // namespace avstore::store
