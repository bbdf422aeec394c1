// The program's process up to its execve.
//
// The child is forked by the launcher's one thread and waits behind a gate, so that the launcher
// can attach to it before the first instruction of the program. It touches only itself.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "options.h"

namespace hz3::launcher {

struct Child {
  pid_t pid = -1;
  int gate_fd = -1;   // a byte written here lets the child go on
  int error_fd = -1;  // holds a StartError if execve failed; closed by a successful one
};

// Why the program did not start.
struct StartError {
  int code;  // errno
  enum class Step : int { kFolder, kAffinity, kExec } step;
};

// Forks the child up to the gate. own_group: it leads a process group of its own. signal_mask is
// what the program starts with.
Child fork_child(const Options& options, const sigset_t& signal_mask, bool own_group);

// Lets the child go on to execve. die_with_launcher: the kernel kills it if the launcher dies.
void open_gate(Child* child, bool die_with_launcher);

// Waits until the child has called execve, or has ended. True if it failed; *error says why.
bool read_start_error(const Child& child, StartError* error);

// Puts the error into words, in a buffer that lives as long as the process.
const char* describe(const StartError& error, const Options& options);

// The exit status that the shell's convention gives to the error.
int exit_status(const StartError& error);

}  // namespace hz3::launcher
