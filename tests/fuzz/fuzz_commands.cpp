// Any bytes as a program: a store is changed as a stranger could change it, and the library then
// works on it. Findings are, beside what is one for all targets: files outside the store that
// change, files that grow without end, what is left open or lying about, and frames that repair()
// loses without a word.
//
// A program has a line for each step, and words in a line. The first line names a store of
// seed_stores.h; the others are in kSteps. A word that is not known stands for one that is, so that
// every input is a program. With the environment variable AVSTORE_FUZZ_TRACE set, the program is
// printed as it was understood.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <vector>

#include "avstore/extra.h"
#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "fuzz/attempt.h"
#include "fuzz/scratch.h"
#include "fuzz/seed_stores.h"
#include "fuzz/watched_folder.h"
#include "support/hot_journal.h"

namespace {

namespace fs = std::filesystem;

using avstore::FrameIndex;
using avstore::FrameNumber;
using avstore::FrameTime;
using avstore::Reader;
using avstore::Writer;
using avstore::fuzz::attempt;
using avstore::fuzz::kSeedStores;
using avstore::fuzz::WatchedFolder;

constexpr int kMostSteps = 16;
constexpr int kMostCommands = 6;
// No store here has a tenth of that.
constexpr std::uintmax_t kLargestFile = std::uintmax_t{64} << 20;

// --- Words ---

// The files that a store has or may have.
constexpr auto kNames = std::to_array<std::string_view>({"metadata.yaml",
                                                         ".index.sqlite",
                                                         ".index.sqlite-journal",
                                                         ".index.sqlite-wal",
                                                         ".index.sqlite-shm",
                                                         ".lock",
                                                         ".put-aside",
                                                         ".put-aside/000001.mp4",
                                                         ".replaced",
                                                         ".replaced/metadata.yaml",
                                                         ".staged",
                                                         ".staged/.index.sqlite",
                                                         ".staged/000000.npz",
                                                         ".staged.partial",
                                                         "000000.mp4",
                                                         "000000.mkv",
                                                         "000000.avi",
                                                         "000000.npz",
                                                         "000000.yaml",
                                                         "000000.extra.json",
                                                         "000000.extra_data.json",
                                                         "000000.extra_data.h5",
                                                         "000001.mp4",
                                                         "000001.mkv",
                                                         "000001.npz",
                                                         "000002.mp4",
                                                         "000002.mkv",
                                                         "000002.npz",
                                                         "000003.mp4",
                                                         "000000",
                                                         "000000/000000.npy",
                                                         "000000/000001.png",
                                                         "000000/000001.bpk",
                                                         "000000/index.npz",
                                                         "000000/index.extra.json",
                                                         "000001",
                                                         "000002",
                                                         "000002/000001.npy",
                                                         "000003"});

std::size_t sum_of(std::string_view word) {
  std::size_t sum = 0;
  for (const char c : word) {
    sum = 31 * sum + static_cast<unsigned char>(c);
  }
  return sum;
}

template <typename Table, typename NameOf>
const auto& entry_for(const Table& table, std::string_view word, const NameOf& name_of) {
  for (const auto& entry : table) {
    if (name_of(entry) == word) {
      return entry;
    }
  }
  return table[sum_of(word) % table.size()];
}

// The words of a line, which take part in the trace as they are understood.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  template <typename Table, typename NameOf>
  const auto& entry(const Table& table, const NameOf& name_of) {
    const auto& found = entry_for(table, next(), name_of);
    note(name_of(found));
    return found;
  }
  template <std::size_t N>
  std::string_view one_of(const std::array<std::string_view, N>& words) {
    return entry(words, [](std::string_view word) { return word; });
  }
  // A place in what has so many bytes; negative numbers count from its end.
  std::uint64_t place(std::uint64_t size) {
    const std::string_view word = next();
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size()) {
      number = static_cast<std::int64_t>(sum_of(word) & 0xFFFFFFU);
    }
    note(std::to_string(number));
    const auto least = static_cast<std::int64_t>(std::max<std::uint64_t>(size, 1));
    return static_cast<std::uint64_t>((number % least + least) % least);
  }
  std::string_view text() {
    note(next());
    return last_;
  }
  const std::string& trace() const { return trace_; }

 private:
  std::string_view next() {
    const std::size_t space = std::min(rest_.find(' '), rest_.size());
    last_ = rest_.substr(0, space);
    rest_.remove_prefix(std::min(space + 1, rest_.size()));
    return last_;
  }
  void note(std::string_view word) { trace_.append(trace_.empty() ? "" : " ").append(word); }

  std::string_view rest_;
  std::string_view last_;
  std::string trace_;
};

// --- Where it happens ---

// Folders of this process: in `work` there are `store`, `made` for what is made of it, and
// `outside`, which is watched.
class World {
 public:
  World()
      : work_(scratch_.folder("work")),
        outside_(work_ / "outside", seed("mp4") / "000000.mp4", seed("mp4")) {
    fs::create_directories(made());
    ::setenv("TMPDIR", scratch_.folder("temporary").c_str(), 1);
  }

  fs::path store() const { return work_ / "store"; }
  fs::path made() const { return work_ / "made"; }
  const WatchedFolder& outside() const { return outside_; }
  const std::string& seed_name() const { return seed_name_; }

  // A store as it was made.
  fs::path seed(std::string_view name) const {
    fs::path folder = scratch_.path() / "seeds" / name;
    if (!fs::exists(folder)) {
      fs::create_directories(folder.parent_path());
      avstore::fuzz::make_seed_store(name, folder);
    }
    return folder;
  }

  void begin(std::string_view seed_store) {
    seed_name_ = seed_store;
    const fs::path from = seed(seed_store);
    fs::remove_all(store());
    fs::remove_all(made());
    fs::create_directory(made());
    fs::copy(from, store(), fs::copy_options::recursive);
  }

  // Where a file of that name is in the store, if it is reached without a link: what is changed
  // here must be the store's.
  std::optional<fs::path> reach(std::string_view name) const {
    if (!is_folder(store())) {
      return std::nullopt;
    }
    const fs::path path = store() / name;
    if (!fs::exists(fs::symlink_status(path.parent_path()))) {
      fs::create_directory(path.parent_path());
    }
    return is_folder(path.parent_path()) ? std::optional(path) : std::nullopt;
  }
  // The same of a file that is there.
  std::optional<fs::path> reach_file(std::string_view name) const {
    const auto path = reach(name);
    return path && fs::symlink_status(*path).type() == fs::file_type::regular ? path : std::nullopt;
  }
  // And of a name that is free, as what was there is removed.
  std::optional<fs::path> clear(std::string_view name) const {
    const auto path = reach(name);
    if (path) {
      fs::remove_all(*path);
    }
    return path;
  }

  // What is wrong now; empty if nothing is.
  std::string faults() const {
    std::string text;
    if (const std::string changes = outside_.changes(); !changes.empty()) {
      text += "\nfiles outside the store have changed:" + changes;
    }
    for (const auto& entry : fs::directory_iterator(work_)) {
      const std::string name = entry.path().filename();
      if (name != "store" && name != "made" && name != "outside") {
        text += "\nleft behind beside the store: " + name;
      }
    }
    if (!fs::is_empty(scratch_.path() / "temporary")) {
      text += "\nleft behind in the temporary folder";
    }
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the listing's own
      const fs::path target = fs::read_symlink(entry.path(), gone);
      if (!gone && target.string().starts_with(scratch_.path().string())) {
        text += "\nleft open: " + target.string();
      }
    }
    return text;
  }

 private:
  static bool is_folder(const fs::path& path) {
    return fs::symlink_status(path).type() == fs::file_type::directory;
  }

  avstore::fuzz::Scratch scratch_;
  fs::path work_;
  WatchedFolder outside_;
  std::string seed_name_;
};

// --- Changes that a stranger makes ---

void change_bytes(World& world, Words& words,
                  const std::function<void(std::string& bytes)>& change) {
  const auto path = world.reach_file(words.one_of(kNames));
  // Holes stay holes.
  if (!path || fs::file_size(*path) > kLargestFile) {
    return;
  }
  std::ifstream in(*path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  change(bytes);
  fs::remove(*path);  // it may have another name elsewhere
  std::ofstream(*path, std::ios::binary) << bytes;
}

void flip(World& world, Words& words) {
  change_bytes(world, words, [&](std::string& bytes) {
    const std::uint64_t bit = words.place(8 * bytes.size());
    if (!bytes.empty()) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
  });
}

void put(World& world, Words& words) {
  change_bytes(world, words, [&](std::string& bytes) {
    const std::uint64_t at = words.place(bytes.size() + 1);
    const std::string_view text = words.text();
    bytes.replace(at, std::min<std::size_t>(text.size(), bytes.size() - at), text);
  });
}

void cut(World& world, Words& words) {
  change_bytes(world, words,
               [&](std::string& bytes) { bytes.resize(words.place(bytes.size() + 1)); });
}

void sparse(World& world, Words& words) {
  constexpr auto kSizes =
      std::to_array<std::string_view>({"1048576", "8589934592", "1099511627776"});
  const std::string_view name = words.one_of(kNames);
  std::string_view size = words.one_of(kSizes);
  if (name.ends_with(".mkv") || name.ends_with(".avi")) {
    size = kSizes[0];  // libavformat looks at every byte for what comes next
  }
  const auto path = world.reach(name);
  if (path && fs::symlink_status(*path).type() == fs::file_type::not_found) {
    std::ofstream(*path).flush();
  }
  if (world.reach_file(name)) {
    fs::resize_file(*path, std::stoull(std::string(size)));
  }
}

void link(World& world, Words& words) {
  const auto path = world.clear(words.one_of(kNames));
  const fs::path place = world.outside().place(words.one_of(WatchedFolder::kPlaces));
  if (path) {
    fs::create_symlink(place, *path);
  }
}

void loop(World& world, Words& words) {
  if (const auto path = world.clear(words.one_of(kNames))) {
    fs::create_symlink(path->filename(), *path);
  }
}

// What leads from a store elsewhere may lead through it again.
void link_within(World& world, Words& words) {
  const auto path = world.clear(words.one_of(kNames));
  const fs::path to = world.store() / words.one_of(kNames);
  if (path && *path != to) {
    fs::create_symlink(to, *path);
  }
}

// Names of temporary files, foreseen.
void temporaries(World& world, Words& words) {
  const std::string_view name = words.one_of(kNames);
  const fs::path place = world.outside().place(words.one_of(WatchedFolder::kPlaces));
  for (int i = 0; i < 64; ++i) {
    const std::string temporary =
        std::string(name) + ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(i);
    if (const auto path = world.clear(temporary)) {
      fs::create_symlink(place, *path);
    }
  }
}

void fifo(World& world, Words& words) {
  const auto path = world.clear(words.one_of(kNames));
  if (path && ::mkfifo(path->c_str(), 0600) != 0) {
    std::abort();
  }
}

void folder(World& world, Words& words) {
  if (const auto path = world.clear(words.one_of(kNames))) {
    fs::create_directory(*path);
  }
}

void remove(World& world, Words& words) {
  world.clear(words.one_of(kNames));
}

void rename(World& world, Words& words) {
  const auto from = world.reach(words.one_of(kNames));
  const auto to = world.reach(words.one_of(kNames));
  if (from && to) {
    std::error_code error;  // there may be nothing of that name, or a folder is to go into itself
    fs::rename(*from, *to, error);
  }
}

void copy(World& world, Words& words) {
  const auto from = world.reach_file(words.one_of(kNames));
  const auto to = world.reach(words.one_of(kNames));
  if (from && to && *from != *to && fs::file_size(*from) <= kLargestFile) {
    fs::remove_all(*to);
    std::error_code error;  // the file may have been in the folder that is gone
    fs::copy_file(*from, *to, error);
  }
}

// A lock that was left behind: the reference's, which is empty, or one of avstore's.
void lock(World& world, Words& words) {
  constexpr auto kOwners = std::to_array<std::string_view>({"untold", "dead"});
  const std::string_view owner = words.one_of(kOwners);
  if (const auto path = world.clear(".lock")) {
    std::ofstream(*path) << (owner == "dead" ? "process: 1\nstarted: 0\nboot: none\n" : "");
  }
}

void journal(World& world, Words& words) {
  const std::string_view name = words.one_of(kNames);
  const auto database = world.reach_file(name);
  if (database && fs::file_size(*database) <= kLargestFile &&
      world.clear(std::string(name) + "-journal")) {
    // A file that is no database gets none.
    static_cast<void>(
        avstore::test::put_journal_that_names(world.outside().place("victim.txt"), *database));
  }
}

struct RowsChange {
  std::string_view name;
  const char* sql;
};
constexpr auto kRowsChanges = std::to_array<RowsChange>({
    {"outside", "UPDATE chunks SET chunk_path = '../outside/video.mp4' WHERE chunk = 0"},
    {"pictures", "UPDATE chunks SET chunk_path = '../outside/pictures'"},
    {"desktop", "UPDATE chunks SET chunk_path = '.config/autostart/x.desktop'"},
    {"metadata", "UPDATE chunks SET chunk_path = 'metadata.yaml'"},
    {"open", "UPDATE chunks SET state = 'open' WHERE chunk = (SELECT max(chunk) FROM chunks)"},
    {"bytes", "UPDATE chunks SET bytes = bytes / 2"},
    {"longer", "UPDATE chunks SET bytes = 1000000000000000"},
    {"count", "UPDATE chunks SET frame_count = frame_count + 3"},
    {"many", "UPDATE chunks SET frame_count = 1000000000000, packet_count = 0"},
    {"first", "UPDATE chunks SET first_frame_index = first_frame_index + 1"},
    {"clock", "UPDATE chunks SET time_base_num = 4611686018427387904, time_base_den = 3"},
    {"fewer", "DELETE FROM frames WHERE frame_index % 3 = 2"},
    {"numbers", "UPDATE frames SET frame_number = 9223372036854775807 - frame_number"},
    {"pts", "UPDATE frames SET pts = -pts"},
    {"uuid", "UPDATE index_information SET value = 'another' WHERE name = 'uuid'"},
    {"wal", "PRAGMA journal_mode = wal"},
});

void rows(World& world, Words& words) {
  const RowsChange& change =
      words.entry(kRowsChanges, [](const RowsChange& one) { return one.name; });
  const auto path = world.reach_file(".index.sqlite");
  for (const char* companion :
       {".index.sqlite-journal", ".index.sqlite-wal", ".index.sqlite-shm"}) {
    // SQLite would follow them.
    if (fs::exists(fs::symlink_status(world.store() / companion)) &&
        (std::string_view(companion).ends_with("journal") || !world.reach_file(companion))) {
      return;
    }
  }
  if (!path || fs::file_size(*path) > kLargestFile) {
    return;
  }
  sqlite3* database = nullptr;
  // The stranger may fail.
  if (sqlite3_open_v2(path->c_str(), &database, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) {
    sqlite3_exec(database, change.sql, nullptr, nullptr, nullptr);
  }
  sqlite3_close(database);
}

// --- What is then done with the store ---

Reader open(const fs::path& store, int threads = 1) {
  avstore::ReaderOptions options;
  options.threads = threads;
  return Reader(store, options);
}

void info(World& world, Words&) {
  Reader reader = open(world.store());
  const std::int64_t count = reader.frame_count();
  reader.infos({0, count});
  reader.find(FrameNumber(7), avstore::Match::nearest);
  reader.find(FrameTime(1700000000));
  reader.keyframes({0, count});
}

void read(World& world, Words&) {
  Reader reader = open(world.store());
  for (std::int64_t i = 0; i < reader.frame_count(); ++i) {
    attempt([&] { reader.next(); });
  }
  reader.refresh();
}

void read_at_random(World& world, Words&) {
  Reader reader = open(world.store(), 2);
  const std::int64_t count = reader.frame_count();
  std::vector<FrameIndex> all;
  for (std::int64_t i = count - 1; i >= 0; --i) {
    all.emplace_back(i);
    if (i % 3 == 0) {
      attempt([&] { reader.read(FrameIndex(i)); });
    }
  }
  reader.read_many(all);
}

void verify(World& world, Words&) {
  avstore::verify(world.store(), {.deep = false, .progress = {}});
}
void verify_deep(World& world, Words&) {
  avstore::verify(world.store(), {.deep = true, .progress = {}});
}

// MD5s of all frames that can be read.
std::multiset<std::string> readable_frames(const fs::path& store) {
  std::multiset<std::string> found;
  attempt([&] {
    avstore::ReaderOptions options;
    options.threads = 1;
    options.raw_sensor = true;
    options.save_index = false;
    Reader reader(store, options);
    for (std::int64_t i = 0; i < reader.frame_count(); ++i) {
      attempt([&] { found.insert(avstore::md5(reader.read(FrameIndex(i)).image.view())); });
    }
  });
  return found;
}

// Frames may be lost, but not unnoticed.
void repair(World& world, Words&) {
  const auto before = readable_frames(world.store());
  const avstore::RepairResult result = avstore::repair(world.store(), {});
  const auto after = readable_frames(world.store());
  const bool kept = std::includes(after.begin(), after.end(), before.begin(), before.end());
  if (!kept && result.is_whole &&
      avstore::verify(world.store(), {.deep = true, .progress = {}}).findings.empty()) {
    std::fprintf(stderr, "finding: of %zu frames that could be read, repair() keeps not all: %zu\n",
                 before.size(), after.size());
    std::abort();
  }
}
void plan_repair(World& world, Words&) {
  avstore::repair(world.store(), {.dry_run = true, .notice = {}});
}
void rebuild(World& world, Words&) {
  avstore::rebuild_index(world.store(), {});
}
void reindex(World& world, Words&) {
  avstore::reindex(world.store(), {});
}
void empty(World& world, Words&) {
  avstore::empty_store(world.store());
}
void extra(World& world, Words&) {
  avstore::read_extra(world.store(), {.ignore_corrupt = true, .on_warning = {}});
}

// A frame such as the store had.
avstore::Image image_of(const World& world) {
  avstore::ReaderOptions options;
  options.raw_sensor = true;
  options.save_index = false;
  return Reader(world.seed(world.seed_name()), options).read(FrameIndex(0)).image;
}

avstore::WriterOptions writer_options(const std::string& format = "npy") {
  avstore::WriterOptions options;
  options.format = format;
  options.overwrite = true;
  return options;
}

void add_frames(Writer& writer, const avstore::Image& image) {
  for (int i = 0; i < 3; ++i) {
    writer.add(image, FrameNumber(1000 + i), FrameTime(1800000000 + i));
    writer.add_extra(R"({"added": true})");
  }
}

void append(World& world, Words&) {
  const avstore::Image image = image_of(world);
  Writer writer = Writer::append(world.store(), {});
  add_frames(writer, image);
  writer.close();
}

void abandon(World& world, Words&) {
  const avstore::Image image = image_of(world);
  Writer writer = Writer::append(world.store(), {});
  add_frames(writer, image);
  writer.abandon();
}

void insert(World& world, Words&) {
  const std::vector<avstore::FrameNames> names(5);
  // A copy, as the store may have the same file under one more name.
  const fs::path video = world.made() / "inserted.mp4";
  fs::copy_file(world.outside().place("video.mp4"), video, fs::copy_options::overwrite_existing);
  Writer writer = Writer::append(world.store(), {});
  writer.insert_chunk(video, names);
  writer.close();
}

void overwrite(World& world, Words&) {
  const avstore::Image image = image_of(world);
  Writer writer(world.store(), writer_options());
  add_frames(writer, image);
  writer.close();
}

void import_video(World& world, bool copy) {
  avstore::ImportOptions options;
  options.copy = copy;
  options.writer = writer_options("png");
  avstore::import_file(world.outside().place("video.mp4"), world.store(), options);
}
void import_anew(World& world, Words&) {
  import_video(world, false);
}
void import_copy(World& world, Words&) {
  import_video(world, true);
}

void transcode(World& world, Words&) {
  avstore::TranscodeOptions options;
  options.writer = writer_options();
  avstore::transcode(world.store(), world.made() / "transcoded", options);
}
void transcode_into(World& world, Words&) {
  avstore::TranscodeOptions options;
  options.writer = writer_options();
  options.save_index = false;
  avstore::transcode(world.seed(world.seed_name()), world.store(), options);
}

void export_video(World& world, Words&) {
  avstore::ExportOptions options;
  options.overwrite = true;
  options.encoder.encoder = "software";
  options.encoder.threads = 1;
  avstore::export_video(world.store(), world.made() / "video.mkv", options);
}

void align(World& world, Words&) {
  avstore::align({world.store(), world.store()}, {});
}

struct Step {
  std::string_view name;
  void (*run)(World& world, Words& words);
  bool is_command;
};
constexpr auto kSteps = std::to_array<Step>({
    {"flip", flip, false},
    {"put", put, false},
    {"cut", cut, false},
    {"sparse", sparse, false},
    {"link", link, false},
    {"link-within", link_within, false},
    {"loop", loop, false},
    {"temporaries", temporaries, false},
    {"fifo", fifo, false},
    {"folder", folder, false},
    {"remove", remove, false},
    {"rename", rename, false},
    {"copy", copy, false},
    {"lock", lock, false},
    {"journal", journal, false},
    {"rows", rows, false},
    {"info", info, true},
    {"read", read, true},
    {"read-at-random", read_at_random, true},
    {"verify", verify, true},
    {"verify-deep", verify_deep, true},
    {"repair", repair, true},
    {"plan-repair", plan_repair, true},
    {"rebuild-index", rebuild, true},
    {"reindex", reindex, true},
    {"empty", empty, true},
    {"extra", extra, true},
    {"append", append, true},
    {"abandon", abandon, true},
    {"insert", insert, true},
    {"overwrite", overwrite, true},
    {"import", import_anew, true},
    {"import-copy", import_copy, true},
    {"transcode", transcode, true},
    {"transcode-into", transcode_into, true},
    {"export", export_video, true},
    {"align", align, true},
});

// --- Running a program ---

// What the files below a folder take on the disk. Holes of sparse files take nothing.
std::uintmax_t bytes_on_disk(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  std::error_code ignored;
  for (fs::recursive_directory_iterator entry(folder, ignored), end; entry != end;
       entry.increment(ignored)) {
    struct stat status {};
    if (::lstat(entry->path().c_str(), &status) == 0) {
      bytes += static_cast<std::uintmax_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

void trace(const std::string& line) {
  if (std::getenv("AVSTORE_FUZZ_TRACE") != nullptr) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void run(World& world, std::string_view program) {
  std::string understood;
  int commands = 0;
  for (int i = 0; i <= kMostSteps && !program.empty(); ++i) {
    const std::size_t end = std::min(program.find('\n'), program.size());
    Words words(program.substr(0, end));
    program.remove_prefix(std::min(end + 1, program.size()));
    if (i == 0) {
      world.begin(words.one_of(kSeedStores));
    } else {
      const Step& step = words.entry(kSteps, [](const Step& one) { return one.name; });
      if (!step.is_command) {
        step.run(world, words);
      } else if (++commands <= kMostCommands) {
        trace(words.trace() + " ...");
        attempt([&] { step.run(world, words); });
      }
    }
    trace(words.trace());
    understood += words.trace() + "\n";
    std::string faults = world.faults();
    if (bytes_on_disk(world.store()) > kLargestFile) {
      faults += " the store fills the disk";
    }
    if (!faults.empty()) {
      std::fprintf(stderr, "finding:%s\nafter:\n%s", faults.c_str(), understood.c_str());
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  run(world, avstore::fuzz::as_text(data, size));
  return 0;
}
