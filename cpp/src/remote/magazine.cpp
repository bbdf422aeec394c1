// The stack of magazines and the pool behind it. Any thread.
#include "remote/magazine.h"

#include "arena/guarded.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "base/futex_lock.h"
#include "os/memory.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// One in 64 bytes of the arena: enough for every block of 32 bytes and more to be parked at once.
constexpr std::size_t kArenaShare = 64;
constexpr std::size_t kPieceBytes = 64 * 1024;

HZ3_SMALL constinit Magazine* base = nullptr;
HZ3_SMALL constinit std::size_t reserved = 0;    // magazines
HZ3_SMALL constinit std::size_t accessible = 0;  // magazines; under the lock
HZ3_SMALL constinit std::size_t fresh = 0;  // magazines handed out at least once; under the lock
HZ3_SMALL constinit FutexLock lock;

struct alignas(kCacheLineBytes) PoolLane {
  MagazineStack empties;
};
constinit PoolLane pool[kMaxShards];

}  // namespace

std::uint32_t magazine_index(const Magazine* magazine) {
  return static_cast<std::uint32_t>(magazine - base);
}

Magazine* magazine_at(std::uint32_t index) { return base + index; }

bool MagazineStack::push(Magazine* magazine, unsigned limit) {
  const std::uint64_t index = magazine_index(magazine) + std::uint64_t{1};
  std::uint64_t head = head_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t count = (head >> kIndexBits) & kCountMask;
    if (count >= limit) return false;
    magazine->next.store(static_cast<std::uint32_t>(head & kIndexMask), std::memory_order_relaxed);
    // release: the pop that takes this magazine sees its slots [magazine-stack]
    const std::uint64_t blocks = magazine->count.load(std::memory_order_relaxed);
    if (head_.compare_exchange_weak(head, next_head(head, index, count + blocks),
                                    std::memory_order_release, std::memory_order_relaxed)) {
      return true;
    }
  }
}

Magazine* MagazineStack::pop() {
  std::uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t index = head & kIndexMask;
    if (index == 0) return nullptr;
    Magazine* magazine = magazine_at(static_cast<std::uint32_t>(index - 1));
    // May be stale when another thread was faster; the tag makes the exchange fail then.
    const std::uint64_t below = magazine->next.load(std::memory_order_relaxed);
    const std::uint64_t count =
        ((head >> kIndexBits) & kCountMask) - magazine->count.load(std::memory_order_relaxed);
    // acquire: pairs with the release in push [magazine-stack]; all changes are read-modify-writes,
    // so the chain of releases reaches the magazines further down as well
    if (head_.compare_exchange_weak(head, next_head(head, below, count), std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return magazine;
    }
  }
}

const Magazine* MagazineStack::top() const {
  const std::uint64_t index =
      head_.load(std::memory_order_acquire) & kIndexMask;  // [magazine-stack]
  return index == 0 ? nullptr : magazine_at(static_cast<std::uint32_t>(index - 1));
}

bool boot_magazines(std::size_t arena_bytes) {
  if (base != nullptr) return true;
  const std::size_t bytes = min_of(align_up(arena_bytes / kArenaShare, kPieceBytes),
                                   (sizeof(Magazine) << MagazineStack::kIndexBits) - kPieceBytes);
  void* range = reserve_guarded(bytes, kPieceBytes);
  if (range == nullptr) return false;
  os::allow_huge_pages(range, bytes, false);
  base = static_cast<Magazine*>(range);
  reserved = bytes / sizeof(Magazine);
  return true;
}

Magazine* acquire_magazine(unsigned shard) {
  // One-way traffic fills the lanes of those who allocate and empties those of who frees, so the
  // other lanes come before a fresh magazine.
  const unsigned opened = opened_shard_count();
  for (unsigned i = 0; i < opened; ++i) {
    MagazineStack& lane = pool[(shard + i) % opened].empties;
    if (lane.is_empty()) continue;
    if (Magazine* magazine = lane.pop()) return magazine;
  }
  const LockGuard guard(lock);
  if (fresh == accessible) {
    if (accessible == reserved || !os::commit(base + accessible, kPieceBytes)) return nullptr;
    accessible += kPieceBytes / sizeof(Magazine);
  }
  return base + fresh++;
}

void release_magazine(Magazine* magazine, unsigned shard) {
  magazine->count.store(0, std::memory_order_relaxed);  // empties weigh nothing: no limit
  pool[shard].empties.push(magazine, 1);
}

std::size_t magazine_bytes() {
  const LockGuard guard(lock);
  return magazine_bytes_locked();
}

std::size_t magazine_bytes_locked() { return fresh * sizeof(Magazine); }

const void* magazine_memory(std::size_t* bytes) {
  *bytes = magazine_bytes_locked();
  return base;
}

HZ3_RACY void visit_magazines(const Magazine* top, unsigned most_magazines, VisitBlock visit,
                              void* context) {
  const Magazine* magazine = top;
  while (magazine != nullptr && most_magazines-- != 0) {
    const std::uint32_t count =
        min_of(magazine->count.load(std::memory_order_relaxed), Magazine::kSlots);
    for (std::uint32_t i = 0; i < count; ++i) visit(context, magazine->slots[i]);
    const std::uint32_t next = magazine->next.load(std::memory_order_relaxed);
    magazine = next == 0 ? nullptr : magazine_at(next - 1);
  }
}

FutexLock& magazine_lock() { return lock; }

}  // namespace hz3
