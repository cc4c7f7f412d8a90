// avstore align: frames of several stores that belong together.
#include <avstore/tools.h>

#include <cmath>
#include <map>
#include <set>
#include <system_error>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::vector<std::string> stores;
  AlignOptions align;
  WriterOptions writer;
  std::filesystem::path folder, side_by_side;
  bool ignore_corrupt = false;
  bool no_save = false;
  bool json = false;
};

AlignBy parse_by(const std::string& text) {
  if (text != "number" && text != "time") {
    throw BadValue("'" + text + "' is neither number nor time");
  }
  return text == "time" ? AlignBy::time : AlignBy::number;
}

AlignPolicy parse_policy(const std::string& text) {
  static const std::map<std::string, AlignPolicy> kPolicies{
      {"drop", AlignPolicy::drop}, {"hold", AlignPolicy::hold}, {"black", AlignPolicy::black}};
  const auto found = kPolicies.find(text);
  if (found == kPolicies.end()) {
    throw BadValue("'" + text + "' is neither drop nor hold nor black");
  }
  return found->second;
}

double parse_tolerance(const std::string& text) {
  const double seconds = parse_number(text);
  if (!(seconds >= 0)) {
    throw BadValue("'" + text + "' is negative");
  }
  return seconds;
}

void declare(Arguments& arguments, Options& options) {
  arguments.add_texts("STORE", options.stores, "The stores, two or more").required();
  add_parsed(arguments, "--by", options.align.by, parse_by, "WHAT",
             "What frames are matched by: number (the default) or time");
  add_parsed(arguments, "--tolerance", options.align.tolerance, parse_tolerance, "SECONDS",
             "By time: how far the times of a match may lie apart; by default half the shortest of "
             "the stores' frame intervals");
  add_parsed(arguments, "--policy", options.align.policy, parse_policy, "POLICY",
             "Where a store lacks a frame: drop that place (the default), hold the store's image "
             "before, or show black");
  add_path(arguments, "--stores", options.folder,
           "Write each store anew, aligned, into this folder, under the name it has");
  add_path(arguments, "--side-by-side", options.side_by_side,
           "Write all images from left to right into one store, or one video (.mp4, .mkv)");
  add_format(arguments, options.writer.format);
  add_store_options(arguments, options.writer);
  add_ignore_corrupt(arguments, options.ignore_corrupt,
                     "With --stores: leave out chunks whose extra data are damaged");
  add_no_save(arguments, options.no_save);
  add_json(arguments, options.json);
  add_encoder_options(arguments, options.writer.encoder);
}

const char* kind_name(AlignedFrame::Kind kind) {
  switch (kind) {
    case AlignedFrame::Kind::match:
      return "match";
    case AlignedFrame::Kind::hold:
      return "hold";
    default:
      return "black";
  }
}

// ---- the table -----------------------------------------------------------------------------

std::string frame_csv(const AlignedFrame& frame) {
  const std::string kind = kind_name(frame.kind);
  return frame.kind == AlignedFrame::Kind::black
             ? ",,," + kind
             : fmt::format("{},{},{},{}", frame.index.value, frame.number.value, frame.time.seconds,
                           kind);
}

void write_csv(const Alignment& alignment, Output& out) {
  out.write("frame_number,frame_time");
  for (std::size_t s = 1; s <= alignment.stores.size(); ++s) {
    out.print(",frame_index_{0},frame_number_{0},frame_time_{0},shown_{0}", s);
  }
  out.write("\n");
  for (std::size_t place = 0; place < alignment.places.size(); ++place) {
    const FrameNames& names = alignment.places[place];
    out.print("{},{}", names.number.value, names.time.seconds);
    for (std::size_t s = 0; s < alignment.stores.size(); ++s) {
      out.write("," + frame_csv(alignment.frame(place, s)));
    }
    out.write("\n");
  }
}

ordered_json frame_json(const AlignedFrame& frame) {
  const bool black = frame.kind == AlignedFrame::Kind::black;
  return {{"frame_index", black ? ordered_json() : ordered_json(frame.index.value)},
          {"frame_number", black ? ordered_json() : ordered_json(frame.number.value)},
          {"frame_time", black ? ordered_json() : ordered_json(frame.time.seconds)},
          {"shown", kind_name(frame.kind)}};
}

// A place a line, none of them kept.
void write_json(const Alignment& alignment, Output& out) {
  ordered_json stores = ordered_json::array();
  for (const std::filesystem::path& store : alignment.stores) {
    stores.push_back(store.string());
  }
  out.print("{{\"stores\":{},\"tolerance\":{},\"places\":[", json_text(stores),
            alignment.tolerance);
  const char* separator = "\n";
  for (std::size_t place = 0; place < alignment.places.size(); ++place) {
    const FrameNames& names = alignment.places[place];
    ordered_json line = {{"frame_number", names.number.value}, {"frame_time", names.time.seconds}};
    line["frames"] = ordered_json::array();
    for (std::size_t s = 0; s < alignment.stores.size(); ++s) {
      line["frames"].push_back(frame_json(alignment.frame(place, s)));
    }
    out.write(separator + json_text(line));
    separator = ",\n";
  }
  out.write(alignment.places.empty() ? "]}\n" : "\n]}\n");
}

// ---- what is written -----------------------------------------------------------------------

// FOLDER/NAME for each; stores of the same name get a number behind it.
std::vector<std::filesystem::path> destinations(const Options& options) {
  std::vector<std::filesystem::path> places;
  std::set<std::filesystem::path> taken;
  for (const std::filesystem::path store : options.stores) {
    std::error_code unknown;
    const auto full = std::filesystem::absolute(store, unknown).lexically_normal();
    const auto name = full.has_filename() ? full : full.parent_path();
    const bool is_metadata = name.filename() == "metadata.yaml";
    const auto base = options.folder / (is_metadata ? name.parent_path() : name).filename();
    std::filesystem::path place = base;
    for (int i = 2; !taken.insert(place).second; ++i) {
      place = base.string() + "-" + std::to_string(i);
    }
    places.push_back(place);
  }
  return places;
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Error(ErrorKind::io, folder.string() + ": cannot make the folder: " + error.message());
  }
}

void write_results(const Options& options, const Alignment& alignment) {
  ProgressBar bar;
  AlignedWriterOptions writing;
  writing.writer = options.writer;
  writing.progress = bar.callback();
  writing.notice = say;
  writing.save_index = !options.no_save;
  writing.ignore_corrupt_extra = options.ignore_corrupt;
  if (!options.folder.empty()) {
    make_folder(options.folder);
    write_aligned(alignment, destinations(options), writing);
  }
  if (!options.side_by_side.empty()) {
    write_side_by_side(alignment, options.side_by_side, writing);
  }
}

int run(const Options& options, Output& out) {
  catch_interrupts();
  AlignOptions aligning = options.align;
  aligning.notice = say;
  aligning.save_index = !options.no_save;
  const std::vector<std::filesystem::path> stores(options.stores.begin(), options.stores.end());
  const Alignment alignment = align(stores, aligning);
  write_results(options, alignment);
  if (options.json) {
    write_json(alignment, out);
  } else {
    write_csv(alignment, out);
  }
  return kDone;
}

}  // namespace

Command align_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"align",
       "Match the frames of several stores by number or time: print the table of matches as CSV, "
       "write aligned stores or all images side by side",
       "  avstore align left.store right.store --by time > matches.csv\n"
       "  avstore align left.store right.store --policy hold --stores aligned\n"
       "  avstore align left.store right.store --side-by-side both.mp4"},
      declare, run);
}

}  // namespace avstore::cli
