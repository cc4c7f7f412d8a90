// avstore framemd5: a checksum of each frame, read in any order.
#include <avstore/tools.h>

#include <algorithm>
#include <map>
#include <random>

#include "arguments.h"
#include "command.h"
#include "interrupt.h"
#include "progress_bar.h"
#include "store_access.h"

namespace avstore::cli {
namespace {

enum class Order { forward, reverse, random };

struct Options {
  std::filesystem::path store;
  bool no_save = false;
  Order order = Order::forward;
  std::int64_t seed = 1;
  std::vector<ListItem> list = {ListItem{}};  // an open range: all frames
};

Order parse_order(const std::string& text) {
  const std::map<std::string, Order> known = {
      {"forward", Order::forward}, {"reverse", Order::reverse}, {"random", Order::random}};
  const auto found = known.find(text);
  if (found == known.end()) {
    throw BadValue(fmt::format("'{}' is no order; there are forward, reverse and random", text));
  }
  return found->second;
}

void declare(Arguments& arguments, Options& options) {
  add_store(arguments, options.store);
  add_parsed(arguments, "--order", options.order, parse_order, "forward|reverse|random",
             "The order in which frames are read (default: forward)");
  add_parsed(arguments, "--seed", options.seed, parse_integer, "S",
             "Of the random order; the same gives the same order (default: 1)");
  add_parsed(arguments, "--indices", options.list, parse_list, "LIST",
             "Only these, in this order: indices and ranges A:B separated by commas; negative ones "
             "count from the end (default: all)");
  add_no_save(arguments, options.no_save);
}

// By hand, as std::shuffle may give another order with another standard library.
void shuffle(std::vector<FrameIndex>& indices, std::int64_t seed) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  for (std::size_t left = indices.size(); left > 1; --left) {
    std::swap(indices[left - 1], indices[random() % left]);
  }
}

std::vector<FrameIndex> reading_order(const Options& options, const Reader& reader) {
  std::vector<FrameIndex> indices =
      indices_of(options.list, reader.frame_count(), reader.info().path.string());
  if (options.order == Order::reverse) {
    std::reverse(indices.begin(), indices.end());
  } else if (options.order == Order::random) {
    shuffle(indices, options.seed);
  }
  return indices;
}

void print_frame(const Frame& frame, Output& out) {
  out.print("{},{},{},{}\n", frame.info.index.value, frame.info.number.value,
            frame.info.time.seconds, md5(frame.image.view()));
  out.flush();  // whoever waits for a line gets it at once
}

int run(const Options& options, Output& out) {
  Reader reader = open_store(options.store, reading(options.no_save));
  const std::vector<FrameIndex> indices = reading_order(options, reader);
  catch_interrupts();
  ProgressBar bar(ProgressBar::Beside::streamed_output);
  std::int64_t done = 0;
  for (const FrameIndex index : indices) {
    if (interrupted()) {
      throw Interrupted(options.store.string());
    }
    print_frame(reader.read(index), out);
    bar.update(++done, static_cast<std::int64_t>(indices.size()));
  }
  return kDone;
}

}  // namespace

Command framemd5_command(CommandLine& line) {
  return make_command<Options>(
      line,
      {"framemd5",
       "Read frames one by one and write a line frame_index,frame_number,frame_time,md5 for each; "
       "the "
       "MD5 is of the decoder's own planes, as `ffmpeg -i CHUNK -f framemd5` gives it",
       "  avstore framemd5 arena.store --order random --seed 7\n"
       "  avstore framemd5 arena.store --indices 3,1,20:30,-1"},
      declare, run);
}

}  // namespace avstore::cli
