// A shard: a lock and the spans it protects. Few of them, shared by all threads; a thread uses one
// to take blocks from, blocks go back to the shard of their span.
//
// Lock order: a shard, then the page heap, then metadata. Nobody waits for a second shard while
// holding one: other shards are only tried.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex_lock.h"
#include "geometry/constants.h"
#include "span/central.h"

namespace hz3 {

struct alignas(kCacheLineBytes) Shard {
  FutexLock lock;
  // Set by whoever leaves batches in the shard's stash, taken back by whoever drains it.
  std::atomic<bool> stash_waiting{false};
  std::atomic<std::uint32_t> threads{0};
  // Some thread has used it. The memory of the others is never written.
  std::atomic<bool> open{false};
  alignas(kCacheLineBytes) Central central;
};

extern Shard shards[kMaxShards];
extern unsigned shard_count;  // set once at boot

void boot_shards(unsigned wanted);

// Before the first use of a shard; any thread, and as often as one likes.
void open_shard(unsigned index);

// Shards from this one on were never open: they open in order, see acquire_shard().
extern std::atomic<unsigned> opened_shards;
// relaxed: where a search ends; what a shard holds is published by its lock and its lanes
inline unsigned opened_shard_count() { return opened_shards.load(std::memory_order_relaxed); }

// acquire: whoever sees it open finds it booted
inline bool is_open(unsigned index) { return shards[index].open.load(std::memory_order_acquire); }

// The first of the shards with the fewest threads; release_shard() when the thread ends.
unsigned acquire_shard();
void release_shard(unsigned index);

}  // namespace hz3
