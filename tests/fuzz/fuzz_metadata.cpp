// Any bytes as metadata.yaml and as user metadata. What could be read must be fit to be written.
#include <string>

#include "avstore/error.h"
#include "fuzz/scratch.h"
#include "imgstore/metadata.h"

namespace {

namespace imgstore = avstore::imgstore;

void read_store(const avstore::fuzz::Scratch& scratch, std::string_view text) {
  scratch.file("metadata.yaml", text);
  imgstore::StoreMetadata metadata;
  try {
    metadata = imgstore::read_metadata(scratch.path());
  } catch (const avstore::Error&) {
    return;  // a refusal is what a damaged file should get
  }
  imgstore::user_yaml_to_json(metadata.user_yaml);
  imgstore::write_metadata(scratch.path(), metadata);
}

void read_users(const std::string& text) {
  std::string normal;
  try {
    normal = imgstore::normalize_user_yaml(text);
  } catch (const avstore::Error&) {
    return;
  }
  imgstore::user_yaml_to_json(normal);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const avstore::fuzz::Scratch scratch;
  const std::string_view text = avstore::fuzz::as_text(data, size);
  read_store(scratch, text);
  read_users(std::string(text));
  return 0;
}
