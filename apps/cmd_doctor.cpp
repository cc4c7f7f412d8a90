// avstore doctor: does everything work on this machine?
#include <avstore/tools.h>

#include <algorithm>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "messages.h"
#include "progress_bar.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  DoctorOptions doctor;
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_path(arguments, "--folder", options.doctor.folder,
           "Where to try; the system's temporary folder by default");
  const auto take_format = [&options](const std::string& text) {
    options.doctor.formats.push_back(parse_format_name(text));
  };
  arguments
      .add_repeated("--format", take_format, "Check this format only; several times if need be")
      .value_name("FORMAT");
  add_json(arguments, options.json);
}

const char* result_name(DoctorCheck::Result result) {
  switch (result) {
    case DoctorCheck::Result::works:
      return "works";
    case DoctorCheck::Result::missing:
      return "missing";
    default:
      return "FAILED";
  }
}

ordered_json as_json(const DoctorCheck& check) {
  std::string result = result_name(check.result);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {{"format", check.format},
          {"encoder", check.encoder.empty() ? ordered_json() : ordered_json(check.encoder)},
          {"pixel_format",
           check.pixels.empty() ? ordered_json() : ordered_json(std::string(check.pixels.name()))},
          {"result", result},
          {"what", check.what},
          {"frames_per_second", check.frames_per_second}};
}

void print_table(const DoctorReport& report, Output& out) {
  out.print("{:<18} {:<12} {:<8} {:<8} {}\n", "format", "encoder", "pixels", "result", "what");
  for (const DoctorCheck& check : report.checks) {
    out.print("{:<18} {:<12} {:<8} {:<8} {}\n", check.format, check.encoder, check.pixels.name(),
              result_name(check.result), check.what);
  }
}

int run(const Options& options, Output& out) {
  catch_interrupts();
  DoctorOptions checking = options.doctor;
  ProgressBar bar;
  checking.progress = bar.callback();
  const DoctorReport report = doctor(checking);
  if (!report.well) {
    out.note_failure();
  }
  if (options.json) {
    ordered_json checks = ordered_json::array();
    for (const DoctorCheck& check : report.checks) {
      checks.push_back(as_json(check));
    }
    out.print_json({{"well", report.well}, {"checks", checks}});
  } else {
    print_table(report, out);
  }
  if (report.well) {
    return kDone;
  }
  out.flush();
  say("not everything works that should; the table on standard output says what");
  return kFailed;
}

}  // namespace

Command doctor_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"doctor",
       "Write, read back and compare a small store in every format with every encoder; exit status "
       "1 if a format that should work does not",
       "  avstore doctor\n"
       "  avstore doctor --format avc1/mp4 --json"},
      declare, run);
}

}  // namespace avstore::cli
