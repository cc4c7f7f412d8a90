// avstore frames: the table of frames.
#include <avstore/local_time.h>

#include <algorithm>
#include <string>
#include <utility>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::filesystem::path store;
  bool no_save = false;
  std::optional<RangeText> range;
  bool local = false;
  bool follow = false;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_range(arguments, options.range);
  arguments.add_flag("--local", options.local,
                     "Add frame_time as local date and time in the store's time zone");
  arguments.add_flag(
      "--follow", options.follow,
      "While the store is being recorded, go on with the frames that come, until the "
      "recording ends or Ctrl-C; a range may have a beginning only");
  add_json(arguments, options.json);
  add_no_save(arguments, options.no_save);
}

void print_csv(const FrameInfo& frame, Output& out) {
  out.print("{},{},{},{},{},{},{}", frame.index.value, frame.number.value, frame.time.seconds,
            frame.chunk, frame.frame_idx, frame.pts ? std::to_string(*frame.pts) : "",
            frame.keyframe ? 1 : 0);
}

ordered_json as_json(const FrameInfo& frame) {
  return {{"frame_index", frame.index.value},
          {"frame_number", frame.number.value},
          {"frame_time", frame.time.seconds},
          {"chunk", frame.chunk},
          {"frame_idx", frame.frame_idx},
          {"pts", frame.pts ? ordered_json(*frame.pts) : ordered_json()},
          {"keyframe", frame.keyframe}};
}

// Writes frames one after another, in as many calls as it takes.
class Table {
 public:
  Table(bool json, bool local, std::string zone, Output& out)
      : json_(json), local_(local), zone_(std::move(zone)), out_(out) {
    if (!json_) {
      out_.write("frame_index,frame_number,frame_time,chunk,frame_idx,pts,keyframe");
      out_.write(local_ ? ",local_time\n" : "\n");
    }
  }

  void add(const FrameInfo& frame) {
    if (json_) {
      add_json(frame);
    } else {
      print_csv(frame, out_);
      out_.write(local_ ? "," + local_time(frame.time, zone_) + "\n" : "\n");
    }
  }

  void end() {
    if (json_) {
      out_.write(empty_ ? "[]\n" : "\n]\n");
    }
  }

 private:
  // An array with an object a line, none of them kept.
  void add_json(const FrameInfo& frame) {
    ordered_json object = as_json(frame);
    if (local_) {
      object["local_time"] = local_time(frame.time, zone_);
    }
    out_.write(empty_ ? "[\n" : ",\n");
    out_.write(json_text(object));
    empty_ = false;
  }

  bool json_;
  bool local_;
  std::string zone_;
  Output& out_;
  bool empty_ = true;
};

void require_open_end(const Options& options) {
  if (options.range && options.range->end) {
    throw WrongUsage("--follow", "takes a range without an end, such as 100: or -100:");
  }
}

// Goes on until the recording ends or a signal comes; either is a proper end.
void follow(Reader& reader, std::int64_t begin, Table& table, Output& out) {
  constexpr double kInterval = 0.1;  // frames become readable about twice a second
  catch_interrupts();
  do {
    const std::int64_t end = reader.refresh();
    visit_prepared(reader, {begin, end}, [&table](const FrameInfo& frame) {
      table.add(frame);
      return !interrupted();
    });
    begin = std::max(begin, end);
  } while (reader.info().recording && out.wait(kInterval));
}

int run(const Options& options, Output& out) {
  if (options.follow) {
    require_open_end(options);
  }
  Reader reader = open_store(options.store, reading(options.no_save));
  if (options.follow) {
    const std::int64_t begin = options.range.value_or(RangeText{}).of(reader.frame_count()).begin;
    Table table(options.json, options.local, reader.info().timezone_local, out);
    follow(reader, begin, table, out);
    table.end();
    return kDone;
  }
  const IndexRange range = chosen_range(reader, options.range);
  Table table(options.json, options.local, reader.info().timezone_local, out);
  visit_prepared_with_progress(reader, range,
                               [&table](const FrameInfo& frame) { table.add(frame); });
  table.end();
  return kDone;
}

}  // namespace

Command frames_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"frames",
       "List frames as CSV: frame_index, frame_number, frame_time, and where each is kept: chunk, "
       "frame_idx, pts, keyframe",
       "  avstore frames arena.store > frames.csv\n"
       "  avstore frames arena.store --range -100: --json\n"
       "  avstore frames arena.store --local\n"
       "  avstore frames rig.store --range -10: --follow"},
      declare, run);
}

}  // namespace avstore::cli
