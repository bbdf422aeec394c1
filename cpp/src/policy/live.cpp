// The sum of what threads report; see live.h.
#include "policy/live.h"

#include <atomic>

#include "arena/collapse.h"
#include "base/bits.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// relaxed: a sum, nothing is published through it
constinit std::atomic<std::int64_t> live_bytes{0};
constinit FutexLock lock;
constinit Collapse collapse;  // under the lock

// What one thread took and another one gave may be reported in the wrong order.
std::size_t not_negative(std::int64_t bytes) {
  return static_cast<std::size_t>(max_of<std::int64_t>(bytes, 0));
}

}  // namespace

bool report_live(ThreadCache* cache, std::uint64_t now_ns) {
  const std::int64_t change = cache->live_change;
  cache->live_change = 0;
  const std::size_t live =
      not_negative(live_bytes.fetch_add(change, std::memory_order_relaxed) + change);
  // Who finds it taken leaves the look to the next report.
  if (!lock.try_lock()) return false;
  bool collapsed = false;
  if (change >= 0) {
    collapse.note_rise(live, now_ns);
  } else {
    collapsed = collapse.note_fall(live, knob_size(Knob::kPurgeCollapse), now_ns);
  }
  lock.unlock();
  return collapsed;
}

void end_live_generation(std::uint64_t passed) {
  const LockGuard guard(lock);
  collapse.end_generation(passed);
}

FutexLock& live_lock() { return lock; }

}  // namespace hz3
