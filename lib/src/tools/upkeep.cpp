// Small work on a store in its place: its index made anew, its frames removed.
#include "avstore/tools.h"
#include "imgstore/metadata.h"
#include "store/replaced_store.h"
#include "store/store_folder.h"
#include "store/store_index.h"

namespace avstore {

std::int64_t rebuild_index(const std::filesystem::path& store, const Notice& notice) {
  return store::rebuild_index(store::existing_folder(store), [&notice](const std::string& text) {
    if (notice) {
      notice(text);
    }
  });
}

void empty_store(const std::filesystem::path& store) {
  const std::filesystem::path folder = store::existing_folder(store);
  static_cast<void>(imgstore::read_metadata(folder));  // is it one?
  store::empty_store(folder);
}

}  // namespace avstore
