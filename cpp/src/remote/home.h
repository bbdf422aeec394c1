// What the routes share: the last leg of a batch on its way to the spans of its shard, and the lock
// of a shard together with the duty to empty its stashes. For the files of this folder.
//
// Any thread; the functions that need the shard's lock say so.
#pragma once

#include "remote/route.h"
#include "span/span.h"

namespace hz3 {

inline unsigned count_of(const Magazine* magazine) {
  return magazine->count.load(std::memory_order_relaxed);  // by whoever has the magazine
}

inline Span* span_of(const void* block) { return arena.spans[arena.page_of(block)]; }

// Shard of the block; `fallback` when the block has no span any more.
unsigned owner_of(const void* block, unsigned fallback);

// Moves the blocks that belong to `shard` to the front; returns how many.
unsigned gather(void** blocks, unsigned count, unsigned shard);

// Puts the blocks of a batch into their spans and its magazine back into the pool.
void return_batch(const RouteUser& user, unsigned class_index, Magazine* batch);

// A magazine with these blocks; nullptr when there is no memory.
Magazine* filled_magazine(const RouteUser& user, void* const* blocks, unsigned count);

void lock_shard(unsigned index);
// Empties the stashes first if somebody left a batch because the lock was held.
void unlock_shard(unsigned index);

// Of blocks that all belong to the shard. Needs the lock.
void put_in_spans(unsigned index, void** blocks, unsigned count);

// Empties every stash and page queue of the shard into its spans. Needs the lock.
void drain_stashes(unsigned index);

}  // namespace hz3
