// The heap against itself. Called by any thread with no lock held; other threads may go on, except
// that none but the calling thread's own cache is looked at.
#pragma once

#include "base/audit.h"
#include "cache/thread_cache.h"

namespace hz3 {

// Everything: page heap, spans, batches, large blocks and the caller's cache. `cache` may be
// nullptr (a thread without one).
void check_heap(ThreadCache* cache, const RouteUser& user, Audit* audit);

// One line about the first violation.
void report_violations(const Audit& audit);

// For the checked build, after every tick: now and then looks at the cache and at a part of the
// heap, another one each time, and stops the process when something contradicts itself.
void check_some(ThreadCache* cache);

}  // namespace hz3
