#include "media/encoder_line.h"

#include <utility>

#include "avstore/error.h"

namespace avstore::media {
namespace {

void append(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : "; ") + item;
}

std::deque<std::string> line_for(const VideoFormat& format, const EncoderOptions& options) {
  std::deque<std::string> line;
  if (!options.encoder.empty()) {
    line.push_back(options.encoder);
  }
  for (const EncoderChoice& choice : format.encoders) {
    if (choice.name != options.encoder) {
      line.push_back(choice.name);
    }
  }
  return line;
}

}  // namespace

EncoderLine::EncoderLine(const VideoFormat& format, const EncoderOptions& options)
    : format_(&format), options_(options), line_(line_for(format, options)) {}

Encoder EncoderLine::open(Rational time_base, const ImageView& first) {
  const bool must_be_first = chosen_.empty() && !options_.encoder.empty();
  while (!line_.empty()) {
    const std::string& name = line_.front();
    try {
      Encoder encoder(*format_, name, options_for(name), time_base, first);
      if (chosen_.empty()) {
        chosen_ = name;
      } else if (name != in_use_) {
        notice_ = new_reasons_ + "; " + name + " takes over";
      }
      in_use_ = name;
      new_reasons_.clear();
      return encoder;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported || must_be_first) {
        throw;
      }
      leave(error.what());
    }
  }
  throw_none_left();
}

Encoder EncoderLine::reopen(Rational time_base, const ImageView& first) const {
  try {
    return {*format_, in_use_, options_for(in_use_), time_base, first};
  } catch (const Error& error) {
    throw EncoderFailure(error.what());
  }
}

void EncoderLine::fail(const std::string& why) {
  leave(why);
  if (line_.empty()) {
    throw_none_left();
  }
}

std::string EncoderLine::take_notice() {
  return std::exchange(notice_, {});
}

void EncoderLine::leave(const std::string& why) {
  append(reasons_, why);
  append(new_reasons_, why);
  line_.pop_front();
}

void EncoderLine::throw_none_left() const {
  throw Error(ErrorKind::unsupported,
              format_->format.name + ": " +
                  (chosen_.empty() ? "no encoder opens: " : "every encoder has failed: ") +
                  reasons_);
}

// Preset and options were chosen for the encoder that the recording began with.
EncoderOptions EncoderLine::options_for(const std::string& encoder) const {
  EncoderOptions options = options_;
  if (!chosen_.empty() && encoder != chosen_) {
    options.preset.clear();
    options.options.clear();
  }
  return options;
}

}  // namespace avstore::media
