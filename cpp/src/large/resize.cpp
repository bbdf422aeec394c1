// Resizing of large blocks without copying, and blocks with mappings of their own.
#include "arena/metadata.h"
#include "base/bits.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// Below this many bytes a copy is cheaper than splitting mappings.
constexpr std::size_t kMoveBytes = std::size_t{1} << 20;

}  // namespace

// Takes chunks from the free neighbour above, or from the frontier. `*clean`: they read as zero.
bool LargeHeap::grow_in_place(Range* range, std::size_t chunks, bool* clean) {
  const std::size_t missing = chunks - range->chunks;
  Range* above = range->above;
  if (above == nullptr) {
    if (range->first_chunk + range->chunks != frontier_ || region_chunks() - frontier_ < missing ||
        !os::commit(address_of(frontier_), missing << kChunkShift)) {
      return false;
    }
    frontier_ += missing;
    range->chunks = chunks;
    *clean = true;
    return true;
  }
  *clean = above->state == RangeState::kClean;
  if (above->state == RangeState::kUsed || above->state == RangeState::kLeaving) return false;
  // A free last neighbour may be grown itself by the frontier.
  if (above->chunks < missing) {
    if (above->above != nullptr || above->state != RangeState::kClean) return false;
    const std::size_t extra = missing - above->chunks;
    if (region_chunks() - frontier_ < extra ||
        !os::commit(address_of(frontier_), extra << kChunkShift)) {
      return false;
    }
    clean_.remove(above);
    above->chunks += extra;
    frontier_ += extra;
    clean_.insert(above);
  }
  remove_free(above);
  if (above->chunks > missing) {
    if (!split(above, missing)) {
      insert_free(above);
      return false;
    }
    insert_free(above->above);
  }
  range->chunks = chunks;
  forget(above);
  return true;
}

// A new range with the old one's pages; the old one is then free and clean.
void* LargeHeap::move(Range* range, std::size_t chunks) {
  if (range->chunks << kChunkShift < kMoveBytes) return nullptr;
  Range* target = take(chunks, grid_alignment(chunks), true);
  if (target == nullptr) return nullptr;
  bool copied = false;
  if (!move_chunks(range->first_chunk, target->first_chunk, range->chunks, &copied)) {
    if (has_huge_pages(range->chunks)) offer_huge_pages(range->first_chunk, range->chunks, true);
    insert_free(merge(target));
    return nullptr;
  }
  target->state = RangeState::kUsed;
  used_bytes_ += target->chunks << kChunkShift;
  free_range(range, copied ? RangeState::kDirty : RangeState::kClean);
  counters_.add(Counter::kLargeMoved);
  return address_of(target->first_chunk);
}

void* LargeHeap::resize(void* block, std::size_t new_size) {
  if (new_size > kMaxRequestBytes - kChunkBytes) return nullptr;
  const LockGuard guard(lock_);
  if (!in_region(block)) return resize_mapping(block, new_size);
  Range* range = used_range(block);
  if (range == nullptr) return nullptr;
  if (new_size > machine_bytes_) return nullptr;
  const std::size_t chunks = chunks_of(new_size);
  const std::size_t before = range->chunks;
  if (chunks < before) {
    range->asked_bytes = min_of(range->asked_bytes, chunks << kChunkShift);
    if (split(range, chunks)) {
      Range* tail = range->above;
      tail->state = RangeState::kUsed;
      free_range(tail, RangeState::kDirty);
    }
    return block;
  }
  if (chunks == before) return block;
  bool clean = true;
  void* result = grow_in_place(range, chunks, &clean) ? block : nullptr;
  if (result != nullptr) {
    used_bytes_ += (chunks - before) << kChunkShift;
  } else {
    result = move(range, chunks);
  }
  if (result != nullptr && has_huge_pages(chunks)) {
    offer_huge_pages(chunk_of(result), chunks, true);
  } else if (result != nullptr && clean) {
    // Freed pages are cheaper for the new part than fresh ones.
    stitch(chunk_of(result) + before, chunks - before);
  }
  note_rise();
  return result;
}

void* LargeHeap::map_block(std::size_t size, std::size_t alignment) {
  if (size > kMaxRequestBytes - kChunkBytes || alignment > kMaxRequestBytes / 2) return nullptr;
  const std::size_t page = os::system_page_bytes();
  const std::size_t bytes = align_up(size, page);
  void* address = nullptr;
  if (alignment <= page) {
    address = os::map(bytes, os::Mapping::kCounted);
  } else {
    address = os::reserve(bytes, alignment);
    if (address != nullptr && !os::commit(address, bytes)) {
      os::unmap(address, bytes);
      address = nullptr;
    }
  }
  if (address == nullptr) return nullptr;
  const LockGuard guard(lock_);
  static_assert(sizeof(Mapping) <= sizeof(Range));
  auto* mapping = reinterpret_cast<Mapping*>(new_descriptor());
  if (mapping == nullptr) {
    os::unmap(address, bytes);
    return nullptr;
  }
  Mapping*& head = mappings_[list_of(address)];
  *mapping = {head, address, bytes, 0};
  head = mapping;
  used_bytes_ += bytes;
  note_rise();
  counters_.add(Counter::kLargeAlloc);
  return address;
}

void* LargeHeap::resize_mapping(void* block, std::size_t new_size) {
  Mapping** found = find_mapping(block);
  if (found == nullptr) return nullptr;
  Mapping* mapping = *found;
  const std::size_t bytes = align_up(new_size, os::system_page_bytes());
  void* moved = os::remap(block, mapping->bytes, bytes);
  if (moved == nullptr) return nullptr;
  *found = mapping->next;
  used_bytes_ = used_bytes_ - mapping->bytes + bytes;
  Mapping*& head = mappings_[list_of(moved)];
  *mapping = {head, moved, bytes, 0};
  head = mapping;
  return moved;
}

}  // namespace hz3
