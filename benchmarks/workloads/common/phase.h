// Tells an observer where the work begins and ends, and keeps the program alive afterwards if
// asked. Called by the main thread. The marks are lines written to the descriptor that HZ3_PHASE_FD
// names, if it is set.
#pragma once

#include "arguments.h"

namespace workload {

// Marks "work-begin"; only the first call does anything.
void begin_work();

// Marks "work-end". With --idle it then stays alive for options.idle_s seconds, with
// options.idle_calls malloc/free pairs per second, and marks "idle-end".
void end_work(const CommonOptions& options);

}  // namespace workload
