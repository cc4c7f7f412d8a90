// Ctrl-C and its kin: the wish to stop, noted for whoever works to ask about.
#pragma once

namespace avstore::cli {

// From here on the first SIGINT, SIGTERM or SIGHUP only makes interrupted() true, and those that
// come within two seconds of it are the same wish: it may come as several signals. A later one says
// so on standard error and ends the process as if nothing had been caught, should the work not heed
// the first.
void catch_interrupts();

bool interrupted();

// What was to be done is done, and only results are to be told: from here on a later signal ends
// the process without a word, since nothing is lost by that.
void note_work_done();

}  // namespace avstore::cli
