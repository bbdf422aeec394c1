// Phase marks and the idle tail. See phase.h.
#include "phase.h"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "clock.h"
#include "fatal.h"
#include "touch.h"

namespace workload {
namespace {

// Blocks of the calls during the idle tail, in turn.
constexpr std::size_t kIdleSizes[] = {64, 1024, 32768};

void mark(const char* line) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  const char* text = getenv("HZ3_PHASE_FD");
  if (text == nullptr) return;
  char* end = nullptr;
  const long descriptor = strtol(text, &end, 10);
  if (end == text || *end != '\0' || descriptor < 0) return;
  // An observer that went away must not end the workload.
  signal(SIGPIPE, SIG_IGN);
  write_all(static_cast<int>(descriptor), line, std::strlen(line));
}

}  // namespace

void begin_work() {
  static bool begun = false;
  if (!begun) mark("work-begin\n");
  begun = true;
}

void end_work(const CommonOptions& options) {
  mark("work-end\n");
  if (options.idle_s <= 0) return;
  if (options.idle_calls <= 0) {
    sleep_seconds(options.idle_s);
  } else {
    const std::uint64_t start_ns = now_ns();
    for (std::size_t call = 0;; ++call) {
      const double left_s = options.idle_s - seconds_since(start_ns);
      if (left_s <= 0) break;
      sleep_seconds(std::min(left_s, 1 / options.idle_calls));
      const std::size_t size = kIdleSizes[call % std::size(kIdleSizes)];
      void* block = malloc(size);
      if (block == nullptr) continue;
      touch_block<Touch::kEnds>(block, size);
      free(block);
    }
  }
  mark("idle-end\n");
}

}  // namespace workload
