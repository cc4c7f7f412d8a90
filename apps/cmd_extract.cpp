// avstore extract: one frame as a picture.
#include <avstore/error.h>

#include <optional>

#include "arguments.h"
#include "command.h"
#include "messages.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

struct Options {
  std::filesystem::path store, file;
  std::optional<std::int64_t> index, number;
  std::optional<double> time;
  bool nearest = false;
  bool raw = false;
  bool no_save = false;
  std::optional<PixelFormat> pixel_format;
};

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  Option index = add_parsed(arguments, "--index", options.index, parse_integer, "N",
                            "The frame at this place");
  Option number = add_parsed(arguments, "--number", options.number, parse_integer, "N",
                             "The first frame that the camera gave this number");
  Option time = add_parsed(arguments, "--time", options.time, parse_number, "SECONDS",
                           "The frame nearest to this time");
  index.excludes(number).excludes(time);
  number.excludes(time);
  arguments.add_flag("--nearest", options.nearest,
                     "If no frame has the number, take the one whose number is nearest");
  add_path(arguments, "-o,--output", options.file,
           "The picture to write (required): .png, .tif, .jpg, .bmp, .ppm, .pgm or .npy")
      .value_name("FILE")
      .required();
  add_parsed(arguments, "--pixel-format", options.pixel_format, parse_pixel_format, "NAME",
             "Pixel format of the picture (default: bgr24 of colour stores, gray8 of gray ones)");
  arguments.add_flag("--raw", options.raw,
                     "Of raw sensor data: the data as they are stored, not the picture in them");
  add_no_save(arguments, options.no_save);
}

Frame read_chosen(const Options& options, Reader& reader) {
  if (options.index) {
    return reader.read(FrameIndex(*options.index));
  }
  if (options.number) {
    return reader.read(FrameNumber(*options.number),
                       options.nearest ? Match::nearest : Match::exact);
  }
  return reader.read(FrameTime(*options.time));
}

int run(const Options& options, Output& out) {
  if (!options.index && !options.number && !options.time) {
    throw WrongUsage("which frame", "give one of --index, --number and --time");
  }
  ReaderOptions how = reading(options.no_save);
  how.raw_sensor = options.raw;
  Reader reader = open_store(options.store, how);
  const Frame frame = read_chosen(options, reader);
  const PixelFormat wanted = options.pixel_format.value_or(usual_pixel_format(reader.info()));
  Image image = wanted.empty() ? frame.image : convert(frame.image.view(), wanted);
  if (loses_depth(options.file.string(), image.format())) {
    say(options.file.string() + ": " + std::string(image.format().name()) +
        " pixels become 8 bit a channel; .png, .tif, .ppm, .pgm and .npy keep them");
    const bool gray = image.format().name().starts_with("gray");
    image = convert(image.view(), gray ? pixel::gray8 : pixel::bgr24);
  }
  write_image(options.file.string(), image.view());
  out.print("{}: frame_index {}, frame_number {}, frame_time {}\n", options.file.string(),
            frame.info.index.value, frame.info.number.value, frame.info.time.seconds);
  return kDone;
}

}  // namespace

Command extract_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"extract", "Write one frame as a picture: give one of --index, --number and --time",
       "  avstore extract arena.store --number 8123417 -o frame.png\n"
       "  avstore extract arena.store --time 1709292615.25 -o frame.png"},
      declare, run);
}

}  // namespace avstore::cli
