// Frame times as people read them.
#pragma once

#include <string>

#include "avstore/types.h"

namespace avstore {

// Date and time of day in an IANA zone ("Europe/Vienna", see StoreInfo::timezone_local) with the
// zone's distance from UTC at that moment, to the microsecond: 2024-03-01T13:30:00.040000+01:00. In
// UTC if the zone is not known. Empty for what is no Unix time of a recording: before 1973, NaN.
std::string local_time(FrameTime time, const std::string& zone);

}  // namespace avstore
