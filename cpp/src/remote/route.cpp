// Order of the layers on a miss:     transfer cache -> stash and spill -> partly used spans -> a
// new span in an open segment -> partly used spans of other shards -> a new segment. On an
// overflow: transfer cache or owner stash (knob), else spans: own shard under its lock, another
// shard if its lock is free, else its stash.
#include "remote/route.h"

#include <cstring>

#include "base/bits.h"
#include "remote/owner_stash.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/invalid_free.h"
#include "span/shard.h"

namespace hz3 {
namespace {

unsigned count_of(const Magazine* magazine) {
  return magazine->count.load(std::memory_order_relaxed);
}

Span* span_of(const void* block) { return arena.spans[arena.page_of(block)]; }

// Of blocks that all belong to the shard. One that does not was freed twice: the first free let its
// span go, and the pages serve another shard by now.
void put_in_spans(unsigned index, void** blocks, unsigned count) {
  const unsigned strangers = shards[index].central.put(blocks, count);
  for (unsigned i = 0; i < strangers; ++i) report_invalid_free(InvalidFree::kDouble, blocks[i]);
}

// Empties every stash of the shard into its spans. Needs the lock.
void drain_stashes(unsigned index) {
  CounterBlock* counters = &shards[index].central.counters();
  for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
    if (!owner_stash.has_blocks(index, class_index)) continue;
    while (Magazine* magazine = owner_stash.pop(index, class_index, counters)) {
      put_in_spans(index, magazine->slots, count_of(magazine));
      release_magazine(magazine, index);
    }
  }
}

// Who found the lock held left a batch and went on, so whoever lets go of the lock looks again.
// seq_cst on both sides: the pusher sets the flag and then tries the lock, we release the lock and
// then read the flag; one of the two sees the other [stash-wakeup].
void unlock_shard(unsigned index) {
  Shard& shard = shards[index];
  for (;;) {
    shard.lock.unlock();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!shard.stash_waiting.load(std::memory_order_relaxed)) return;
    if (!shard.lock.try_lock()) return;
    shard.stash_waiting.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    drain_stashes(index);
  }
}

void lock_shard(unsigned index) { shards[index].lock.lock(); }

// Shard of the block; `fallback` when the block has no span any more.
unsigned owner_of(const void* block, unsigned fallback) {
  const Span* span = span_of(block);
  return span != nullptr ? span->shard : fallback;
}

// Moves the blocks that belong to `shard` to the front; returns how many.
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

Magazine* filled_magazine(const RouteUser& user, void** blocks, unsigned count) {
  Magazine* magazine = acquire_magazine(user.shard);
  if (magazine == nullptr) return nullptr;
  std::memcpy(magazine->slots, blocks, count * sizeof(void*));
  magazine->count.store(count, std::memory_order_relaxed);
  return magazine;
}

// A batch for a shard whose lock is held by somebody else right now.
void leave_for(const RouteUser& user, unsigned owner, unsigned class_index, void** blocks,
               unsigned count) {
  Magazine* magazine = filled_magazine(user, blocks, count);
  // Bounded: a lock holder that was preempted must not be buried, so at the limit we wait for it.
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
  shard.stash_waiting.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // [stash-wakeup]
  if (!shard.lock.try_lock()) return;
  shard.stash_waiting.store(false, std::memory_order_relaxed);
  drain_stashes(owner);
  unlock_shard(owner);
}

bool push_transfer(const RouteUser& user, Code code, void** blocks, unsigned count) {
  if (transfer_cache.has_room(code)) {
    Magazine* magazine = filled_magazine(user, blocks, count);
    if (magazine == nullptr) return false;
    if (transfer_cache.push(code, magazine)) {
      user.counters->add(Counter::kTransferPush);
      return true;
    }
    release_magazine(magazine, user.shard);
  }
  user.counters->add(Counter::kTransferFull);
  return false;
}

// Parks what belongs to other shards in their stashes; moves what did not fit to the front and
// returns how many those are.
unsigned push_stashes(const RouteUser& user, unsigned class_index, void** blocks, unsigned count) {
  const auto limit = static_cast<unsigned>(knob(Knob::kStashMaxObjs));
  unsigned kept = 0;
  while (kept < count) {
    const unsigned owner = owner_of(blocks[kept], user.shard);
    const unsigned mine = gather(blocks + kept, count - kept, owner);
    if (mine == 0) {  // freed twice; return_blocks reports it
      ++kept;
      continue;
    }
    if (owner == user.shard) {
      kept += mine;
      continue;
    }
    Magazine* magazine = filled_magazine(user, blocks + kept, mine);
    if (magazine == nullptr || !owner_stash.push(owner, class_index, magazine, limit)) {
      if (magazine != nullptr) release_magazine(magazine, user.shard);
      user.counters->add(Counter::kStashOverflow);
      kept += mine;
      continue;
    }
    user.counters->add(Counter::kStashPush);
    count -= mine;
    std::memmove(blocks + kept, blocks + kept + mine, (count - kept) * sizeof(void*));
  }
  return kept;
}

unsigned take_magazine(Magazine* magazine, void** out, unsigned shard) {
  const unsigned count = count_of(magazine);
  std::memcpy(out, magazine->slots, count * sizeof(void*));
  release_magazine(magazine, shard);
  return count;
}

// As many stashed batches as drain_limit and the room in `out` allow; at least one when there is
// one.
unsigned take_stashed(unsigned shard, unsigned class_index, void** out) {
  const auto limit = static_cast<unsigned>(knob(Knob::kDrainLimit));
  CounterBlock* counters = &shards[shard].central.counters();
  unsigned taken = 0;
  while (taken < limit) {
    Magazine* magazine = owner_stash.pop(shard, class_index, counters);
    if (magazine == nullptr) break;
    const unsigned room = min_of(Magazine::kSlots, max_of(limit, 1u)) - taken;
    if (count_of(magazine) > room) {
      const unsigned left = count_of(magazine) - room;
      std::memcpy(out + taken, magazine->slots + left, room * sizeof(void*));
      magazine->count.store(left, std::memory_order_relaxed);
      if (knob(Knob::kStashSpill) != 0) {
        owner_stash.put_back(shard, class_index, magazine);
      } else {
        put_in_spans(shard, magazine->slots, left);
        release_magazine(magazine, shard);
      }
      return taken + room;
    }
    taken += take_magazine(magazine, out + taken, shard);
  }
  return taken;
}

// Other shards' partly used spans, before the process grows by a segment.
unsigned steal(const RouteUser& user, unsigned class_index, void** out, unsigned want) {
  for (unsigned i = 1; i < shard_count; ++i) {
    const unsigned other = (user.shard + i) % shard_count;
    if (!shards[other].lock.try_lock()) continue;
    const unsigned taken = shards[other].central.take_partial(class_index, out, want);
    unlock_shard(other);
    if (taken != 0) {
      std::memmove(out, out + want - taken, taken * sizeof(void*));
      user.counters->add(Counter::kCentralSteal, taken);
      return taken;
    }
  }
  return 0;
}

// Blocks of a span of their own are cut one by one: enough for `want`.
bool add_spans(Central& central, unsigned class_index, unsigned want, PageHeap::Opening opening) {
  if (!central.add_span(class_index, opening)) return false;
  for (unsigned have = kClasses[class_index].blocks; have < want;
       have += kClasses[class_index].blocks) {
    if (kClasses[class_index].blocks > 2) break;
    if (!central.add_span(class_index, PageHeap::Opening::kNever)) break;
  }
  return true;
}

}  // namespace

unsigned take_blocks(const RouteUser& user, Code code, void** out, unsigned want) {
  if (Magazine* magazine = transfer_cache.pop(code)) {
    user.counters->add(Counter::kTransferHit);
    return take_magazine(magazine, out, user.shard);
  }
  want = min_of(want, Magazine::kSlots);
  const unsigned class_index = class_of_code(code);
  Central& central = shards[user.shard].central;
  lock_shard(user.shard);
  unsigned taken = 0;
  if (owner_stash.has_blocks(user.shard, class_index)) {
    taken = take_stashed(user.shard, class_index, out);
  }
  if (taken == 0) {
    taken = central.take_partial(class_index, out, want);
    if (taken == 0 && add_spans(central, class_index, want, PageHeap::Opening::kNever)) {
      taken = central.take_partial(class_index, out, want);
    }
    if (taken == 0) {
      // Tiny blocks would bring two shards together in one cache line: only if all else fails.
      const bool is_tiny = class_index < kTinyClasses;
      if (!is_tiny) taken = steal(user, class_index, out, want);
      if (taken == 0 && add_spans(central, class_index, want, PageHeap::Opening::kAllowed)) {
        taken = central.take_partial(class_index, out, want);
      } else {
        if (taken == 0 && is_tiny) taken = steal(user, class_index, out, want);
        unlock_shard(user.shard);
        return taken;
      }
    }
    if (taken != want) std::memmove(out, out + want - taken, taken * sizeof(void*));
  }
  unlock_shard(user.shard);
  return taken;
}

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

void give_blocks(const RouteUser& user, Code code, void** blocks, unsigned count) {
  const unsigned class_index = class_of_code(code);
  if (knob(Knob::kRemoteRoute) == static_cast<std::int64_t>(RemoteRoute::kOwnerStash)) {
    count = push_stashes(user, class_index, blocks, count);
  }
  if (count == 0 || push_transfer(user, code, blocks, count)) return;
  return_blocks(user, class_index, blocks, count);
}

std::size_t decay_routes(const RouteUser& user, bool everything) {
  std::size_t moved = 0;
  for (unsigned code = 1; code < kCodeCount; ++code) {
    const auto lane = static_cast<Code>(code);
    if (transfer_cache.is_empty(lane)) continue;
    const unsigned wanted = everything ? MagazineStack::kMaxBlocks : transfer_cache.take_idle(lane);
    for (unsigned taken = 0; taken < wanted;) {
      Magazine* magazine = transfer_cache.pop(lane);
      if (magazine == nullptr) break;
      taken += count_of(magazine);
      moved += count_of(magazine);
      return_blocks(user, class_of_code(lane), magazine->slots, count_of(magazine));
      release_magazine(magazine, user.shard);
    }
  }
  for (unsigned index = 0; index < shard_count; ++index) drain_shard(index);
  return moved;
}

void drain_shard(unsigned shard) {
  if (!shards[shard].lock.try_lock()) return;
  drain_stashes(shard);
  unlock_shard(shard);
}

}  // namespace hz3
