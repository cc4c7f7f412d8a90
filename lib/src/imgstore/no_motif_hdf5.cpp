// Takes the place of motif_hdf5.cpp where the library is built without HDF5.
#include "avstore/error.h"
#include "imgstore/motif_hdf5.h"

namespace avstore::imgstore {

bool has_hdf5() {
  return false;
}

ExtraData read_motif_hdf5(const std::filesystem::path& file) {
  throw Error(ErrorKind::unsupported, file.string() + ": avstore was built without HDF5");
}

}  // namespace avstore::imgstore
