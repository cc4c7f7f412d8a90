// What tools take from a reader that has the store open already.
#pragma once

#include "avstore/reader.h"
#include "imgstore/metadata.h"
#include "store/store_index.h"

namespace avstore::store {

struct ReaderAccess {
  // Both are the reader's own and live as long as it does.
  static SharedIndex& index(Reader& reader);
  static const imgstore::StoreMetadata& metadata(const Reader& reader);
};

}  // namespace avstore::store
