// The transfer cache: full magazines handed from a thread that frees to one that allocates, whole.
//
// One lane per shard and class. A batch goes to the lane of the shard that its last block belongs
// to, and a miss looks into its own shard's lane first: so memory tends to come back to the core
// that wrote it, which saves a transfer between cores for each line of each block. Only one block
// is looked at; the others of a mixed batch are strangers in the lane, which harms nobody. Of tiny
// classes a bin holds the blocks of one shard alone (of every kTinyShards-th, to be exact; of
// others only once memory ran out), and no other shard looks into its lane.
//
// Any thread, no lock.
#pragma once

#include <atomic>

#include "geometry/size_classes.h"
#include "remote/magazine.h"
#include "span/shard.h"

namespace hz3 {

class TransferCache {
 public:
  // Lanes go by number: those of shard 0 first, by class.
  static constexpr unsigned lane_of(unsigned shard, unsigned class_index) {
    return shard * kClassCount + class_index;
  }
  static constexpr unsigned class_of(unsigned lane) { return lane % kClassCount; }
  // Lanes from this one on have never been used.
  static unsigned used_lanes() { return opened_shard_count() * kClassCount; }

  // False when the lane holds transfer_slots full batches or transfer_bytes already.
  bool push(unsigned lane, Magazine* magazine);

  Magazine* pop(unsigned lane);

  // A hint: another thread may be faster.
  bool has_room(unsigned lane) const;

  bool is_empty(unsigned lane) const { return lanes_[lane].stack.is_empty(); }

  // How many blocks a decay should take out of this lane: half of those that nobody asked for since
  // the last call.
  unsigned take_idle(unsigned lane);

  // Calls `visitor` with every block parked in a lane; see visit_magazines().
  void visit(unsigned lane, VisitBlock visitor, void* context) const {
    const MagazineStack& stack = lanes_[lane].stack;
    visit_magazines(stack.top(), stack.blocks(), visitor, context);
  }

  // Bytes parked in all lanes.
  std::size_t parked_bytes() const;

 private:
  struct alignas(kCacheLineBytes) Lane {
    MagazineStack stack;
    std::atomic<std::uint32_t> low_water{0};  // fewest blocks since the last decay
  };

  Lane lanes_[kMaxShards * kClassCount];
};

extern TransferCache transfer_cache;

}  // namespace hz3
