// hz3-exec: starts a program under an allocator and reports what it cost.
//
// A separate, static program because a child's ru_maxrss carries the size of the process that
// called execve: started from a large Python, every small program would seem large. One thread.
#include <stdio.h>

#include "options.h"
#include "preload.h"
#include "report.h"
#include "supervisor.h"

int main(int argc, char** argv) {
  using namespace hz3::launcher;
  const Options options = parse_options(argc, argv);
  const char* preload = options.preload == nullptr ? nullptr : set_preload(options.preload);
  const Report report = Supervisor(options, preload).run();
  if (report.error != nullptr) {
    fprintf(stderr, "hz3-exec: %s\n", report.error);
  }
  if (options.report_fd >= 0) {
    write_report(options.report_fd, report);
  }
  if (report.timed_out) {
    return kExitTimeout;
  }
  return report.signal != 0 ? 128 + report.signal : report.exit_code;
}
