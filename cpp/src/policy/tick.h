// What happens from time to time: adapting caches, giving idle pages back, reclaim under pressure.
//
// Driven by slow events of all classes and by a coarse clock that slow events read; there is no
// background thread. Called by any thread at the beginning of a slow event, with no lock held.
#pragma once

#include <cstddef>

#include "cache/thread_cache.h"

namespace hz3 {

// One miss or overflow of this cache has happened.
void on_slow_event(ThreadCache* cache);

// A request found no memory: brings what caches park back to their spans, so that empty spans
// return to the page heap. `cache` may be nullptr (a thread without one).
void reclaim(ThreadCache* cache, const RouteUser& user);

// Gives everything idle back to the system. Returns the bytes.
std::size_t trim(ThreadCache* cache, const RouteUser& user);

}  // namespace hz3
