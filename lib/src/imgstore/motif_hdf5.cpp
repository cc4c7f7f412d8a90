#include "imgstore/motif_hdf5.h"

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "avstore/error.h"
#include "base/files.h"

namespace avstore::imgstore {
namespace {

namespace fs = std::filesystem;

// Deflate makes at most 1032 bytes of one; what claims more is a lie that would cost memory.
constexpr std::uint64_t kMostExpansion = 2000;
constexpr std::size_t kLongestText = std::size_t{1} << 20U;

[[noreturn]] void corrupt(const fs::path& file, const std::string& what) {
  throw Error(ErrorKind::corrupt, file.string() + ": " + what);
}

// An object of HDF5's and the function that lets go of it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) {
      close_(id_);
    }
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// HDF5 prints its errors unless told not to; the setting is the process's, so it is put back.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// Whether numbers of this type are of a usual kind. HDF5 trusts what a file says of others, where
// their bits are and how many, and reads wherever that leads.
bool is_usual_number(hid_t type) {
  for (const hid_t usual :
       {H5T_STD_I8LE, H5T_STD_I16LE, H5T_STD_I32LE, H5T_STD_I64LE, H5T_STD_U8LE, H5T_STD_U16LE,
        H5T_STD_U32LE, H5T_STD_U64LE, H5T_STD_I16BE, H5T_STD_I32BE, H5T_STD_I64BE, H5T_STD_U16BE,
        H5T_STD_U32BE, H5T_STD_U64BE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE,
        H5T_IEEE_F64BE}) {
    if (H5Tequal(type, usual) > 0) {
      return true;
    }
  }
  return false;
}

class MotifFile {
 public:
  // The size is looked at before HDF5 opens the file: it would wait at a pipe.
  explicit MotifFile(const fs::path& file)
      : path_(file), size_(static_cast<std::uint64_t>(base::file_size(file))), file_(open(file)) {}

  ExtraData read() {
    ExtraData data;
    read_camera(data);
    std::set<std::string> done;  // one named again and again would take its memory each time
    for (const std::string& name : split(text_attribute(file_.get(), "datasets"))) {
      if (!done.insert(name).second) {
        corrupt(path_, "names dataset " + name + " twice");
      }
      read_dataset(name, data);
    }
    if (H5Lexists(file_.get(), kDelay, H5P_DEFAULT) > 0) {
      const Handle delay = open_dataset(kDelay);
      require_samples(extents(delay, kDelay, 1), data);
      add_column(data, kDelay, "", read_all<double>(delay, H5T_NATIVE_DOUBLE, data.size(), kDelay));
    }
    return data;
  }

 private:
  static constexpr const char* kCamera = "camera";
  static constexpr const char* kDelay = "sample_delay";
  static constexpr std::size_t kLargestElement = 65536;

  static Handle open(const fs::path& file) {
    Handle opened(H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (!opened.valid()) {
      corrupt(file, "not an HDF5 file, or a damaged one");
    }
    return opened;
  }

  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::size_t first = text.find_first_not_of(' ', begin);
      if (first < end) {
        const std::size_t last = text.find_last_not_of(' ', end - 1);
        parts.push_back(text.substr(first, last - first + 1));
      }
      begin = end + 1;
    }
    return parts;
  }

  // ---- attributes --------------------------------------------------------------------------

  std::string text_attribute(hid_t object, const char* name) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    if (!attribute.valid()) {
      corrupt(path_, std::string("no attribute ") + name);
    }
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    const Handle space(H5Aget_space(attribute.get()), H5Sclose);
    if (H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1) {
      corrupt(path_, std::string("attribute ") + name + " must be one string");
    }
    return H5Tis_variable_str(type.get()) > 0 ? long_text(attribute, type, space, name)
                                              : short_text(attribute, type, name);
  }

  std::string short_text(const Handle& attribute, const Handle& type, const char* name) const {
    const std::size_t size = H5Tget_size(type.get());
    if (size > kLongestText) {
      corrupt(path_, std::string("attribute ") + name + " is too long");
    }
    std::string text(size, '\0');
    if (H5Aread(attribute.get(), type.get(), text.data()) < 0) {
      corrupt(path_, std::string("cannot read attribute ") + name);
    }
    return text.substr(0, text.find('\0'));
  }

  // A string whose memory HDF5 allocates.
  std::string long_text(const Handle& attribute, const Handle& type, const Handle& space,
                        const char* name) const {
    char* text = nullptr;
    if (H5Aread(attribute.get(), type.get(), static_cast<void*>(&text)) < 0 || text == nullptr) {
      corrupt(path_, std::string("cannot read attribute ") + name);
    }
    std::string copy = text;
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, static_cast<void*>(&text));
    return copy;
  }

  // Motif's sample rates; nothing if there is none.
  std::optional<double> number_attribute(hid_t object, const char* name) const {
    const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
    if (!attribute.valid()) {
      return std::nullopt;
    }
    const Handle type(H5Aget_type(attribute.get()), H5Tclose);
    const Handle space(H5Aget_space(attribute.get()), H5Sclose);
    double value = 0;
    if (H5Sget_simple_extent_npoints(space.get()) != 1 || !is_usual_number(type.get()) ||
        H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &value) < 0) {
      corrupt(path_, std::string("attribute ") + name + " must be one number");
    }
    return value;
  }

  // ---- datasets ----------------------------------------------------------------------------

  // One that lies in this very file: links, external files and views of other datasets are ways out
  // of the store's folder.
  Handle open_dataset(const std::string& name) const {
    H5L_info_t link{};
    if (name.find('/') != std::string::npos ||
        H5Lget_info(file_.get(), name.c_str(), &link, H5P_DEFAULT) < 0 ||
        link.type != H5L_TYPE_HARD) {
      corrupt(path_, "no dataset " + name);
    }
    Handle dataset(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!dataset.valid()) {
      corrupt(path_, "cannot open dataset " + name);
    }
    const Handle creation(H5Dget_create_plist(dataset.get()), H5Pclose);
    if (!creation.valid() || H5Pget_external_count(creation.get()) != 0 ||
        H5Pget_layout(creation.get()) == H5D_VIRTUAL) {
      corrupt(path_, "dataset " + name + " lies in another file");
    }
    return dataset;
  }

  // Of at most `most` dimensions; their product is believable.
  std::vector<hsize_t> extents(const Handle& dataset, const std::string& name, int most) const {
    const Handle space(H5Dget_space(dataset.get()), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space.get());
    if (rank < 1 || rank > most) {
      corrupt(path_, fmt::format("dataset {} has {} dimensions", name, rank));
    }
    std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
    H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
    const Handle type(H5Dget_type(dataset.get()), H5Tclose);
    const std::uint64_t stored = std::min<std::uint64_t>(H5Dget_storage_size(dataset.get()), size_);
    const std::uint64_t most_bytes = stored * kMostExpansion;
    std::uint64_t bytes = H5Tget_size(type.get());
    if (bytes > kLargestElement) {
      corrupt(path_, "dataset " + name + " has elements of " + std::to_string(bytes) + " bytes");
    }
    for (const hsize_t size : sizes) {
      if (size != 0 && bytes > most_bytes / size) {
        corrupt(path_, "dataset " + name + " claims more elements than the file can hold");
      }
      bytes *= size;
    }
    return sizes;
  }

  template <class Value>
  std::vector<Value> read_all(const Handle& dataset, hid_t type, std::size_t count,
                              const std::string& name) const {
    std::vector<Value> values(count);
    const Handle stored(H5Dget_type(dataset.get()), H5Tclose);
    if (H5Tget_class(stored.get()) != H5T_COMPOUND && !is_usual_number(stored.get())) {
      corrupt(path_, "dataset " + name + " holds no usual numbers");
    }
    if (count > 0 &&
        H5Dread(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
      corrupt(path_, "cannot read dataset " + name);
    }
    return values;
  }

  void require_samples(const std::vector<hsize_t>& sizes, const ExtraData& data) const {
    if (sizes.back() != data.size()) {
      corrupt(path_, fmt::format("{} samples but {} of the camera", sizes.back(), data.size()));
    }
  }

  // A name that is there already gets the dataset's before it.
  static void add_column(ExtraData& data, const std::string& name, const std::string& dataset,
                         decltype(ExtraColumn::values) values) {
    const bool taken = data.find(name) != nullptr;
    data.columns.push_back({taken ? dataset + "." + name : name, std::move(values)});
  }

  // ---- the camera's frames -----------------------------------------------------------------

  void read_camera(ExtraData& data) const {
    const Handle camera = open_dataset(kCamera);
    const auto count = static_cast<std::size_t>(extents(camera, kCamera, 1)[0]);
    const Handle type(H5Dget_type(camera.get()), H5Tclose);
    if (H5Tget_class(type.get()) != H5T_COMPOUND) {
      corrupt(path_, "dataset camera must have fields");
    }
    const int fields = H5Tget_nmembers(type.get());
    for (int field = 0; field < fields; ++field) {
      require_field_inside(type, static_cast<unsigned>(field));
    }
    for (int field = 0; field < fields; ++field) {
      read_field(camera, type, static_cast<unsigned>(field), count, data);
    }
    if (data.frame_number.size() != count || data.frame_time.size() != count) {
      corrupt(path_, "dataset camera lacks frame_number or frame_time");
    }
    data.frame_index.resize(count, FrameIndex(-1));
  }

  // Where a damaged file puts a field outside its element, HDF5 reads there.
  void require_field_inside(const Handle& type, unsigned field) const {
    const Handle member(H5Tget_member_type(type.get(), field), H5Tclose);
    const std::size_t size = H5Tget_size(type.get());
    const std::size_t offset = H5Tget_member_offset(type.get(), field);
    if (!member.valid() || offset > size || H5Tget_size(member.get()) > size - offset) {
      corrupt(path_, "dataset camera has a field outside its elements");
    }
  }

  void read_field(const Handle& camera, const Handle& type, unsigned field, std::size_t count,
                  ExtraData& data) const {
    const std::string name = member_name(type, field);
    const Handle member(H5Tget_member_type(type.get(), field), H5Tclose);
    if (!is_usual_number(member.get())) {
      return;  // a string or the like
    }
    const H5T_class_t kind = H5Tget_class(member.get());
    if (kind == H5T_FLOAT || name == "frame_time") {
      take(name, read_member<double>(camera, name, H5T_NATIVE_DOUBLE, count), data);
    } else if (kind == H5T_INTEGER) {
      take(name, read_member<std::int64_t>(camera, name, H5T_NATIVE_INT64, count), data);
    }
  }

  std::string member_name(const Handle& type, unsigned field) const {
    char* name = H5Tget_member_name(type.get(), field);
    if (name == nullptr) {
      corrupt(path_, "a field of dataset camera has no name");
    }
    std::string copy = name;
    H5free_memory(name);
    return copy;
  }

  template <class Value>
  std::vector<Value> read_member(const Handle& camera, const std::string& name, hid_t type,
                                 std::size_t count) const {
    const Handle compound(H5Tcreate(H5T_COMPOUND, sizeof(Value)), H5Tclose);
    if (!compound.valid() || H5Tinsert(compound.get(), name.c_str(), 0, type) < 0) {
      corrupt(path_, "cannot read field " + name);
    }
    return read_all<Value>(camera, compound.get(), count, kCamera);
  }

  static void take(const std::string& name, std::vector<double> values, ExtraData& data) {
    if (name == "frame_time") {
      for (const double value : values) {
        data.frame_time.emplace_back(value);
      }
      return;
    }
    data.columns.push_back({name, std::move(values)});
  }

  static void take(const std::string& name, std::vector<std::int64_t> values, ExtraData& data) {
    for (const std::int64_t value : values) {
      if (name == "frame_number") {
        data.frame_number.emplace_back(value);
      } else if (name == "frame_index") {
        data.frame_index.emplace_back(value);
      }
    }
    if (name != "frame_number" && name != "frame_index") {
      data.columns.push_back({name, std::move(values)});
    }
  }

  // ---- samples -----------------------------------------------------------------------------

  // Columns x samples, or the samples of one column.
  void read_dataset(const std::string& name, ExtraData& data) const {
    const Handle dataset = open_dataset(name);
    const auto sizes = extents(dataset, name, 2);
    require_samples(sizes, data);
    const auto names = split(text_attribute(dataset.get(), "column_names"));
    const std::size_t columns = sizes.size() == 2 ? static_cast<std::size_t>(sizes[0]) : 1;
    if (names.size() != columns) {
      corrupt(path_,
              fmt::format("dataset {} has {} columns but names {}", name, columns, names.size()));
    }
    const Handle type(H5Dget_type(dataset.get()), H5Tclose);
    if (H5Tget_class(type.get()) == H5T_INTEGER) {
      add_columns<std::int64_t>(dataset, H5T_NATIVE_INT64, name, names, data);
    } else {
      add_columns<double>(dataset, H5T_NATIVE_DOUBLE, name, names, data);
    }
    if (const auto rate = number_attribute(dataset.get(), "samplerate")) {
      data.sample_rates[name] = *rate;
    }
  }

  template <class Value>
  void add_columns(const Handle& dataset, hid_t type, const std::string& name,
                   const std::vector<std::string>& names, ExtraData& data) const {
    const auto all = read_all<Value>(dataset, type, names.size() * data.size(), name);
    auto begin = all.begin();
    for (const std::string& column : names) {
      const auto end = begin + static_cast<std::ptrdiff_t>(data.size());
      add_column(data, column, name, std::vector<Value>(begin, end));
      begin = end;
    }
  }

  const fs::path& path_;
  std::uint64_t size_;
  Handle file_;
};

}  // namespace

bool has_hdf5() {
  return true;
}

ExtraData read_motif_hdf5(const fs::path& file) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const Quiet quiet;
  return MotifFile(file).read();
}

}  // namespace avstore::imgstore
