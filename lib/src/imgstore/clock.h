// Times of day, dates and zones, where the functions of metadata.h need more than they offer.
#pragma once

#include <optional>
#include <string>

namespace avstore::imgstore {

// The Unix time that "20YYMMDD_HHMMSS" in a folder's name says, read as local time in the IANA zone
// `zone`, or in this machine's if that names none. An hour that occurs twice (the clocks go back)
// is taken as the second one, in winter time. Nothing if the name holds no such time.
std::optional<double> time_in_folder_name(const std::string& name, const std::string& zone);

}  // namespace avstore::imgstore
