// A rig as a YAML file describes it.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/record.h"
#include "avstore/text.h"
#include "base/files.h"
#include "imgstore/yaml.h"
#include "media/encoder_line.h"
#include "tools/camera_names.h"
#include "tools/frame_source.h"

namespace avstore {
namespace {

using imgstore::YamlNode;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::invalid_argument, why);
}

// --- Values: each refuses what it does not understand ---

const std::string& text(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar || node.is_null()) {
    refuse("must be a single value");
  }
  return node.text;
}

template <typename Number>
Number number(const YamlNode& node, Number least, Number most) {
  const std::string& digits = text(node);
  Number value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    refuse("'" + digits + "' is no number of that kind");
  }
  if (!(value >= least && value <= most)) {
    refuse(digits + " is too " + (value < least ? "small" : "large"));
  }
  return value;
}

std::int64_t count(const YamlNode& node) {
  return number<std::int64_t>(node, 1, std::numeric_limits<std::int64_t>::max());
}
int small_count(const YamlNode& node) {
  return number(node, 1, std::numeric_limits<int>::max());
}
int small_natural(const YamlNode& node) {
  return number(node, 0, std::numeric_limits<int>::max());
}
double seconds(const YamlNode& node) {
  return number(node, 0.0, 1e9);
}
double positive_seconds(const YamlNode& node) {
  const double value = seconds(node);
  return value > 0 ? value : (refuse("0 is too small"), 0);
}

bool yes_or_no(const YamlNode& node) {
  if (text(node); node.type != imgstore::ScalarType::boolean) {
    refuse("must be true or false");
  }
  return imgstore::scalar_to_json(node.text, node.type) == "true";
}

std::map<std::string, std::string> assignments(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::map) {
    refuse("must be a map of names and values");
  }
  std::map<std::string, std::string> all;
  for (std::size_t i = 0; i < node.items.size(); i += 2) {
    all.insert_or_assign(node.items[i].text, text(node.items[i + 1]));
  }
  return all;
}

// The user's metadata: what all cameras have, with what this one has instead or besides.
std::string with_metadata(const std::string& common, const YamlNode& own) {
  if (own.kind != YamlNode::Kind::map) {
    refuse("must be a map");
  }
  YamlNode all = common.empty() ? imgstore::yaml_map()
                                : imgstore::parse_yaml(common, imgstore::BadTags::refuse);
  for (std::size_t i = 0; i < own.items.size(); i += 2) {
    if (YamlNode* const there = imgstore::find_key(all, own.items[i].text)) {
      *there = own.items[i + 1];
    } else {
      all.items.insert(all.items.end(), {own.items[i], own.items[i + 1]});
    }
  }
  return imgstore::write_yaml(all);
}

// --- Keys: the options of `avstore record`, without their dashes ---

struct CameraKey {
  std::string_view name;
  void (*set)(CameraOptions& camera, const YamlNode& value);
};

using C = CameraOptions;
using Y = YamlNode;

constexpr CameraKey kOwnKeys[] = {
    {"name",
     [](C& c, const Y& y) {
       tools::require_fit_name(text(y));
       c.name = text(y);
     }},
    {"source", [](C& c, const Y& y) { c.source = text(y); }},
};

// These may be given for all cameras as well.
constexpr CameraKey kCommonKeys[] = {
    {"store", [](C& c, const Y& y) { c.store = text(y); }},
    {"input-format", [](C& c, const Y& y) { c.input_format = text(y); }},
    {"input-option",
     [](C& c, const Y& y) {
       for (const auto& [key, value] : assignments(y)) {
         c.input_options.insert_or_assign(key, value);
       }
     }},
    {"stream", [](C& c, const Y& y) { c.stream = small_natural(y); }},
    {"size", [](C& c, const Y& y) { c.size = size_from_text(text(y)); }},
    {"pixel-format", [](C& c, const Y& y) { c.pixel_format = PixelFormat::from_name(text(y)); }},
    {"clock", [](C& c, const Y& y) { c.clock = clock_from_text(text(y)); }},
    {"reconnect", [](C& c, const Y& y) { c.reconnect = seconds(y); }},
    {"silence", [](C& c, const Y& y) { c.silence = seconds(y); }},
    {"format", [](C& c, const Y& y) { c.writer.format = text(y); }},
    {"chunk-size", [](C& c, const Y& y) { c.writer.chunk_size = count(y); }},
    {"timing", [](C& c, const Y& y) { c.writer.timing = timing_from_text(text(y)); }},
    {"append", [](C& c, const Y& y) { c.append = yes_or_no(y); }},
    {"overwrite", [](C& c, const Y& y) { c.writer.overwrite = yes_or_no(y); }},
    {"encoding", [](C& c, const Y& y) { c.writer.encoding = text(y); }},
    {"metadata",
     [](C& c, const Y& y) { c.writer.metadata_yaml = with_metadata(c.writer.metadata_yaml, y); }},
    {"when-full", [](C& c, const Y& y) { c.writer.when_full = when_full_from_text(text(y)); }},
    {"durability", [](C& c, const Y& y) { c.writer.durability = durability_from_text(text(y)); }},
    {"queue", [](C& c, const Y& y) { c.writer.queue_frames = static_cast<std::size_t>(count(y)); }},
    {"queue-bytes", [](C& c, const Y& y) { c.writer.queue_bytes = bytes_from_text(text(y)); }},
    {"encoder",
     [](C& c, const Y& y) {
       media::require_known_encoder(text(y));
       c.writer.encoder.encoder = text(y);
     }},
    {"encoder-device", [](C& c, const Y& y) { c.writer.encoder.device = text(y); }},
    {"quality", [](C& c, const Y& y) { c.writer.encoder.quality = number(y, 0.0, 100.0); }},
    {"preset", [](C& c, const Y& y) { c.writer.encoder.preset = text(y); }},
    {"keyframe-interval",
     [](C& c, const Y& y) { c.writer.encoder.keyframe_interval = small_count(y); }},
    {"b-frames", [](C& c, const Y& y) { c.writer.encoder.b_frames = small_natural(y); }},
    {"fps", [](C& c, const Y& y) { c.writer.encoder.frame_rate = rate_from_text(text(y)); }},
    {"threads", [](C& c, const Y& y) { c.writer.encoder.threads = small_natural(y); }},
    {"option",
     [](C& c, const Y& y) {
       for (const auto& [key, value] : assignments(y)) {
         c.writer.encoder.options.insert_or_assign(key, value);
       }
     }},
};

struct RigKey {
  std::string_view name;
  void (*set)(RecordOptions& rig, const YamlNode& value);
};

constexpr RigKey kRigKeys[] = {
    {"frames", [](RecordOptions& r, const Y& y) { r.frames = count(y); }},
    {"duration", [](RecordOptions& r, const Y& y) { r.duration = positive_seconds(y); }},
    {"min-free", [](RecordOptions& r, const Y& y) { r.min_free = min_free_from_text(text(y)); }},
    {"status-interval",
     [](RecordOptions& r, const Y& y) { r.status_interval = positive_seconds(y); }},
};

template <typename Keys>
auto find(const Keys& keys, std::string_view name) {
  const auto found =
      std::find_if(std::begin(keys), std::end(keys), [&](const auto& k) { return k.name == name; });
  return found == std::end(keys) ? nullptr : &*found;
}

template <typename Keys>
std::string names(const Keys& keys) {
  std::string all;
  for (const auto& key : keys) {
    all += (all.empty() ? "" : ", ") + std::string(key.name);
  }
  return all;
}

// --- The file ---

class RigFile {
 public:
  explicit RigFile(std::filesystem::path file) : file_(std::move(file)) {}

  RecordOptions read() {
    const YamlNode root = parse();
    if (root.kind != YamlNode::Kind::map || root.items.empty()) {
      fail(1, "", "is no description of a rig: it must be a map with the key cameras");
    }
    const YamlNode* cameras = nullptr;
    CameraOptions common;
    for (std::size_t i = 0; i < root.items.size(); i += 2) {
      const YamlNode& key = root.items[i];
      const YamlNode& value = root.items[i + 1];
      if (key.text == "cameras") {
        cameras = &value;
      } else if (const auto* known = find(kRigKeys, key.text)) {
        at(key, "", [&] { known->set(rig_, value); });
      } else if (const auto* of_camera = find(kCommonKeys, key.text)) {
        at(key, "", [&] { of_camera->set(common, value); });
      } else {
        fail(key.line, "",
             "unknown key '" + key.text + "'; known are cameras, " + names(kRigKeys) +
                 ", and for all cameras " + names(kCommonKeys));
      }
    }
    if (cameras == nullptr || cameras->kind != YamlNode::Kind::sequence || cameras->items.empty()) {
      fail(cameras == nullptr ? 1 : cameras->line, "",
           "needs a list 'cameras' with at least one, each beginning with '- name: '");
    }
    for (const YamlNode& camera : cameras->items) {
      add(camera, common);
    }
    return std::move(rig_);
  }

 private:
  YamlNode parse() const {
    constexpr std::uint64_t kLargest = 1U << 20;
    try {
      return imgstore::parse_yaml(base::read_text(file_, kLargest), imgstore::BadTags::refuse,
                                  imgstore::EqualKeys::refuse);
    } catch (const imgstore::YamlError& error) {
      refuse(file_.string() + ": " + error.what());
    }
  }

  void add(const YamlNode& node, CameraOptions camera) {
    if (node.kind != YamlNode::Kind::map) {
      fail(node.line, "", "a camera must be a map, with name, source and store");
    }
    const YamlNode* const name = imgstore::find_key(node, "name");
    const std::string who = name != nullptr ? "camera '" + name->text + "': " : "a camera: ";
    for (std::size_t i = 0; i < node.items.size(); i += 2) {
      const YamlNode& key = node.items[i];
      const CameraKey* known = find(kOwnKeys, key.text);
      known = known != nullptr ? known : find(kCommonKeys, key.text);
      if (known == nullptr) {
        fail(key.line, who,
             "unknown key '" + key.text + "'; known are " + names(kOwnKeys) + ", " +
                 names(kCommonKeys));
      }
      at(key, who, [&] { known->set(camera, node.items[i + 1]); });
    }
    for (const char* needed : {"name", "source", "store"}) {
      const bool common = std::string_view(needed) == "store" && !camera.store.empty();
      if (!common && imgstore::find_key(node, needed) == nullptr) {
        fail(node.line, who, std::string("lacks the key ") + needed);
      }
    }
    if (!names_.insert(camera.name).second) {
      fail(name != nullptr ? name->line : node.line, who, "another camera has the same name");
    }
    try {
      tools::require_valid_source(camera);
      tools::require_valid_store(camera);
    } catch (const Error& error) {
      fail(node.line, who, error.what());
    }
    require_own_store(node, who, camera);
    rig_.cameras.push_back(std::move(camera));
  }

  void require_own_store(const YamlNode& node, const std::string& who,
                         const CameraOptions& camera) const {
    // Of cameras that begin together, so that the time is the same.
    const auto folder = [](const CameraOptions& of) {
      return tools::store_name(of.store.string(), of.name, "{time}").lexically_normal();
    };
    const YamlNode* const store = imgstore::find_key(node, "store");
    const int line = store != nullptr ? store->line : node.line;  // or it is the one of all cameras
    try {
      const std::filesystem::path own = folder(camera);
      for (const CameraOptions& other : rig_.cameras) {
        if (folder(other) == own) {
          refuse("camera '" + other.name + "' has the same store");
        }
      }
    } catch (const Error& error) {
      fail(line, who + "store: ", error.what());
    }
  }

  template <typename Set>
  void at(const YamlNode& key, const std::string& who, const Set& set) const {
    try {
      set();
    } catch (const Error& error) {
      fail(key.line, who, key.text + ": " + error.what());
    }
  }

  [[noreturn]] void fail(int line, const std::string& who, const std::string& what) const {
    refuse(file_.string() + ": line " + std::to_string(line) + ": " + who + what);
  }

  std::filesystem::path file_;
  RecordOptions rig_;
  std::set<std::string> names_;
};

}  // namespace

RecordOptions read_rig(const std::filesystem::path& file) {
  return RigFile(file).read();
}

}  // namespace avstore
