// The allocator as the entry points see it: allocation without errno, without API corner cases.
//
// Any thread, at any time: before constructors, after the end of the thread's cache, in a child.
#pragma once

#include <cstddef>

#include "arena/arena.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "cache/thread_cache.h"

namespace hz3 {

// What a sized or aligned form of free says about the block; only the checked build listens.
struct Claim {
  static constexpr std::size_t kUnsaid = ~std::size_t{0};
  std::size_t bytes = kUnsaid;
  std::size_t alignment = 1;
};

// The allocator itself, without the books of the checked build; see checked.cpp.
namespace raw {

HZ3_NOINLINE void* allocate_slow(std::size_t size);
HZ3_NOINLINE void release_slow(void* block) noexcept;
void* allocate_zeroed(std::size_t size);
void* allocate_aligned(std::size_t alignment, std::size_t size);
void* reallocate(void* block, std::size_t size);
std::size_t usable_size(const void* block);
std::size_t good_size(std::size_t size);
bool is_live_block(const void* block);

HZ3_ALWAYS_INLINE void* allocate_hit(std::size_t size) {
  if (HZ3_UNLIKELY(size > kMaxTableBytes)) return nullptr;
  HitPath* cache = current_cache;
  Bin& bin = cache->bin_at(cache->size_tags[(size + kMinBlockBytes - 1) >> kMinBlockShift]);
  return HZ3_LIKELY(bin.newest != nullptr) ? bin.pop() : nullptr;
}

inline void* allocate(std::size_t size) {
  void* block = allocate_hit(size);
  return HZ3_LIKELY(block != nullptr) ? block : allocate_slow(size);
}

// NULL, foreign and large pointers lie outside the arena.
HZ3_ALWAYS_INLINE void release(void* block) {
  if (HZ3_LIKELY(arena.contains(block))) {
    HitPath* cache = current_cache;
    Bin& bin = cache->bin_at(arena.tag_at(block));
    if (HZ3_LIKELY(!bin.is_full())) {
      cache->push(bin, block);
      return;
    }
  }
  release_slow(block);
}

}  // namespace raw

// Whether a block of a class is resized by doing nothing: down to half of it a copy would cost more
// than the rest is worth.
constexpr bool stays_in_place(std::size_t block_bytes, std::size_t wanted) {
  return wanted <= block_bytes && (wanted >= block_bytes / 2 || block_bytes == kMinBlockBytes);
}

namespace checked {

void* allocate(std::size_t size);
void* allocate_zeroed(std::size_t size);
void* allocate_aligned(std::size_t alignment, std::size_t size);
void release(void* block, Claim claim);
void* reallocate(void* block, std::size_t size);
std::size_t usable_size(const void* block);
std::size_t good_size(std::size_t size);
bool is_live_block(const void* block);

}  // namespace checked

// Misses and everything that is not a small block. nullptr: no memory.
inline void* allocate_slow(std::size_t size) {
  return kChecked ? checked::allocate(size) : raw::allocate_slow(size);
}

// The hit path of malloc; nullptr: take the slow path. Callers end in a tail call to that, which
// keeps the hit path free of a stack frame.
HZ3_ALWAYS_INLINE void* allocate_hit(std::size_t size) {
  return kChecked ? nullptr : raw::allocate_hit(size);
}

inline void* allocate(std::size_t size) {
  return kChecked ? checked::allocate(size) : raw::allocate(size);
}

// The hit path of free.
HZ3_ALWAYS_INLINE void release(void* block, Claim claim = {}) {
  if constexpr (kChecked) {
    checked::release(block, claim);
  } else {
    raw::release(block);
  }
}

inline void* allocate_zeroed(std::size_t size) {
  return kChecked ? checked::allocate_zeroed(size) : raw::allocate_zeroed(size);
}

// `alignment` is a power of two.
inline void* allocate_aligned(std::size_t alignment, std::size_t size) {
  return kChecked ? checked::allocate_aligned(alignment, size)
                  : raw::allocate_aligned(alignment, size);
}

// `block` is not NULL and `size` is not 0. nullptr: no memory, or (on_invalid_free=warn) no block.
inline void* reallocate(void* block, std::size_t size) {
  return kChecked ? checked::reallocate(block, size) : raw::reallocate(block, size);
}

// Bytes of a block that the program may use; 0 for anything else.
inline std::size_t usable_size(const void* block) {
  return kChecked ? checked::usable_size(block) : raw::usable_size(block);
}

// What a request of this size would get; 0 when it can never be served.
inline std::size_t good_size(std::size_t size) {
  return kChecked ? checked::good_size(size) : raw::good_size(size);
}

inline bool is_live_block(const void* block) {
  return kChecked ? checked::is_live_block(block) : raw::is_live_block(block);
}

std::size_t trim_everything();

// Number of contradictions in the heap; the first is reported.
std::size_t check_everything();

}  // namespace hz3
