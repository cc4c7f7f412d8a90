// avstore/extra.h: all extra data of a store, from whichever files hold them.
#include "avstore/extra.h"

#include "imgstore/extra_table.h"
#include "store/extra_records.h"

namespace avstore {

ExtraData read_extra(const std::filesystem::path& store, const ExtraOptions& options) {
  ExtraData all;
  store::for_each_source(store, options, [&all](const store::ExtraSource& source) {
    imgstore::append_extra(all, store::read_source(source));
  });
  return all;
}

}  // namespace avstore
