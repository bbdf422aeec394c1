// What each worker counted, summed by the main thread after the join.
#pragma once

#include <cstdint>

#include "mapped.h"

namespace workload {

// One worker's counts, on cache lines of its own. A worker adds to its element at the end only.
struct alignas(2 * kCacheLineBytes) Tally {
  std::uint64_t ops;
  std::uint64_t failed;  // allocations that came back empty
};

inline Tally sum(const MappedArray<Tally>& tallies) {
  Tally total{};
  for (const Tally& tally : tallies) {
    total.ops += tally.ops;
    total.failed += tally.failed;
  }
  return total;
}

}  // namespace workload
