// Which thread caches exist: the pool of unused ones, the list of used ones, the arrays of bins.
// Any thread, own lock; taken before metadata's, never together with a shard's.
#include "arena/metadata.h"
#include "base/bits.h"
#include "base/compiler.h"
#include "base/futex_lock.h"
#include "cache/thread_cache.h"
#include "remote/remote_stash.h"
#include "span/shard.h"

namespace hz3 {
namespace {

HZ3_SMALL constinit FutexLock lock;
HZ3_SMALL constinit ThreadCache* used = nullptr;
HZ3_SMALL constinit ThreadCache* unused = nullptr;
HZ3_SMALL constinit std::uint64_t used_count = 0;

// Needs the lock.
void enlist(ThreadCache* cache) {
  cache->previous = nullptr;
  cache->next = used;
  if (used != nullptr) used->previous = cache;
  used = cache;
  ++used_count;
}

// The table of a remote stash and its magazines stay readable, whoever has them by now.
HZ3_RACY void visit_gathered(const RouteUser& user, VisitBlock gathered, void* context) {
  if (user.gathered == nullptr) return;
  for (const RemoteStash::Slot& slot : *user.gathered) {
    visit_magazines(slot.batch, 1, gathered, context);
  }
}

}  // namespace

constinit HitPath empty_cache = {};

constinit HZ3_TLS HitPath* current_cache = &empty_cache;

// `this` is zeroed memory, and zero is what all bins of other codes start with.
void ThreadCache::boot(unsigned shard) {
  user = {shard, &counters};
  forget_late();
  for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
    const Code code = code_of(class_index, shard);
    void** floor = compact[class_index] + 1;
    bins[code] = {nullptr, floor, nullptr, floor};
    states[code].room = kCompactSlots;
    set_bound(code, kCompactSlots);
  }
  size_tags[0] = tag_of(code_of(0, shard));
  for (std::size_t i = 1; i < sizeof size_tags / sizeof size_tags[0]; ++i) {
    size_tags[i] = tag_of(code_of(class_of_size(i << kMinBlockShift), shard));
  }
}

ThreadCache* acquire_thread_cache() {
  {
    const LockGuard guard(lock);
    ThreadCache* cache = unused;
    if (cache != nullptr) {
      // From one list to the other under one lock: whoever adds up counters finds it in one.
      unused = cache->next;
      enlist(cache);
      // Its bins keep their arrays, and after a fork their blocks: the shard stays as well.
      shards[cache->user.shard].threads.fetch_add(1, std::memory_order_relaxed);
      cache->counters.add(Counter::kThreadsStarted);
      return cache;
    }
  }
  auto* cache = static_cast<ThreadCache*>(metadata_allocate(sizeof(ThreadCache)));
  if (cache == nullptr) return nullptr;
  cache->boot(acquire_shard());  // metadata is zeroed, which is what the other members start with
  cache->counters.add(Counter::kThreadsStarted);
  const LockGuard guard(lock);
  enlist(cache);
  return cache;
}

void release_thread_cache(ThreadCache* cache) {
  leave_shard(cache->user);
  const LockGuard guard(lock);
  if (cache->next != nullptr) cache->next->previous = cache->previous;
  if (cache->previous != nullptr) {
    cache->previous->next = cache->next;
  } else {
    used = cache->next;
  }
  cache->next = unused;
  unused = cache;
  --used_count;
}

CacheFigures thread_cache_figures() {
  const LockGuard guard(lock);
  return thread_cache_figures_locked();
}

CacheFigures thread_cache_figures_locked() {
  CacheFigures figures = {used_count, 0};
  for (const ThreadCache* cache = used; cache != nullptr; cache = cache->next) {
    figures.cached_bytes += cache->cached_bytes.load(std::memory_order_relaxed);
  }
  return figures;
}

void add_thread_counters_locked(std::uint64_t* totals, std::size_t count) {
  for (const ThreadCache* list : {used, unused}) {
    for (const ThreadCache* cache = list; cache != nullptr; cache = cache->next) {
      cache->counters.add_to(totals, count);
    }
  }
}

HZ3_RACY void visit_cached_blocks(VisitBlock cached, VisitBlock gathered, void* context) {
  for (const ThreadCache* list : {used, unused}) {
    for (const ThreadCache* cache = list; cache != nullptr; cache = cache->next) {
      for (unsigned code = 1; code < kCodeCount; ++code) {
        if (cache->states[code].room == 0) continue;
        // An array that was outgrown meanwhile stays readable: it is metadata.
        void* const* floor = cache->bins[code].floor;
        const std::ptrdiff_t count = cache->bins[code].top - floor;
        if (count <= 0 || count > std::ptrdiff_t{kMostSlots}) continue;
        for (std::ptrdiff_t i = 0; i < count; ++i) cached(context, floor[i]);
      }
      if (cache->late_block != nullptr) cached(context, cache->late_block);
      visit_gathered(cache->user, gathered, context);
    }
  }
}

FutexLock& thread_cache_lock() { return lock; }

void adopt_caches_in_child() {
  ThreadCache* mine = nullptr;
  ThreadCache* next = nullptr;
  for (ThreadCache* cache = used; cache != nullptr; cache = next) {
    next = cache->next;
    if (static_cast<HitPath*>(cache) == current_cache) {
      mine = cache;
      continue;
    }
    release_shard(cache->user.shard);
    --used_count;
    if (!cache->settle()) continue;
    cache->next = unused;
    unused = cache;
  }
  used = mine;
  if (mine != nullptr) {
    mine->next = nullptr;
    mine->previous = nullptr;
  }
}

}  // namespace hz3
