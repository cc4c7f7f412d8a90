// avstore record: a live source becomes a store.
#include <avstore/tools.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"

namespace avstore::cli {
namespace {

struct Options {
  std::string source;
  std::filesystem::path store;
  RecordOptions record;
  std::string size, pixel_format;
  bool frame_rate_given = false;
  bool json = false;
};

void declare_input(CLI::App& arguments, Options& options) {
  const auto take_option = [&options](const std::string& text) {
    options.record.input_options.insert(parse_assignment(text));
  };
  const auto take_size = [](const std::string& text) { return parse_size(text); };
  const auto take_pixels = [](const std::string& text) {
    return std::string(parse_pixel_format(text).name());
  };
  const auto add = [](CLI::Option* option) { option->group("Input"); };
  add(arguments
          .add_option("--input-format", options.record.input_format,
                      "What the source is, by libav's name of the device or format: v4l2, lavfi, "
                      "rawvideo, rtsp, ... (default: found out by looking at it)")
          ->type_name("NAME"));
  add(add_repeated(arguments, "--input-option", take_option, "KEY=VALUE",
                   "Any option of the device or format; may be given several times"));
  add(add_parsed(arguments, "--size", options.size, take_size, "WxH",
                 "Size of the picture, for raw video and cameras"));
  add(add_parsed(arguments, "--pixel-format", options.pixel_format, take_pixels, "NAME",
                 "Pixel format, for raw video and cameras: gray8, bgr24, yuv420p, ..."));
  add(add_parsed(arguments, "--stream", options.record.stream, parse_small_natural, "N",
                 "Which stream of the source, counted from 0 (default: the first of video)"));
}

void declare_end(CLI::App& arguments, Options& options) {
  add_parsed(arguments, "--frames", options.record.frames, parse_count, "N",
             "Stop after so many frames");
  add_parsed(arguments, "--duration", options.record.duration, parse_positive_number, "SECONDS",
             "Stop after so many seconds");
}

WhenFull parse_when_full(const std::string& text) {
  static const std::map<std::string, WhenFull> kPolicies{
      {"block", WhenFull::block}, {"drop", WhenFull::drop}, {"fail", WhenFull::fail}};
  const auto found = kPolicies.find(text);
  if (found == kPolicies.end()) {
    throw BadValue("'" + text + "' is neither block nor drop nor fail");
  }
  return found->second;
}

void declare_queue(CLI::App& arguments, WriterOptions& writer) {
  add_parsed(arguments, "--when-full", writer.when_full, parse_when_full, "POLICY",
             "When encoding does not keep up and the queue is full: block the source (the "
             "default), drop the frame, which is counted and listed, or fail");
  add_parsed(arguments, "--queue", writer.queue_frames, parse_count, "N",
             "Frames that may wait to be encoded (default: 64, and never more than 256 MiB)");
}

void declare(CLI::App& arguments, Options& options) {
  WriterOptions& writer = options.record.writer;
  arguments
      .add_option("SOURCE", options.source, "A device, an address, a file, or - for standard input")
      ->required()
      ->type_name("");
  add_path(arguments, "STORE", options.store, "The folder to make")->required();
  declare_end(arguments, options);
  add_format(arguments, writer.format);
  add_description_options(arguments, writer);
  add_store_options(arguments, writer);
  declare_queue(arguments, writer);
  add_json(arguments, options.json);
  declare_input(arguments, options);
  add_encoder_options(arguments, writer.encoder);
  arguments.get_option("--fps")->each(
      [&options](const std::string&) { options.frame_rate_given = true; });
}

// Demuxers that must be told the rate or can ask a camera for it; others refuse the option.
bool takes_frame_rate(std::string_view input_format) {
  constexpr std::array<std::string_view, 10> kNames = {
      "rawvideo", "v4l2",       "video4linux2", "x11grab", "fbdev",
      "image2",   "image2pipe", "h264",         "hevc",    "mjpeg"};
  return std::find(kNames.begin(), kNames.end(), input_format) != kNames.end();
}

RecordOptions with_input(const Options& options) {
  RecordOptions record = options.record;
  // Raw frames cannot be found out by looking, and only they need a size.
  if (record.input_format.empty() && options.source == "-" && !options.size.empty()) {
    record.input_format = "rawvideo";
  }
  if (record.input_format == "rawvideo" && (options.size.empty() || options.pixel_format.empty())) {
    throw CLI::ValidationError("raw frames", "need --size and --pixel-format");
  }
  if (!options.size.empty()) {
    record.input_options.emplace("video_size", options.size);
  }
  if (!options.pixel_format.empty()) {
    record.input_options.emplace("pixel_format", options.pixel_format);
  }
  if (options.frame_rate_given && takes_frame_rate(record.input_format)) {
    const Rational rate = record.writer.encoder.frame_rate;
    record.input_options.emplace("framerate", fmt::format("{}/{}", rate.num, rate.den));
  }
  return record;
}

void report(const Options& options, const RecordResult& result, Output& out) {
  if (options.json) {
    auto dropped = nlohmann::ordered_json::array();
    for (const FrameNames& names : result.dropped) {
      dropped.push_back({{"frame_number", names.number.value}, {"frame_time", names.time.seconds}});
    }
    out.print_json({{"store", options.store.string()},
                    {"frames", result.frames},
                    {"seconds", result.seconds},
                    {"dropped", dropped}});
    return;
  }
  out.print("{}: {} frames in {:.3f} s\n", options.store.string(), result.frames, result.seconds);
  for (const FrameNames& names : result.dropped) {
    out.print("dropped: frame_number {}, frame_time {}\n", names.number.value, names.time.seconds);
  }
}

// Whoever reads no further than the summary must know.
void tell_of_drops(const Options& options, const RecordResult& result) {
  if (!result.dropped.empty()) {
    say(fmt::format("{}: {} of {} frames were dropped, because encoding did not keep up",
                    options.store.string(), result.dropped.size(),
                    result.dropped.size() + static_cast<std::size_t>(result.frames)));
  }
}

int run(const Options& options, Output& out) {
  RecordOptions recording = with_input(options);
  catch_interrupts();
  ProgressBar bar;
  recording.progress = bar.callback();
  recording.notice = say;
  const std::string source = options.source == "-" ? "pipe:0" : options.source;
  const RecordResult result = record(source, options.store, recording);
  report(options, result, out);
  tell_of_drops(options, result);
  return kDone;
}

}  // namespace

Command record_command(CLI::App& program) {
  return make_command<Options>(
      program,
      {"record",
       "Record from a camera, a network stream or standard input until it ends, --frames or "
       "--duration are reached, or Ctrl-C; frame_time is the time of arrival",
       "  avstore record /dev/video0 rig.store --input-format v4l2 --size 1280x720 --fps 30\n"
       "  camera | avstore record - rig.store --input-format rawvideo --size 640x480 "
       "--pixel-format gray8 --fps 100"},
      declare, run);
}

}  // namespace avstore::cli
