// The transfer cache: full magazines handed from a thread that frees to one that allocates, without
// looking at the blocks. One lane per code, so tiny blocks only ever return to their own shard.
//
// Any thread, no lock.
#pragma once

#include <atomic>

#include "geometry/size_classes.h"
#include "remote/magazine.h"

namespace hz3 {

class TransferCache {
 public:
  // False when the lane holds transfer_slots full batches or transfer_bytes already.
  bool push(Code code, Magazine* magazine);

  Magazine* pop(Code code);

  // A hint: another thread may be faster.
  bool has_room(Code code) const;

  bool is_empty(Code code) const { return lanes_[code].stack.is_empty(); }

  // How many blocks a decay should take out of this lane: half of those that nobody asked for since
  // the last call.
  unsigned take_idle(Code code);

  // Calls `visit` with every parked block of a code; see visit_magazines().
  void visit(Code code, VisitBlock visitor, void* context) const {
    const MagazineStack& stack = lanes_[code].stack;
    visit_magazines(stack.top(), stack.blocks(), visitor, context);
  }

  // Bytes parked in all lanes.
  std::size_t parked_bytes() const;

 private:
  struct alignas(kCacheLineBytes) Lane {
    MagazineStack stack;
    std::atomic<std::uint32_t> low_water{0};  // fewest blocks since the last decay
  };

  Lane lanes_[kCodeCount];
};

extern TransferCache transfer_cache;

}  // namespace hz3
