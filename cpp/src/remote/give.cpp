// Where an overflow brings blocks. By remote_route:
//   owner_stash, page_queue   blocks of other shards go to their owner; what does not fit there
//                             and the shard's own to the transfer cache; else into the spans
//   transfer                  the whole batch to the transfer cache; else into the spans
// In the transfer cache a batch waits for the owner of its last block. As it comes from a bin that
// is the newest one of the batch. With remote_batch or page_packet_k blocks of other shards wait in
// the thread's remote stash until a batch for one owner, or a packet for one span, is together.
#include <cstring>

#include "base/bits.h"
#include "remote/home.h"
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "remote/remote_stash.h"
#include "remote/route.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// A batch that waits longer than a moment is kept small, as bins that only send are.
constexpr std::size_t kGatheredBytes = 64 * 1024;

RemoteRoute present_route() { return static_cast<RemoteRoute>(knob(Knob::kRemoteRoute)); }

bool push_transfer(const RouteUser& user, unsigned class_index, void** blocks, unsigned count) {
  const unsigned owner = owner_of(blocks[count - 1], user.shard);
  const unsigned lane = TransferCache::lane_of(owner, class_index);
  if (transfer_cache.has_room(lane)) {
    Magazine* magazine = filled_magazine(user, blocks, count);
    if (magazine == nullptr) return false;
    if (transfer_cache.push(lane, magazine)) {
      user.counters->add(Counter::kTransferPush);
      return true;
    }
    release_magazine(magazine, user.shard);
  }
  user.counters->add(Counter::kTransferFull);
  return false;
}

// Most blocks that may wait in the stash of a shard and class.
unsigned stash_limit() {
  if (knob(Knob::kStashCount) == 0) return OwnerStash::kUncounted;
  return static_cast<unsigned>(knob(Knob::kStashMaxObjs));
}

// Blocks of one owner to that owner's stash or page queue. False when there is no room.
bool push_home(const RouteUser& user, RemoteRoute route, unsigned owner, unsigned class_index,
               void** blocks, unsigned count) {
  if (route == RemoteRoute::kPageQueue) {
    const auto limit = static_cast<unsigned>(knob(Knob::kStashMaxObjs));
    if (page_queue.push(owner, class_index, blocks, count, limit, user.counters)) return true;
  } else {
    Magazine* magazine = filled_magazine(user, blocks, count);
    if (magazine != nullptr && owner_stash.push(owner, class_index, magazine, stash_limit())) {
      user.counters->add(Counter::kStashPush);
      return true;
    }
    if (magazine != nullptr) release_magazine(magazine, user.shard);
  }
  user.counters->add(Counter::kStashOverflow);
  return false;
}

// Sends what belongs to other shards to its owners; moves what did not fit and what belongs to the
// user's shard to the front and returns how many those are.
unsigned push_all_home(const RouteUser& user, RemoteRoute route, unsigned class_index,
                       void** blocks, unsigned count) {
  unsigned kept = 0;
  while (kept < count) {
    const unsigned owner = owner_of(blocks[kept], user.shard);
    const unsigned mine = gather(blocks + kept, count - kept, owner);
    if (mine == 0) {  // freed twice; return_blocks reports it
      ++kept;
      continue;
    }
    if (owner == user.shard || !push_home(user, route, owner, class_index, blocks + kept, mine)) {
      kept += mine;
      continue;
    }
    count -= mine;
    std::memmove(blocks + kept, blocks + kept + mine, (count - kept) * sizeof(void*));
  }
  return kept;
}

// How many blocks the remote stash gathers before it sends them; below 2 there is nothing to
// gather.
unsigned gathered_limit(RemoteRoute route, unsigned class_index) {
  const std::int64_t packet = route == RemoteRoute::kPageQueue ? knob(Knob::kPagePacketK) : 0;
  const std::int64_t wanted = packet != 0 ? packet : knob(Knob::kRemoteBatch);
  const std::size_t by_bytes = kGatheredBytes / kClasses[class_index].block_bytes;
  return static_cast<unsigned>(min_of(static_cast<std::size_t>(wanted), by_bytes));
}

// Sends one gathered batch on its way and gives the magazine back.
void send(const RouteUser& user, RemoteStash::Slot* slot) {
  const RemoteRoute route = present_route();
  const Code code = slot->code;
  const unsigned class_index = class_of_code(code);
  Magazine* batch = user.gathered->take(slot);
  unsigned count = count_of(batch);
  user.counters->add(Counter::kRemoteStashSend);
  if (route != RemoteRoute::kTransfer) {
    count = push_all_home(user, route, class_index, batch->slots, count);
    if (count != 0 && push_transfer(user, class_index, batch->slots, count)) count = 0;
  }
  if (count != 0) return_blocks(user, class_index, batch->slots, count);
  release_magazine(batch, user.shard);
}

// Adds a block to the batch for its owner or its span, and sends that once it has `limit` blocks.
// False when there is no memory.
bool gather_one(const RouteUser& user, std::uint64_t key, Code code, void* block, unsigned limit) {
  RemoteStash::Slot& slot = user.gathered->slot_of(key);
  if (slot.batch != nullptr && slot.key != key) {
    user.counters->add(Counter::kRemoteStashEvict);
    send(user, &slot);
  }
  if (slot.batch == nullptr) {
    Magazine* batch = acquire_magazine(user.shard);
    if (batch == nullptr) return false;
    user.gathered->put(&slot, key, code, batch);
  }
  slot.is_idle = false;
  const unsigned count = count_of(slot.batch);
  slot.batch->slots[count] = block;
  slot.batch->count.store(count + 1, std::memory_order_relaxed);
  user.counters->add(Counter::kRemoteStashGather);
  if (count + 1 >= limit) send(user, &slot);
  return true;
}

// Puts what belongs to other shards into the remote stash; moves the rest to the front and returns
// how many those are.
unsigned gather_remote(const RouteUser& user, RemoteRoute route, Code code, void** blocks,
                       unsigned count, unsigned limit) {
  const bool by_span = route == RemoteRoute::kPageQueue && knob(Knob::kPagePacketK) != 0;
  unsigned kept = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Span* span = span_of(blocks[i]);
    if (span != nullptr && span->shard != user.shard) {
      const std::uint64_t key = by_span
                                    ? RemoteStash::key_of_span(span)
                                    : RemoteStash::key_of_owner(span->shard, class_of_code(code));
      if (gather_one(user, key, code, blocks[i], limit)) continue;
    }
    blocks[kept++] = blocks[i];
  }
  return kept;
}

}  // namespace

void give_blocks(const RouteUser& user, Code code, void** blocks, unsigned count) {
  const unsigned class_index = class_of_code(code);
  const RemoteRoute route = present_route();
  if (route == RemoteRoute::kTransfer && push_transfer(user, class_index, blocks, count)) return;
  const unsigned limit = user.gathered != nullptr ? gathered_limit(route, class_index) : 0;
  if (limit > 1) {
    count = gather_remote(user, route, code, blocks, count, limit);
  } else if (route != RemoteRoute::kTransfer) {
    count = push_all_home(user, route, class_index, blocks, count);
  }
  if (count == 0) return;
  if (route != RemoteRoute::kTransfer && push_transfer(user, class_index, blocks, count)) return;
  return_blocks(user, class_index, blocks, count);
}

void return_gathered(const RouteUser& user, Gathered which) {
  if (user.gathered == nullptr || user.gathered->is_empty()) return;
  for (RemoteStash::Slot& slot : *user.gathered) {
    if (slot.batch == nullptr) continue;
    if (which == Gathered::kIdle && !slot.is_idle) {
      slot.is_idle = true;
      continue;
    }
    Magazine* batch = user.gathered->take(&slot);
    return_batch(user, class_of_code(slot.code), batch);
  }
}

}  // namespace hz3
