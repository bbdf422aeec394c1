// Fork: every lock is held across it, so that the child finds no structure half changed.
//
// Registered by the only constructor of the library. Handlers that were registered even earlier run
// while we hold everything; FutexLock lets the forking thread pass then.
#include <pthread.h>

#include "arena/metadata.h"
#include "arena/page_heap.h"
#include "cache/thread_cache.h"
#include "entry/thread_state.h"
#include "large/large_heap.h"
#include "observe/live_page.h"
#include "observe/requests.h"
#include "policy/live.h"
#include "remote/magazine.h"
#include "remote/page_queue.h"
#include "span/pending.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// In lock order.
template <class F>
void for_each_lock(F&& apply) {
  apply(boot_lock());
  apply(live_page_lock());
  apply(thread_cache_lock());
  apply(direct_lock());
  apply(live_lock());
  for (unsigned i = 0; i < shard_count; ++i) apply(shards[i].lock);
  apply(page_heap.lock());
  apply(large_heap.lock());
  apply(magazine_lock());
  apply(pending_lock());
  apply(metadata_lock());
}

void before_fork() {
  for_each_lock([](FutexLock& lock) { lock.lock_for_fork(); });
  begin_fork();
}

void after_fork_in_parent() {
  end_fork();
  for_each_lock([](FutexLock& lock) { lock.unlock_after_fork(); });
}

// Whether this thread will go on with something that it was in the middle of when a signal handler
// called fork. Then the page queues stay as they are: at worst, spans are lost to the child in
// which other threads were just marking blocks.
bool has_interrupted_work() {
  bool any = current_cache != &empty_cache &&
             static_cast<ThreadCache*>(current_cache)->rebuilding.load(std::memory_order_relaxed);
  for_each_lock([&any](const FutexLock& lock) { any = any || lock.is_held_by_interrupted(); });
  return any;
}

void after_fork_in_child() {
  adopt_caches_in_child();
  if (!has_interrupted_work()) page_queue.rebuild_in_child();
  leave_live_page_in_child();
  settle_requests_in_child();
  after_fork_in_parent();
}

__attribute__((constructor(101))) void register_fork_handlers() {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace

bool caller_holds_a_lock() {
  bool any = false;
  for_each_lock([&any](const FutexLock& lock) { any = any || lock.is_held_by_caller(); });
  return any;
}

}  // namespace hz3
