// Magazines: batches of block pointers, the only thing that travels between threads.
//
// A magazine belongs to whoever took it out of a stack or the pool; nothing in it needs a lock
// then. They are carved from one reserved range and never given back (type-stable), so a reader
// with a stale index still reads a magazine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/futex_lock.h"
#include "geometry/constants.h"

namespace hz3 {

struct Magazine {
  static constexpr unsigned kSlots = 126;

  std::atomic<std::uint32_t> next{0};   // index + 1 of the one below in a stack, 0: none
  std::atomic<std::uint32_t> count{0};  // atomic because a pop may read it of one that has left
  std::atomic<std::uint32_t> depth_blocks{0};  // in this one and all below it (owner stash)
  std::uint32_t unused = 0;
  void* slots[kSlots];
};
static_assert(sizeof(Magazine) == 1024);

// A stack of magazines that any thread may push to and pop from without a lock.
//
// One word holds [tag:24][blocks:16][index + 1:24]. Every change is one compare-and-swap that
// raises the tag, so a pop that read a stale `next` or count fails (ABA). The sum of blocks wraps
// inside its field and never carries into the tag.
class MagazineStack {
 public:
  constexpr MagazineStack() = default;

  // For observers: what lies on top, which others may take at any moment.
  const Magazine* top() const;

  // False when the stack holds `limit` <= kMaxBlocks blocks or more already.
  bool push(Magazine* magazine, unsigned limit);
  Magazine* pop();  // nullptr when empty
  bool is_empty() const { return (head_.load(std::memory_order_relaxed) & kIndexMask) == 0; }
  unsigned blocks() const {
    return static_cast<unsigned>((head_.load(std::memory_order_relaxed) >> kIndexBits) &
                                 kCountMask);
  }

  static constexpr unsigned kIndexBits = 24;
  static constexpr unsigned kMaxBlocks = (1u << 16) - Magazine::kSlots - 1;

 private:
  static constexpr unsigned kCountBits = 16;
  static constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;
  static constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;
  static constexpr unsigned kTagShift = kIndexBits + kCountBits;

  static std::uint64_t next_head(std::uint64_t head, std::uint64_t index, std::uint64_t count) {
    const std::uint64_t tag = (head >> kTagShift) + 1;
    return (tag << kTagShift) | ((count & kCountMask) << kIndexBits) | index;
  }

  std::atomic<std::uint64_t> head_{0};
};

// The pool of empty magazines: a stack per shard that is open, then fresh ones.
bool boot_magazines(std::size_t arena_bytes);  // once; false: no address space
Magazine* acquire_magazine(unsigned shard);    // nullptr when there is no memory
void release_magazine(Magazine* magazine, unsigned shard);
std::size_t magazine_bytes();
std::size_t magazine_bytes_locked();  // for whoever holds the lock
// The pool's memory: `*bytes` of it were handed out at least once. Needs the lock.
const void* magazine_memory(std::size_t* bytes);

// Calls `visit` with every block of a magazine and those below it, at most `most_magazines`. The
// stack may change meanwhile: a block may be missed, met twice or have left.
using VisitBlock = void (*)(void* context, const void* block);
void visit_magazines(const Magazine* top, unsigned most_magazines, VisitBlock visit, void* context);

std::uint32_t magazine_index(const Magazine* magazine);
Magazine* magazine_at(std::uint32_t index);

FutexLock& magazine_lock();  // for fork

}  // namespace hz3
