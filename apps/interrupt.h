// Ctrl-C and its kin: the wish to stop, noted for whoever works to ask about.
#pragma once

namespace avstore::cli {

// From here on the first SIGINT, SIGTERM or SIGHUP only makes interrupted() true; a second one of
// the same kind ends the process as if nothing had been caught, should the work not heed the first.
void catch_interrupts();

bool interrupted();

}  // namespace avstore::cli
