// The present state of the allocator in numbers: where its memory sits.
//
// Any thread; takes the locks of shards, page heap and large heap one after the other, so the
// figures of a running program are close, not one instant.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hz3/hz3.h"

namespace hz3 {

void read_stats(hz3_stats* stats);
bool read_class_stats(std::size_t index, hz3_class_stats* stats);
void read_counters(std::uint64_t* totals, std::size_t count);

}  // namespace hz3
