// How a library path gets into LD_PRELOAD.
//
// Works on this process's environment, before the program is started; the launcher is static and
// has long passed its own start, so the variables reach only the program. One thread.
#pragma once

namespace hz3::launcher {

// Puts path first in LD_PRELOAD and returns it resolved (links followed), as the kernel will name
// the mapping. LD_PRELOAD separates entries by blanks and colons and knows no quoting, so a path
// with one of them goes as folder into LD_LIBRARY_PATH and as bare name into LD_PRELOAD. Ends the
// process with one line where the library is missing or no variable can carry its path.
const char* set_preload(const char* path);

}  // namespace hz3::launcher
