// The command line of hz3-exec.
//
// Read once by main before anything else happens; plain data afterwards. The strings point into
// argv. The process has one thread.
#pragma once

#include <sched.h>

namespace hz3::launcher {

// Exit statuses of the launcher itself; every other one is the program's own.
inline constexpr int kExitTimeout = 124;
inline constexpr int kExitUsage = 125;
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;

struct Options {
  const char* preload = nullptr;
  const char* working_folder = nullptr;
  double timeout_s = 0;  // 0: wait for ever
  int report_fd = -1;
  int pid_fd = -1;
  bool trace = true;
  bool has_affinity = false;
  cpu_set_t affinity;
  char** program = nullptr;  // the program and its arguments, ended by a null pointer
};

// Reads argv. Applies --env and --unset to this process's environment in the order given, opens
// --report, and marks the report and pid descriptors close-on-exec. Prints the help text or one
// line about a wrong option and ends the process where it cannot go on.
Options parse_options(int argc, char** argv);

// Prints "hz3-exec: " and the formatted text as one line on stderr and exits with kExitUsage.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

}  // namespace hz3::launcher
