// What happens from time to time: adapting caches, giving idle pages back.
//
// Driven by slow events of all classes and by a coarse clock that slow events read; there is no
// background thread. Called by any thread at the beginning of a slow event, with no lock held.
#pragma once

#include <atomic>
#include <cstdint>

#include "cache/thread_cache.h"

namespace hz3 {

// Called whenever a slow event reads the clock; nullptr: nobody.
using ClockListener = void (*)(std::uint64_t now_ns);
extern std::atomic<ClockListener> clock_listener;

// One miss or overflow of this cache has happened.
void on_slow_event(ThreadCache* cache);

// The cache's thread goes: everything leaves the cache. What the program holds may be far less now.
void on_thread_end(ThreadCache* cache);

}  // namespace hz3
