// Images as NumPy arrays, and arrays as images, without copies.
#pragma once

#include <avstore/image.h>
#include <pybind11/numpy.h>

#include <cstdint>
#include <string>
#include <vector>

namespace avstore::python {

// The pixel format of that name; empty for no name. Throws Error(invalid_argument) for one whose
// pixels are no array of rows and columns.
PixelFormat packed_format(const std::string& name);

// An array of the image's own memory, which it keeps alive: [rows, columns] or [rows, columns,
// channels]; rows may be padded.
pybind11::array to_array(Image image, bool writable);

// Element type (as NumPy writes it, "<u2") and shape of the array that an image or another array
// is.
struct ArrayType {
  std::string dtype;
  std::vector<std::int64_t> shape;
  bool operator==(const ArrayType&) const = default;
};
// Throws Error(unsupported) for pixels that are no array.
ArrayType array_type(const ImageView& image);
// Of what `array` holds along its first axis. With the GIL held.
ArrayType element_type(const pybind11::array& array);
// Such as "<u2 [480, 640]".
std::string to_text(const ArrayType& type);

// A view of an array, and the array it is of: a copy of the one given where its rows are no plain
// memory. Valid as long as that array is.
struct ArrayImage {
  pybind11::array array;
  ImageView view;
};

// `format` says what the numbers mean. Empty: gray (two dimensions), B, G, R or B, G, R, A of
// uint8 and uint16, and arrays as they are otherwise. Planar YUV 4:2:0 is an array of 3/2 of
// the image's rows. Throws Error(invalid_argument) where shape or type do not fit, and
// pybind11::type_error where elements are no numbers.
ArrayImage to_image(const pybind11::array& array, const PixelFormat& format);

}  // namespace avstore::python
