// avstore/extra.h: all extra data of a store, from whichever files hold them.
#include "avstore/extra.h"

#include "avstore/error.h"
#include "imgstore/extra_table.h"
#include "imgstore/metadata.h"
#include "store/extra_records.h"

namespace avstore {

ExtraData read_extra(const std::filesystem::path& store, const ExtraOptions& options) {
  ExtraData all;
  for (const store::ExtraSource& source : store::extra_sources(imgstore::store_folder(store))) {
    try {
      imgstore::append_extra(all, store::read_source(source));
    } catch (const Error& error) {
      if (!options.ignore_corrupt) {
        throw;
      }
      if (options.on_warning) {
        options.on_warning(std::string(error.what()) + "; left out");
      }
    }
  }
  return all;
}

}  // namespace avstore
