// Taking and giving back.
#include "observe/all_locks.h"

#include "arena/metadata.h"
#include "arena/page_heap.h"
#include "cache/thread_cache.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "remote/magazine.h"
#include "span/shard.h"

namespace hz3 {

void AllLocks::take(FutexLock& lock) {
  for (;;) {
    if (lock.try_lock()) {
      taken_[count_++] = &lock;
      return;
    }
    if (patience_ == 0 || lock.is_held_by_caller()) {
      ++missed_;
      return;
    }
    --patience_;
    os::wait_ns(kNapNs);
  }
}

AllLocks::AllLocks(Patience patience) : patience_(static_cast<unsigned>(patience)) {
  take(thread_cache_lock());
  for (unsigned i = 0; i < shard_count; ++i) take(shards[i].lock);
  take(page_heap.lock());
  take(large_heap.lock());
  take(magazine_lock());
  take(metadata_lock());
}

// Batches that were left in a stash meanwhile stay there until the shard's lock is used again.
AllLocks::~AllLocks() {
  while (count_ != 0) taken_[--count_]->unlock();
}

}  // namespace hz3
