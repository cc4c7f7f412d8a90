// How a recording goes, for somebody watching and for programs.
#pragma once

#include <avstore/record.h>

#include "background_writer.h"
#include "output.h"

namespace avstore::cli {

enum class StatusKind {
  none,
  lines,  // one a camera on standard error, drawn in place
  json,   // one object a camera on standard output, a line each
};

// JSON goes to `out`. Does not wait for whoever reads it, nor for whoever reads standard error
// while there are PatientMessages.
void show_record_status(const RecordStatus& status, StatusKind kind, NewestText& out);

// What became of a camera, as members of --json and --status-json have it.
nlohmann::ordered_json as_json(const CameraResult& result);

// In words: "as many as asked for".
std::string reason_text(RecordEnd end);

}  // namespace avstore::cli
