// Extra data that Motif records, in HDF5: samples of data acquisition, each with its camera frame.
#pragma once

#include <filesystem>

#include "avstore/extra.h"

namespace avstore::imgstore {

// Whether this library was built with HDF5. Without, read_motif_hdf5() throws Error(unsupported).
bool has_hdf5();

// The samples in one file, padding (negative frame numbers) among them. Nothing outside the file is
// read, whatever links are in it, and sizes are checked against it. Throws Error: corrupt,
// not_found. For any thread: HDF5 itself is used by one at a time.
ExtraData read_motif_hdf5(const std::filesystem::path& file);

}  // namespace avstore::imgstore
