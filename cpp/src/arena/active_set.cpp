// Joining the active set; under the lock of the page heap.
#include "arena/active_set.h"

#include "base/bits.h"

namespace hz3 {

bool ActiveSet::join(Segment* segment, unsigned size) {
  size = min_of(size, kMost);
  unsigned place = 0;
  while (place < size && members_[place] != segment && members_[place] != nullptr) ++place;
  const bool evicts = place == size;
  // Everything in front of the gap moves back by one; a full set loses its last member.
  for (unsigned i = min_of(place, size - 1); i != 0; --i) members_[i] = members_[i - 1];
  members_[0] = segment;
  return evicts;
}

}  // namespace hz3
