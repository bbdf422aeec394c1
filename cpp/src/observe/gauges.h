// The present state of the allocator in numbers: where its memory sits.
//
// Any thread; holds all locks while it reads, so that what they protect is of one instant.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hz3/hz3.h"

namespace hz3 {

void read_stats(hz3_stats* stats);
// The same for whoever holds all locks.
void read_stats_locked(hz3_stats* stats);
bool read_class_stats(std::size_t index, hz3_class_stats* stats);
void read_counters(std::uint64_t* totals, std::size_t count);
// The same for whoever holds the lock of the thread caches, or has to do without it.
void read_counters_locked(std::uint64_t* totals, std::size_t count);

}  // namespace hz3
