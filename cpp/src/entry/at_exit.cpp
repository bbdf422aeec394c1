// The end of the process: what observe, atexit_purge and atexit_report ask for, in this order, and
// nothing left behind in /dev/shm.
//
// Runs among the last destructors, on the thread that called exit(); other threads may still run.
// A process that ends by _exit, by a signal or by exec says nothing. When exit() was called in a
// signal handler that interrupted the allocator, its locks cannot be had: then it only
// observes, which needs none.
#include <unistd.h>

#include "base/fatal.h"
#include "entry/allocate.h"
#include "entry/thread_state.h"
#include "observe/gauges.h"
#include "observe/live_page.h"
#include "observe/requests.h"
#include "os/standard_error.h"
#include "settings/counters.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

void mebibytes(Line* line, const char* before, std::uint64_t bytes) {
  line->text(before).number(bytes >> 20).text(".");
  line->number((bytes & ((1u << 20) - 1)) * 10 >> 20).text(" MiB");
}

void report(std::size_t purged_bytes) {
  hz3_stats stats = {};
  std::uint64_t counters[kCounterCount] = {};
  read_stats(&stats);
  read_counters(counters, kCounterCount);
  const auto count = [&counters](Counter which) {
    return counters[static_cast<std::size_t>(which)];
  };
  Line line;
  line.text("hz3: exit of process ").number(static_cast<unsigned long long>(getpid()));
  mebibytes(&line, ": peak ", stats.peak_committed_bytes);
  mebibytes(&line, ", live ", stats.live_bytes);
  mebibytes(&line, ", cached ", stats.cached_bytes);
  mebibytes(&line, ", free ", stats.dirty_free_bytes + stats.large_cached_bytes);
  mebibytes(&line, ", given back ", count(Counter::kPurgeBytes));
  mebibytes(&line, " (now ", purged_bytes);
  line.text("), ").number(count(Counter::kThreadsStarted)).text(" threads, ");
  line.number(count(Counter::kAllocFailed)).text(" requests failed");
  line.write_to_stderr();
}

__attribute__((destructor(101))) void at_exit() {
  // A program that never allocated is asked, too; without the variable it is left alone.
  if (is_booted() || (observation_is_asked_for() && ensure_booted())) observe_at_exit();
  end_live_page();
  const bool purges = knob(Knob::kAtexitPurge) != 0;
  const bool reports = knob(Knob::kAtexitReport) != 0;
  if ((!purges && !reports) || caller_holds_a_lock() || !ensure_booted()) return;
  const std::size_t purged_bytes = purges ? trim_everything() : 0;
  if (reports && os::standard_error_is_usable()) report(purged_bytes);
}

}  // namespace
}  // namespace hz3
