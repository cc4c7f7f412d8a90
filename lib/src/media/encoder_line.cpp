#include "media/encoder_line.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "avstore/error.h"
#include "media/encoder_probe.h"

namespace avstore::media {
namespace {

using Clock = std::chrono::steady_clock;

bool is_hardware(const std::string& encoder) {
  return family_of(encoder) != EncoderFamily::software;
}

std::optional<EncoderFamily> family_asked_for(const std::string& wanted) {
  static const std::map<std::string, EncoderFamily> kFamilies{{"nvenc", EncoderFamily::nvenc},
                                                              {"vaapi", EncoderFamily::vaapi},
                                                              {"qsv", EncoderFamily::qsv}};
  const auto found = kFamilies.find(wanted);
  return found == kFamilies.end() ? std::nullopt : std::optional(found->second);
}

bool asks_for_hardware(const std::string& wanted) {
  return wanted == "hardware" || family_asked_for(wanted);
}

// Whether it is the name of one encoder.
bool is_name(const std::string& wanted) {
  return !wanted.empty() && wanted != "auto" && wanted != "software" && !asks_for_hardware(wanted);
}

bool is_in_line(const std::string& encoder, const std::string& wanted) {
  if (!is_hardware(encoder)) {
    return encoder != wanted;  // one asked for by name stands at the front
  }
  const auto family = family_asked_for(wanted);
  return family ? family_of(encoder) == *family : wanted != "software" && !is_name(wanted);
}

std::deque<std::string> line_for(const VideoFormat& format, const std::string& wanted) {
  std::deque<std::string> line;
  if (is_name(wanted)) {
    line.push_back(wanted);
  }
  for (const EncoderChoice& choice : format.encoders) {
    if (is_in_line(choice.name, wanted)) {
      line.push_back(choice.name);
    }
  }
  return line;
}

void append(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : "; ") + item;
}

}  // namespace

void require_known_encoder(const std::string& wanted) {
  if (is_name(wanted)) {
    static_cast<void>(find_encoder(wanted));
  }
}

EncoderLine::EncoderLine(const VideoFormat& format, const EncoderOptions& options)
    : format_(&format), options_(options), line_(line_for(format, options.encoder)) {}

Encoder EncoderLine::open(Rational time_base, const ImageView& first) {
  const auto deadline = Clock::now() + probe_time();
  std::optional<Error> last;
  while (!line_.empty() && may_open(line_.front())) {
    try {
      Encoder encoder = try_to_open(line_.front(), time_base, first, deadline);
      note_opened(line_.front());
      return encoder;
    } catch (const Error& error) {
      if (chosen_.empty() && named()) {
        throw;
      }
      last = error;
      leave(error.what());
    }
  }
  // Options that no encoder takes are a mistake of whoever gave them.
  if (chosen_.empty() && last && last->kind() == ErrorKind::invalid_argument) {
    throw Error(*last);
  }
  if (!may_begin_in_software()) {
    throw Error(ErrorKind::unsupported,
                format_->format.name + ": no encoder of the kind '" + options_.encoder +
                    "' opens: " + (reasons_.empty() ? "the format has none" : reasons_));
  }
  throw Error(ErrorKind::unsupported, format_->format.name + ": no encoder opens: " + reasons_);
}

bool EncoderLine::may_open(const std::string& name) const {
  return is_hardware(name) || may_begin_in_software();
}

bool EncoderLine::may_begin_in_software() const {
  return !chosen_.empty() || !asks_for_hardware(options_.encoder);
}

Encoder EncoderLine::try_to_open(const std::string& name, Rational time_base,
                                 const ImageView& first, Clock::time_point deadline) {
  const EncoderOptions options = options_for(name);
  if (!is_hardware(name)) {
    return {*format_, name, options, time_base, first};
  }
  const ProbeAnswer answer = probe_encoder(*format_, name, options, time_base, first, deadline);
  if (!answer.works) {
    throw Error(ErrorKind::unsupported, answer.why_not);
  }
  try {
    return {*format_, name, options, time_base, first};
  } catch (const Error&) {
    lost_hardware_ = true;
    throw;
  }
}

Encoder EncoderLine::reopen(Rational time_base, const ImageView& first) const {
  try {
    return {*format_, in_use_, options_for(in_use_), time_base, first};
  } catch (const Error& error) {
    throw EncoderFailure(error.what());
  }
}

void EncoderLine::note_opened(const std::string& name) {
  const bool replaced = !in_use_.empty() && name != in_use_;
  if (replaced || lost_hardware_) {
    notice_ = new_reasons_ + "; " + name + " encodes instead";
  }
  chosen_ = chosen_.empty() ? name : chosen_;
  in_use_ = name;
  new_reasons_.clear();
  lost_hardware_ = false;
}

void EncoderLine::fail(const std::string& why) {
  leave(why);
  if (line_.empty()) {
    throw Error(ErrorKind::io, "no encoder is left: " + reasons_);
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

bool EncoderLine::named() const {
  return is_name(options_.encoder);
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
