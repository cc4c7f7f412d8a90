// Everything that is no result: notices, errors and the line that shows progress, all on stderr.
#pragma once

#include <string>

namespace avstore::cli {

// Prints "avstore: TEXT" as one line.
void say(const std::string& text);

// Show a line of text in place, instead of the one shown before; the next say() comes above nothing
// of it. For terminals only.
void show_status(const std::string& line);
void erase_status();

}  // namespace avstore::cli
