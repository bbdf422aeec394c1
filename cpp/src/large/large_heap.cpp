// Allocation, release and resizing of large blocks in the region.
#include "large/large_heap.h"

#include <cstring>

#include "arena/guarded.h"
#include "arena/metadata.h"
#include "base/bits.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr unsigned kDescriptorsPerPiece = 16;
constexpr std::size_t kChunksPerHugePage = kSegmentBytes / kChunkBytes;
// Smaller blocks would make a whole huge page resident for a part of it.
constexpr std::size_t kHugeBlockChunks = 2 * kChunksPerHugePage;
constexpr std::size_t kSmallestRegion = std::size_t{64} << 20;

}  // namespace

constinit LargeHeap large_heap;

void LargeHeap::boot(std::size_t wanted_bytes) {
  machine_bytes_ = os::physical_bytes();
  // Where address space is rationed, nothing is reserved ahead of need.
  if (os::address_space_limit() != SIZE_MAX) return;
  for (std::size_t bytes = align_down(wanted_bytes, kSegmentBytes); bytes >= kSmallestRegion;
       bytes = align_down(bytes / 4, kSegmentBytes)) {
    const std::size_t table_bytes[] = {
        align_up((bytes >> kChunkShift) * sizeof(Range*), kChunkBytes),
        align_up(bytes >> kSegmentShift, kChunkBytes), align_up(bytes >> kChunkShift, kChunkBytes)};
    char* tables[3];
    if (!map_tables(table_bytes, tables, 3)) continue;
    void* region = os::reserve(bytes, kSegmentBytes);
    if (region == nullptr) {
      unmap_tables(table_bytes, tables, 3);
      continue;
    }
    os::allow_huge_pages(region, bytes, false);
    starts_ = reinterpret_cast<Range**>(tables[0]);
    huge_ = reinterpret_cast<bool*>(tables[1]);
    seams_ = reinterpret_cast<bool*>(tables[2]);
    table_bytes_ = bytes_of_tables(table_bytes, 3);
    base_ = reinterpret_cast<std::uintptr_t>(region);
    bytes_ = bytes;
    return;
  }
}

Range* LargeHeap::new_descriptor() {
  if (descriptors_ == nullptr) {
    auto* piece = static_cast<Range*>(metadata_allocate(kDescriptorsPerPiece * sizeof(Range)));
    if (piece == nullptr) return nullptr;
    for (unsigned i = 0; i < kDescriptorsPerPiece; ++i) drop_descriptor(&piece[i]);
  }
  Range* range = descriptors_;
  descriptors_ = range->next;
  *range = Range{};
  return range;
}

void LargeHeap::drop_descriptor(Range* range) {
  range->next = descriptors_;
  descriptors_ = range;
}

void LargeHeap::insert_free(Range* range) {
  if (range->state == RangeState::kClean) {
    clean_.insert(range);
    return;
  }
  dirty_.insert(range);
  dirty_bytes_ += range->chunks << kChunkShift;
  // Pieces of an old range keep its time, so the list is searched from the young end.
  Range* older = newest_;
  while (older != nullptr && older->freed_ns > range->freed_ns) older = older->older;
  range->older = older;
  range->newer = older != nullptr ? older->newer : oldest_;
  (range->newer != nullptr ? range->newer->older : newest_) = range;
  (older != nullptr ? older->newer : oldest_) = range;
}

void LargeHeap::remove_free(Range* range) {
  if (range->state == RangeState::kClean) {
    clean_.remove(range);
    return;
  }
  dirty_.remove(range);
  dirty_bytes_ -= range->chunks << kChunkShift;
  (range->newer != nullptr ? range->newer->older : newest_) = range->older;
  (range->older != nullptr ? range->older->newer : oldest_) = range->newer;
}

// Takes a range out of the address order; its chunks have gone to a neighbour.
void LargeHeap::forget(Range* range) {
  if (range->below != nullptr) range->below->above = range->above;
  if (range->above != nullptr) {
    range->above->below = range->below;
  } else {
    last_ = range->below;
  }
  starts_[range->first_chunk] = nullptr;
  drop_descriptor(range);
}

// Joins a free range, not in an index at the moment, with free neighbours of its state.
Range* LargeHeap::merge(Range* range) {
  Range* above = range->above;
  if (above != nullptr && above->state == range->state) {
    remove_free(above);
    range->chunks += above->chunks;
    range->freed_ns = max_of(range->freed_ns, above->freed_ns);
    forget(above);
  }
  Range* below = range->below;
  if (below != nullptr && below->state == range->state) {
    remove_free(below);
    below->chunks += range->chunks;
    below->freed_ns = max_of(range->freed_ns, below->freed_ns);
    forget(range);
    range = below;
  }
  return range;
}

// Cuts `range`, which is in no index, after `chunks`; the upper part becomes a range of the same
// state, in no index either. False without memory for the descriptor: the range stays whole.
bool LargeHeap::split(Range* range, std::size_t chunks) {
  Range* upper = new_descriptor();
  if (upper == nullptr) return false;
  upper->first_chunk = range->first_chunk + chunks;
  upper->chunks = range->chunks - chunks;
  upper->state = range->state;
  upper->freed_ns = range->freed_ns;
  upper->below = range;
  upper->above = range->above;
  if (upper->above != nullptr) {
    upper->above->below = upper;
  } else {
    last_ = upper;
  }
  range->above = upper;
  range->chunks = chunks;
  starts_[upper->first_chunk] = upper;
  return true;
}

// A clean range that ends at the frontier, in no index: the last one made longer if it is clean,
// else a new one.
Range* LargeHeap::extend(std::size_t chunks, std::size_t alignment_chunks) {
  Range* tail = last_ != nullptr && last_->state == RangeState::kClean ? last_ : nullptr;
  const std::size_t start = tail != nullptr ? tail->first_chunk : frontier_;
  const std::size_t skipped = align_up(start, alignment_chunks) - start;
  const std::size_t room = region_chunks() - start;
  if (room < skipped || room - skipped < chunks) return nullptr;
  const std::size_t end = start + skipped + chunks;
  Range* range = tail != nullptr ? tail : new_descriptor();
  if (range == nullptr) return nullptr;
  if (end > frontier_ && !os::commit(address_of(frontier_), (end - frontier_) << kChunkShift)) {
    if (tail == nullptr) drop_descriptor(range);
    return nullptr;
  }
  if (tail != nullptr) {
    remove_free(tail);
  } else {
    range->first_chunk = start;
    range->below = last_;
    if (last_ != nullptr) last_->above = range;
    last_ = range;
    starts_[start] = range;
  }
  frontier_ = max_of(frontier_, end);
  range->chunks = frontier_ - start;
  return range;
}

// A range of exactly `chunks`, still marked with the state that it was found in, in no index.
Range* LargeHeap::take(std::size_t chunks, std::size_t alignment_chunks, bool prefer_clean) {
  Range* range = prefer_clean ? nullptr : dirty_.find(chunks, alignment_chunks);
  if (range == nullptr) range = clean_.find(chunks, alignment_chunks);
  if (range != nullptr) {
    remove_free(range);
  } else {
    range = extend(chunks, alignment_chunks);
    if (range == nullptr) {
      range = dirty_.find(chunks, alignment_chunks);
      if (range == nullptr) return nullptr;
      remove_free(range);
    }
  }
  const std::size_t skipped = align_up(range->first_chunk, alignment_chunks) - range->first_chunk;
  if (skipped != 0) {
    if (!split(range, skipped)) {
      insert_free(range);
      return nullptr;
    }
    Range* aligned = range->above;
    insert_free(range);
    range = aligned;
  }
  if (range->chunks > chunks && split(range, chunks)) insert_free(range->above);
  range->asked_bytes = 0;  // until the checked build tells
  return range;
}

bool LargeHeap::has_huge_pages(std::size_t chunks) {
  return chunks >= kHugeBlockChunks &&
         knob(Knob::kHugePages) == static_cast<std::int64_t>(HugePages::kLarge);
}

// Allows them where they fit into the chunks, forbids them wherever they would hold one of these: a
// block has a right to whole huge pages only, so nobody else loses his.
void LargeHeap::offer_huge_pages(std::size_t first_chunk, std::size_t chunks, bool allow) {
  const std::size_t end_chunk = first_chunk + chunks;
  const std::size_t from = allow ? align_up(first_chunk, kChunksPerHugePage) : first_chunk;
  const std::size_t to = allow ? end_chunk : align_up(end_chunk, kChunksPerHugePage);
  const std::size_t end = to / kChunksPerHugePage;
  for (std::size_t huge = from / kChunksPerHugePage; huge < end; ++huge) {
    if (huge_[huge] == allow) continue;
    std::size_t stop = huge;
    while (stop < end && huge_[stop] != allow) huge_[stop++] = allow;
    os::allow_huge_pages(address_of(huge * kChunksPerHugePage), (stop - huge) << kSegmentShift,
                         allow);
    if (allow) {  // a mapping of its own, and what is touched in it never joins its neighbours
      add_seam(huge * kChunksPerHugePage);
      add_seam(stop * kChunksPerHugePage);
    }
    huge = stop;
  }
}

void* LargeHeap::allocate(std::size_t size, std::size_t alignment, std::size_t* stale_bytes) {
  if (size > kMaxRequestBytes - kChunkBytes) return nullptr;
  const std::size_t chunks = chunks_of(size);
  const std::size_t alignment_chunks = max_of(alignment >> kChunkShift, grid_alignment(chunks));
  {
    const LockGuard guard(lock_);
    // The region itself starts on a multiple of kSegmentBytes only. Blocks larger than the
    // machine's memory go to the kernel, which knows what it may promise (overcommit).
    if (chunks << kChunkShift <= bytes_ && size <= machine_bytes_ && alignment <= kSegmentBytes) {
      Range* range = take(chunks, alignment_chunks, false);
      if (range != nullptr) {
        const bool huge = has_huge_pages(chunks);
        const bool is_dirty = range->state == RangeState::kDirty;
        range->state = RangeState::kUsed;
        if (is_dirty) {
          *stale_bytes = range->chunks << kChunkShift;
          counters_.add(Counter::kLargeCacheHit);
          counters_.add(Counter::kLargeCacheHitBytes, size);
        } else {
          // Moving parts of huge pages would split them.
          *stale_bytes = huge ? 0 : stitch(range->first_chunk, range->chunks);
        }
        used_bytes_ += range->chunks << kChunkShift;
        note_rise();
        counters_.add(Counter::kLargeAlloc);
        if (huge) offer_huge_pages(range->first_chunk, range->chunks, true);
        return address_of(range->first_chunk);
      }
    }
  }
  *stale_bytes = 0;
  return map_block(size, alignment);
}

void LargeHeap::note_rise() {
  peak_bytes_ = max_of(peak_bytes_, used_bytes_ + dirty_bytes_);
  collapse_.note_rise(used_bytes_, os::coarse_clock_ns());
}

void LargeHeap::free_range(Range* range, RangeState state) {
  used_bytes_ -= range->chunks << kChunkShift;
  range->state = state;
  range->freed_ns = os::coarse_clock_ns();
  insert_free(merge(range));
}

bool LargeHeap::release(void* block) {
  lock_.lock();
  if (!in_region(block)) {
    Mapping** found = find_mapping(block);
    if (found == nullptr) {
      const bool inside = report_inside_mapping(block);
      lock_.unlock();
      return inside;
    }
    Mapping* mapping = *found;
    *found = mapping->next;
    used_bytes_ -= mapping->bytes;
    const std::size_t bytes = mapping->bytes;
    drop_descriptor(reinterpret_cast<Range*>(mapping));
    lock_.unlock();
    // A refused unmap (too many mappings) must at least give the pages back.
    if (!os::unmap(block, bytes)) os::purge(block, bytes);
    return true;
  }
  Range* range = used_range(block);
  bool collapsed = false;
  if (range != nullptr) {
    const std::size_t bytes = range->chunks << kChunkShift;
    const bool at_once =
        knob(Knob::kLargeMadvise) != 0 || dirty_bytes_ + bytes > knob_size(Knob::kLargeCacheSoft);
    if (at_once) {
      purge_range(range);
    } else {
      free_range(range, RangeState::kDirty);
    }
    collapsed =
        collapse_.note_fall(used_bytes_, knob_size(Knob::kPurgeCollapse), os::coarse_clock_ns());
    if (collapsed) counters_.add(Counter::kPurgeCollapses);
    return_idle();
  }
  lock_.unlock();
  if (collapsed) purge_all();
  return true;
}

}  // namespace hz3
