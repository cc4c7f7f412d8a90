// What tools that make a store of another one's frames have in common.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"

namespace avstore::tools {

// Whether a copy of a store of that encoding gets the sensor's own data: formats of images without
// loss that have the channels for them, and those that decode while writing. All others get the
// pictures in them.
bool keeps_sensor_data(const WriterOptions& options, const std::string& encoding);
// That of a store.
std::string encoding_of(const std::filesystem::path& store);
// Tells the user of data that a copy has as pictures.
void tell_of_decoding(const WriterOptions& options, const StoreInfo& source, const Notice& notice);

// Tells the user of the writer's warnings, under the name that the store is to have.
std::function<void(const std::string&)> warnings_of(const std::filesystem::path& store,
                                                    const Notice& notice);

// A source that can be read at any time can wait: no frame is left out when the queue is full.
WriterOptions taking_all_frames(WriterOptions options);

// What there is of a range. Throws Error(invalid_argument) if that is nothing.
IndexRange frames_in(IndexRange range, const Reader& source);

// Metadata, creation time, zone and colour of the source, where the options do not say otherwise.
WriterOptions with_identity(WriterOptions options, const StoreInfo& source);

// Gray stores hold colour planes in most video codecs; only the luma counts. Empty: as they are.
PixelFormat pixels_to_read(const StoreInfo& source);

}  // namespace avstore::tools
