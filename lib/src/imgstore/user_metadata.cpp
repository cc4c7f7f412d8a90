// avstore/metadata.h
#include "avstore/metadata.h"

#include "imgstore/metadata.h"

namespace avstore {

std::string set_metadata(const std::string& yaml, const std::string& key,
                         const std::string& value) {
  return imgstore::set_user_key(yaml, key, value);
}

std::string metadata_to_json(const std::string& yaml) {
  return imgstore::user_yaml_to_json(yaml);
}

}  // namespace avstore
