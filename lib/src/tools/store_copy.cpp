#include "tools/store_copy.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "avstore/error.h"
#include "avstore/format.h"
#include "chunk/sensor_image.h"
#include "imgstore/metadata.h"
#include "media/codec_table.h"
#include "store/replaced_store.h"

namespace avstore::tools {

bool keeps_sensor_data(const WriterOptions& options, const std::string& encoding) {
  if (media::decodes_sensor_data(options.format)) {
    return !encoding.empty();
  }
  const Format& format = find_format(options.format);
  return !format.video && format.lossless && chunk::holds_sensor_data(format.name, encoding);
}

std::string encoding_of(const std::filesystem::path& store) {
  return imgstore::read_metadata(store::existing_folder(store)).encoding;
}

void tell_of_decoding(const WriterOptions& options, const StoreInfo& source, const Notice& notice) {
  if (notice && !source.encoding.empty() && !keeps_sensor_data(options, source.encoding)) {
    notice(source.path.string() + ": raw " + source.encoding + " data become pictures in " +
           options.format);
  }
}

std::function<void(const std::string&)> warnings_of(const std::filesystem::path& store,
                                                    const Notice& notice) {
  return [name = store.string(), notice](const std::string& text) {
    if (notice) {
      notice(name + ": " + text);
    }
  };
}

WriterOptions taking_all_frames(WriterOptions options) {
  options.when_full = WhenFull::block;
  return options;
}

IndexRange frames_in(IndexRange range, const Reader& source) {
  const std::int64_t count = source.frame_count();
  const IndexRange found{std::max<std::int64_t>(range.begin, 0), std::min(range.end, count)};
  if (found.end <= found.begin) {
    throw Error(ErrorKind::invalid_argument,
                source.info().path.string() + ": no frames in the range from " +
                    std::to_string(found.begin) + " to before " + std::to_string(found.end) +
                    "; the store has " + std::to_string(count));
  }
  return found;
}

WriterOptions with_identity(WriterOptions options, const StoreInfo& source) {
  if (options.metadata_yaml.empty()) {
    options.metadata_yaml = source.metadata_yaml;
  }
  if (options.created_utc.empty()) {
    options.created_utc = source.created_utc;
  }
  if (options.timezone_local.empty()) {
    options.timezone_local = source.timezone_local;
  }
  if (options.encoding.empty() && keeps_sensor_data(options, source.encoding)) {
    options.encoding = source.encoding;
  }
  if (!options.color) {
    options.color = source.color;
  }
  if (options.encoder.frame_rate.num == 0) {
    options.encoder.frame_rate = source.nominal_frame_rate;
  }
  return options;
}

PixelFormat pixels_to_read(const StoreInfo& source) {
  const bool arrays = source.format == "npy" || source.format == "bpk";
  return !arrays && !source.color && source.dtype == "uint8" ? pixel::gray8 : PixelFormat();
}

}  // namespace avstore::tools
