// avstore record: live sources become stores.
#include <avstore/record.h>
#include <avstore/text.h>
#include <avstore/tools.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.h"
#include "background_writer.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "output.h"
#include "record_status.h"

namespace avstore::cli {
namespace {

struct Options {
  std::optional<Arguments> arguments;
  std::filesystem::path config;
  CameraOptions camera;
  std::optional<std::int64_t> frames;
  std::optional<double> duration;
  std::optional<MinFree> min_free;
  std::optional<double> status_interval;
  bool status_json = false;
  bool json = false;
};

// These may stand beside --config; all else is in its file.
constexpr std::array<std::string_view, 8> kBesideConfig = {
    "--config",      "--frames",          "--duration", "--min-free",
    "--status-json", "--status-interval", "--json",     "--help"};

void declare_input(Arguments& arguments, CameraOptions& camera) {
  const auto take_option = [&camera](const std::string& text) {
    camera.input_options.insert(parse_assignment(text));
  };
  const auto add = [](Option option) { option.group("Input"); };
  add(arguments
          .add_option("--input-format", camera.input_format,
                      "What the source is, by libav's name of the device or format: v4l2, lavfi, "
                      "rawvideo, rtsp, ... (default: found out by looking at it); or avstore-raw, "
                      "frames with numbers and times as any program can send them")
          .value_name("NAME"));
  add(arguments
          .add_repeated("--input-option", take_option,
                        "Any option of the device or format; may be given several times")
          .value_name("KEY=VALUE"));
  add(add_parsed(arguments, "--size", camera.size, size_from_text, "WxH",
                 "Size of the picture, for raw video and cameras"));
  add(add_parsed(arguments, "--pixel-format", camera.pixel_format, parse_pixel_format, "NAME",
                 "Pixel format, for raw video and cameras: gray8, bgr24, yuv420p, ..."));
  add(add_parsed(arguments, "--stream", camera.stream, parse_small_natural, "N",
                 "Which stream of the source, counted from 0 (default: the first of video)"));
  add(add_parsed(arguments, "--clock", camera.clock, clock_from_text, "source|arrival",
                 "Where frame_time comes from: the source's own timestamps, or the moment at which "
                 "the frame came (default: source for avstore-raw, else arrival)"));
  add(add_parsed(arguments, "--reconnect", camera.reconnect, parse_seconds, "SECONDS",
                 "How long a source on a network is sought again once it is lost; 0: not at all "
                 "(default: until it is back)"));
  add(add_parsed(arguments, "--silence", camera.silence, parse_seconds, "SECONDS",
                 "A source on a network of which nothing comes for so long is lost; 0: never "
                 "(default: 10)"));
  add(arguments
          .add_option("--camera", camera.name,
                      "The camera's name, for {camera} and the status (default: made from SOURCE)")
          .value_name("NAME"));
}

void declare_end(Arguments& arguments, Options& options) {
  add_parsed(arguments, "--frames", options.frames, parse_count, "N",
             "Stop after so many frames of each camera");
  add_parsed(arguments, "--duration", options.duration, parse_positive_number, "SECONDS",
             "Stop each camera so many seconds after its first frame; one that gives none in that "
             "time, once all sources are open or ten seconds have passed, fails");
  add_parsed(arguments, "--min-free", options.min_free, min_free_from_text, "PART",
             "Stop when the store's file system has less room: 5% or bytes such as 20G; 0 for "
             "never (default: 5%)");
}

void declare_queue(Arguments& arguments, WriterOptions& writer) {
  add_parsed(arguments, "--when-full", writer.when_full, when_full_from_text, "POLICY",
             "When encoding does not keep up and the queue is full: block the source (the "
             "default), drop the frame, which is counted and listed, or fail");
  add_parsed(
      arguments, "--durability", writer.durability, durability_from_text, "process|power",
      "What frames that count as durable survive: that this program is killed (the default), "
      "or a power cut too, which costs a wait for the disk about twice a second");
  add_parsed(arguments, "--queue", writer.queue_frames, parse_count, "N",
             "Frames that may wait to be encoded (default: 64)");
  add_parsed(arguments, "--queue-bytes", writer.queue_bytes, bytes_from_text, "SIZE",
             "And bytes, or one frame: 64M, 2G (default: 256M)");
}

void declare_status(Arguments& arguments, Options& options) {
  arguments.add_flag("--status-json", options.status_json,
                     "While recording, and at the end, write a line of JSON for each camera");
  add_parsed(arguments, "--status-interval", options.status_interval, parse_positive_number,
             "SECONDS", "From one status to the next (default: 1)");
}

void declare(Arguments& arguments, Options& options) {
  options.arguments = arguments;
  CameraOptions& camera = options.camera;
  WriterOptions& writer = camera.writer;
  arguments
      .add_option("SOURCE", camera.source,
                  "A device, an address, a file or FIFO, or - for standard input")
      .value_name("");
  add_path(arguments, "STORE", camera.store,
           "The folder to make; in it {camera} and {time} stand for the camera's name and the "
           "time at which the recording starts");
  add_path(arguments, "--config", options.config,
           "Record from many cameras, as this YAML file describes them, instead of one SOURCE")
      .value_name("FILE");
  declare_end(arguments, options);
  declare_status(arguments, options);
  add_format(arguments, writer.format);
  add_description_options(arguments, writer);
  add_store_options(arguments, writer);
  declare_queue(arguments, writer);
  arguments
      .add_flag("--append", camera.append,
                "Go on with the store if it is there, in a new chunk and with its format")
      .excludes(arguments.find("--overwrite"));
  add_json(arguments, options.json);
  declare_input(arguments, camera);
  add_encoder_options(arguments, writer.encoder);
}

// /dev/video0 is "video0".
std::string name_from_source(const std::string& source) {
  std::string name;
  for (const char c : std::filesystem::path(without_passwords(source)).stem().string()) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += fits ? c : '_';
  }
  const bool has_any = name.find_first_not_of('_') != std::string::npos;
  return has_any ? name : "camera";
}

RecordOptions one_camera(const Options& options) {
  for (const char* needed : {"SOURCE", "STORE"}) {
    if (!options.arguments->find(needed).is_given()) {
      throw WrongUsage(needed, "is required, or --config");
    }
  }
  RecordOptions recording;
  recording.cameras = {options.camera};
  CameraOptions& camera = recording.cameras.front();
  if (camera.name.empty()) {
    camera.name = name_from_source(camera.source);
  }
  const bool is_raw = camera.input_format == "rawvideo" ||
                      (camera.input_format.empty() && camera.source == "-" && camera.size);
  if (is_raw && (!camera.size || camera.pixel_format.empty())) {
    throw WrongUsage("raw frames", "need --size and --pixel-format");
  }
  return recording;
}

RecordOptions many_cameras(const Options& options) {
  for (const Option& option : options.arguments->all()) {
    const std::string name = option.name();
    const bool may =
        std::find(kBesideConfig.begin(), kBesideConfig.end(), name) != kBesideConfig.end();
    if (option.is_given() && !may) {
      throw WrongUsage(name, "cannot stand beside --config; it goes into the file");
    }
  }
  return read_rig(options.config);
}

StatusKind status_kind(const Options& options) {
  return options.status_json          ? StatusKind::json
         : messages_are_on_terminal() ? StatusKind::lines
                                      : StatusKind::none;
}

std::string summary(const CameraResult& result) {
  if (result.frames == 0) {
    return fmt::format("{}: no frame came; {}", result.store.string(), reason_text(result.end));
  }
  return fmt::format("{}: {} frames in {:.3f} s; {}", result.store.string(), result.frames,
                     result.seconds, reason_text(result.end));
}

std::string as_text(const CameraResult& result) {
  if (result.frames == 0 && result.end == RecordEnd::failed) {
    return {};  // the error says it all
  }
  std::string text = summary(result) + "\n";
  for (const FrameNames& names : result.dropped) {
    text += fmt::format("dropped: frame_number {}, frame_time {}\n", names.number.value,
                        names.time.seconds);
  }
  const auto listed = static_cast<std::int64_t>(result.dropped.size());
  if (result.dropped_count > listed) {
    text += fmt::format("dropped: {} more, which the store's extra data have\n",
                        result.dropped_count - listed);
  }
  for (const Gap& gap : result.gaps) {
    const bool at_end = gap.index.value >= result.frames_before + result.frames;
    text +=
        fmt::format("gap: {}, {:.3f} s without a frame: {}\n",
                    at_end ? "at the end" : fmt::format("before frame_index {}", gap.index.value),
                    gap.end - gap.begin, gap.reason);
  }
  const auto told = static_cast<std::int64_t>(result.gaps.size());
  if (result.gap_count > told) {
    text +=
        fmt::format("gap: {} more, which the store's extra data have\n", result.gap_count - told);
  }
  return text;
}

std::string report(const Options& options, const std::vector<CameraResult>& results) {
  std::string text;
  if (options.status_json) {
    for (const CameraResult& result : results) {
      nlohmann::ordered_json end = {{"event", "end"}};
      end.update(as_json(result));
      text += json_text(end) + "\n";
    }
  } else if (options.json && options.config.empty()) {
    text = json_text(as_json(results.front()), 2) + "\n";
  } else if (options.json) {
    auto all = nlohmann::ordered_json::array();
    for (const CameraResult& result : results) {
      all.push_back(as_json(result));
    }
    text = json_text(all, 2) + "\n";
  } else {
    for (const CameraResult& result : results) {
      text += as_text(result);
    }
  }
  return text;
}

// Whoever reads no further than the summary must know.
void tell_of_losses(const CameraResult& result) {
  if (result.dropped_count > 0) {
    say(fmt::format("{}: {} of {} frames were dropped, because encoding did not keep up",
                    result.store.string(), result.dropped_count,
                    result.dropped_count + result.frames));
  }
  if (result.extra_left_out > 0) {
    say(fmt::format("{}: {} records that came with dropped frames are not there",
                    result.store.string(), result.extra_left_out));
  }
  if (result.undecodable > 0) {
    say(fmt::format("{}: {} of the frames that came could not be decoded, and are not there",
                    result.store.string(), result.undecodable));
  }
  if (result.damaged > 0) {
    say(fmt::format("{}: {} frames came damaged: parts of them are made up", result.store.string(),
                    result.damaged));
  }
}

// Says what went wrong, if anything did.
int judge(const CameraResult& result, bool many) {
  tell_of_losses(result);
  if (result.end == RecordEnd::failed) {
    say((many ? "camera '" + result.camera + "': " : "") + result.error);
    return kFailed;
  }
  if (result.end == RecordEnd::min_free) {
    say(result.store.string() + ": ended early, because its disk is nearly full (--min-free)");
    return kFailed;
  }
  return kDone;
}

bool nothing_came(const std::vector<CameraResult>& results) {
  return std::all_of(results.begin(), results.end(), [](const CameraResult& result) {
    return result.frames == 0 && result.end == RecordEnd::stopped;
  });
}

// What became of a recording, and the exit status that is due to it.
struct Outcome {
  std::vector<CameraResult> results;
  int status = kDone;
};

// Recording goes on whatever becomes of messages and status: nobody who reads them too slowly or no
// more holds it up, nor the wish to end it. What went wrong is said before results are told: those
// may be lost with whoever reads them.
Outcome record_unhindered(RecordOptions recording, const Options& options, NewestText& lines) {
  const PatientMessages messages;
  const StatusKind kind = status_kind(options);
  recording.status = [&](const RecordStatus& status) { show_record_status(status, kind, lines); };
  Outcome outcome{record(recording)};
  note_work_done();
  erase_status();
  for (const CameraResult& result : outcome.results) {
    outcome.status = std::max(outcome.status, judge(result, !options.config.empty()));
  }
  return outcome;
}

// Whether somebody takes the results changes nothing in what became of the recording.
void tell(const std::string& text, NewestText& lines) {
  const int error = lines.end(text);
  if (error == ETIMEDOUT) {
    const PatientMessages messages;
    say("standard output: nobody takes the results, which are left out, since this was told to "
        "stop");
  } else if (error != 0 && error != EPIPE) {
    throw output_error(error);
  }
}

int run(const Options& options, Output& /*out*/) {
  const bool many = !options.config.empty();
  RecordOptions recording = many ? many_cameras(options) : one_camera(options);
  recording.frames = options.frames ? options.frames : recording.frames;
  recording.duration = options.duration ? options.duration : recording.duration;
  recording.min_free = options.min_free.value_or(recording.min_free);
  recording.status_interval = options.status_interval.value_or(recording.status_interval);
  recording.notice = say;
  recording.go_on = [told = false]() mutable {
    if (interrupted() && !std::exchange(told, true) && messages_are_on_terminal()) {
      say("stopping; Ctrl-C again, after two seconds, gives up what is not finished by then");
    }
    return !interrupted();
  };
  catch_interrupts();
  NewestText lines(STDOUT_FILENO);
  const Outcome outcome = record_unhindered(recording, options, lines);
  if (nothing_came(outcome.results)) {
    if (options.status_json || options.json) {
      tell(report(options, outcome.results), lines);  // programs that read it see what ended
    }
    throw Interrupted(many ? options.config.string()
                           : without_passwords(recording.cameras.front().source));
  }
  tell(report(options, outcome.results), lines);
  return outcome.status;
}

}  // namespace

Command record_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"record",
       "Record from cameras, network streams or standard input until they end, --frames or "
       "--duration are reached, the disk is nearly full, or Ctrl-C",
       "  avstore record /dev/video0 rig.store --input-format v4l2 --size 1280x720 --fps 30\n"
       "  camera | avstore record - rig.store --input-format rawvideo --size 640x480 "
       "--pixel-format gray8 --fps 100\n"
       "  avstore record --config rig.yaml --duration 3600 --status-json"},
      declare, run);
}

}  // namespace avstore::cli
