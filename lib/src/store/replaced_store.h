// The store that a recording is about to replace: kept until the new one has a frame.
#pragma once

#include <filesystem>
#include <thread>

namespace avstore::store {

// Files of the old store lie in a folder of their own within the store's meanwhile, so that what
// else is there stays where it is, and a folder that cannot be renamed will do too. Killed at any
// moment, it is there in whole: bring_back_replaced() finds it. For one thread at a time; whoever
// uses it holds the RecordingLock.
class ReplacedStore {
 public:
  // Moves the store in `folder` out of the way. One that lies there from before, because whoever
  // was to replace it was killed, is kept, unless the new store has frames. Nothing happens if
  // there is no store. Throws Error(io); then the store is as it was.
  explicit ReplacedStore(std::filesystem::path folder);
  // Waits until what was begun is done.
  ~ReplacedStore();
  ReplacedStore(const ReplacedStore&) = delete;
  ReplacedStore& operator=(const ReplacedStore&) = delete;

  // The new store has taken its place. Files are removed beside what the caller does; those that
  // cannot be stay.
  void drop();
  // There is no new store after all, none of its files: the old one is put back. Throws Error(io).
  void bring_back();

 private:
  void remove_beside(const std::filesystem::path& path);

  std::filesystem::path folder_;
  bool dropped_ = false;
  std::thread remover_;
};

// Whether a store is kept there that was to be replaced by one that has no frame, or was about to
// be moved out of its way, or back.
bool has_replaced(const std::filesystem::path& folder);

// The folder in which that store lies, if all of it does; else empty.
std::filesystem::path replaced_store(const std::filesystem::path& folder);

// Whether something is left of a store that has been replaced.
bool is_replaced_left(const std::filesystem::path& folder);

// Remove it. Throws Error(io).
void remove_replaced(const std::filesystem::path& folder);

// The folder of a store that is there, as imgstore::store_folder() has it. One that has to be put
// back first is not found, and the message says so.
std::filesystem::path existing_folder(const std::filesystem::path& store_or_metadata);

// Whether a store is there only for bring_back_replaced(): whoever was to replace it is dead.
bool must_be_brought_back(const std::filesystem::path& folder);

// Put that store back; what there is of the new one is put aside. Throws Error: exists (it is being
// recorded), io.
void bring_back_replaced(const std::filesystem::path& folder);

}  // namespace avstore::store
