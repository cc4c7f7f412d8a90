// NumPy's array file format (.npy), version 1.0 to 3.0.
// Source: numpy/lib/format.py,
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace avstore::imgstore {

// The header of a .npy file.
struct NpyHeader {
  std::string dtype;  // NumPy type string as in the file: "<f8", "|u1", ">i2", "<U4", "|O"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;  // where the elements start

  std::int64_t element_count() const;
  std::size_t element_size() const;  // bytes; 0 for object arrays (never read) and empty strings
};

// Parse and check a header. `bytes` are the file's first ones, the header whole; `file_size` is the
// size of the whole file: a header that claims more elements than the file can hold is corrupt.
// `name` is for messages. Throws Error(corrupt), Error(unsupported) for structured types and
// versions of the format after 3.
NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, std::size_t file_size,
                           const std::string& name);

// The bytes of a header (version 1.0, padded to 64 bytes as NumPy does).
// Throws Error(invalid_argument) if `dtype` is no type or an extent is negative.
std::vector<std::uint8_t> npy_header(const std::string& dtype, std::span<const std::int64_t> shape,
                                     bool fortran_order = false);

// Whole .npy files: one-dimensional arrays (<i8, <f8), and scalars of an integer (<i8) and of a
// string (<U, from UTF-8; Error(invalid_argument) if it is none).
std::vector<std::uint8_t> npy_of(std::span<const std::int64_t> values);
std::vector<std::uint8_t> npy_of(std::span<const double> values);
std::vector<std::uint8_t> npy_scalar(std::int64_t value);
std::vector<std::uint8_t> npy_scalar(std::string_view text);

// Elements of a one-dimensional (or scalar) array, converted from any integer, float or boolean
// type. `file` is the whole .npy file. Throws Error(corrupt) on other kinds and, to integers, on
// values that are not whole or do not fit.
std::vector<std::int64_t> npy_to_int64(std::span<const std::uint8_t> file, const std::string& name);
std::vector<double> npy_to_double(std::span<const std::uint8_t> file, const std::string& name);

// The elements in C order and this machine's byte order; sets `header` from the file, with dtype's
// byte order and fortran_order as returned. For numeric (complex too) and boolean types of any
// dimension; Error(unsupported) for others, Error(corrupt).
std::vector<std::uint8_t> npy_to_c_order(std::span<const std::uint8_t> file, NpyHeader& header,
                                         const std::string& name);

}  // namespace avstore::imgstore
