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

// While it lives, nobody who calls these functions waits for whoever reads standard error: messages
// are kept until they are taken, up to a megabyte of them, and of the lines shown in place only the
// newest. Its end waits until all messages are taken or, once interrupted(), a second more: what is
// not taken by then is left out. There may be one at a time.
class PatientMessages {
 public:
  PatientMessages();
  ~PatientMessages();
  PatientMessages(const PatientMessages&) = delete;
  PatientMessages& operator=(const PatientMessages&) = delete;
};

// Characters.
int terminal_width();

}  // namespace avstore::cli
