// NumPy's array file format (.npy), version 1.0 to 3.0.
// Source: numpy/lib/format.py, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace avstore::imgstore {

// The header of a .npy file.
struct NpyHeader {
  std::string dtype;  // NumPy type string as in the file: "<f8", "|u1", ">i2", "<U4", "|O"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;  // where the elements start

  std::int64_t element_count() const;
  std::size_t element_size() const;  // bytes; 0 for object arrays, which are never read
};

// Parse and check a header. `file_size` is the size of the whole file: a header that claims more
// elements than the file can hold is corrupt. `name` is for messages.
// Throws Error(corrupt), Error(unsupported) for structured types.
NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, std::size_t file_size,
                           const std::string& name);

// The bytes of a header for a C-order array (version 1.0, padded to 64 bytes as NumPy does).
std::vector<std::uint8_t> npy_header(const std::string& dtype,
                                     std::span<const std::int64_t> shape);

// Elements of a one-dimensional (or scalar) array, converted from any integer or float type.
// `file` is the whole .npy file. Throws Error(corrupt) on other kinds.
std::vector<std::int64_t> npy_to_int64(std::span<const std::uint8_t> file, const std::string& name);
std::vector<double> npy_to_double(std::span<const std::uint8_t> file, const std::string& name);

// The elements in C order and this machine's byte order; `header.shape` unchanged, and
// header.dtype's byte order updated. For numeric and boolean types of any dimension.
std::vector<std::uint8_t> npy_to_c_order(std::span<const std::uint8_t> file, NpyHeader& header,
                                         const std::string& name);

}  // namespace avstore::imgstore
