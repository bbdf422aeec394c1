// The slow half of allocation: misses, overflows, large blocks, resizing.
#include "entry/allocate.h"

#include <cstring>

#include "entry/thread_state.h"
#include "large/large_heap.h"
#include "policy/check_heap.h"
#include "policy/reclaim.h"
#include "policy/tick.h"
#include "settings/knobs.h"
#include "span/invalid_free.h"
#include "span/span.h"

namespace hz3 {
namespace {

std::size_t reclaim_for(ThreadCache* cache) {
  if (cache != nullptr) return reclaim(cache, cache->user);
  const DirectUser direct;
  return reclaim(nullptr, direct.user());
}

void* failed() {
  count_shared(Counter::kAllocFailed);
  return nullptr;
}

// A thread without a cache takes one block and leaves the rest of the batch where it belongs.
void* allocate_direct(unsigned class_index) {
  if (!ensure_booted()) return nullptr;
  const DirectUser direct;
  void* blocks[Magazine::kSlots];
  const Code code = code_of(class_index, direct.user().shard);
  const unsigned taken = take_blocks(direct.user(), code, blocks, 1);
  if (taken == 0) return nullptr;
  if (taken > 1) return_blocks(direct.user(), class_index, blocks, taken - 1);
  return blocks[taken - 1];
}

void* take_from_class(ThreadCache* cache, unsigned class_index) {
  if (cache == nullptr) return allocate_direct(class_index);
  const Code code = code_of(class_index, cache->user.shard);
  Bin& bin = cache->bins[code];
  return bin.newest != nullptr ? bin.pop() : cache->refill(code);
}

// Whoever asked for an alignment relies on that of the class.
std::size_t alignment_of(unsigned class_index) {
  return std::size_t{1} << lowest_bit(kClasses[class_index].block_bytes);
}

// A block of a wide class among the large blocks, which take what the kernel gives. Smaller ones
// would waste most of a chunk each.
void* allocate_outside(unsigned class_index) {
  if (class_index < kFirstWideClass) return nullptr;
  std::size_t stale_bytes = 0;
  void* block = large_heap.allocate(kClasses[class_index].block_bytes, alignment_of(class_index),
                                    &stale_bytes);
  if (block != nullptr) count_shared(Counter::kReclaimOutside);
  return block;
}

// There is no run of pages for another span of this class. Reclaim may find some. A wide block then
// leaves the arena: what else there is lies in caches of other threads or is cut too short. The
// others wait for those caches. After that, partly used spans of larger classes may still have a
// block: one that is too large is better than none.
HZ3_COLD void* rescue(ThreadCache* cache, unsigned class_index) {
  Attempts attempts;
  void* block = nullptr;
  std::size_t pages = 0;
  do {
    pages = reclaim_for(cache);
    block = take_from_class(cache, class_index);
    if (block == nullptr && !attempts.has_more_at_once(pages)) {
      block = allocate_outside(class_index);
    }
  } while (block == nullptr && attempts.another(pages));
  const std::size_t alignment = alignment_of(class_index);
  for (unsigned larger = class_index + 1; block == nullptr && larger < kClassCount; ++larger) {
    if (kClasses[larger].block_bytes % alignment != 0) continue;
    block = take_from_class(cache, larger);
    if (block != nullptr) count_shared(Counter::kReclaimUpgrades);
  }
  return block != nullptr ? block : failed();
}

// The block may be in the bin after all: classes above the table's reach come here for hits, too.
// A late block that is wide is worth more than the slow path costs: its lines are in the cache.
void* allocate_in_class(unsigned class_index) {
  ThreadCache* cache = thread_cache();
  if (cache == nullptr) {
    void* block = allocate_direct(class_index);
    return block != nullptr ? block : rescue(nullptr, class_index);
  }
  const Code code = code_of(class_index, cache->user.shard);
  Bin& bin = cache->bins[code];
  if (class_index >= kFirstWideClass) cache->catch_up();
  if (bin.newest != nullptr) return bin.pop();
  on_slow_event(cache);
  void* block = cache->refill(code);
  return HZ3_LIKELY(block != nullptr) ? block : rescue(cache, class_index);
}

void* allocate_large(std::size_t size, std::size_t alignment, std::size_t* stale_bytes) {
  if (size > kMaxRequestBytes || !ensure_booted()) return failed();
  ThreadCache* cache = thread_cache();
  if (cache != nullptr) on_slow_event(cache);
  void* block = large_heap.allocate(size, alignment, stale_bytes);
  if (block != nullptr) return block;
  // Absurd sizes are refused without disturbing the caches.
  if (size > arena.bytes) return failed();
  // No other thread's cache can help here, so there is nothing to wait for.
  reclaim_for(cache);
  block = large_heap.allocate(size, alignment, stale_bytes);
  return block != nullptr ? block : failed();
}

std::size_t block_bytes_of(Code code) { return kClasses[class_of_code(code)].block_bytes; }

}  // namespace

namespace raw {

void* allocate_slow(std::size_t size) {
  if (HZ3_LIKELY(size <= kMaxClassBytes)) {
    return allocate_in_class(class_of_size(size == 0 ? 1 : size));
  }
  std::size_t stale_bytes = 0;
  return allocate_large(size, 1, &stale_bytes);
}

void release_slow(void* block) noexcept {
  if (block == nullptr) return;
  if (!arena.contains(block)) {
    if (!ensure_booted() || !large_heap.release(block)) {
      report_invalid_free(InvalidFree::kForeign, block);
    }
    return;
  }
  const Code code = arena.code_at(block);
  if (code == kNoCode) {
    report_invalid_free(InvalidFree::kUnallocated, block);
    return;
  }
  ThreadCache* cache = thread_cache();
  if (cache == nullptr) {
    const DirectUser direct;
    return_blocks(direct.user(), class_of_code(code), &block, 1);
    return;
  }
  Bin& bin = cache->bins[code];
  if (bin.is_full()) {
    on_slow_event(cache);
    if (bin.is_full()) cache->flush(code);
  }
  if (HZ3_UNLIKELY(bin.is_full())) {  // no memory for a larger bin
    return_blocks(cache->user, class_of_code(code), &block, 1);
    return;
  }
  cache->push(bin, block);
}

void* allocate_zeroed(std::size_t size) {
  if (size <= kMaxClassBytes) {
    void* block = allocate(size);
    if (block != nullptr) std::memset(block, 0, size);
    return block;
  }
  std::size_t stale_bytes = 0;
  void* block = allocate_large(size, 1, &stale_bytes);
  if (block != nullptr) std::memset(block, 0, min_of(size, stale_bytes));
  return block;
}

void* allocate_aligned(std::size_t alignment, std::size_t size) {
  if (alignment <= kBlockAlignment) return allocate(max_of(size, alignment));
  const unsigned class_index = class_of_aligned(size == 0 ? 1 : size, alignment);
  if (class_index < kClassCount) return allocate(kClasses[class_index].block_bytes);
  std::size_t stale_bytes = 0;
  return allocate_large(size == 0 ? 1 : size, alignment, &stale_bytes);
}

std::size_t usable_size(const void* block) {
  if (block == nullptr) return 0;
  if (!arena.contains(block)) return large_heap.usable_size(block);
  const Code code = arena.code_at(block);
  return code == kNoCode ? 0 : block_bytes_of(code);
}

void* reallocate(void* block, std::size_t size) {
  std::size_t old_bytes = 0;
  if (arena.contains(block)) {
    const Code code = arena.code_at(block);
    if (code == kNoCode) {
      report_invalid_free(InvalidFree::kUnallocated, block);
      return nullptr;
    }
    old_bytes = block_bytes_of(code);
    if (stays_in_place(old_bytes, size)) return block;
  } else {
    old_bytes = large_heap.usable_size(block);
    if (old_bytes == 0) {
      release_slow(block);  // finds and names what is wrong with it
      return nullptr;
    }
    if (size > kMaxClassBytes) {
      void* resized = large_heap.resize(block, size);
      if (resized != nullptr) return resized;
    } else if (old_bytes <= kMaxClassBytes && stays_in_place(old_bytes, size)) {
      return block;  // of a wide class, outside the arena
    }
  }
  void* fresh = allocate(size);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, min_of(old_bytes, size));
  release(block);
  return fresh;
}

std::size_t good_size(std::size_t size) {
  if (size > kMaxRequestBytes) return 0;
  if (size > kMaxClassBytes) return align_up(size, kChunkBytes);
  return kClasses[class_of_size(size == 0 ? 1 : size)].block_bytes;
}

bool is_live_block(const void* block) {
  if (!arena.contains(block)) return block != nullptr && large_heap.usable_size(block) != 0;
  const Span* span = arena.spans[arena.page_of(block)];
  if (span == nullptr) return false;
  const unsigned index = span->index_of(block);
  return index != Span::kNoBlock && !span->is_free(index);
}

}  // namespace raw

std::size_t trim_everything() {
  if (!ensure_booted()) return 0;
  ThreadCache* cache = thread_cache();
  if (cache != nullptr) return trim(cache, cache->user);
  const DirectUser direct;
  return trim(nullptr, direct.user());
}

std::size_t check_everything() {
  if (!ensure_booted()) return 0;
  Audit audit;
  ThreadCache* cache = thread_cache();
  if (cache != nullptr) {
    check_heap(cache, cache->user, &audit);
  } else {
    const DirectUser direct;
    check_heap(nullptr, direct.user(), &audit);
  }
  if (audit.violations() != 0) report_violations(audit);
  return audit.violations();
}

}  // namespace hz3
