// Which frames a store takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "avstore/writer.h"
#include "imgstore/metadata.h"

namespace avstore::store {

// Frames like the first, which is what the format, the encoding and the frames that are there
// already allow.
class FrameRules {
 public:
  // What is given must outlive it. `decodes`: frames are decoded from options.encoding before they
  // are written.
  FrameRules(const std::filesystem::path& folder, const WriterOptions& options,
             const imgstore::StoreMetadata& metadata, bool decodes);

  // `place` of the frame in the store. What the first one loses goes to options.on_warning. Throws
  // Error(invalid_argument).
  void check(const ImageView& view, std::int64_t place);

 private:
  void require_as_in_store(const ImageView& view) const;
  void require_sensor_data(const ImageView& view) const;
  void warn_of_depth(const ImageView& view) const;
  void warn_of_odd_size(const ImageView& view) const;

  const std::filesystem::path& folder_;
  const WriterOptions& options_;
  const imgstore::StoreMetadata& metadata_;
  bool decodes_;
  std::optional<ImageView> first_;  // its pixels are not looked at
};

}  // namespace avstore::store
