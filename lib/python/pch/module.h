// Headers that most files of the Python module include, compiled once.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
