// Files of somebody's own, which lie beside a stranger's store and must stay as they are.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::fuzz {

class WatchedFolder {
 public:
  // Makes the folder. `video` is a video file to be in it, `store` a store.
  WatchedFolder(std::filesystem::path folder, const std::filesystem::path& video,
                const std::filesystem::path& store);

  // What a link in the store may lead to.
  static constexpr auto kPlaces = std::to_array<std::string_view>(
      {"note.txt",   // text
       "video.mp4",  // of which nothing may be written, but read all
       "pictures",   // a folder of images, named as those of a chunk
       "store",      // another store
       "store/metadata.yaml",
       "database.sqlite",   // a good one
       "journaled.sqlite",  // SQLite removes victim.txt when it opens it
       "empty",             // a folder
       "nothing",           // is not there
       "fifo",
       "endless",   // a device that never ends
       "sparse"});  // a file of 1 TiB in a few blocks
  std::filesystem::path place(std::string_view name) const { return folder_ / name; }

  // What has changed since it was made; empty if nothing has: names, contents, modes, times of
  // change, and links.
  std::string changes() const;

 private:
  std::vector<std::string> listing() const;

  std::filesystem::path folder_;
  std::vector<std::string> listed_;
};

}  // namespace avstore::fuzz
