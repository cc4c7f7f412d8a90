// Headers that most tests include, compiled once.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "avstore/reader.h"
#include "avstore/record.h"
#include "avstore/tools.h"
#include "avstore/writer.h"
#include "support/catch.h"
