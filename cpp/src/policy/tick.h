// What happens from time to time: adapting caches, giving idle pages back.
//
// Driven by slow events of all classes and by a coarse clock that slow events read; there is no
// background thread. Called by any thread at the beginning of a slow event, with no lock held.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/compiler.h"
#include "cache/thread_cache.h"
#include "policy/reclaim.h"
#include "settings/knobs.h"

namespace hz3 {

// Called whenever a slow event reads the clock; nullptr: nobody.
using ClockListener = void (*)(std::uint64_t now_ns);
extern std::atomic<ClockListener> clock_listener;

// What is due now and then. `cache` is that of the calling thread.
HZ3_NOINLINE void tick_by_events(ThreadCache* cache);
HZ3_NOINLINE void read_clock(ThreadCache* cache);

// One miss or overflow of this cache has happened.
inline void on_slow_event(ThreadCache* cache) {
  if (HZ3_UNLIKELY(cache->summons_seen != summons.load(std::memory_order_relaxed))) {
    answer_summons(cache);
  }
  if (HZ3_UNLIKELY(++cache->events >= static_cast<std::uint64_t>(knob(Knob::kEpochEvents)))) {
    tick_by_events(cache);
  }
  if (HZ3_UNLIKELY(cache->clock_countdown-- == 0)) read_clock(cache);
}

// The cache's thread goes: everything leaves the cache. What the program holds may be far less now.
void on_thread_end(ThreadCache* cache);

}  // namespace hz3
