// The active set: a few segments per shard that are tried before the pack pool, so that a shard's
// runs lie close together and the search is short.
//
// Newest member first; a segment that the pack pool or the arena had to provide joins, the oldest
// leaves (it stays in the pack pool all the time). Protected by the lock of the page heap.
#pragma once

#include <cstdint>

#include "arena/segment.h"

namespace hz3 {

class ActiveSet {
 public:
  static constexpr unsigned kMost = 8;

  // Members in the order of joining, of which a set of `size` counts the first ones; nullptr ends.
  Segment* member(unsigned index, unsigned size) const {
    return index < size && index < kMost ? members_[index] : nullptr;
  }

  // Puts the segment in front. True when another one had to leave a set of `size`.
  bool join(Segment* segment, unsigned size);

 private:
  Segment* members_[kMost] = {};
};

}  // namespace hz3
