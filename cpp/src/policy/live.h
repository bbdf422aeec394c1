// How many bytes of small blocks the program holds, roughly: what all thread caches took less what
// they gave, known when they report. What is still in their bins counts as held.
//
// Any thread, no lock held.
#pragma once

#include <cstdint>

#include "base/futex_lock.h"
#include "cache/thread_cache.h"

namespace hz3 {

// Adds what has changed since the cache last reported. True when the program has let most of what
// it held go and pages should go back at once (arena/collapse.h).
bool report_live(ThreadCache* cache, std::uint64_t now_ns);

// `passed`: generations, see arena/collapse.h.
void end_live_generation(std::uint64_t passed);

FutexLock& live_lock();  // for fork

}  // namespace hz3
