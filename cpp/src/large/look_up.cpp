// Which large block an address belongs to, and what is said of one that is no block's. Under the
// lock of LargeHeap.
#include "base/bits.h"
#include "large/large_heap.h"
#include "span/invalid_free.h"

namespace hz3 {

// The used range that starts at `block`, after reporting whatever else it may be.
Range* LargeHeap::used_range(const void* block) {
  const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(block) - base_;
  const std::size_t chunk = offset >> kChunkShift;
  Range* range = (offset & (kChunkBytes - 1)) == 0 ? starts_[chunk] : nullptr;
  if (range != nullptr && range->state == RangeState::kUsed) return range;
  std::size_t below = min_of(chunk, frontier_ == 0 ? 0 : frontier_ - 1);
  while (below != 0 && starts_[below] == nullptr) --below;
  const Range* around = starts_[below];
  if (range != nullptr) {
    report_invalid_free(InvalidFree::kDouble, block);
  } else if (around != nullptr && around->state == RangeState::kUsed &&
             chunk < around->first_chunk + around->chunks) {
    const std::size_t bytes = kChecked ? around->asked_bytes : around->chunks << kChunkShift;
    report_inside(block, address_of(around->first_chunk), bytes);
  } else {
    report_invalid_free(InvalidFree::kUnallocated, block);
  }
  return nullptr;
}

unsigned LargeHeap::list_of(const void* address) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(address) >> kChunkShift) %
         kMappingLists;
}

LargeHeap::Mapping** LargeHeap::find_mapping(const void* block) {
  for (Mapping** link = &mappings_[list_of(block)]; *link != nullptr; link = &(*link)->next) {
    if ((*link)->address == block) return link;
  }
  return nullptr;
}

// True when the pointer lies inside a mapping, which is then reported.
bool LargeHeap::report_inside_mapping(const void* pointer) {
  for (const Mapping* head : mappings_) {
    for (const Mapping* mapping = head; mapping != nullptr; mapping = mapping->next) {
      const auto start = reinterpret_cast<std::uintptr_t>(mapping->address);
      if (reinterpret_cast<std::uintptr_t>(pointer) - start >= mapping->bytes) continue;
      report_inside(pointer, mapping->address, kChecked ? mapping->asked_bytes : mapping->bytes);
      return true;
    }
  }
  return false;
}

// Fills in the extent of a used block; returns where its asked bytes stand, nullptr for no block.
std::size_t* LargeHeap::find_extent(const void* block, Extent* extent) {
  *extent = {0, 0};
  if (!in_region(block)) {
    Mapping** found = find_mapping(block);
    if (found == nullptr) return nullptr;
    *extent = {(*found)->bytes, (*found)->asked_bytes};
    return &(*found)->asked_bytes;
  }
  const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(block) - base_;
  Range* range = starts_[offset >> kChunkShift];
  if ((offset & (kChunkBytes - 1)) != 0 || range == nullptr || range->state != RangeState::kUsed) {
    return nullptr;
  }
  *extent = {range->chunks << kChunkShift, range->asked_bytes};
  return &range->asked_bytes;
}

LargeHeap::Extent LargeHeap::extent(const void* block) {
  const LockGuard guard(lock_);
  Extent found;
  find_extent(block, &found);
  return found;
}

LargeHeap::Extent LargeHeap::set_asked_bytes(const void* block, std::size_t asked_bytes) {
  const LockGuard guard(lock_);
  Extent found;
  if (std::size_t* asked = find_extent(block, &found)) found.asked_bytes = *asked = asked_bytes;
  return found;
}

}  // namespace hz3
