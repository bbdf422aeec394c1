// Blocks taken straight from central, without magazines or bins in between.
#ifndef HZ3_TESTS_CENTRAL_BLOCKS_HPP
#define HZ3_TESTS_CENTRAL_BLOCKS_HPP

#include "span/central.h"

namespace hz3test {

// Takes up to `want` blocks: from partial spans first, then from new ones. Fewer if memory is out.
inline unsigned take_blocks(hz3::Central& central, unsigned class_index, void** out,
                            unsigned want) {
  unsigned taken = central.take_partial(class_index, out, want);
  while (taken < want && central.add_span(class_index, hz3::PageHeap::Opening::kAllowed)) {
    // The blocks already taken sit at the end of the array.
    taken += central.take_partial(class_index, out, want - taken);
  }
  return taken;
}

}  // namespace hz3test

#endif  // HZ3_TESTS_CENTRAL_BLOCKS_HPP
