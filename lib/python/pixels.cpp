#include "pixels.h"

#include <avstore/error.h>

#include <limits>
#include <string_view>
#include <utility>
#include <vector>

namespace avstore::python {
namespace {

namespace py = pybind11;

// A pixel format whose memory is an array as it stands.
struct Layout {
  const char* format;
  const char* dtype;
  py::ssize_t channels;  // 0: two dimensions
};

constexpr Layout kLayouts[] = {
    {"gray8", "|u1", 0},    {"gray16", "<u2", 0},   {"bgr24", "|u1", 3},   {"rgb24", "|u1", 3},
    {"bgra", "|u1", 4},     {"rgba", "|u1", 4},     {"bgr48le", "<u2", 3}, {"rgb48le", "<u2", 3},
    {"bgra64le", "<u2", 4}, {"rgba64le", "<u2", 4},
};

const Layout* layout_of(PixelFormat format) {
  for (const Layout& layout : kLayouts) {
    if (layout.format == format.name()) {
      return &layout;
    }
  }
  return nullptr;
}

std::string known_layouts() {
  std::string names;
  for (const Layout& layout : kLayouts) {
    names += (names.empty() ? "" : ", ") + std::string(layout.format);
  }
  return names;
}

bool is_halved_chroma(PixelFormat format) {
  return format == pixel::yuv420p || format == pixel::nv12;
}

std::vector<py::ssize_t> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

std::string dtype_of(const py::array& array) {
  return array.dtype().attr("str").cast<std::string>();
}

std::string describe(const py::array& array) {
  return py::str("{} {}").format(array.dtype(), py::tuple(array.attr("shape"))).cast<std::string>();
}

[[noreturn]] void refuse(const py::array& array, const std::string& why) {
  throw Error(ErrorKind::invalid_argument,
              "an image that is an array of " + describe(array) + " " + why);
}

bool fits(const py::array& array, const Layout& layout) {
  const bool channels = layout.channels == 0
                            ? array.ndim() == 2
                            : array.ndim() == 3 && array.shape(2) == layout.channels;
  return channels && dtype_of(array) == layout.dtype;
}

// Elements of a row lie next to one another, and rows behind one another.
bool has_plain_rows(const py::array& array) {
  py::ssize_t next = array.itemsize();
  for (py::ssize_t axis = array.ndim() - 1; axis > 0; --axis) {
    if (array.strides(axis) != next && array.shape(axis) != 1) {
      return false;
    }
    next *= array.shape(axis);
  }
  return array.strides(0) >= next;
}

int extent(const py::array& array, py::ssize_t axis) {
  const py::ssize_t value = array.shape(axis);
  if (value < 1 || value > std::numeric_limits<int>::max()) {
    refuse(array, "is empty or too large");
  }
  return static_cast<int>(value);
}

ImageView planar_view(const py::array& array, PixelFormat format) {
  const int rows = extent(array, 0);
  const int width = extent(array, 1);
  if (array.ndim() != 2 || dtype_of(array) != "|u1" || rows % 3 != 0 || width % 2 != 0) {
    refuse(array, "is no " + std::string(format.name()) +
                      ", which is uint8 of 3/2 of the image's rows and an even number of columns");
  }
  return contiguous_view(format, width, rows / 3 * 2, array.data());
}

ImageView array_view(const py::array& array) {
  if (array.size() == 0) {
    refuse(array, "is empty");
  }
  ImageView view;
  view.format = pixel::array;
  view.height = extent(array, 0);
  view.width = extent(array, 1);
  view.planes[0] = static_cast<const std::uint8_t*>(array.data());
  view.strides[0] = array.strides(0);
  view.array.dtype = dtype_of(array);
  for (const py::ssize_t size : shape_of(array)) {
    view.array.shape.push_back(size);
  }
  return view;
}

PixelFormat usual_format(const py::array& array) {
  for (const Layout& layout : kLayouts) {
    const PixelFormat format = PixelFormat::from_name(layout.format);
    const bool usual = format == pixel::gray8 || format == pixel::gray16 ||
                       format == pixel::bgr24 || format == pixel::bgra || format == pixel::bgr48 ||
                       format == pixel::bgra64;
    if (usual && fits(array, layout)) {
      return format;
    }
  }
  return pixel::array;
}

ImageView view_of(const py::array& array, PixelFormat format) {
  if (format == pixel::array) {
    return array_view(array);
  }
  if (is_halved_chroma(format)) {
    return planar_view(array, format);
  }
  const Layout* layout = layout_of(format);
  if (layout == nullptr || !fits(array, *layout)) {
    refuse(array, "is no " + std::string(format.name()));
  }
  return packed_view(format, extent(array, 1), extent(array, 0), array.data(), array.strides(0));
}

}  // namespace

PixelFormat packed_format(const std::string& name) {
  if (name.empty()) {
    return {};
  }
  const PixelFormat format = PixelFormat::from_name(name);
  if (layout_of(format) == nullptr) {
    throw Error(ErrorKind::invalid_argument,
                "pixel format '" + name + "' is no array of rows; there are " + known_layouts());
  }
  return format;
}

ArrayType array_type(const ImageView& image) {
  if (image.format == pixel::array) {
    return {image.array.dtype, {image.array.shape.begin(), image.array.shape.end()}};
  }
  const Layout* layout = layout_of(image.format);
  if (layout == nullptr) {
    throw Error(ErrorKind::unsupported, "an image of " + std::string(image.format.name()) +
                                            " is no array; ask for another pixel_format");
  }
  ArrayType type{layout->dtype, {image.height, image.width}};
  if (layout->channels != 0) {
    type.shape.push_back(layout->channels);
  }
  return type;
}

ArrayType element_type(const py::array& array) {
  return {dtype_of(array), {array.shape() + 1, array.shape() + array.ndim()}};
}

std::string to_text(const ArrayType& type) {
  std::string extents;
  for (const std::int64_t extent : type.shape) {
    extents += (extents.empty() ? "" : ", ") + std::to_string(extent);
  }
  return type.dtype + " [" + extents + "]";
}

py::array to_array(Image image, bool writable) {
  const ArrayType type = array_type(image.view());
  const py::dtype dtype(type.dtype);
  const std::vector<py::ssize_t> shape(type.shape.begin(), type.shape.end());
  std::vector<py::ssize_t> strides(shape.size(), dtype.itemsize());
  for (std::size_t axis = shape.size() - 1; axis > 1; --axis) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  strides[0] = image.stride();
  auto* const owned = new Image(std::move(image));
  const py::capsule owner(owned, [](void* pointer) { delete static_cast<Image*>(pointer); });
  py::array array(dtype, shape, strides, owned->data(), owner);
  if (!writable) {
    array.attr("setflags")(py::arg("write") = false);
  }
  return array;
}

ArrayImage to_image(const py::array& array, const PixelFormat& format) {
  if (std::string_view("biufc").find(array.dtype().kind()) == std::string_view::npos) {
    throw py::type_error("an image that is an array of " + describe(array) + " has no numbers");
  }
  if (array.ndim() != 2 && array.ndim() != 3) {
    refuse(array, "has no two or three dimensions");
  }
  py::array plain = array;
  const bool whole = is_halved_chroma(format);
  if (array.size() > 0 &&
      (!has_plain_rows(array) || (whole && !(array.flags() & py::array::c_style)))) {
    plain = py::array::ensure(array, py::array::c_style);
  }
  const ImageView view = view_of(plain, format.empty() ? usual_format(plain) : format);
  return {std::move(plain), view};
}

}  // namespace avstore::python
