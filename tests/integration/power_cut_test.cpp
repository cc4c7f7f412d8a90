// Power cuts, modelled: what a recording does to the disk is logged, and its folder made anew as
// any moment could have left it, with what was not synced dropped, torn or kept. At level `power`
// every frame that was durable by then must be there, exact.
//
// The model is stricter than file systems are: of a file's data only what was synced counts, of
// folders' entries only what the folder's sync covers or, in their order, some that came after.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "avstore/extra.h"
#include "avstore/tools.h"
#include "support/catch.h"
#include "support/disk_calls.h"
#include "support/drawn_store.h"
#include "support/media_folder.h"
#include "support/programs.h"
#include "support/sample.h"

namespace fs = std::filesystem;
using namespace avstore;
using namespace avstore::test;

namespace {

constexpr int kFrames = 60;
constexpr int kSyncInterval = 20;
constexpr std::size_t kSector = 512;

// How many frames were durable once so many events had happened.
struct Mark {
  std::size_t events = 0;
  std::int64_t durable = 0;
};

struct DiskLog {
  std::vector<DiskEvent> events;
  std::vector<Mark> marks;

  std::int64_t durable_at(std::size_t cut) const {
    std::int64_t durable = 0;
    for (const Mark& mark : marks) {
      durable = mark.events <= cut ? mark.durable : durable;
    }
    return durable;
  }
};

// A file as it is, as it is sure to be on the disk, and what was done in between.
struct File {
  std::string now, synced;
  std::vector<DiskEvent> pending;
};
using FilePtr = std::shared_ptr<File>;

// Names in folders; a null file is a folder.
using Names = std::map<fs::path, FilePtr>;

void write_into(std::string& text, std::size_t offset, std::string_view bytes) {
  if (text.size() < offset + bytes.size()) {
    text.resize(offset + bytes.size(), '\0');
  }
  text.replace(offset, bytes.size(), bytes);
}

class Disk {
 public:
  void apply(const DiskEvent& event) {
    switch (event.call) {
      case DiskCall::open:
        if (event.created) {
          now_[event.path] = std::make_shared<File>();
          entries_.push_back({event.path, now_[event.path]});
        } else if (event.emptied) {
          truncate(event, 0);
        }
        break;
      case DiskCall::write:
      case DiskCall::pwrite:
        if (const FilePtr file = find(event.path)) {
          write_into(file->now, static_cast<std::size_t>(event.offset), event.bytes);
          file->pending.push_back(event);
        }
        break;
      case DiskCall::ftruncate:
        truncate(event, static_cast<std::size_t>(event.offset));
        break;
      case DiskCall::fsync:
      case DiskCall::fdatasync:
        sync(event.path);
        break;
      case DiskCall::mkdir:
        now_[event.path] = nullptr;
        entries_.push_back({event.path, nullptr});
        break;
      case DiskCall::rename:
      case DiskCall::linkat:
        rename(event.path, event.to);
        break;
      case DiskCall::remove:
      case DiskCall::unlink:
      case DiskCall::unlinkat:
      case DiskCall::rmdir:
        now_.erase(event.path);
        entries_.push_back({event.path, nullptr, true});
        break;
    }
  }

  // What a power cut leaves. `keep` of the writes and entries that nothing has synced yet are
  // there, from 0 to 1.
  void write_out(const fs::path& from, const fs::path& to, double keep,
                 std::mt19937& random) const {
    Names names = synced_;
    const std::size_t kept = entries_.empty() ? 0
                             : keep >= 1      ? entries_.size()
                             : keep <= 0      ? 0
                                              : random() % (entries_.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) {
      change(names, entries_[i]);
    }
    // What is in a folder is lost with the folder's own name; paths ascend.
    for (auto name = names.begin(); name != names.end();) {
      const fs::path parent = name->first.parent_path();
      name = parent == from || names.contains(parent) ? std::next(name) : names.erase(name);
    }
    for (const auto& [path, file] : names) {
      const fs::path place = to / path.lexically_relative(from);
      if (path.native().ends_with(" (deleted)")) {
        continue;  // it never had a name
      }
      if (!file) {
        fs::create_directories(place);
      } else {
        std::ofstream(place, std::ios::binary) << left_of(*file, keep, random);
      }
    }
  }

  // As it is without a power cut.
  std::map<fs::path, std::string> contents() const {
    std::map<fs::path, std::string> all;
    for (const auto& [path, file] : now_) {
      if (file) {
        all[path] = file->now;
      }
    }
    return all;
  }

 private:
  // A change of a folder. Its file is as it is when the disk is looked at.
  struct Entry {
    fs::path path;
    FilePtr file;
    bool removed = false;
    fs::path from = {};  // renamed
  };

  FilePtr find(const fs::path& path) const {
    const auto found = now_.find(path);
    return found == now_.end() ? nullptr : found->second;
  }

  void truncate(const DiskEvent& event, std::size_t size) {
    if (const FilePtr file = find(event.path)) {
      file->now.resize(size, '\0');
      DiskEvent change = event;
      change.call = DiskCall::ftruncate;
      change.offset = static_cast<std::int64_t>(size);
      file->pending.push_back(change);
    }
  }

  static void change(Names& names, const Entry& entry) {
    if (entry.removed) {
      names.erase(entry.path);
      return;
    }
    if (!entry.from.empty()) {
      move(names, entry.from, entry.path);
      return;
    }
    names[entry.path] = entry.file;
  }

  // A folder with what is in it.
  static void move(Names& names, const fs::path& from, const fs::path& to) {
    Names moved;
    for (auto name = names.begin(); name != names.end();) {
      const std::string text = name->first.string();
      if (text == from.string() || text.starts_with(from.string() + "/")) {
        moved[to.string() + text.substr(from.string().size())] = name->second;
        name = names.erase(name);
      } else {
        ++name;
      }
    }
    names.insert(moved.begin(), moved.end());
    for (const auto& [path, file] : moved) {
      names[path] = file;
    }
  }

  void rename(const fs::path& from, const fs::path& to) {
    entries_.push_back({to, find(from), false, from});
    move(now_, from, to);
  }

  // Of a folder, all changes in it; those before them in other folders stay open.
  void sync(const fs::path& path) {
    if (const FilePtr file = find(path)) {
      file->synced = file->now;
      file->pending.clear();
      return;
    }
    std::vector<Entry> open;
    for (const Entry& entry : entries_) {
      if (entry.path.parent_path() == path) {
        change(synced_, entry);
      } else {
        open.push_back(entry);
      }
    }
    entries_ = std::move(open);
  }

  static std::string left_of(const File& file, double keep, std::mt19937& random) {
    std::string text = file.synced;
    std::uniform_real_distribution<double> draw(0, 1);
    for (const DiskEvent& event : file.pending) {
      if (event.call == DiskCall::ftruncate) {
        if (draw(random) < keep) {
          text.resize(static_cast<std::size_t>(event.offset), '\0');
        }
        continue;
      }
      const auto offset = static_cast<std::size_t>(event.offset);
      for (std::size_t at = 0; at < event.bytes.size();) {
        const std::size_t size =
            std::min(kSector - (offset + at) % kSector, event.bytes.size() - at);
        if (draw(random) < keep) {
          write_into(text, offset + at, std::string_view(event.bytes).substr(at, size));
        }
        at += size;
      }
    }
    return text;
  }

  Names now_, synced_;
  std::vector<Entry> entries_;  // not synced, in order
};

bool has_extra(std::int64_t frame) {
  return frame % 7 == 6;
}

// With some frames in the store already that a writer at level `process` has left there, or none.
DiskLog log_recording(const fs::path& store, const WriterOptions& options, int frames_before = 0) {
  DiskLog log;
  std::mutex mutex;
  DiskCalls calls(store.parent_path());
  calls.observe([&](const DiskEvent& event) {
    const std::lock_guard lock(mutex);
    log.events.push_back(event);
  });
  if (frames_before > 0) {
    WriterOptions before = options;
    before.durability = Durability::process;
    write_store(store, before, frames_before);
  }
  Writer writer = frames_before > 0 ? Writer::append(store, options) : Writer(store, options);
  const auto mark = [&](std::int64_t durable) {
    const std::lock_guard lock(mutex);
    log.marks.push_back({log.events.size(), durable});
  };
  mark(writer.durable_count());
  for (int i = frames_before; i < kFrames; ++i) {
    add(writer, i);
    if (has_extra(i)) {
      writer.add_extra("{\"place\": " + std::to_string(i) + "}");
    }
    if (i % kSyncInterval == kSyncInterval - 1) {
      writer.sync();
    }
    mark(writer.durable_count());
  }
  writer.close();
  mark(kFrames);
  return log;
}

// The frames that a store gives, none made up. None where there is no store.
std::int64_t count_of(const fs::path& store) {
  if (!fs::exists(store / "metadata.yaml")) {
    return 0;
  }
  Reader reader(store);
  const std::int64_t count = reader.info().frame_count;
  REQUIRE(count <= kFrames);
  check_names(reader, plain_names(static_cast<int>(count)));
  return count;
}

// Every record says of which frame it is, and those of frames before the last sync() are there.
void check_extra(const fs::path& store, std::int64_t frames_before, std::int64_t durable) {
  const ExtraData extra = read_extra(store);
  std::set<std::int64_t> with_extra;
  if (const ExtraColumn* const column = extra.find("place")) {
    const auto& places = std::get<std::vector<std::int64_t>>(column->values);
    for (std::size_t i = 0; i < extra.size(); ++i) {
      CHECK(places[i] == extra.frame_index[i].value);
    }
    with_extra.insert(places.begin(), places.end());
  }
  for (std::int64_t i = frames_before; i < durable / kSyncInterval * kSyncInterval; ++i) {
    CAPTURE(i);
    CHECK((!has_extra(i) || with_extra.contains(i)));
  }
}

WriterOptions options_for(const std::string& format, Durability durability) {
  WriterOptions options = options_of(format, 22);
  if (is_video(format)) {
    options.encoder.keyframe_interval = 5;
  }
  options.durability = durability;
  return options;
}

struct Cut {
  std::size_t at = 0;
  double keep = 0;
};

// Once the writer is there, anywhere: what one at level `process` leaves before it may be anything.
Cut draw_cut(const DiskLog& log, std::mt19937& random) {
  static const std::vector<double> kKept{0, 0.5, 0.9, 1};
  const std::size_t first = log.marks.front().events;
  return {first + random() % (log.events.size() + 1 - first), kKept.at(random() % kKept.size())};
}

// Cuts anywhere, and some just after a sync, that take all that has not been synced.
std::vector<std::pair<Cut, std::uint32_t>> cuts_of(const DiskLog& log) {
  constexpr int kCuts = 250;
  std::vector<std::pair<Cut, std::uint32_t>> cuts;
  for (const std::int64_t i : sample("power cuts", kCuts, 3)) {
    const auto seed = static_cast<std::uint32_t>(i);
    std::mt19937 random(seed);
    cuts.emplace_back(draw_cut(log, random), seed);
  }
  std::vector<std::size_t> synced;
  for (std::size_t i = log.marks.front().events; i < log.events.size(); ++i) {
    const DiskCall call = log.events[i].call;
    if (call == DiskCall::fsync || call == DiskCall::fdatasync) {
      synced.push_back(i + 1);
    }
  }
  for (const std::int64_t i :
       sample("power cuts after a sync", static_cast<std::int64_t>(synced.size()), 6)) {
    cuts.push_back({{synced.at(static_cast<std::size_t>(i)), 0}, 1});
  }
  return cuts;
}

// The store's folder after the cut, below `to`.
void make_anew(const DiskLog& log, const Cut& cut, const fs::path& from, const fs::path& to,
               std::mt19937& random) {
  Disk disk;
  for (std::size_t i = 0; i < cut.at; ++i) {
    disk.apply(log.events[i]);
  }
  disk.write_out(from, to, cut.keep, random);
}

}  // namespace

TEST_CASE("The model of the disk has what the disk has") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  const DiskLog log = log_recording(root / "store", options_for(format, Durability::power));
  Disk disk;
  for (const DiskEvent& event : log.events) {
    disk.apply(event);
  }
  std::map<fs::path, std::string> there;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      there[entry.path()] = read_text(entry.path());
    }
  }
  REQUIRE(there.size() > 4);
  CHECK((disk.contents() == there));
}

TEST_CASE("A power cut takes no frame that was durable") {
  const std::string format = GENERATE("avc1/mp4", "h264/mkv", "mjpeg/avi", "png");
  const int frames_before = GENERATE(0, 25);
  const TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  const DiskLog log =
      log_recording(root / "store", options_for(format, Durability::power), frames_before);
  for (const auto& [cut, seed] : cuts_of(log)) {
    std::mt19937 random(seed);
    CAPTURE(format, frames_before, seed, cut.at, log.events.size(), cut.keep);
    const TemporaryFolder after;
    make_anew(log, cut, root, after.path(), random);
    const fs::path store = after.path() / "store";
    const std::int64_t durable = log.durable_at(cut.at);
    const std::int64_t count = count_of(store);
    CHECK(count >= durable);
    if (count == 0) {
      continue;
    }
    CHECK(wrong_codes(store).empty());
    check_extra(store, frames_before, durable);
    if (seed % 5 == 0 || !is_full_run()) {
      repair(store, {});
      const VerifyResult found = verify(store, {true, {}});
      CAPTURE(found.findings);
      CHECK(found.findings.empty());
      CHECK(found.frames >= durable);
      CHECK(wrong_codes(store).empty());
      check_extra(store, frames_before, durable);
    }
  }
}

TEST_CASE("The model of the disk loses what was not synced") {
  const TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  const DiskLog log = log_recording(root / "store", options_for("avc1/mp4", Durability::process));
  std::mt19937 random(1);
  Disk disk;
  const std::size_t cut = log.events.size() / 2;
  for (std::size_t i = 0; i < cut; ++i) {
    disk.apply(log.events[i]);
  }
  const TemporaryFolder after;
  disk.write_out(root, after.path(), 0, random);
  REQUIRE(log.durable_at(cut) > 0);
  const fs::path chunk = after.path() / "store" / "000000.mp4";
  CHECK((!fs::exists(chunk) || fs::file_size(chunk) == 0));
}
