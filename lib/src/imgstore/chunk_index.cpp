#include "imgstore/chunk_index.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "imgstore/json_text.h"
#include "imgstore/npy.h"
#include "imgstore/yaml.h"
#include "imgstore/zip.h"

namespace avstore::imgstore {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxMember = std::uint64_t{1} << 30U;

void for_each_entry(const fs::path& folder,
                    const std::function<void(const fs::directory_entry&)>& visit) {
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      visit(entry);
    }
  } catch (const fs::filesystem_error& error) {
    const bool missing = error.code() == std::errc::no_such_file_or_directory;
    throw Error(missing ? ErrorKind::not_found : ErrorKind::io,
                folder.string() + ": cannot list: " + error.code().message());
  }
}

// What the names of a chunk's index and extra data begin with.
std::string side_file_stem(const StoreMetadata& metadata, std::int64_t chunk) {
  const std::string number = fmt::format("{:06}", chunk);
  return metadata.is_video() ? number : number + "/index";
}

// The number that a chunk's file name says; -1 if it is no chunk's. Only the spelling that
// chunk_path makes counts, so that no two names say the same number.
std::int64_t chunk_number(const std::string& name, const StoreMetadata& metadata) {
  std::int64_t number = -1;
  const auto result = std::from_chars(name.data(), name.data() + name.size(), number);
  return result.ec == std::errc() && number >= 0 && name == chunk_path(metadata, number) ? number
                                                                                         : -1;
}

void find_index(const fs::path& folder, const std::string& stem, ChunkFile& chunk) {
  constexpr std::int64_t kNanoseconds = 1000000000;
  for (const char* extension : {".npz", ".yaml"}) {
    const fs::path candidate = stem + extension;
    struct stat status {};
    if (::stat((folder / candidate).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
      continue;
    }
    chunk.index = candidate;
    chunk.index_bytes = status.st_size;
    chunk.index_changed = status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec;
    return;
  }
}

// Whether a link in the store's folder leads elsewhere.
bool leads_out(const fs::path& folder, const fs::directory_entry& entry) {
  std::error_code error;
  if (!entry.is_symlink(error)) {
    return false;
  }
  const fs::path target = fs::canonical(entry.path(), error);
  const fs::path within = target.lexically_relative(fs::canonical(folder, error));
  return !error && (within.empty() || *within.begin() == "..");
}

bool is_chunk_data(const fs::directory_entry& entry, const StoreMetadata& metadata) {
  std::error_code error;
  return metadata.is_video() ? entry.is_regular_file(error) : entry.is_directory(error);
}

[[noreturn]] void corrupt(const fs::path& file, const std::string& what) {
  throw Error(ErrorKind::corrupt, file.string() + ": " + what);
}

void check_lengths(const fs::path& file, const ChunkIndex& index, ErrorKind kind) {
  if (index.frame_number.size() != index.frame_time.size()) {
    throw Error(kind, fmt::format("{}: {} frame numbers but {} frame times", file.string(),
                                  index.frame_number.size(), index.frame_time.size()));
  }
}

// ---- npz -----------------------------------------------------------------------------------

std::vector<std::uint8_t> read_array(const ZipReader& archive, const fs::path& file,
                                     const std::string& key, std::int64_t most_frames) {
  const std::int64_t member = archive.find(key + ".npy");
  if (member < 0) {
    corrupt(file, "no array " + key);
  }
  constexpr std::uint64_t kHeader = 1U << 16U;
  constexpr std::uint64_t kLargestNumber = 16;
  const std::uint64_t room = kHeader + kLargestNumber * static_cast<std::uint64_t>(most_frames);
  auto array = archive.read(member, std::min(kMaxMember, room));
  const NpyHeader header = parse_npy_header(array, array.size(), file.string() + ": " + key);
  if (header.element_count() > most_frames) {
    corrupt(file,
            fmt::format("lists {} frames, more than its chunk can hold", header.element_count()));
  }
  return array;
}

// These numbers are a record of the past: where they are damaged, the frames are still good.
std::vector<std::int64_t> read_before_reindex(const ZipReader& archive, const fs::path& file,
                                              std::size_t frames) {
  const std::string key(kBeforeReindex);
  if (archive.find(key + ".npy") < 0) {
    return {};
  }
  try {
    const auto most = static_cast<std::int64_t>(frames);
    auto numbers = npy_to_int64(read_array(archive, file, key, most), key);
    return numbers.size() == frames ? numbers : std::vector<std::int64_t>();
  } catch (const Error&) {
    return {};
  }
}

ChunkIndex read_npz(const fs::path& file, std::int64_t most_frames) {
  const ZipReader archive(file);
  const auto name = [&file](const std::string& key) { return file.string() + ": " + key; };
  ChunkIndex index;
  index.frame_number =
      npy_to_int64(read_array(archive, file, "frame_number", most_frames), name("frame_number"));
  index.frame_time =
      npy_to_double(read_array(archive, file, "frame_time", most_frames), name("frame_time"));
  index.before_reindex = read_before_reindex(archive, file, index.frame_number.size());
  return index;
}

// ---- YAML ----------------------------------------------------------------------------------

[[noreturn]] void not_a(const std::string& what, const YamlNode& node) {
  constexpr std::size_t kMostToShow = 40;
  throw YamlError(node.line, node.column,
                  '"' + node.text.substr(0, kMostToShow) + "\" is not a " + what);
}

std::string number_text(const YamlNode& node) {
  const ScalarType type = plain_scalar_type(node.text);
  if (node.kind != YamlNode::Kind::scalar ||
      (type != ScalarType::integer && type != ScalarType::real)) {
    not_a("number", node);
  }
  return scalar_to_json(node.text, type);
}

std::int64_t frame_number_of(const YamlNode& node) {
  const std::string digits = number_text(node);
  const char* end = digits.data() + digits.size();
  std::int64_t number = 0;
  const auto result = std::from_chars(digits.data(), end, number);
  // A float is as good as an integer where it is whole.
  const bool whole = result.ptr == end || std::string_view(result.ptr) == ".0";
  if (result.ec != std::errc() || !whole) {
    not_a("frame number", node);
  }
  return number;
}

double frame_time_of(const YamlNode& node) {
  return json_to_double(number_text(node));
}

const std::vector<YamlNode>& list_of(const YamlNode& root, const std::string& key) {
  const YamlNode* list = find_key(root, key);
  if (list == nullptr || list->kind != YamlNode::Kind::sequence) {
    throw YamlError("no list " + key);
  }
  return list->items;
}

ChunkIndex read_yaml(const fs::path& file) {
  // A number and a time for each frame, and room for other keys.
  constexpr std::size_t kMost = std::size_t{3} * kUsualFrames;
  const std::string text = base::read_text(file, kMostYaml);
  ChunkIndex index;
  try {
    const YamlNode root = parse_yaml(text, BadTags::drop, EqualKeys::keep_last, kMost);
    for (const YamlNode& number : list_of(root, "frame_number")) {
      index.frame_number.push_back(frame_number_of(number));
    }
    for (const YamlNode& time : list_of(root, "frame_time")) {
      index.frame_time.push_back(frame_time_of(time));
    }
  } catch (const YamlError& error) {
    corrupt(file, error.what());
  }
  return index;
}

// ---- writing -------------------------------------------------------------------------------

void check_index(const fs::path& file, const ChunkIndex& index) {
  check_lengths(file, index, ErrorKind::invalid_argument);
  if (!index.before_reindex.empty() && index.before_reindex.size() != index.frame_number.size()) {
    throw Error(ErrorKind::invalid_argument,
                file.string() + ": as many numbers from before as frames are needed");
  }
}

// The arrays with an entry a frame.
std::vector<ZipMember> frame_members(const ChunkIndex& index) {
  std::vector<ZipMember> members;
  const auto add = [&members](std::string_view key, std::vector<std::uint8_t> bytes) {
    members.push_back({std::string(key) + ".npy", std::move(bytes)});
  };
  add("frame_number", npy_of(std::span(index.frame_number)));
  add("frame_time", npy_of(std::span(index.frame_time)));
  if (!index.before_reindex.empty()) {
    add(kBeforeReindex, npy_of(std::span(index.before_reindex)));
  }
  return members;
}

}  // namespace

std::string chunk_path(const StoreMetadata& metadata, std::int64_t chunk) {
  const std::string number = fmt::format("{:06}", chunk);
  return metadata.is_video() ? number + metadata.extension : number;
}

std::string chunk_index_path(const StoreMetadata& metadata, std::int64_t chunk) {
  return side_file_stem(metadata, chunk) + ".npz";
}

std::string chunk_extra_path(const StoreMetadata& metadata, std::int64_t chunk) {
  return side_file_stem(metadata, chunk) + ".extra.json";
}

std::vector<ChunkFile> find_chunks(const fs::path& folder, const StoreMetadata& metadata) {
  std::vector<ChunkFile> chunks;
  for_each_entry(folder, [&](const fs::directory_entry& entry) {
    const fs::path name = entry.path().filename();
    const std::int64_t number = chunk_number(name.string(), metadata);
    if (number >= 0 && is_chunk_data(entry, metadata)) {
      ChunkFile chunk{number, name, {}};
      find_index(folder, side_file_stem(metadata, number), chunk);
      chunks.push_back(std::move(chunk));
    }
  });
  std::sort(chunks.begin(), chunks.end(),
            [](const ChunkFile& a, const ChunkFile& b) { return a.chunk < b.chunk; });
  return chunks;
}

std::vector<fs::path> find_chunks_elsewhere(const fs::path& folder, const StoreMetadata& metadata) {
  std::vector<fs::path> names;
  for_each_entry(folder, [&](const fs::directory_entry& entry) {
    if (leads_out(folder, entry) && chunk_number(entry.path().filename().string(), metadata) >= 0) {
      names.push_back(entry.path().filename());
    }
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::int64_t> find_lost_chunks(const fs::path& folder, const StoreMetadata& metadata) {
  std::set<std::int64_t> lost;  // one chunk may have two indexes
  if (!metadata.is_video()) {
    return {};
  }
  for_each_entry(folder, [&](const fs::directory_entry& entry) {
    const fs::path& file = entry.path();
    const std::string extension = file.extension().string();
    const std::string data = file.stem().string() + metadata.extension;
    const std::int64_t number = chunk_number(data, metadata);
    if (number >= 0 && (extension == ".npz" || extension == ".yaml") &&
        !base::is_there(folder / data)) {
      lost.insert(number);
    }
  });
  return {lost.begin(), lost.end()};
}

ChunkIndex read_chunk_index(const fs::path& file, std::int64_t most_frames) {
  ChunkIndex index = file.extension() == ".yaml" ? read_yaml(file) : read_npz(file, most_frames);
  check_lengths(file, index, ErrorKind::corrupt);
  return index;
}

namespace {

// No frame takes less than a byte of a video, or than a file in a folder.
std::int64_t possible_frames(const fs::path& data) {
  std::error_code error;
  if (!fs::is_directory(data, error)) {
    const auto bytes = fs::file_size(data, error);
    return error ? 0 : static_cast<std::int64_t>(std::min<std::uintmax_t>(bytes, kMostFrames));
  }
  std::int64_t entries = 0;
  for_each_entry(data, [&entries](const fs::directory_entry& /*entry*/) { ++entries; });
  return entries;
}

ChunkIndex read_possible_index(const fs::path& file, const fs::path& data) {
  try {
    return read_chunk_index(file, kUsualFrames);
  } catch (const Error& error) {
    const std::int64_t most = error.kind() == ErrorKind::corrupt ? possible_frames(data) : 0;
    if (most <= kUsualFrames) {
      throw;
    }
    return read_chunk_index(file, most);
  }
}

}  // namespace

ChunkIndex read_chunk_index(const fs::path& folder, const ChunkFile& chunk,
                            const std::function<void(const std::string&)>& warn) {
  if (!chunk.index) {
    throw Error(
        ErrorKind::not_found,
        (folder / chunk.data).string() + ": has no index of frame numbers and times (npz or yaml)");
  }
  try {
    return read_possible_index(folder / *chunk.index, folder / chunk.data);
  } catch (const Error& error) {
    fs::path second = *chunk.index;
    second.replace_extension(".yaml");
    if (second == *chunk.index || !base::is_file(folder / second)) {
      throw;
    }
    ChunkIndex index;
    try {
      index = read_possible_index(folder / second, folder / chunk.data);
    } catch (const Error&) {
      throw error;
    }
    if (warn) {
      warn(std::string(error.what()) + "; " + second.string() + " serves instead");
    }
    return index;
  }
}

std::string chunk_index_checksum(const fs::path& file) {
  try {
    if (file.extension() == ".yaml") {
      base::Hash hash;
      hash.take(base::read_text(file, kMostYaml));
      return hash.text();
    }
    const ZipReader archive(file);
    return fmt::format("{:08x} {:08x}", archive.checksum("frame_number.npy"),
                       archive.checksum("frame_time.npy"));
  } catch (const Error&) {
    return "none";
  }
}

void write_chunk_index(const fs::path& file, const ChunkIndex& index,
                       const StoreMetadata& metadata) {
  check_index(file, index);
  std::vector<ZipMember> members = frame_members(index);
  const auto add = [&members](std::string_view key, std::vector<std::uint8_t> bytes) {
    members.push_back({std::string(key) + ".npy", std::move(bytes)});
  };
  const auto add_text = [&add](std::string_view key, const std::string& text) {
    if (!text.empty()) {
      add(key, npy_scalar(text));
    }
  };
  add_text("extension", metadata.extension);
  add("imgshape", npy_of(std::span(metadata.imgshape)));
  add_text("imgdtype", metadata.imgdtype);
  add("chunksize", npy_scalar(metadata.chunksize));
  add_text("format", metadata.format);
  add_text("class", metadata.store_class);
  add("version", npy_scalar(std::int64_t{metadata.version}));
  add_text("encoding", metadata.encoding);
  add_text("created_utc", metadata.created_utc);
  add_text("timezone_local", metadata.timezone_local);
  add_text("uuid", metadata.uuid);
  base::write_file_atomically(file, std::span<const std::uint8_t>(zip_stored(members)));
}

void rewrite_chunk_index(const fs::path& from, const fs::path& to, const ChunkIndex& index) {
  check_index(to, index);
  std::vector<ZipMember> members = frame_members(index);
  std::set<std::string> done;
  for (const ZipMember& member : members) {
    done.insert(member.name);
  }
  const ZipReader archive(from);
  std::uint64_t room = kMaxMember;  // for all that is kept: members may lie over one another
  for (const std::string& name : archive.names()) {
    if (done.insert(name).second) {
      members.push_back({name, archive.read(archive.find(name), room)});
      room -= members.back().bytes.size();
    }
  }
  base::write_file_atomically(to, std::span<const std::uint8_t>(zip_stored(members)));
}

}  // namespace avstore::imgstore
