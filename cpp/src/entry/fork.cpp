// Fork: every lock is held across it, so that the child finds no structure half changed.
//
// Registered by the only constructor of the library, as early as possible: handlers run before fork in
// reverse order of registration, so ours comes last there and first in parent and child, and handlers
// of the program may allocate.
#include <pthread.h>

#include "arena/metadata.h"
#include "arena/page_heap.h"
#include "cache/thread_cache.h"
#include "entry/thread_state.h"
#include "large/large_heap.h"
#include "remote/magazine.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// Lock order: entry, caches, shards in rising order, page heap, large heap, magazines, metadata.
void before_fork() {
  lock_entry_for_fork();
  lock_thread_caches_for_fork();
  for (unsigned i = 0; i < shard_count; ++i) shards[i].lock.lock();
  page_heap.lock_for_fork();
  large_heap.lock_for_fork();
  lock_magazines_for_fork();
  lock_metadata_for_fork();
}

void after_fork(bool in_child) {
  unlock_metadata_after_fork(in_child);
  unlock_magazines_after_fork(in_child);
  large_heap.unlock_after_fork(in_child);
  page_heap.unlock_after_fork(in_child);
  for (unsigned i = shard_count; i-- != 0;) {
    if (in_child) {
      shards[i].lock.reset_after_fork();
    } else {
      shards[i].lock.unlock();
    }
  }
  unlock_thread_caches_after_fork(in_child);
  unlock_entry_after_fork(in_child);
}

void after_fork_in_parent() { after_fork(false); }
void after_fork_in_child() { after_fork(true); }

__attribute__((constructor(101))) void register_fork_handlers() {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace
}  // namespace hz3
