// Boot of the shards and their assignment to threads.
#include "span/shard.h"

#include "base/bits.h"
#include "os/memory.h"

namespace hz3 {

constinit Shard shards[kMaxShards];
constinit unsigned shard_count = 1;
constinit std::atomic<unsigned> opened_shards{0};

void boot_shards(unsigned wanted) {
  const unsigned count = wanted != 0 ? wanted : max_of(2 * os::cpu_count(), kMinShards);
  shard_count = min_of(count, kMaxShards);
  open_shard(0);  // also of threads that have no cache
}

void open_shard(unsigned index) {
  if (is_open(index)) return;
  const LockGuard guard(shards[index].lock);
  shards[index].central.boot(index);
  unsigned opened = opened_shard_count();
  // relaxed: see opened_shard_count(); before `open`, so that nobody sees an open shard beyond it
  while (opened <= index &&
         !opened_shards.compare_exchange_weak(opened, index + 1, std::memory_order_relaxed)) {
  }
  shards[index].open.store(true, std::memory_order_release);
}

unsigned acquire_shard() {
  unsigned best = 0;
  std::uint32_t fewest = ~0u;
  for (unsigned i = 0; i < shard_count; ++i) {
    // relaxed: a guess is enough, two threads may choose the same shard
    const std::uint32_t threads = shards[i].threads.load(std::memory_order_relaxed);
    if (threads < fewest) {
      fewest = threads;
      best = i;
    }
  }
  open_shard(best);
  shards[best].threads.fetch_add(1, std::memory_order_relaxed);
  return best;
}

void release_shard(unsigned index) {
  shards[index].threads.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace hz3
