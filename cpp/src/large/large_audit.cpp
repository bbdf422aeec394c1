// The ranges of the large region against the books of the large heap.
#include "base/bits.h"
#include "large/large_heap.h"

namespace hz3 {

void LargeHeap::audit(Audit* audit) {
  const LockGuard guard(lock_);
  std::size_t used_bytes = 0;
  std::size_t dirty_bytes = 0;
  std::size_t end = frontier_;
  for (const Range* range = last_; range != nullptr; range = range->below) {
    const void* where = address_of(range->first_chunk);
    const std::size_t bytes = range->chunks << kChunkShift;
    audit->expect(range->chunks != 0 && range->first_chunk + range->chunks == end,
                  "the ranges follow one another without a gap", where);
    audit->expect(starts_[range->first_chunk] == range, "a range is found by its start", where);
    audit->expect(range->above == nullptr || range->above->below == range,
                  "the ranges are linked both ways", where);
    if (range->state == RangeState::kUsed || range->state == RangeState::kLeaving) {
      used_bytes += bytes;
      audit->expect(range->state == RangeState::kLeaving || range->asked_bytes <= bytes,
                    "a block holds what was asked for", where);
    }
    if (range->state == RangeState::kDirty) dirty_bytes += bytes;
    end = range->first_chunk;
  }
  audit->expect(end == 0, "the ranges begin where the region does", end);
  for (const Mapping* head : mappings_) {
    for (const Mapping* mapping = head; mapping != nullptr; mapping = mapping->next) {
      used_bytes += mapping->bytes;
      audit->expect(mapping->asked_bytes <= mapping->bytes, "a block holds what was asked for",
                    mapping->address);
    }
  }
  audit->expect(used_bytes == used_bytes_, "used bytes add up", used_bytes_);
  audit->expect(dirty_bytes == dirty_bytes_, "dirty bytes add up", dirty_bytes_);
}

}  // namespace hz3
