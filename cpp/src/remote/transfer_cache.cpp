// Limits of the transfer cache and its decay.
#include "remote/transfer_cache.h"

#include "base/bits.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// In blocks. At least two, so that a producer and a consumer of large blocks can still meet.
unsigned limit_of(Code code) {
  const std::size_t by_slots = knob_size(Knob::kTransferSlots) * Magazine::kSlots;
  if (by_slots == 0) return 0;
  const std::size_t by_bytes = max_of<std::size_t>(
      knob_size(Knob::kTransferBytes) / kClasses[class_of_code(code)].block_bytes, 2);
  return static_cast<unsigned>(
      min_of<std::size_t>(min_of(by_slots, by_bytes), MagazineStack::kMaxBlocks));
}

}  // namespace

constinit TransferCache transfer_cache;

bool TransferCache::push(Code code, Magazine* magazine) {
  return lanes_[code].stack.push(magazine, limit_of(code));
}

bool TransferCache::has_room(Code code) const {
  return lanes_[code].stack.blocks() < limit_of(code);
}

Magazine* TransferCache::pop(Code code) {
  Lane& lane = lanes_[code];
  if (lane.stack.is_empty()) return nullptr;
  Magazine* magazine = lane.stack.pop();
  // relaxed: a hint for the decay, nothing is published through it
  const unsigned left = lane.stack.blocks();
  if (left < lane.low_water.load(std::memory_order_relaxed)) {
    lane.low_water.store(left, std::memory_order_relaxed);
  }
  return magazine;
}

unsigned TransferCache::take_idle(Code code) {
  Lane& lane = lanes_[code];
  const unsigned now = lane.stack.blocks();
  const unsigned idle = min_of(now, lane.low_water.load(std::memory_order_relaxed));
  const unsigned taken = (idle + 1) / 2;
  lane.low_water.store(now - taken, std::memory_order_relaxed);
  return taken;
}

std::size_t TransferCache::parked_bytes() const {
  std::size_t total = 0;
  for (unsigned code = 1; code < kCodeCount; ++code) {
    total += std::size_t{lanes_[code].stack.blocks()} *
             kClasses[class_of_code(static_cast<Code>(code))].block_bytes;
  }
  return total;
}

}  // namespace hz3
