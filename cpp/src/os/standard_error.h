// Whether a line on standard error at exit would reach whoever read it at the start.
//
// Programs close file descriptor 2 and open something else as 2, or their reader goes away. Any
// thread; both keep errno.
#pragma once

namespace hz3::os {

// Notes which file standard error is. Called once, at boot.
void remember_standard_error();

// Standard error is still that file, and a write to it neither fails, nor waits for a reader that
// has stopped reading, nor raises SIGPIPE.
bool standard_error_is_usable();

}  // namespace hz3::os
