// Images and media.
#include "support/catch.h"
