// The report: what one run cost, as one JSON line.
//
// Filled by the supervisor while the program runs, written once at the end. One thread.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

namespace hz3::launcher {

struct Report {
  pid_t pid = -1;
  int exit_code = -1;  // -1: did not exit by itself
  int signal = 0;      // 0: was not killed
  bool timed_out = false;
  double wall_s = 0;
  rusage usage = {};
  // The peak of the program itself, read while its memory was still there; -1 where that was not
  // possible. rusage then serves, which also counts children that the program waited for.
  long exit_stop_peak_kb = -1;
  const char* preload = nullptr;
  int preload_mapped = -1;      // 1, 0, or -1 for unknown
  const char* error = nullptr;  // why the program could not be started
};

// Writes the report to fd. A line on stderr says so where that fails.
void write_report(int fd, const Report& report);

}  // namespace hz3::launcher
