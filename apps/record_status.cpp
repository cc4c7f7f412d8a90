#include "record_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
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

std::string line_of(const CameraStatus& camera, std::size_t name_width) {
  std::string line =
      fmt::format("{:<{}} {:<12} {:6.1f}/s  queue {}/{}  dropped {}  durable {}  {} left",
                  camera.camera, name_width, to_text(camera.state), camera.frames_per_second,
                  camera.writer.queue_frames, camera.queue_limit, camera.writer.frames_dropped,
                  camera.writer.frames_durable, bytes_text(camera.disk_free));
  if (!camera.writer.encoder.empty()) {
    line += "  " + camera.writer.encoder;
  }
  if (camera.gaps > 0) {
    line += fmt::format("  gaps {}", camera.gaps);
  }
  if (camera.frames_undecodable > 0) {
    line += fmt::format("  undecodable {}", camera.frames_undecodable);
  }
  if (camera.frames_damaged > 0) {
    line += fmt::format("  damaged {}", camera.frames_damaged);
  }
  if (!camera.trouble.empty()) {
    line += "  " + camera.trouble;
  }
  return line;
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
          {"gaps", camera.gaps},
          {"disk_free", camera.disk_free},
          {"disk_size", camera.disk_size},
          {"encoder", text_or_null(camera.writer.encoder)},
          {"trouble", text_or_null(camera.trouble)}};
}

}  // namespace

void show_record_status(const RecordStatus& status, StatusKind kind, Output& out) {
  if (kind == StatusKind::json) {
    for (const CameraStatus& camera : status.cameras) {
      out.offer(json_text(as_json(status, camera)) + "\n");
    }
  } else if (kind == StatusKind::lines) {
    std::size_t width = 0;
    for (const CameraStatus& camera : status.cameras) {
      width = std::max(width, camera.camera.size());
    }
    std::vector<std::string> lines;
    for (const CameraStatus& camera : status.cameras) {
      lines.push_back(line_of(camera, width));
    }
    show_status(lines);
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
          {"dropped", dropped},
          {"undecodable", result.undecodable},
          {"damaged", result.damaged},
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
