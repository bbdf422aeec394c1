// Limits of the transfer cache and its decay.
#include "remote/transfer_cache.h"

#include "base/bits.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// At least two batches, so that a producer and a consumer of large blocks can still meet.
unsigned limit_of(Code code, unsigned batch_blocks) {
  const auto slots = static_cast<unsigned>(knob(Knob::kTransferSlots));
  if (slots == 0) return 0;
  const std::size_t batch_bytes =
      max_of<std::size_t>(batch_blocks, 1) * kClasses[class_of_code(code)].block_bytes;
  const std::size_t by_bytes = knob_size(Knob::kTransferBytes) / batch_bytes;
  return min_of(slots, static_cast<unsigned>(max_of<std::size_t>(by_bytes, 2)));
}

}  // namespace

constinit TransferCache transfer_cache;

bool TransferCache::push(Code code, Magazine* magazine) {
  return lanes_[code].stack.push(magazine, limit_of(code, magazine->count));
}

Magazine* TransferCache::pop(Code code) {
  Lane& lane = lanes_[code];
  if (lane.stack.is_empty()) return nullptr;
  Magazine* magazine = lane.stack.pop();
  // relaxed: a hint for the decay, nothing is published through it
  const unsigned left = lane.stack.count();
  if (left < lane.low_water.load(std::memory_order_relaxed)) {
    lane.low_water.store(left, std::memory_order_relaxed);
  }
  return magazine;
}

unsigned TransferCache::take_idle(Code code) {
  Lane& lane = lanes_[code];
  const unsigned now = lane.stack.count();
  const unsigned idle = min_of(now, lane.low_water.load(std::memory_order_relaxed));
  const unsigned taken = (idle + 1) / 2;
  lane.low_water.store(now - taken, std::memory_order_relaxed);
  return taken;
}

std::size_t TransferCache::parked_bytes() const {
  std::size_t total = 0;
  for (unsigned code = 1; code < kCodeCount; ++code) {
    total += std::size_t{lanes_[code].stack.count()} * Magazine::kSlots *
             kClasses[class_of_code(static_cast<Code>(code))].block_bytes;
  }
  return total;
}

}  // namespace hz3
