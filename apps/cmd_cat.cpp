// avstore cat: raw frames on standard output.
#include <avstore/error.h>
#include <avstore/tools.h>

#include <map>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "progress_bar.h"
#include "store_access.h"
#include "y4m.h"

namespace avstore::cli {
namespace {

enum class Stream { rawvideo, y4m };

struct Options {
  std::filesystem::path store;
  bool no_save = false;
  std::optional<RangeText> range;
  PixelFormat pixel_format;
  Stream stream = Stream::rawvideo;
};

Stream parse_stream(const std::string& text) {
  const std::map<std::string, Stream> known = {{"rawvideo", Stream::rawvideo},
                                               {"y4m", Stream::y4m}};
  const auto found = known.find(text);
  if (found == known.end()) {
    throw BadValue(fmt::format("'{}' is not known; there are rawvideo and y4m", text));
  }
  return found->second;
}

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_range(arguments, options.range);
  add_parsed(arguments, "--pixel-format", options.pixel_format, parse_pixel_format, "NAME",
             "Convert to this pixel format (default: what the decoder gives)");
  add_parsed(arguments, "--as", options.stream, parse_stream, "rawvideo|y4m",
             "Bare planes one after another, or YUV4MPEG2, which says size and format "
             "(default: rawvideo)");
  add_no_save(arguments, options.no_save);
}

// Writes frames that must all look like the first: nothing in the stream could say otherwise.
class FrameStream {
 public:
  FrameStream(Stream stream, const StoreInfo& info, Output& out)
      : stream_(stream), info_(info), out_(out) {}

  void write(const Frame& frame) {
    const ImageView& image = frame.image.view();
    if (first_.planes[0] == nullptr) {
      begin(image);
    }
    require_same(frame);
    if (stream_ == Stream::y4m) {
      out_.write(kY4mFrameHeader);
    }
    out_.write(std::span<const std::uint8_t>(pack(image)));
  }

 private:
  void begin(const ImageView& image) {
    first_ = image;
    if (stream_ == Stream::y4m) {
      out_.write(y4m_header(image, plausible_rate(mean_frame_rate(info_).value_or(0)),
                            info_.path.string()));
    }
  }

  void require_same(const Frame& frame) const {
    const ImageView& image = frame.image.view();
    if (image.format == first_.format && image.width == first_.width &&
        image.height == first_.height && image.array == first_.array) {
      return;
    }
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: pixels change from {}x{} {} to {}x{} {} at frame {}, which a raw "
                    "stream cannot say; add --pixel-format",
                    info_.path.string(), first_.width, first_.height, first_.format.name(),
                    image.width, image.height, image.format.name(), frame.info.index.value));
  }

  Stream stream_;
  const StoreInfo& info_;
  Output& out_;
  ImageView first_;
};

int run(const Options& options, Output& out) {
  ReaderOptions how = reading(options.no_save);
  how.pixel_format = options.pixel_format;
  Reader reader = open_store(options.store, how);
  const IndexRange range = chosen_range(reader, options.range);
  FrameStream stream(options.stream, reader.info(), out);
  catch_interrupts();
  ProgressBar bar(ProgressBar::Beside::streamed_output);
  for (std::int64_t index = range.begin; index < range.end; ++index) {
    if (interrupted()) {
      throw Interrupted(options.store.string());
    }
    // The one after the last is what the reader is quickest at.
    stream.write(reader.read(FrameIndex(index)));
    bar.update(index - range.begin + 1, range.size());
  }
  return kDone;
}

}  // namespace

Command cat_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"cat", "Write frames to standard output, uncompressed",
       "  avstore cat arena.store --as y4m | ffplay -\n"
       "  avstore cat arena.store --pixel-format gray8 --range 100:200 > frames.raw"},
      declare, run);
}

}  // namespace avstore::cli
