// Everything that is no result: notices, errors and the line that shows progress, all on stderr.
#pragma once

#include <string>
#include <vector>

namespace avstore::cli {

// Prints "avstore: TEXT" as one line.
void say(const std::string& text);

// Show lines of text in place, instead of those shown before, each cut to the terminal's width; the
// next say() comes above nothing of it. For terminals only.
void show_status(const std::vector<std::string>& lines);
void erase_status();

// Characters.
int terminal_width();

}  // namespace avstore::cli
