// avstore timecodes: the frames' times for video tools.
#include <avstore/types.h>

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "arguments.h"
#include "command.h"
#include "messages.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store;
  bool no_save = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_no_save(arguments, options.no_save);
}

class Timecodes {
 public:
  Timecodes(std::string store, Output& out) : store_(std::move(store)), out_(out) {}

  void write(const FrameInfo& frame) {
    const double time = frame.time.seconds;
    if (!std::isfinite(time)) {
      write_without_time(frame);
      return;
    }
    if (!first_) {
      first_ = last_ = time;
    }
    if (time < last_ && !warned_) {
      warned_ = true;
      say(fmt::format("{}: times run backwards at frame {}; most tools refuse such timecodes",
                      store_, frame.index.value));
    }
    last_ = time;
    print_last();
  }

 private:
  void print_last() { out_.print("{:.6f}\n", (last_ - first_.value_or(last_)) * 1000); }

  // A line a frame there must be, and none that is not a number.
  void write_without_time(const FrameInfo& frame) {
    if (!told_) {
      told_ = true;
      say(fmt::format("{}: frame {} has no time; such frames are given that of the one before",
                      store_, frame.index.value));
    }
    print_last();
  }

  std::string store_;
  Output& out_;
  std::optional<double> first_;
  double last_ = 0;
  bool warned_ = false;
  bool told_ = false;
};

int run(const Options& options, Output& out) {
  const Reader reader = open_store(options.store, reading(options.no_save));
  Timecodes timecodes(options.store.string(), out);
  out.write("# timecode format v2\n");
  visit_infos(reader, {0, reader.frame_count()},
              [&timecodes](const FrameInfo& frame) { timecodes.write(frame); });
  return kDone;
}

}  // namespace

Command timecodes_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"timecodes",
       "Write each frame's time in milliseconds after the first's, as timecode format v2",
       "  avstore timecodes arena.store > timecodes.txt\n"
       "  mkvmerge -o arena.mkv --timestamps 0:timecodes.txt arena.mp4"},
      declare, run);
}

}  // namespace avstore::cli
