// avstore align: aligned stores, and images side by side.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "avstore/error.h"
#include "avstore/format.h"
#include "avstore/tools.h"
#include "base/files.h"
#include "chunk/sensor_image.h"
#include "media/codec_table.h"
#include "media/convert.h"
#include "store/extra_records.h"
#include "store/replaced_store.h"
#include "store/store_folder.h"
#include "tools/export_plan.h"
#include "tools/extra_feed.h"
#include "tools/pixel_input.h"
#include "tools/progress_meter.h"
#include "tools/store_copy.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

ReaderOptions reading(const AlignedWriterOptions& options, bool raw_sensor) {
  ReaderOptions reader;
  reader.on_warning = options.notice;
  reader.save_index = options.save_index;
  reader.raw_sensor = raw_sensor;
  return reader;
}

Image zeros(const ImageView& view) {
  const auto pixels = std::make_shared<std::vector<std::uint8_t>>(packed_size(view), 0);
  ImageView black = contiguous_view(view.format, view.width, view.height, pixels->data());
  black.color = view.color;
  black.array = view.array;
  return {black, pixels};
}

// Zero is black in all but YUV, which is made of black RGB. With an encoding the image is a
// sensor's data.
Image black_like(const ImageView& view, const std::string& encoding) {
  if (!encoding.empty()) {
    return chunk::black_sensor_data(view, encoding);
  }
  const bool is_zero = view.format == pixel::array || view.format == pixel::gray8 ||
                       view.format == pixel::gray16 || view.format == pixel::bgr24 ||
                       view.format == pixel::rgb24 || view.format == pixel::bgr48;
  if (is_zero) {
    return zeros(view);
  }
  const std::vector<std::uint8_t> pixels(packed_size(pixel::bgr24, view.width, view.height), 0);
  return convert(packed_view(pixel::bgr24, view.width, view.height, pixels.data()), view.format);
}

// The images that one store shows, place by place.
class Shown {
 public:
  explicit Shown(std::string encoding) : encoding_(std::move(encoding)) {}

  // `prepare` makes of an image what all of them are to be.
  template <typename Prepare>
  Image at(const AlignedFrame& frame, Reader& reader, const Prepare& prepare) {
    switch (frame.kind) {
      case AlignedFrame::Kind::match:
        image_ = prepare(reader.read(frame.index).image);
        return image_;
      case AlignedFrame::Kind::hold:
        return image_;
      default:
        if (black_.empty()) {
          black_ = black_like(prepare(reader.read(FrameIndex(0)).image).view(), encoding_);
        }
        return black_;
    }
  }

 private:
  std::string encoding_;
  Image image_;
  Image black_;
};

void require_places(const Alignment& alignment) {
  if (alignment.stores.empty()) {
    throw Error(ErrorKind::invalid_argument, "an alignment of no stores");
  }
  if (alignment.places.empty()) {
    throw Error(ErrorKind::invalid_argument, alignment.stores.front().string() +
                                                 ": no frame of it matches one of all the others");
  }
}

// Makes a store with a writer, or nothing.
template <typename Write>
void write_store(const fs::path& destination, const WriterOptions& options, const Write& write) {
  store::make_store(destination, options.overwrite, [&](const fs::path& folder) {
    Writer writer(folder, tools::taking_all_frames(options));
    try {
      write(writer);
      writer.close();
    } catch (...) {
      writer.abandon();
      throw;
    }
  });
}

// Writing over what is read loses the frames that are left out.
void require_not_a_source(const Alignment& alignment, const fs::path& destination) {
  for (const fs::path& source : alignment.stores) {
    std::error_code error;
    if (fs::equivalent(store::existing_folder(source), destination, error)) {
      throw Error(ErrorKind::invalid_argument,
                  destination.string() + ": is one of the stores to align; write elsewhere");
    }
  }
}

void write_one(const Alignment& alignment, std::size_t store, const fs::path& destination,
               const AlignedWriterOptions& options, tools::ProgressMeter& meter) {
  const fs::path& source = alignment.stores[store];
  const bool raw = tools::keeps_sensor_data(options.writer, tools::encoding_of(source));
  Reader reader(source, reading(options, raw));
  tools::tell_of_decoding(options.writer, reader.info(), options.notice);
  const store::ExtraRecords extra =
      store::read_extra_records(source, {options.ignore_corrupt_extra, options.notice});
  const tools::ExtraFeed feed(extra, reader, options.notice);
  WriterOptions writer_options = tools::with_identity(options.writer, reader.info());
  writer_options.on_warning = tools::warnings_of(destination, options.notice);
  writer_options.metadata_yaml =
      tools::with_sample_rates(writer_options.metadata_yaml, extra.sample_rates);
  tools::PixelInput input(find_format(writer_options.format), source.string(), options.notice);
  media::Converter gray(1);
  const PixelFormat wanted = tools::pixels_to_read(reader.info());
  const auto prepare = [&](const Image& image) {
    const Image read = wanted.empty() ? image : gray.convert(image, wanted);
    return writer_options.encoding.empty() ? input.prepare(read) : read;
  };
  write_store(destination, writer_options, [&](Writer& writer) {
    Shown shown(writer_options.encoding);
    for (const std::string& record : feed.of(FrameIndex(-1))) {
      writer.add_extra(record);
    }
    for (std::size_t place = 0; place < alignment.places.size(); ++place) {
      const AlignedFrame& frame = alignment.frame(place, store);
      const FrameNames& names = alignment.places[place];
      const bool own = frame.kind == AlignedFrame::Kind::match;
      writer.add(shown.at(frame, reader, prepare), names.number, own ? frame.time : names.time);
      if (own) {
        for (const std::string& record : feed.of(frame.index)) {
          writer.add_extra(record);
        }
      }
      meter.require();
    }
  });
}

// ---- side by side --------------------------------------------------------------------------

class SideBySide {
 public:
  SideBySide(const Alignment& alignment, const AlignedWriterOptions& options)
      : alignment_(alignment), shown_(alignment.stores.size(), Shown("")), converter_(1) {
    bool gray = true;
    bool deep = false;
    for (const fs::path& store : alignment.stores) {
      readers_.emplace_back(store, reading(options, false));
      const StoreInfo& info = readers_.back().info();
      require_pictures(store, info);
      gray = gray && !info.color;
      deep = deep || info.dtype == "uint16";
      left_.push_back(width_);
      width_ += info.width;
      height_ = std::max(height_, info.height);
    }
    const Format& format = find_format(options.writer.format);
    if (deep && !media::keeps_depth(format)) {
      deep = false;
      if (options.notice) {
        options.notice(media::depth_loss(gray ? pixel::gray16 : pixel::bgr48, format.name));
      }
    }
    format_ = gray ? (deep ? pixel::gray16 : pixel::gray8) : deep ? pixel::bgr48 : pixel::bgr24;
  }

  const StoreInfo& first() const { return readers_.front().info(); }
  bool color() const { return format_ == pixel::bgr24 || format_ == pixel::bgr48; }

  // All images at a place in one; places come in order.
  Image at(std::size_t place) {
    auto pixels =
        std::make_shared<std::vector<std::uint8_t>>(packed_size(format_, width_, height_));
    for (std::size_t s = 0; s < readers_.size(); ++s) {
      const auto prepare = [this, s](const Image& image) { return as_picture(image, s); };
      draw(shown_[s].at(alignment_.frame(place, s), readers_[s], prepare), left_[s], *pixels);
    }
    return {packed_view(format_, width_, height_, pixels->data()), pixels};
  }

 private:
  static void require_pictures(const fs::path& store, const StoreInfo& info) {
    if (info.dtype != "uint8" && info.dtype != "uint16") {
      throw Error(ErrorKind::unsupported, store.string() + ": its images are arrays of " +
                                              info.dtype + ", which are no pictures to be shown");
    }
  }

  Image as_picture(const Image& image, std::size_t store) {
    try {
      return converter_.convert(image, format_);
    } catch (const Error& error) {
      throw Error(error.kind(), alignment_.stores[store].string() + ": " + error.what());
    }
  }

  void draw(const Image& image, int left, std::vector<std::uint8_t>& pixels) const {
    const std::size_t pixel_bytes =
        std::size_t{color() ? 3U : 1U} * (media::is_deep(format_) ? 2 : 1);
    const std::size_t row_bytes = pixel_bytes * static_cast<std::size_t>(width_);
    for (int row = 0; row < image.height(); ++row) {
      std::memcpy(pixels.data() + row_bytes * static_cast<std::size_t>(row) +
                      pixel_bytes * static_cast<std::size_t>(left),
                  image.data() + row * image.stride(),
                  pixel_bytes * static_cast<std::size_t>(image.width()));
    }
  }

  const Alignment& alignment_;
  std::vector<Reader> readers_;
  std::vector<Shown> shown_;
  std::vector<int> left_;
  int width_ = 0;
  int height_ = 0;
  PixelFormat format_;
  media::Converter converter_;
};

void write_side_by_side_store(const Alignment& alignment, const fs::path& destination,
                              const AlignedWriterOptions& options) {
  require_not_a_source(alignment, destination);
  SideBySide images(alignment, options);
  WriterOptions writer_options = options.writer;
  writer_options.on_warning = tools::warnings_of(destination, options.notice);
  writer_options.color = images.color();
  writer_options = tools::with_identity(writer_options, images.first());
  writer_options.encoding.clear();
  const auto total = static_cast<std::int64_t>(alignment.places.size());
  tools::ProgressMeter meter(options.progress, total, destination.string());
  write_store(destination, writer_options, [&](Writer& writer) {
    for (std::size_t place = 0; place < alignment.places.size(); ++place) {
      const FrameNames& names = alignment.places[place];
      writer.add(images.at(place), names.number, names.time);
      meter.require();
    }
  });
}

// Removes a store that serves a while only.
class PassingStore {
 public:
  explicit PassingStore(fs::path path) : path_(std::move(path)) {}
  ~PassingStore() {
    std::error_code ignored;  // what led here is the error to report
    fs::remove_all(path_, ignored);
  }
  PassingStore(const PassingStore&) = delete;
  PassingStore& operator=(const PassingStore&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

void write_aligned(const Alignment& alignment, const std::vector<fs::path>& destinations,
                   const AlignedWriterOptions& options) {
  require_places(alignment);
  if (destinations.size() != alignment.stores.size()) {
    throw Error(ErrorKind::invalid_argument, "as many destinations as stores are needed");
  }
  for (const fs::path& destination : destinations) {
    require_not_a_source(alignment, destination);
  }
  const auto total = static_cast<std::int64_t>(alignment.frames.size());
  tools::ProgressMeter meter(options.progress, total, destinations.front().string());
  for (std::size_t store = 0; store < destinations.size(); ++store) {
    write_one(alignment, store, destinations[store], options, meter);
  }
}

void write_side_by_side(const Alignment& alignment, const fs::path& destination,
                        const AlignedWriterOptions& options) {
  require_places(alignment);
  if (tools::video_muxer(destination).empty()) {
    write_side_by_side_store(alignment, destination, options);
    return;
  }
  const bool in_the_way = base::is_there(destination);
  if (in_the_way && !options.writer.overwrite) {
    throw Error(ErrorKind::exists, destination.string() + ": is there already");
  }
  const PassingStore passing(base::partial_name(destination));
  AlignedWriterOptions writing = options;
  writing.writer.overwrite = false;
  write_side_by_side_store(alignment, passing.path(), writing);
  ExportOptions exporting;
  exporting.encoder = options.writer.encoder;
  exporting.overwrite = options.writer.overwrite;
  exporting.notice = options.notice;
  export_video(passing.path(), destination, exporting);
}

}  // namespace avstore
