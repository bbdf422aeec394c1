// Large blocks as observers see them: under the lock, or, where that could not be had, such that a
// walk at least ends.
#include "base/bits.h"
#include "base/compiler.h"
#include "large/large_heap.h"

namespace hz3 {
namespace {

constexpr unsigned kMostInOneList = 1u << 20;

}  // namespace

HZ3_RACY void LargeHeap::visit_ranges(VisitRange visit, void* context) const {
  for (std::size_t chunk = 0; chunk < frontier_;) {
    const Range* range = starts_[chunk];
    const std::size_t chunks = range == nullptr ? 1 : max_of<std::size_t>(range->chunks, 1);
    if (range != nullptr) {
      const std::size_t inside = min_of(chunks, frontier_ - chunk);
      visit(context, range->state, address_of(chunk), inside << kChunkShift);
    }
    chunk += chunks;
  }
}

HZ3_RACY void LargeHeap::visit_mappings(VisitMapping visit, void* context) const {
  for (const Mapping* list : mappings_) {
    unsigned seen = 0;
    for (const Mapping* mapping = list; mapping != nullptr && seen < kMostInOneList; ++seen) {
      visit(context, mapping->address, mapping->bytes);
      mapping = mapping->next;
    }
  }
}

HZ3_RACY void LargeHeap::visit_tables(VisitMapping visit, void* context) const {
  if (bytes_ == 0) return;
  visit(context, starts_, frontier_ * sizeof(Range*));
  visit(context, huge_, align_up(frontier_ << kChunkShift, kSegmentBytes) >> kSegmentShift);
  visit(context, seams_, frontier_);
}

}  // namespace hz3
