// What /proc says about another process.
//
// Stateless readers; each opens, reads and closes. Used on a process that is held at its exit stop,
// so that what is read does not change meanwhile, or on a running one where a rough answer helps.
#pragma once

#include <sys/types.h>

namespace hz3::launcher {

// The largest resident size so far in KiB (VmHWM), or -1 once the memory is gone.
long read_peak_kb(pid_t pid);

// Whether the file at path (links resolved) is mapped into the process: 1 yes, 0 no, -1 unknown.
int maps_file(pid_t pid, const char* path);

// Whether the process has a thread besides the main one that is not about to die. True at the main
// thread's exit stop means that the program goes on without its main thread.
bool has_living_threads(pid_t pid);

// Whether starting the program would grant it privileges (set-user-id, set-group-id, file
// capabilities). The kernel withholds them from a traced process.
bool gains_privileges(const char* program);

}  // namespace hz3::launcher
