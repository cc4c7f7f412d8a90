// avstore frames: the table of frames.
#include <avstore/local_time.h>

#include "arguments.h"
#include "command.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::filesystem::path store;
  bool no_save = false;
  std::optional<RangeText> range;
  bool local = false;
  bool json = false;
};

void declare(CLI::App& arguments, Options& options) {
  add_store(arguments, options.store);
  add_range(arguments, options.range);
  arguments.add_flag("--local", options.local,
                     "Add frame_time as local date and time in the store's time zone");
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

void write_csv(const Reader& reader, IndexRange range, bool local, Output& out) {
  const std::string& zone = reader.info().timezone_local;
  out.write("frame_index,frame_number,frame_time,chunk,frame_idx,pts,keyframe");
  out.write(local ? ",local_time\n" : "\n");
  visit_infos(reader, range, [&](const FrameInfo& frame) {
    print_csv(frame, out);
    out.write(local ? "," + local_time(frame.time, zone) + "\n" : "\n");
  });
}

// An array with an object a line, none of them kept.
void write_json(const Reader& reader, IndexRange range, bool local, Output& out) {
  const std::string& zone = reader.info().timezone_local;
  const char* separator = "[\n";
  visit_infos(reader, range, [&](const FrameInfo& frame) {
    ordered_json object = as_json(frame);
    if (local) {
      object["local_time"] = local_time(frame.time, zone);
    }
    out.write(separator);
    out.write(json_text(object));
    separator = ",\n";
  });
  out.write(range.size() > 0 ? "\n]\n" : "[]\n");
}

int run(const Options& options, Output& out) {
  const Reader reader = open_store(options.store, reading(options.no_save));
  const IndexRange range = chosen_range(reader, options.range);
  if (options.json) {
    write_json(reader, range, options.local, out);
  } else {
    write_csv(reader, range, options.local, out);
  }
  return kDone;
}

}  // namespace

Command frames_command(CLI::App& program) {
  return make_command<Options>(
      program,
      {"frames",
       "List frames as CSV: frame_index, frame_number, frame_time, and where each is kept: chunk, "
       "frame_idx, pts, keyframe",
       "  avstore frames arena.store > frames.csv\n"
       "  avstore frames arena.store --range -100: --json\n"
       "  avstore frames arena.store --local"},
      declare, run);
}

}  // namespace avstore::cli
