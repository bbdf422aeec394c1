// The way into the spans; see home.h.
#include "remote/home.h"

#include <cstring>

#include "base/bits.h"
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "settings/knobs.h"
#include "span/invalid_free.h"
#include "span/shard.h"

namespace hz3 {

// A block that does not belong to the shard was freed twice: the first free let its span go, and
// the pages serve another shard by now.
void put_in_spans(unsigned index, void** blocks, unsigned count) {
  const unsigned strangers = shards[index].central.put(blocks, count);
  for (unsigned i = 0; i < strangers; ++i) report_invalid_free(InvalidFree::kDouble, blocks[i]);
}

void drain_stashes(unsigned index) {
  CounterBlock* counters = &shards[index].central.counters();
  const bool has_queue = page_queue.is_used();
  for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
    if (has_queue && page_queue.has_blocks(index, class_index)) {
      page_queue.collect(index, class_index, &shards[index].central);
    }
    if (!owner_stash.has_blocks(index, class_index)) continue;
    while (Magazine* magazine =
               owner_stash.pop(index, class_index, OwnerStash::Take::kAll, counters)) {
      put_in_spans(index, magazine->slots, count_of(magazine));
      release_magazine(magazine, index);
    }
  }
}

// Who found the lock held left a batch and went on, so whoever lets go of the lock looks again.
// The pusher raises the flag and then tries the lock, we release the lock and then read the flag;
// with the two fences one of the two sees the other. The flag is taken back by an exchange before
// the stashes are looked at: a plain store might wipe out a flag that was raised in between, while
// the look comes too early for its batch [stash-wakeup].
void unlock_shard(unsigned index) {
  Shard& shard = shards[index];
  for (;;) {
    shard.lock.unlock();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!shard.stash_waiting.load(std::memory_order_relaxed)) return;
    if (!shard.lock.try_lock()) return;
    shard.stash_waiting.exchange(false, std::memory_order_seq_cst);
    drain_stashes(index);
  }
}

void lock_shard(unsigned index) { shards[index].lock.lock(); }

unsigned owner_of(const void* block, unsigned fallback) {
  const Span* span = span_of(block);
  return span != nullptr ? span->shard : fallback;
}

unsigned gather(void** blocks, unsigned count, unsigned shard) {
  unsigned front = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Span* span = span_of(blocks[i]);
    if (span == nullptr || span->shard != shard) continue;
    void* block = blocks[i];
    blocks[i] = blocks[front];
    blocks[front++] = block;
  }
  return front;
}

Magazine* filled_magazine(const RouteUser& user, void* const* blocks, unsigned count) {
  Magazine* magazine = acquire_magazine(user.shard);
  if (magazine == nullptr) return nullptr;
  std::memcpy(magazine->slots, blocks, count * sizeof(void*));
  magazine->count.store(count, std::memory_order_relaxed);
  return magazine;
}

namespace {

// A batch for a shard whose lock is held by somebody else right now.
void leave_for(const RouteUser& user, unsigned owner, unsigned class_index, void** blocks,
               unsigned count) {
  Magazine* magazine = filled_magazine(user, blocks, count);
  // Bounded, whatever stash_count says: a lock holder that was preempted must not be buried, so at
  // the limit we wait for it.
  const auto limit = max_of(static_cast<unsigned>(knob(Knob::kStashMaxObjs)), 1u);
  if (magazine == nullptr || !owner_stash.push(owner, class_index, magazine, limit)) {
    if (magazine != nullptr) release_magazine(magazine, user.shard);
    lock_shard(owner);
    put_in_spans(owner, blocks, count);
    unlock_shard(owner);
    return;
  }
  user.counters->add(Counter::kStashPush);
  Shard& shard = shards[owner];
  // release: whoever takes the flag back sees the batch, and since this is no plain store, also the
  // batches of those who raised it before us [stash-wakeup]
  shard.stash_waiting.exchange(true, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!shard.lock.try_lock()) return;
  shard.stash_waiting.exchange(false, std::memory_order_seq_cst);
  drain_stashes(owner);
  unlock_shard(owner);
}

}  // namespace

void return_blocks(const RouteUser& user, unsigned class_index, void** blocks, unsigned count) {
  user.counters->add(Counter::kCentralReturn, count);
  while (count != 0) {
    const unsigned owner = owner_of(blocks[0], user.shard);
    if (owner == user.shard) {
      lock_shard(owner);
    } else if (!shards[owner].lock.try_lock()) {
      const unsigned mine = gather(blocks, count, owner);
      leave_for(user, owner, class_index, blocks, mine);
      blocks += mine;
      count -= mine;
      continue;
    }
    count = shards[owner].central.put(blocks, count);
    unlock_shard(owner);
  }
}

void return_batch(const RouteUser& user, unsigned class_index, Magazine* batch) {
  return_blocks(user, class_index, batch->slots, count_of(batch));
  release_magazine(batch, user.shard);
}

}  // namespace hz3
