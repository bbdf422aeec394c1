// The page queue: the route on which blocks of other shards go home span by span.
//
// Whoever frees such blocks sets their pending bits (span/pending.h) and, as the first since the
// last look, links the span in the queue of its shard and class. The holder of the shard's lock
// takes the whole queue with one exchange and merges the bits of every span in it: no list is
// walked, nothing is written into a block, and a block freed twice shows as a bit that is set.
//
// No mark is ever forgotten. A producer sets its bits before it announces them; the lock holder
// withdraws the announcement with a sequentially consistent read-modify-write before it reads the
// bits. Either the producer's announcement comes before that, and the bits are seen, or after it,
// and the span is linked again. Withdrawing with a plain store would let the reads overtake it
// [page-queue].
#pragma once

#include <atomic>
#include <cstdint>

#include "geometry/size_classes.h"
#include "settings/counters.h"
#include "span/central.h"

namespace hz3 {

struct Pending;

class PageQueue {
 public:
  // Marks blocks that all belong to this shard and class, at most a magazine of them. False, with
  // nothing done, when `limit_blocks` blocks wait already or there is no memory. Any thread, no
  // lock.
  bool push(unsigned shard, unsigned class_index, void* const* blocks, unsigned count,
            unsigned limit_blocks, CounterBlock* counters);

  // Whether anybody has ever used this route: one word that hardly ever changes. relaxed: who sees
  // it late looks at the next refill.
  bool is_used() const { return used_.load(std::memory_order_relaxed); }

  bool has_blocks(unsigned shard, unsigned class_index) const {
    return lanes_[shard][class_index].head.load(std::memory_order_relaxed) != nullptr;
  }

  // Merges all that waits in one queue into the spans. Needs the shard's lock.
  void collect(unsigned shard, unsigned class_index, Central* central);

  // Says of every `period`-th call on a queue that it should be looked at; 0 and 1: always. Needs
  // the shard's lock.
  bool is_due(unsigned shard, unsigned class_index, unsigned period);

  // Blocks of a class that wait in all queues, those just being marked included. Any thread.
  std::uint64_t parked_blocks(unsigned class_index) const;

  // Every span in a queue. `queued_spans`: how many say they are in it, counted before under the
  // same lock. False while others are just marking or linking, so that the books cannot be
  // compared: look again later, after letting go of the lock. `is_last`: nobody is, then. Needs the
  // shard's lock.
  bool audit(unsigned shard, unsigned class_index, std::uint64_t queued_spans, bool is_last,
             Audit* audit) const;

  // In the child of fork, with all locks held: threads that were marking or linking are gone, what
  // they had marked is linked anew.
  void rebuild_in_child();

 private:
  struct Lane {
    std::atomic<Pending*> head{nullptr};
    std::atomic<std::uint32_t> parked{0};  // raised before the bits are set, lowered after
    std::uint32_t calls = 0;               // of is_due(); under the shard's lock
  };

  struct Packet;

  static unsigned mark(Packet* packet, void* block);
  static unsigned announce(Lane* lane, const Packet& packet, CounterBlock* counters);
  static void link(Lane* lane, Pending* pending);

  std::atomic<bool> used_{false};
  Lane lanes_[kMaxShards][kClassCount];
};

extern PageQueue page_queue;

}  // namespace hz3
