// avstore formats: what stores can be made of on this machine.
#include <avstore/format.h>

#include "arguments.h"
#include "command.h"

namespace avstore::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  bool json = false;
};

void declare(Arguments& arguments, Options& options) {
  add_json(arguments, options.json);
}

ordered_json encoders_as_json(const Format& format) {
  ordered_json encoders = ordered_json::array();
  for (const EncoderAvailability& encoder : probe_encoders(format)) {
    encoders.push_back({{"encoder", encoder.encoder},
                        {"hardware", encoder.hardware},
                        {"available", encoder.available},
                        {"why_not", encoder.why_not}});
  }
  return encoders;
}

ordered_json as_json(const Format& format) {
  ordered_json pixels = ordered_json::array();
  for (const PixelFormat& pixel : format.lossless_pixels) {
    pixels.push_back(std::string(pixel.name()));
  }
  ordered_json object = {{"format", format.name},
                         {"extension", format.extension},
                         {"video", format.video},
                         {"lossless", format.lossless},
                         {"lossless_pixel_formats", pixels},
                         {"description", format.description}};
  object["encoders"] = format.video ? encoders_as_json(format) : ordered_json::array();
  return object;
}

void print_encoders(const Format& format, Output& out) {
  for (const EncoderAvailability& encoder : probe_encoders(format)) {
    out.print("    {:<20} {}\n", encoder.encoder,
              encoder.available ? "yes" : "no: " + encoder.why_not);
  }
}

void print_format(const Format& format, Output& out) {
  out.print("{:<20} {:<9} {}\n", format.name, format.lossless ? "lossless" : "lossy",
            format.description);
  if (format.video) {
    print_encoders(format, out);
  }
}

int run(const Options& options, Output& out) {
  if (options.json) {
    ordered_json array = ordered_json::array();
    for (const Format& format : formats()) {
      array.push_back(as_json(format));
    }
    out.print_json(array);
    return kDone;
  }
  for (const Format& format : formats()) {
    print_format(format, out);
  }
  return kDone;
}

}  // namespace

Command formats_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"formats",
       "List the formats of stores and, for those of video, whether each encoder works on this "
       "machine",
       "  avstore formats"},
      declare, run);
}

}  // namespace avstore::cli
