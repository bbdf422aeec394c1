// Push, drain and spill of the owner stash.
#include "remote/owner_stash.h"

#include "base/compiler.h"

namespace hz3 {

constinit OwnerStash owner_stash;

Magazine* OwnerStash::below(const Magazine* magazine) {
  const std::uint32_t next = magazine->next.load(std::memory_order_relaxed);
  return next == 0 ? nullptr : magazine_at(next - 1);
}

bool OwnerStash::push(unsigned shard, unsigned class_index, Magazine* magazine,
                      unsigned limit_blocks) {
  Lane& lane = lanes_[shard][class_index];
  // acquire: the depth of the old top is read [stash-push]
  Magazine* old = lane.head.load(std::memory_order_acquire);
  for (;;) {
    // A drain may take `old` meanwhile and its depth may change; the exchange below then fails,
    // or the depth is a little off, which a limit may be.
    const std::uint32_t depth = old != nullptr && limit_blocks != kUncounted
                                    ? old->depth_blocks.load(std::memory_order_relaxed)
                                    : 0;
    if (depth >= limit_blocks) return false;
    magazine->depth_blocks.store(depth + magazine->count.load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
    magazine->next.store(old != nullptr ? magazine_index(old) + 1 : 0, std::memory_order_relaxed);
    // seq_cst: before the pusher looks at the shard's lock [stash-wakeup]; release for the slots
    // [stash-push]
    if (lane.head.compare_exchange_weak(old, magazine, std::memory_order_seq_cst,
                                        std::memory_order_acquire)) {
      return true;
    }
  }
}

Magazine* OwnerStash::pop_spill(unsigned shard, unsigned class_index) {
  Lane& lane = lanes_[shard][class_index];
  Magazine* top = lane.spill;
  if (top != nullptr) lane.spill = below(top);
  return top;
}

Magazine* OwnerStash::pop(unsigned shard, unsigned class_index, Take take, CounterBlock* counters) {
  Lane& lane = lanes_[shard][class_index];
  if (Magazine* spilled = pop_spill(shard, class_index)) {
    counters->add(Counter::kStashSpillHit);
    return spilled;
  }
  // acquire, here and in the exchanges: pairs with the pushes [stash-push]
  Magazine* top = lane.head.load(std::memory_order_acquire);
  if (take == Take::kOne) {
    // A push may come between; `top` and what lies below it do not change then.
    while (top != nullptr &&
           !lane.head.compare_exchange_weak(top, below(top), std::memory_order_seq_cst,
                                            std::memory_order_acquire)) {
    }
    if (top != nullptr) counters->add(Counter::kStashFastpop);
    return top;
  }
  if (top == nullptr) return nullptr;
  top = lane.head.exchange(nullptr, std::memory_order_seq_cst);
  counters->add(Counter::kStashDrain);
  lane.spill = below(top);
  return top;
}

HZ3_RACY void OwnerStash::visit(unsigned shard, unsigned class_index, VisitBlock stashed,
                                VisitBlock spilled, void* context) const {
  // More than any stash_max_objs allows, so that a list that changes under our hands ends.
  constexpr unsigned kMost = 1u << 17;
  const Lane& lane = lanes_[shard][class_index];
  // acquire: the slots of the pushed magazines are read [stash-push]
  visit_magazines(lane.head.load(std::memory_order_acquire), kMost, stashed, context);
  visit_magazines(lane.spill, kMost, spilled, context);
}

void OwnerStash::put_back(unsigned shard, unsigned class_index, Magazine* magazine) {
  Lane& lane = lanes_[shard][class_index];
  magazine->next.store(lane.spill != nullptr ? magazine_index(lane.spill) + 1 : 0,
                       std::memory_order_relaxed);
  lane.spill = magazine;
}

}  // namespace hz3
