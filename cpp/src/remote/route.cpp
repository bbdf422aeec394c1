// What a miss takes and what a decay brings back.
//
// Order of the layers on a miss: the shard's lane of the transfer cache -> stash and spill -> page
// queue, whose blocks join the partly used spans -> partly used spans -> other shards' lanes -> a
// new span in an open segment -> partly used spans of other shards -> a new segment. All of them
// are looked at whatever remote_route says: it may have said something else before.
#include "remote/route.h"

#include <cstring>

#include "base/bits.h"
#include "remote/home.h"
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/shard.h"

namespace hz3 {
namespace {

unsigned take_magazine(Magazine* magazine, void** out, unsigned shard) {
  const unsigned count = count_of(magazine);
  std::memcpy(out, magazine->slots, count * sizeof(void*));
  release_magazine(magazine, shard);
  return count;
}

// As many stashed batches as drain_limit and the room in `out` allow; at least one when there is
// one.
unsigned take_batches(unsigned shard, unsigned class_index, void** out) {
  const auto limit = static_cast<unsigned>(knob(Knob::kDrainLimit));
  const auto take =
      knob(Knob::kStashFastpop) != 0 ? OwnerStash::Take::kOne : OwnerStash::Take::kAll;
  CounterBlock* counters = &shards[shard].central.counters();
  unsigned taken = 0;
  while (taken < limit) {
    Magazine* magazine = owner_stash.pop(shard, class_index, take, counters);
    if (magazine == nullptr) break;
    const unsigned room = min_of(Magazine::kSlots, max_of(limit, 1u)) - taken;
    if (count_of(magazine) > room) {
      const unsigned left = count_of(magazine) - room;
      std::memcpy(out + taken, magazine->slots + left, room * sizeof(void*));
      magazine->count.store(left, std::memory_order_relaxed);
      owner_stash.put_back(shard, class_index, magazine);
      return taken + room;
    }
    taken += take_magazine(magazine, out + taken, shard);
  }
  return taken;
}

unsigned take_stashed(unsigned shard, unsigned class_index, void** out) {
  const unsigned taken = take_batches(shard, class_index, out);
  if (knob(Knob::kStashSpill) != 0) return taken;
  while (Magazine* rest = owner_stash.pop_spill(shard, class_index)) {
    put_in_spans(shard, rest->slots, count_of(rest));
    release_magazine(rest, shard);
  }
  return taken;
}

// Merges what waits in the page queue into the spans. `due_only`: leaves it for later as
// collect_every says. True when something was merged.
bool look_at_page_queue(unsigned shard, unsigned class_index, bool due_only) {
  if (!page_queue.is_used() || !page_queue.has_blocks(shard, class_index)) return false;
  Central& central = shards[shard].central;
  const auto period = static_cast<unsigned>(knob(Knob::kCollectEvery));
  if (due_only && !page_queue.is_due(shard, class_index, period)) {
    central.counters().add(Counter::kPageQueueSkip);
    return false;
  }
  page_queue.collect(shard, class_index, &central);
  return true;
}

// Central fills the end of out[0 .. want), a caller of take_blocks() looks at its front.
unsigned to_front(void** out, unsigned want, unsigned taken) {
  if (taken != want) std::memmove(out, out + want - taken, taken * sizeof(void*));
  return taken;
}

// From the shard's own spans as they are, those with pending blocks included.
unsigned take_own(unsigned shard, unsigned class_index, void** out, unsigned want) {
  Central& central = shards[shard].central;
  look_at_page_queue(shard, class_index, true);
  unsigned taken = central.take_partial(class_index, out, want);
  if (taken == 0 && look_at_page_queue(shard, class_index, false)) {
    taken = central.take_partial(class_index, out, want);
  }
  return to_front(out, want, taken);
}

// What other shards have parked and not asked for yet, before another span is cut.
unsigned take_parked_elsewhere(const RouteUser& user, unsigned class_index, void** out) {
  const unsigned opened = opened_shard_count();
  for (unsigned i = 1; i < opened; ++i) {
    const unsigned other = (user.shard + i) % opened;
    Magazine* magazine = transfer_cache.pop(TransferCache::lane_of(other, class_index));
    if (magazine == nullptr) continue;
    user.counters->add(Counter::kTransferSteal);
    return take_magazine(magazine, out, user.shard);
  }
  return 0;
}

// Other shards' partly used spans, before the process grows by a segment.
unsigned steal(const RouteUser& user, unsigned class_index, void** out, unsigned want) {
  const unsigned opened = opened_shard_count();
  for (unsigned i = 1; i < opened; ++i) {
    const unsigned other = (user.shard + i) % opened;
    if (!is_open(other) || !shards[other].lock.try_lock()) continue;
    look_at_page_queue(other, class_index, false);
    const unsigned taken = shards[other].central.take_partial(class_index, out, want);
    unlock_shard(other);
    if (taken != 0) {
      user.counters->add(Counter::kCentralSteal, taken);
      return to_front(out, want, taken);
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

unsigned take_new(unsigned shard, unsigned class_index, void** out, unsigned want,
                  PageHeap::Opening opening) {
  Central& central = shards[shard].central;
  if (!add_spans(central, class_index, want, opening)) return 0;
  return to_front(out, want, central.take_partial(class_index, out, want));
}

// With the lock of the user's shard held.
unsigned take_from_shard(const RouteUser& user, unsigned class_index, void** out, unsigned want) {
  unsigned taken = 0;
  if (owner_stash.has_blocks(user.shard, class_index)) {
    taken = take_stashed(user.shard, class_index, out);
  }
  if (taken == 0) taken = take_own(user.shard, class_index, out, want);
  // Tiny blocks would bring two shards together in one cache line: only if all else fails.
  const bool shares_lines = class_index < kTinyClasses;
  if (taken == 0 && !shares_lines) taken = take_parked_elsewhere(user, class_index, out);
  if (taken == 0) taken = take_new(user.shard, class_index, out, want, PageHeap::Opening::kNever);
  if (taken == 0 && !shares_lines) taken = steal(user, class_index, out, want);
  if (taken == 0) taken = take_new(user.shard, class_index, out, want, PageHeap::Opening::kAllowed);
  if (taken == 0 && shares_lines) taken = steal(user, class_index, out, want);
  return taken;
}

// Moves batches of a lane into their spans until `wanted` blocks went or none is left; returns how
// many went.
unsigned empty_lane(const RouteUser& user, unsigned lane, unsigned wanted) {
  unsigned moved = 0;
  while (moved < wanted) {
    Magazine* magazine = transfer_cache.pop(lane);
    if (magazine == nullptr) break;
    moved += count_of(magazine);
    return_batch(user, TransferCache::class_of(lane), magazine);
  }
  return moved;
}

}  // namespace

unsigned take_blocks(const RouteUser& user, Code code, void** out, unsigned want) {
  const unsigned class_index = class_of_code(code);
  if (Magazine* magazine = transfer_cache.pop(TransferCache::lane_of(user.shard, class_index))) {
    user.counters->add(Counter::kTransferHit);
    return take_magazine(magazine, out, user.shard);
  }
  lock_shard(user.shard);
  const unsigned taken = take_from_shard(user, class_index, out, min_of(want, Magazine::kSlots));
  unlock_shard(user.shard);
  return taken;
}

std::size_t decay_routes(const RouteUser& user, bool everything) {
  std::size_t moved = 0;
  for (unsigned lane = 0; lane < TransferCache::used_lanes(); ++lane) {
    if (transfer_cache.is_empty(lane)) continue;
    moved += empty_lane(user, lane,
                        everything ? MagazineStack::kMaxBlocks : transfer_cache.take_idle(lane));
  }
  for (unsigned index = 0; index < opened_shard_count(); ++index) drain_shard(index);
  return moved;
}

void drain_shard(unsigned shard) {
  if (!is_open(shard) || !shards[shard].lock.try_lock()) return;
  drain_stashes(shard);
  unlock_shard(shard);
}

void leave_shard(const RouteUser& user) {
  release_shard(user.shard);
  // relaxed: a guess; whoever comes at the same moment will look at the lanes and the stash himself
  if (shards[user.shard].threads.load(std::memory_order_relaxed) != 0) return;
  for (unsigned index = 0; index < kClassCount; ++index) {
    empty_lane(user, TransferCache::lane_of(user.shard, index), MagazineStack::kMaxBlocks);
  }
  lock_shard(user.shard);
  drain_stashes(user.shard);
  unlock_shard(user.shard);
}

}  // namespace hz3
