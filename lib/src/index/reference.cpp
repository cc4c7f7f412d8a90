#include "index/reference.h"

#include <limits>

#include "index/opening.h"

namespace avstore::index {

void for_each_reference_frame(const std::filesystem::path& path,
                              const std::function<void(const ReferenceFrame&)>& visit) {
  const OpenedDatabase opened = open_for_reading(path);
  Query query = opened.database->query(
      "SELECT chunk, frame_number, frame_time FROM frames ORDER BY chunk, frame_idx");
  while (query.next()) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    visit({query.integer(0), query.integer(1), query.is_null(2) ? none : query.real(2)});
  }
}

}  // namespace avstore::index
