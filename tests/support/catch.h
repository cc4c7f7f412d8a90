// Catch2, version 2 or 3: include this instead of either.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
// Version 2 has it in the global namespace.
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
