#include "imgstore/metadata.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "imgstore/clock.h"
#include "imgstore/utf8.h"
#include "imgstore/yaml.h"

namespace avstore::imgstore {
namespace {

constexpr std::string_view kMetadataFile = "metadata.yaml";
constexpr std::string_view kStoreKey = "__store";
constexpr std::string_view kOldVideoClass = "VideoImgStoreFFMPEG";
constexpr std::size_t kMaxDimensions = 32;
constexpr std::size_t kMaxKeyLevels = 100;
constexpr int kVersion = 2;
constexpr std::int64_t kDefaultVideoChunk = 10000;
constexpr std::int64_t kDefaultDirectoryChunk = 200;

// ---- checking fields -----------------------------------------------------------------------

// Names what the message is about: a file when reading, an argument when writing.
struct Blame {
  ErrorKind kind;
  std::string name;

  [[noreturn]] void fail(const std::string& what) const { throw Error(kind, name + ": " + what); }
  [[noreturn]] void fail_unsupported(const std::string& what) const {
    throw Error(kind == ErrorKind::corrupt ? ErrorKind::unsupported : kind, name + ": " + what);
  }
};

// The extension becomes part of file names, so nothing that leads out of the folder may be in it.
bool is_extension(std::string_view text) {
  constexpr std::size_t kLongest = 16;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return text.size() > 1 && text.size() <= kLongest && text.front() == '.' &&
         std::all_of(text.begin() + 1, text.end(), is_allowed);
}

bool is_utf8(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    if (next_code_point(text, position) == kInvalidCodePoint) {
      return false;
    }
  }
  return true;
}

void check_shape(const std::vector<std::int64_t>& shape, const Blame& blame) {
  if (shape.size() < 2 || shape.size() > kMaxDimensions) {
    blame.fail("imgshape must be a list such as [480, 640] or [480, 640, 3]");
  }
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || extent > std::numeric_limits<int>::max() ||
        elements > std::numeric_limits<std::int64_t>::max() / std::max<std::int64_t>(extent, 1)) {
      blame.fail(fmt::format("imgshape holds {}, which no image can have", extent));
    }
    elements *= extent;
  }
}

// A time in the form that stores have, whatever other spelling (a zone, a space) it came in.
std::string created_in_usual_form(const std::string& text, const Blame& blame) {
  try {
    return iso8601_utc(unix_seconds(text));
  } catch (const Error& error) {
    blame.fail(std::string("created_utc: ") + error.what());
  }
}

void check_fields(const StoreMetadata& metadata, const Blame& blame) {
  if (metadata.version != kVersion) {
    blame.fail_unsupported(
        fmt::format("version {}: {}; this program knows version {}", metadata.version,
                    metadata.version > kVersion ? "made by a newer program" : "too old", kVersion));
  }
  if (metadata.store_class.empty()) {
    blame.fail("no class");
  }
  if (metadata.store_class != kVideoClass && metadata.store_class != kDirectoryClass) {
    blame.fail_unsupported("class " + metadata.store_class + " is not known");
  }
  if (metadata.format.empty()) {
    blame.fail("no format");
  }
  check_shape(metadata.imgshape, blame);
  if (metadata.imgdtype.empty()) {
    blame.fail("no imgdtype");
  }
  if (metadata.chunksize < 1) {
    blame.fail(fmt::format("chunksize {}: must be 1 or more", metadata.chunksize));
  }
  if (metadata.is_video() && !is_extension(metadata.extension)) {
    blame.fail("extension \"" + metadata.extension + "\" is none, such as .mp4");
  }
  for (const std::string* text :
       {&metadata.format, &metadata.imgdtype, &metadata.encoding, &metadata.created_utc,
        &metadata.timezone_local, &metadata.uuid}) {
    if (!is_utf8(*text)) {
      blame.fail("a field is not UTF-8");
    }
  }
}

// ---- reading -------------------------------------------------------------------------------

// The text of a scalar; nothing if the key is missing or null.
std::optional<std::string> text_field(const YamlNode& store, std::string_view key,
                                      const Blame& blame) {
  const YamlNode* node = find_key(store, key);
  if (node == nullptr || node->is_null()) {
    return std::nullopt;
  }
  if (node->kind != YamlNode::Kind::scalar) {
    blame.fail(fmt::format("line {}: {} must be a single value", node->line, key));
  }
  return node->text;
}

std::int64_t integer_of(const YamlNode& node, std::string_view key, const Blame& blame) {
  std::int64_t value = 0;
  if (node.kind == YamlNode::Kind::scalar) {
    const std::string digits = scalar_to_json(node.text, plain_scalar_type(node.text));
    const char* end = digits.data() + digits.size();
    const auto result = std::from_chars(digits.data(), end, value);
    if (result.ec == std::errc() && result.ptr == end) {
      return value;
    }
  }
  blame.fail(fmt::format("line {}: {} must be an integer", node.line, key));
}

std::optional<std::int64_t> integer_field(const YamlNode& store, std::string_view key,
                                          const Blame& blame) {
  const YamlNode* node = find_key(store, key);
  if (node == nullptr || node->is_null()) {
    return std::nullopt;
  }
  return integer_of(*node, key, blame);
}

int version_field(const YamlNode& store, const Blame& blame) {
  const auto version = integer_field(store, "version", blame);
  if (!version) {
    blame.fail("no version");
  }
  return static_cast<int>(std::clamp<std::int64_t>(*version, std::numeric_limits<int>::min(),
                                                   std::numeric_limits<int>::max()));
}

std::vector<std::int64_t> shape_field(const YamlNode& store, const Blame& blame) {
  const YamlNode* node = find_key(store, "imgshape");
  if (node == nullptr || node->kind != YamlNode::Kind::sequence) {
    blame.fail("no imgshape, the list of rows, columns and channels");
  }
  std::vector<std::int64_t> shape;
  for (const YamlNode& item : node->items) {
    shape.push_back(integer_of(item, "each number in imgshape", blame));
  }
  return shape;
}

std::string default_extension(const StoreMetadata& metadata) {
  if (!metadata.is_video()) {
    return "";
  }
  return metadata.format == "mjpeg" ? ".avi" : ".mp4";
}

double modification_time(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw Error(ErrorKind::io, file.string() + ": cannot stat: " + std::strerror(errno), errno);
  }
  return static_cast<double>(status.st_mtim.tv_sec) +
         static_cast<double>(status.st_mtim.tv_nsec) * 1e-9;
}

std::string default_created(const std::filesystem::path& folder, const std::string& zone) {
  std::error_code unknown;
  const auto absolute = std::filesystem::absolute(folder, unknown).lexically_normal();
  const auto name =
      absolute.has_filename() ? absolute.filename() : absolute.parent_path().filename();
  const auto named = time_in_folder_name(name.string(), zone);
  return iso8601_utc(named ? *named : modification_time(folder / kMetadataFile));
}

std::string user_timezone(const YamlNode& root) {
  const YamlNode* zone = find_key(root, "timezone");
  return zone != nullptr && zone->kind == YamlNode::Kind::scalar && !zone->is_null() ? zone->text
                                                                                     : "";
}

void read_required_fields(const YamlNode& store, const Blame& blame, StoreMetadata& metadata) {
  metadata.version = version_field(store, blame);
  if (metadata.version != kVersion) {
    return check_fields(metadata, blame);
  }
  metadata.store_class = text_field(store, "class", blame).value_or("");
  if (metadata.store_class == kOldVideoClass) {
    metadata.store_class = kVideoClass;
  }
  metadata.format = text_field(store, "format", blame).value_or("");
  metadata.imgshape = shape_field(store, blame);
}

// The writer's names "png+color" and so on say that it decoded sensor data: what is stored is plain
// colour in files of the first kind.
void read_decoded_format(StoreMetadata& metadata) {
  constexpr std::string_view kDecoded = "+color";
  if (metadata.store_class == kDirectoryClass && metadata.format.ends_with(kDecoded)) {
    metadata.format.resize(metadata.format.size() - kDecoded.size());
    metadata.encoding.clear();
  }
}

void read_optional_fields(const YamlNode& store, const Blame& blame, StoreMetadata& metadata) {
  const auto text = [&](std::string_view key, const std::string& missing) {
    return text_field(store, key, blame).value_or(missing);
  };
  metadata.extension = text("extension", default_extension(metadata));
  metadata.imgdtype = text("imgdtype", "uint8");
  metadata.encoding = text("encoding", "");
  metadata.timezone_local = text("timezone_local", "");
  metadata.uuid = text("uuid", "");
  metadata.created_utc = text("created_utc", "");
  metadata.chunksize =
      integer_field(store, "chunksize", blame)
          .value_or(metadata.is_video() ? kDefaultVideoChunk : kDefaultDirectoryChunk);
}

YamlNode parse_metadata_file(const std::filesystem::path& file, const Blame& blame) {
  try {
    return parse_yaml(base::read_text(file, kMostYaml), BadTags::drop);
  } catch (const YamlError& error) {
    blame.fail(error.what());
  }
}

std::string user_part(YamlNode root, const Blame& blame) {
  auto& items = root.items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == kStoreKey) {
      items.erase(items.begin() + static_cast<std::ptrdiff_t>(i),
                  items.begin() + static_cast<std::ptrdiff_t>(i + 2));
      break;
    }
  }
  try {
    return write_yaml(root);
  } catch (const YamlError& error) {
    blame.fail(error.what());
  }
}

// ---- the user's metadata -------------------------------------------------------------------

const Blame& user_blame() {
  static const Blame blame{ErrorKind::invalid_argument, "user metadata"};
  return blame;
}

YamlNode parse_user_value(const std::string& yaml, const Blame& blame) {
  try {
    return parse_yaml(yaml, BadTags::refuse);
  } catch (const YamlError& error) {
    blame.fail(error.what());
  }
}

// A map, empty for no metadata.
YamlNode parse_user_map(const std::string& yaml) {
  YamlNode root = parse_user_value(yaml, user_blame());
  if (root.is_null()) {
    return yaml_map();
  }
  if (root.kind != YamlNode::Kind::map || !root.tag.empty()) {
    user_blame().fail("must be a map of keys to values");
  }
  if (find_key(root, kStoreKey) != nullptr) {
    user_blame().fail("the key __store is the store's own");
  }
  return root;
}

std::string write_user_map(const YamlNode& root) {
  try {
    return write_yaml(root);
  } catch (const YamlError& error) {
    user_blame().fail(error.what());
  }
}

std::vector<std::string> split_key(const std::string& key) {
  std::vector<std::string> levels(1);
  for (const char c : key) {
    if (c == '.') {
      levels.emplace_back();
    } else {
      levels.back() += c;
    }
  }
  const bool empty = std::any_of(levels.begin(), levels.end(),
                                 [](const std::string& level) { return level.empty(); });
  if (empty || levels.size() > kMaxKeyLevels || !is_utf8(key)) {
    user_blame().fail("\"" + key + "\" is no key");
  }
  return levels;
}

YamlNode& child(YamlNode& map, const std::string& key) {
  YamlNode* found = find_key(map, key);
  if (found != nullptr) {
    return *found;
  }
  map.items.push_back(yaml_text(key));
  map.items.push_back(yaml_null());
  return map.items.back();
}

// ---- writing -------------------------------------------------------------------------------

YamlNode store_node(const StoreMetadata& metadata) {
  YamlNode store = yaml_map();
  const auto add = [&store](std::string_view key, YamlNode value) {
    store.items.push_back(yaml_text(std::string(key)));
    store.items.push_back(std::move(value));
  };
  const auto add_text = [&add](std::string_view key, const std::string& text) {
    if (!text.empty()) {
      add(key, yaml_text(text));
    }
  };
  YamlNode shape;
  shape.kind = YamlNode::Kind::sequence;
  for (const std::int64_t extent : metadata.imgshape) {
    shape.items.push_back(yaml_integer(extent));
  }
  add("chunksize", yaml_integer(metadata.chunksize));
  add_text("class", metadata.store_class);
  add_text("created_utc", metadata.created_utc);
  add("encoding", metadata.encoding.empty() ? yaml_null() : yaml_text(metadata.encoding));
  add_text("extension", metadata.extension);
  add_text("format", metadata.format);
  add_text("imgdtype", metadata.imgdtype);
  add("imgshape", std::move(shape));
  add_text("timezone_local", metadata.timezone_local);
  add_text("uuid", metadata.uuid);
  add("version", yaml_integer(metadata.version));
  return store;
}

// Arrays come back as they are, and a sensor's channels are what its encoding says.
bool are_pictures(const StoreMetadata& metadata) {
  return metadata.format != "npy" && metadata.format != "bpk" && metadata.encoding.empty();
}

}  // namespace

bool is_color(const StoreMetadata& metadata) {
  return metadata.imgshape.size() > 2 && metadata.imgshape.back() != 1;
}

std::vector<std::int64_t> image_shape(const StoreMetadata& metadata) {
  std::vector<std::int64_t> shape = metadata.imgshape;
  if (are_pictures(metadata) && !is_color(metadata)) {
    shape.resize(2);
  }
  return shape;
}

std::filesystem::path folder_named(const std::filesystem::path& store_or_metadata) {
  if (store_or_metadata.filename() != kMetadataFile) {
    return store_or_metadata;
  }
  const std::filesystem::path parent = store_or_metadata.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

std::filesystem::path store_folder(const std::filesystem::path& store_or_metadata) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto status = fs::status(store_or_metadata, error);
  if (!fs::exists(status)) {
    throw Error(ErrorKind::not_found, store_or_metadata.string() + ": no such store");
  }
  if (!fs::is_directory(status)) {
    if (store_or_metadata.filename() == kMetadataFile) {
      return folder_named(store_or_metadata);
    }
    throw Error(ErrorKind::not_found,
                store_or_metadata.string() + ": not a store (a folder with metadata.yaml in it)");
  }
  if (!fs::exists(store_or_metadata / kMetadataFile, error)) {
    throw Error(ErrorKind::not_found, store_or_metadata.string() + ": no metadata.yaml in it");
  }
  return store_or_metadata;
}

namespace {

void read_times(const std::filesystem::path& folder, const YamlNode& root, const std::string& file,
                StoreMetadata& metadata) {
  if (metadata.timezone_local.empty()) {
    metadata.timezone_local = user_timezone(root);
  }
  const std::string& zone = metadata.timezone_local;
  if (!zone.empty() && !is_timezone(zone)) {
    metadata.doubts.push_back(file + ": time zone \"" + zone +
                              "\" is not known; local times are given in UTC");
  }
  const std::string stated = std::exchange(metadata.created_utc, "");
  if (!stated.empty()) {
    try {
      metadata.created_utc = iso8601_utc(unix_seconds(stated));
      return;
    } catch (const Error& error) {
      metadata.doubts.push_back(file + ": created_utc: " + error.what() +
                                "; the store's folder or files tell when it was made instead");
    }
  }
  metadata.created_utc = default_created(folder, user_timezone(root));
}

}  // namespace

StoreMetadata read_metadata(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kMetadataFile;
  const Blame blame{ErrorKind::corrupt, file.string()};
  YamlNode root = parse_metadata_file(file, blame);
  const YamlNode* store = find_key(root, kStoreKey);
  if (store == nullptr || store->kind != YamlNode::Kind::map) {
    blame.fail("no __store, the part that describes the store");
  }
  StoreMetadata metadata;
  read_required_fields(*store, blame, metadata);
  read_optional_fields(*store, blame, metadata);
  read_decoded_format(metadata);
  check_fields(metadata, blame);
  read_times(folder, root, file.string(), metadata);
  metadata.user_yaml = user_part(std::move(root), blame);
  return metadata;
}

void write_metadata(const std::filesystem::path& folder, const StoreMetadata& metadata) {
  const std::filesystem::path file = folder / kMetadataFile;
  const Blame blame{ErrorKind::invalid_argument, file.string()};
  check_fields(metadata, blame);
  if (!metadata.created_utc.empty()) {
    created_in_usual_form(metadata.created_utc, blame);
  }
  YamlNode root = parse_user_map(metadata.user_yaml);
  YamlNode whole = yaml_map();
  whole.items.push_back(yaml_text(std::string(kStoreKey)));
  whole.items.push_back(store_node(metadata));
  std::move(root.items.begin(), root.items.end(), std::back_inserter(whole.items));
  base::write_file_atomically(file, write_user_map(whole));
}

std::string normalize_user_yaml(const std::string& yaml) {
  return write_user_map(parse_user_map(yaml));
}

std::string user_yaml_to_json(const std::string& yaml) {
  const YamlNode root = parse_user_map(yaml);
  return root.items.empty() ? "null" : yaml_to_json(root);
}

std::string set_user_key(const std::string& yaml, const std::string& key,
                         const std::string& value) {
  YamlNode root = parse_user_map(yaml);
  YamlNode* node = &root;
  for (const std::string& level : split_key(key)) {
    if (node->is_null()) {
      *node = yaml_map();
    }
    if (node->kind != YamlNode::Kind::map) {
      user_blame().fail(
          fmt::format("cannot set {}: what is above \"{}\" is not a map", key, level));
    }
    node = &child(*node, level);
  }
  *node = parse_user_value(value, {ErrorKind::invalid_argument, "the value of " + key});
  // Once more through the checks: the key may be __store, the whole too deep or too large.
  return normalize_user_yaml(write_user_map(root));
}

std::string new_uuid() {
  std::random_device random;
  std::array<std::uint32_t, 4> words{};
  for (std::uint32_t& word : words) {
    word = random();
  }
  // RFC 4122: the version in the 13th digit, the variant in the top bits of the 17th.
  words[1] = (words[1] & 0xFFFF0FFFU) | 0x00004000U;
  words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", words[0], words[1], words[2], words[3]);
}

}  // namespace avstore::imgstore
