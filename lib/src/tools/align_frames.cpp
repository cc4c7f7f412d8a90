// avstore align: which frames of several stores belong together.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "avstore/error.h"
#include "avstore/reader.h"
#include "avstore/tools.h"

namespace avstore {
namespace {

namespace fs = std::filesystem;

struct Named {
  FrameIndex index;
  FrameNumber number;
  FrameTime time;
};

std::vector<Named> names_of(const fs::path& store, const AlignOptions& options) {
  ReaderOptions reading;
  reading.on_warning = options.notice;
  reading.save_index = options.save_index;
  const Reader reader(store, reading);
  std::vector<Named> names;
  names.reserve(static_cast<std::size_t>(reader.frame_count()));
  reader.for_each_info({0, reader.frame_count()}, [&names](const FrameInfo& info) {
    names.push_back({info.index, info.number, info.time});
    return true;
  });
  if (names.empty()) {
    throw Error(ErrorKind::invalid_argument, store.string() + ": the store has no frames");
  }
  return names;
}

// Ascending, without frames that cannot be matched; says how many those are.
void put_in_order(std::vector<Named>& names, AlignBy by, const fs::path& store,
                  const Notice& notice) {
  const std::size_t before = names.size();
  if (by == AlignBy::time) {
    std::erase_if(names, [](const Named& name) { return std::isnan(name.time.seconds); });
    std::stable_sort(names.begin(), names.end(),
                     [](const Named& a, const Named& b) { return a.time < b.time; });
  } else {
    std::stable_sort(names.begin(), names.end(),
                     [](const Named& a, const Named& b) { return a.number < b.number; });
    const auto repeats =
        std::unique(names.begin(), names.end(),
                    [](const Named& a, const Named& b) { return a.number == b.number; });
    names.erase(repeats, names.end());
  }
  if (names.size() < before && notice) {
    notice(store.string() + ": " + std::to_string(before - names.size()) +
           (by == AlignBy::time ? " frames without a time" : " frames with a repeated number") +
           " are left out");
  }
}

// Infinite where there are no two frames.
double median_interval(std::span<const Named> names) {
  std::vector<double> intervals;
  for (std::size_t i = 1; i < names.size(); ++i) {
    intervals.push_back(names[i].time.seconds - names[i - 1].time.seconds);
  }
  if (intervals.empty()) {
    return std::numeric_limits<double>::infinity();
  }
  const auto middle = intervals.begin() + static_cast<std::ptrdiff_t>(intervals.size() / 2);
  std::nth_element(intervals.begin(), middle, intervals.end());
  return *middle;
}

double usual_tolerance(const std::vector<std::vector<Named>>& stores) {
  double shortest = std::numeric_limits<double>::infinity();
  for (const auto& names : stores) {
    shortest = std::min(shortest, median_interval(names));
  }
  return std::isinf(shortest) ? 0 : shortest / 2;
}

// Goes through all stores at once. A match is the least frame not yet taken and, of each other
// store, its next one if that is equal or near enough: no frame is in two matches.
class Matcher {
 public:
  Matcher(const std::vector<std::vector<Named>>& stores, AlignBy by, double tolerance)
      : stores_(stores), by_(by), tolerance_(tolerance), next_(stores.size(), 0) {}

  // A frame of each store, null where it has none. False at the end.
  bool next(std::vector<const Named*>& match) {
    const Named* least = nullptr;
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      const Named* candidate = head(s);
      if (candidate != nullptr && (least == nullptr || is_before(*candidate, *least))) {
        least = candidate;
      }
    }
    if (least == nullptr) {
      return false;
    }
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      const Named* candidate = head(s);
      match[s] = candidate != nullptr && belongs(*candidate, *least) ? candidate : nullptr;
      next_[s] += match[s] != nullptr ? 1 : 0;
    }
    return true;
  }

 private:
  const Named* head(std::size_t store) const {
    return next_[store] < stores_[store].size() ? &stores_[store][next_[store]] : nullptr;
  }
  bool is_before(const Named& a, const Named& b) const {
    return by_ == AlignBy::time ? a.time < b.time : a.number < b.number;
  }
  bool belongs(const Named& frame, const Named& least) const {
    return by_ == AlignBy::number
               ? frame.number == least.number
               : frame.time == least.time || frame.time.seconds - least.time.seconds <= tolerance_;
  }

  const std::vector<std::vector<Named>>& stores_;
  AlignBy by_;
  double tolerance_;
  std::vector<std::size_t> next_;
};

FrameNames place_of(const std::vector<const Named*>& match, AlignBy by, std::size_t count) {
  FrameNames place;
  bool first = true;
  for (const Named* frame : match) {
    if (frame == nullptr) {
      continue;
    }
    if (first || (by == AlignBy::time && frame->time < place.time)) {
      place = {frame->number, frame->time};
    }
    first = false;
  }
  if (by == AlignBy::time) {
    place.number = FrameNumber(static_cast<std::int64_t>(count));
  }
  return place;
}

void append(Alignment& alignment, const std::vector<const Named*>& match,
            std::vector<AlignedFrame>& shown, AlignPolicy policy) {
  for (std::size_t s = 0; s < match.size(); ++s) {
    if (match[s] != nullptr) {
      shown[s] = {AlignedFrame::Kind::match, match[s]->index, match[s]->number, match[s]->time};
    } else if (policy == AlignPolicy::black || shown[s].kind == AlignedFrame::Kind::black) {
      shown[s] = {AlignedFrame::Kind::black, FrameIndex(-1), FrameNumber(0),
                  FrameTime(std::numeric_limits<double>::quiet_NaN())};
    } else {
      shown[s].kind = AlignedFrame::Kind::hold;
    }
  }
  alignment.frames.insert(alignment.frames.end(), shown.begin(), shown.end());
}

}  // namespace

Alignment align(const std::vector<fs::path>& stores, const AlignOptions& options) {
  if (stores.size() < 2) {
    throw Error(ErrorKind::invalid_argument, "two stores or more are needed to align them");
  }
  if (options.tolerance && !(*options.tolerance >= 0)) {
    throw Error(ErrorKind::invalid_argument, "the tolerance cannot be negative");
  }
  std::vector<std::vector<Named>> names;
  for (const fs::path& store : stores) {
    names.push_back(names_of(store, options));
    put_in_order(names.back(), options.by, store, options.notice);
  }
  Alignment alignment;
  alignment.stores = stores;
  if (options.by == AlignBy::time) {
    alignment.tolerance = options.tolerance.value_or(usual_tolerance(names));
  }
  Matcher matcher(names, options.by, alignment.tolerance);
  std::vector<const Named*> match(stores.size());
  std::vector<AlignedFrame> shown(stores.size());
  while (matcher.next(match)) {
    const bool whole = std::find(match.begin(), match.end(), nullptr) == match.end();
    if (whole || options.policy != AlignPolicy::drop) {
      alignment.places.push_back(place_of(match, options.by, alignment.places.size()));
      append(alignment, match, shown, options.policy);
    }
  }
  return alignment;
}

}  // namespace avstore
