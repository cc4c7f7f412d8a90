// Options of the library from dictionaries that the package fills: every key is known, and its
// value has the type of the field.
#pragma once

#include <avstore/tools.h>
#include <pybind11/pybind11.h>

namespace avstore::python {

// Keys: encoder, device, quality, preset, keyframe_interval, b_frames, frame_rate (as (num, den)),
// threads, options. Those that are left out keep the library's defaults.
EncoderOptions encoder_options(const pybind11::dict& given);

// The fields of WriterOptions by name but for on_warning, with those of the encoder beside them.
WriterOptions writer_options(const pybind11::dict& given);

}  // namespace avstore::python
