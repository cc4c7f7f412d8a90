// How a recording goes, for somebody watching and for programs.
#pragma once

#include <avstore/record.h>

#include "output.h"

namespace avstore::cli {

enum class StatusKind {
  none,
  lines,  // one a camera on standard error, drawn in place
  json,   // one object a camera on standard output, a line each
};

// Recording goes on whatever becomes of the status: nobody who reads too slowly or no more holds it
// up.
void show_record_status(const RecordStatus& status, StatusKind kind, Output& out);

// What became of a camera, as members of --json and --status-json have it.
nlohmann::ordered_json as_json(const CameraResult& result);

// In words: "as many as asked for".
std::string reason_text(RecordEnd end);

}  // namespace avstore::cli
