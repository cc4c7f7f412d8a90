// Changing several files of a store together, so that being killed midway leaves the store as it
// was or as it was to become.
//
// The new files are made in `.staged.partial`, at the places that they are to have in the store,
// and flushed to disk. Renaming that folder to `.staged` is the moment at which the change happens:
// from then on a file in `.staged` counts instead of its namesake in the store. Then they are moved
// into place one by one, the database last. Whoever opens the store next ends what was left undone.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace avstore::store {

// What every name of such a folder begins with.
inline constexpr const char* kStagedFolder = ".staged";

class StagedChange {
 public:
  // Whoever makes one holds the store's lock (base::FileLock). Throws Error(io).
  explicit StagedChange(std::filesystem::path folder);
  // Takes back what was not committed.
  ~StagedChange();
  StagedChange(const StagedChange&) = delete;
  StagedChange& operator=(const StagedChange&) = delete;

  // Where to write what shall become FOLDER/relative.
  std::filesystem::path place(const std::filesystem::path& relative) const;
  // All that was placed, relative to the store's folder; the database last, then what SQLite keeps
  // beside it. Throws Error(io).
  std::vector<std::filesystem::path> files() const;
  // An index file 000000.npz that is put in place takes 000000.yaml away.
  void commit();

 private:
  std::filesystem::path folder_;
  std::filesystem::path partial_;
};

// The file that counts as FOLDER/relative.
std::filesystem::path current_file(const std::filesystem::path& folder,
                                   const std::filesystem::path& relative);

// Whether a change was begun to be put in place, and not ended.
bool has_staged_change(const std::filesystem::path& folder);

// End it; nothing to do if there is none. The caller holds the lock (base::FileLock). Throws
// Error(io).
void finish_staged_change(const std::filesystem::path& folder);

}  // namespace avstore::store
