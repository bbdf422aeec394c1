// Limits of the transfer cache and its decay.
#include "remote/transfer_cache.h"

#include "base/bits.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// In blocks. At least two, so that a producer and a consumer of large blocks can still meet.
unsigned limit_of(unsigned lane) {
  const std::size_t by_slots = knob_size(Knob::kTransferSlots) * Magazine::kSlots;
  if (by_slots == 0) return 0;
  const std::size_t by_bytes = max_of<std::size_t>(
      blocks_in(knob_size(Knob::kTransferBytes), TransferCache::class_of(lane)), 2);
  return static_cast<unsigned>(
      min_of<std::size_t>(min_of(by_slots, by_bytes), MagazineStack::kMaxBlocks));
}

}  // namespace

constinit TransferCache transfer_cache;

bool TransferCache::push(unsigned lane, Magazine* magazine) {
  return lanes_[lane].stack.push(magazine, limit_of(lane));
}

bool TransferCache::has_room(unsigned lane) const {
  return lanes_[lane].stack.blocks() < limit_of(lane);
}

Magazine* TransferCache::pop(unsigned lane) {
  Lane& from = lanes_[lane];
  if (from.stack.is_empty()) return nullptr;
  Magazine* magazine = from.stack.pop();
  // relaxed: a hint for the decay, nothing is published through it
  const unsigned left = from.stack.blocks();
  if (left < from.low_water.load(std::memory_order_relaxed)) {
    from.low_water.store(left, std::memory_order_relaxed);
  }
  return magazine;
}

unsigned TransferCache::take_idle(unsigned lane) {
  Lane& from = lanes_[lane];
  const unsigned now = from.stack.blocks();
  const unsigned idle = min_of(now, from.low_water.load(std::memory_order_relaxed));
  const unsigned taken = (idle + 1) / 2;
  from.low_water.store(now - taken, std::memory_order_relaxed);
  return taken;
}

std::size_t TransferCache::parked_bytes() const {
  std::size_t total = 0;
  for (unsigned lane = 0; lane < used_lanes(); ++lane) {
    total += std::size_t{lanes_[lane].stack.blocks()} * kClasses[class_of(lane)].block_bytes;
  }
  return total;
}

}  // namespace hz3
