// See audit_parked.h.
#include "remote/audit_parked.h"

#include "remote/home.h"
#include "remote/owner_stash.h"
#include "remote/remote_stash.h"
#include "remote/transfer_cache.h"
#include "span/audit_blocks.h"
#include "span/shard.h"

namespace hz3 {
namespace {

constexpr unsigned kMostBatches = 64;

// Whether the block belongs to whom the batch of the slot is for.
bool is_for(const void* block, const RemoteStash::Slot& slot) {
  const Span* span = arena.contains(block) ? arena.look_up_span(arena.page_of(block)) : nullptr;
  return span != nullptr && (slot.key == RemoteStash::key_of_span(span) ||
                             slot.key == RemoteStash::key_of_owner(span->shard, span->class_index));
}

void audit_batch(const Magazine* magazine, unsigned class_index, Audit* audit) {
  const unsigned count = magazine->count.load(std::memory_order_relaxed);
  const bool fits = count <= Magazine::kSlots;
  audit->expect(fits, "a batch holds what fits into it", magazine);
  if (fits) audit_blocks(magazine->slots, count, class_index, audit);
}

}  // namespace

void audit_transfer(const RouteUser& user, unsigned lane, Audit* audit) {
  Magazine* taken[kMostBatches];
  unsigned count = 0;
  while (count < kMostBatches && (taken[count] = transfer_cache.pop(lane)) != nullptr) {
    audit_batch(taken[count++], TransferCache::class_of(lane), audit);
  }
  while (count != 0) {
    Magazine* magazine = taken[--count];
    if (transfer_cache.push(lane, magazine)) continue;
    return_batch(user, TransferCache::class_of(lane), magazine);
  }
}

void audit_gathered(const RemoteStash& gathered, Audit* audit) {
  unsigned used = 0;
  for (const RemoteStash::Slot& slot : gathered) {
    const auto index = static_cast<unsigned>(&slot - gathered.begin());
    if (slot.batch == nullptr) continue;
    ++used;
    audit->expect(RemoteStash::index_of(slot.key) == index, "a gathered batch is in its slot",
                  index);
    audit_batch(slot.batch, class_of_code(slot.code), audit);
    const unsigned count = slot.batch->count.load(std::memory_order_relaxed);
    audit->expect(count != 0, "a gathered batch is not empty", slot.batch);
    for (unsigned i = 0; i < count && i < Magazine::kSlots; ++i) {
      const void* block = slot.batch->slots[i];
      audit->expect(is_for(block, slot), "a gathered block is for its batch's owner", block);
    }
  }
  audit->expect(used == gathered.used_slots(), "gathered batches are counted", &gathered);
}

void audit_stash(unsigned shard, unsigned class_index, Audit* audit) {
  CounterBlock* counters = &shards[shard].central.counters();
  Magazine* taken[kMostBatches];
  unsigned count = 0;
  while (count < kMostBatches && owner_stash.has_blocks(shard, class_index)) {
    Magazine* magazine = owner_stash.pop(shard, class_index, OwnerStash::Take::kAll, counters);
    if (magazine == nullptr) break;
    audit_batch(magazine, class_index, audit);
    taken[count++] = magazine;
  }
  while (count != 0) owner_stash.put_back(shard, class_index, taken[--count]);
}

}  // namespace hz3
