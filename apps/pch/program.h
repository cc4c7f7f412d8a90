// Headers that most files of the program include, compiled once.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "avstore/reader.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
