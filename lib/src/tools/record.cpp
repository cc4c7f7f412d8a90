// A rig of cameras: started together, watched, stopped together.
#include "avstore/record.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/text.h"
#include "imgstore/metadata.h"
#include "store/recording_lock.h"
#include "store/replaced_store.h"
#include "store/store_folder.h"
#include "store/writer_options.h"
#include "tools/camera.h"
#include "tools/camera_names.h"
#include "tools/frame_source.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(20);
constexpr double kLookAtRoomEvery = 0.5;  // seconds

void require(bool ok, const std::string& message) {
  if (!ok) {
    throw Error(ErrorKind::invalid_argument, message);
  }
}

double unix_now() {
  using std::chrono::duration;
  return duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// In this machine's time zone, fit for the name of a file.
std::string time_for_names() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::string text(64, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d_%H-%M-%S", &parts));
  return text;
}

// The folder itself or, before it is made, one that it is to lie in.
fs::path existing_part(const fs::path& folder) {
  std::error_code error;
  fs::path part = fs::absolute(folder, error);
  while (part.has_relative_path() && !fs::exists(part, error)) {
    part = part.parent_path();
  }
  return part;
}

// Room on the file system that a store is on; none where it does not say.
std::optional<fs::space_info> room(const fs::path& store) {
  std::error_code error;
  const fs::space_info space = fs::space(existing_part(store), error);
  return error || space.capacity == 0 ? std::nullopt : std::optional(space);
}

bool is_short(const fs::space_info& space, const MinFree& wanted) {
  const double part = wanted.fraction * static_cast<double>(space.capacity);
  return static_cast<double>(space.available) < std::max(part, static_cast<double>(wanted.bytes));
}

std::string amount(const MinFree& free, const fs::space_info& space) {
  constexpr double kGibi = 1024.0 * 1024 * 1024;
  const auto digits = [](double value) {
    const std::string text = std::to_string(value);
    return text.substr(0, text.find('.') + 2);
  };
  const double wanted = std::max(free.fraction * static_cast<double>(space.capacity),
                                 static_cast<double>(free.bytes));
  return digits(static_cast<double>(space.available) / kGibi) + " GiB free, and " +
         digits(wanted / kGibi) + " GiB are to stay so (--min-free)";
}

void require_room(const fs::path& store, const MinFree& min_free) {
  const auto space = room(store);
  if (space && is_short(*space, min_free)) {
    throw Error(ErrorKind::io,
                store.string() + ": its file system has " + amount(min_free, *space));
  }
}

void check_camera(const CameraOptions& camera, const MinFree& min_free) {
  tools::require_fit_name(camera.name);
  tools::require_valid_source(camera);
  if (camera.append) {
    store::require_closed(store::existing_folder(camera.store));
  } else {
    store::require_free(camera.store, camera.writer.overwrite);
  }
  require_room(camera.store, min_free);
}

// A store that is there is gone on with as it is; one that is not is made.
void look_at_store(CameraOptions& camera) {
  std::error_code missing;
  camera.append = camera.append && fs::exists(camera.store, missing);
  if (!camera.append) {
    return;
  }
  Reader reader(camera.store);
  camera.writer.format = reader.info().format;
  camera.writer.encoding = reader.info().encoding;
  const std::int64_t count = reader.info().frame_count;
  if (count > 0 && camera.first_number == 0) {
    camera.first_number = reader.infos({count - 1, count}).front().number.value + 1;
  }
}

fs::path without_links(const fs::path& folder) {
  std::error_code error;
  const fs::path path = fs::weakly_canonical(folder, error);
  if (error) {
    throw Error(ErrorKind::io, folder.string() + ": cannot be followed: " + error.message(),
                error.value());
  }
  return path.has_filename() ? path : path.parent_path();
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

// From the stores of all others.
void require_apart(const CameraOptions& camera, const std::vector<CameraOptions>& all) {
  const fs::path store = without_links(camera.store);
  for (const CameraOptions& other : all) {
    const fs::path others = without_links(other.store);
    if (&other == &camera) {
      continue;
    }
    require(others != store, camera.store.string() + ": another camera has the same store");
    require(!lies_in(store, others), camera.store.string() + ": lies in the store of camera '" +
                                         other.name + "', " + other.store.string());
  }
}

// What is wrong with one of several is said with its name.
template <typename Check>
void say_which(const CameraOptions& camera, const RecordOptions& options, const Check& check) {
  try {
    check();
  } catch (const Error& error) {
    const bool alone = options.cameras.size() == 1;
    throw Error(error.kind(), (alone ? "" : "camera '" + camera.name + "': ") + error.what(),
                error.system_error());
  }
}

// All that can be known to be wrong before anything is begun.
void check(const RecordOptions& options) {
  require(!options.cameras.empty(), "there is no camera to record");
  require(options.frames.value_or(1) > 0 && options.duration.value_or(1) > 0,
          "a recording has at least a frame and lasts");
  require(options.status_interval > 0, "the interval of the status must be greater than 0");
  require(options.min_free.fraction >= 0 && options.min_free.fraction < 1,
          "the part of a file system that is to stay free is less than all of it");
  std::set<std::string> names;
  std::set<std::string> pipes;
  for (const CameraOptions& camera : options.cameras) {
    say_which(camera, options, [&] {
      check_camera(camera, options.min_free);
      require(names.insert(camera.name).second, "another camera has the same name");
      require_apart(camera, options.cameras);
      require(camera.source != "-" || pipes.insert(camera.source).second,
              "another camera has standard input already");
    });
  }
}

class Rig {
 public:
  explicit Rig(const RecordOptions& options) : options_(options) {
    const std::string time = time_for_names();
    for (CameraOptions& camera : options_.cameras) {
      camera.store = tools::store_name(camera.store.string(), camera.name, time);
      say_which(camera, options_, [&camera] {
        tools::require_valid_store(camera);
        look_at_store(camera);
      });
    }
    check(options_);
    terms_.frames = options.frames;
    terms_.duration = options.duration;
    terms_.threads_each = fair_share();
    terms_.notice = [this](const std::string& text) {
      const std::lock_guard lock(notices_);
      if (options_.notice) {
        options_.notice(without_passwords(text));
      }
    };
  }

  std::vector<CameraResult> run() {
    start_.emplace(options_.cameras.size());
    start_cameras();
    counted_.resize(cameras_.size());
    watch();
    std::vector<CameraResult> results;
    for (const auto& camera : cameras_) {
      results.push_back(camera->finish());
    }
    report();
    return results;
  }

 private:
  // One camera has all cores, as every encoder by itself would.
  int fair_share() const {
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    const auto cameras = static_cast<int>(options_.cameras.size());
    return cameras == 1 ? 0 : std::max(1, cores / cameras);
  }

  void start_cameras() {
    try {
      for (const CameraOptions& camera : options_.cameras) {
        cameras_.push_back(std::make_unique<tools::Camera>(camera, terms_, *start_));
      }
    } catch (...) {
      stop_all();  // the rig is incomplete
      start_->give_up();
      throw;
    }
  }

  void watch() {
    double next_look = 0;
    double next_status = 0;
    while (!all_ended()) {
      if (options_.go_on && !options_.go_on()) {
        stop_all();
      }
      const double now = seconds_since(begin_);
      if (now >= next_look) {
        look_at_room();
        next_look = now + kLookAtRoomEvery;
      }
      if (now >= next_status) {
        report();
        next_status = std::max(next_status + options_.status_interval, now);
      }
      std::this_thread::sleep_for(kTick);
    }
  }

  bool all_ended() const {
    return std::all_of(cameras_.begin(), cameras_.end(),
                       [](const auto& camera) { return camera->ended(); });
  }

  void stop_all() {
    for (const auto& camera : cameras_) {
      camera->stop(RecordEnd::stopped);
    }
  }

  void look_at_room() {
    for (std::size_t i = 0; i < cameras_.size(); ++i) {
      const auto space = room(options_.cameras[i].store);
      if (space && is_short(*space, options_.min_free) && !cameras_[i]->ended()) {
        cameras_[i]->stop(RecordEnd::min_free);
      }
    }
  }

  void report() {
    const double now = seconds_since(begin_);
    if (!options_.status) {
      return;
    }
    RecordStatus status;
    status.time = unix_now();
    status.seconds = now;
    for (std::size_t i = 0; i < cameras_.size(); ++i) {
      CameraStatus camera = cameras_[i]->status();
      const double passed = now - reported_;
      camera.frames_per_second =
          passed > 0 ? static_cast<double>(camera.frames_arrived - counted_[i]) / passed : 0;
      counted_[i] = camera.frames_arrived;
      if (const auto space = room(camera.store)) {
        camera.disk_free = space->available;
        camera.disk_size = space->capacity;
      }
      status.cameras.push_back(std::move(camera));
    }
    reported_ = now;
    options_.status(status);
  }

  RecordOptions options_;
  tools::RigTerms terms_;
  std::optional<tools::StartLine> start_;  // made when the cameras are
  std::mutex notices_;
  Clock::time_point begin_ = Clock::now();
  double reported_ = 0;
  std::vector<std::int64_t> counted_;                    // frames, at the status before
  std::vector<std::unique_ptr<tools::Camera>> cameras_;  // gone before what they refer to
};

}  // namespace

std::string to_text(CameraState state) {
  switch (state) {
    case CameraState::opening:
      return "opening";
    case CameraState::recording:
      return "recording";
    case CameraState::reconnecting:
      return "reconnecting";
    case CameraState::ended:
      return "ended";
  }
  return {};
}

std::string to_text(RecordEnd end) {
  switch (end) {
    case RecordEnd::source_ended:
      return "source_ended";
    case RecordEnd::frames:
      return "frames";
    case RecordEnd::duration:
      return "duration";
    case RecordEnd::stopped:
      return "stopped";
    case RecordEnd::min_free:
      return "min_free";
    case RecordEnd::failed:
      return "failed";
  }
  return {};
}

std::vector<CameraResult> record(const RecordOptions& options) {
  return Rig(options).run();
}

}  // namespace avstore
