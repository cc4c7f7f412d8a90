// How the reading commands go through a store.
#pragma once

#include <avstore/reader.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "selection.h"

namespace avstore::cli {

// What --no-save asks of a reader.
ReaderOptions reading(bool no_save);

// A reader whose warnings the user sees.
Reader open_store(const std::filesystem::path& store, ReaderOptions options = {});

// The frames meant: all of them without a range. Throws Error(invalid_argument) if a range that was
// given holds none, as whoever asks for frames does not expect silence.
IndexRange chosen_range(const Reader& reader, const std::optional<RangeText>& range);

// The same for tools that open the store themselves; it is looked at only if need be.
IndexRange chosen_range(const std::filesystem::path& store, const std::optional<RangeText>& range,
                        bool no_save);

// Mean over the whole store; nothing where the times tell none.
std::optional<double> mean_frame_rate(const StoreInfo& info);

// Calls `visit` with each frame's names in order, with a progress bar, until Ctrl-C: then throws
// Interrupted.
void visit_infos(const Reader& reader, IndexRange range,
                 const std::function<void(const FrameInfo&)>& visit);

// Returns false to stop.
using VisitWhile = std::function<bool(const FrameInfo&)>;

// Calls `visit` with each frame in order, PTS and keyframe included: chunks that nobody has read
// before are looked into. The range lies within the store.
void visit_prepared(Reader& reader, IndexRange range, const VisitWhile& visit);

// The same as visit_infos does.
void visit_prepared_with_progress(Reader& reader, IndexRange range,
                                  const std::function<void(const FrameInfo&)>& visit);

}  // namespace avstore::cli
