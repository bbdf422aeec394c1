// The owner stash: where batches of a shard's blocks land that other threads freed.
//
// One lane per shard and class. Any thread pushes a magazine with one compare-and-swap; only the
// holder of the shard's lock drains, with one exchange, so a push-only stack needs no tag and there
// is no half-linked state. What a drain does not need at once stays as spill, private to the lock
// holder, and is used first the next time. Instead the lock holder may take one magazine with a
// compare-and-swap and leave the others where they are: since nobody else takes any, the one on top
// cannot have gone and come back meanwhile.
#pragma once

#include <atomic>

#include "geometry/size_classes.h"
#include "remote/magazine.h"
#include "settings/counters.h"

namespace hz3 {

class OwnerStash {
 public:
  // No limit, and no look at how much waits already.
  static constexpr unsigned kUncounted = ~0u;

  // False when `limit_blocks` blocks wait already. Any thread.
  bool push(unsigned shard, unsigned class_index, Magazine* magazine, unsigned limit_blocks);

  enum class Take { kAll, kOne };  // from the stash when there is no spill

  // One magazine of the spill, else of the stash, else nullptr; kAll makes the rest of the stash
  // spill. Needs the shard's lock.
  Magazine* pop(unsigned shard, unsigned class_index, Take take, CounterBlock* counters);

  // One magazine of the spill, else nullptr. Needs the shard's lock.
  Magazine* pop_spill(unsigned shard, unsigned class_index);

  // Needs the shard's lock.
  bool has_blocks(unsigned shard, unsigned class_index) const {
    const Lane& lane = lanes_[shard][class_index];
    return lane.spill != nullptr || lane.head.load(std::memory_order_relaxed) != nullptr;
  }

  // Calls the first with every block that waits in the stash, the second with every one of the
  // spill. Needs the shard's lock, without which blocks may be missed or met twice.
  void visit(unsigned shard, unsigned class_index, VisitBlock stashed, VisitBlock spilled,
             void* context) const;

  // Puts a magazine back as spill. Needs the shard's lock.
  void put_back(unsigned shard, unsigned class_index, Magazine* magazine);

 private:
  struct Lane {
    std::atomic<Magazine*> head{nullptr};
    Magazine* spill = nullptr;  // under the shard's lock
  };

  static Magazine* below(const Magazine* magazine);

  Lane lanes_[kMaxShards][kClassCount];
};

extern OwnerStash owner_stash;

}  // namespace hz3
