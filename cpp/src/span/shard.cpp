// Boot of the shards and their assignment to threads.
#include "span/shard.h"

#include "base/bits.h"
#include "os/memory.h"

namespace hz3 {

constinit Shard shards[kMaxShards];
constinit unsigned shard_count = 1;

void boot_shards(unsigned wanted) {
  const unsigned count = wanted != 0 ? wanted : max_of(2 * os::cpu_count(), kMinShards);
  shard_count = min_of(count, kMaxShards);
  for (unsigned i = 0; i < shard_count; ++i) shards[i].central.boot(i);
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
  shards[best].threads.fetch_add(1, std::memory_order_relaxed);
  return best;
}

void release_shard(unsigned index) {
  shards[index].threads.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace hz3
