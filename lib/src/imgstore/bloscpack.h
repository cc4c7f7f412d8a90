// Bloscpack files (.bpk): a NumPy array, compressed in chunks by Blosc.
// Source: https://github.com/Blosc/bloscpack/blob/master/header_rfc.rst
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace avstore::imgstore {

// Whether this library was built with Blosc. Without, the functions below throw Error(unsupported).
bool has_bloscpack();

// The array in a Bloscpack file, as a .npy file. Sizes are checked against the file before anything
// is allocated; checksums of the kinds adler32 and crc32 are verified, other kinds passed over.
// Throws Error: corrupt, unsupported (another version of the format, a compressor that Blosc was
// built without); messages begin with `name`.
std::vector<std::uint8_t> bloscpack_to_npy(std::span<const std::uint8_t> file,
                                           const std::string& name);

// The Bloscpack file of a .npy file in C order: chunks of 1 MiB, blosclz, shuffled, adler32.
std::vector<std::uint8_t> npy_to_bloscpack(std::span<const std::uint8_t> npy,
                                           const std::string& name);

}  // namespace avstore::imgstore
