#include "record_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "messages.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr double kGibi = 1024.0 * 1024 * 1024;
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGibi);
}

// All of it but the name, most important first: what a narrow terminal cuts off is at the end.
std::string numbers_of(const CameraStatus& camera) {
  const bool records = camera.state == CameraState::recording;
  return fmt::format(
      "{:>9}  dropped {}  durable {}  queue {}/{}  {}  {}",
      records ? fmt::format("{:.1f}/s", camera.frames_per_second) : to_text(camera.state),
      camera.writer.frames_dropped, camera.writer.frames_durable, camera.writer.queue_frames,
      camera.queue_limit, bytes_text(camera.disk_free), camera.writer.encoder);
}

// What is not as it should be; empty if all is.
std::string troubles_of(const CameraStatus& camera) {
  std::string line = camera.trouble;
  const auto add = [&line](const char* what, std::int64_t count) {
    if (count > 0) {
      line += fmt::format("{}{} {}", line.empty() ? "" : "  ", what, count);
    }
  };
  add("gaps", camera.gaps);
  add("undecodable", camera.frames_undecodable);
  add("damaged", camera.frames_damaged);
  return line;
}

std::string shortened(const std::string& name, std::size_t width) {
  return name.size() <= width ? name : name.substr(0, width - 1) + "~";
}

std::vector<std::string> lines_of(const std::vector<CameraStatus>& cameras) {
  constexpr std::size_t kShortestName = 6;
  std::size_t name_width = 0;
  std::size_t numbers_width = 0;
  for (const CameraStatus& camera : cameras) {
    name_width = std::max(name_width, camera.camera.size());
    numbers_width = std::max(numbers_width, numbers_of(camera).size());
  }
  // A blank between them, and the last column of a terminal is left empty.
  const auto room = static_cast<std::size_t>(terminal_width()) - 2;
  const std::size_t left = room > numbers_width ? room - numbers_width : 0;
  name_width = std::min(name_width, std::max(left, kShortestName));
  std::vector<std::string> lines;
  for (const CameraStatus& camera : cameras) {
    lines.push_back(fmt::format("{:<{}} {}", shortened(camera.camera, name_width), name_width,
                                numbers_of(camera)));
    if (const std::string troubles = troubles_of(camera); !troubles.empty()) {
      lines.push_back("    " + troubles);
    }
  }
  return lines;
}

ordered_json as_json(const Latency& latency) {
  return {{"median", latency.median}, {"p99", latency.p99}, {"max", latency.max}};
}

ordered_json as_json(const RecordStatus& status, const CameraStatus& camera) {
  return {{"event", "status"},
          {"time", status.time},
          {"seconds", status.seconds},
          {"camera", camera.camera},
          {"store", camera.store.string()},
          {"state", to_text(camera.state)},
          {"frames_before", camera.frames_before},
          {"frames_arrived", camera.frames_arrived},
          {"frames_per_second", camera.frames_per_second},
          {"frames_encoded", camera.writer.frames_encoded},
          {"frames_durable", camera.writer.frames_durable},
          {"frames_dropped", camera.writer.frames_dropped},
          {"frames_undecodable", camera.frames_undecodable},
          {"frames_damaged", camera.frames_damaged},
          {"queue_frames", camera.writer.queue_frames},
          {"queue_limit", camera.queue_limit},
          {"queue_bytes", camera.writer.queue_bytes},
          {"encode_latency", as_json(camera.writer.encode_latency)},
          {"total_latency", as_json(camera.writer.total_latency)},
          {"bytes_written", camera.writer.bytes_written},
          {"gaps", camera.gaps},
          {"disk_free", camera.disk_free},
          {"disk_size", camera.disk_size},
          {"encoder", text_or_null(camera.writer.encoder)},
          {"trouble", text_or_null(camera.trouble)}};
}

}  // namespace

void show_record_status(const RecordStatus& status, StatusKind kind, NewestText& out) {
  if (kind == StatusKind::json) {
    std::string lines;
    for (const CameraStatus& camera : status.cameras) {
      lines += json_text(as_json(status, camera)) + "\n";
    }
    out.offer(std::move(lines));
  } else if (kind == StatusKind::lines) {
    show_status(lines_of(status.cameras));
  }
}

nlohmann::ordered_json as_json(const CameraResult& result) {
  auto dropped = ordered_json::array();
  for (const FrameNames& names : result.dropped) {
    dropped.push_back({{"frame_number", names.number.value}, {"frame_time", names.time.seconds}});
  }
  auto gaps = ordered_json::array();
  for (const Gap& gap : result.gaps) {
    gaps.push_back({{"frame_index", gap.index.value},
                    {"begin", gap.begin},
                    {"end", gap.end},
                    {"reason", gap.reason}});
  }
  return {{"camera", result.camera},
          {"store", result.store.string()},
          {"frames", result.frames},
          {"frames_before", result.frames_before},
          {"seconds", result.seconds},
          {"dropped_count", result.dropped_count},
          {"dropped", dropped},
          {"extra_left_out", result.extra_left_out},
          {"undecodable", result.undecodable},
          {"damaged", result.damaged},
          {"gap_count", result.gap_count},
          {"gaps", gaps},
          {"ended", to_text(result.end)},
          {"error", text_or_null(result.error)}};
}

std::string reason_text(RecordEnd end) {
  switch (end) {
    case RecordEnd::source_ended:
      return "the source ended";
    case RecordEnd::frames:
      return "as many as asked for";
    case RecordEnd::duration:
      return "as long as asked for";
    case RecordEnd::stopped:
      return "stopped";
    case RecordEnd::min_free:
      return "stopped, because the disk is nearly full";
    case RecordEnd::failed:
      return "failed";
  }
  return {};
}

}  // namespace avstore::cli
