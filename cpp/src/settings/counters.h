// Counters: what happened on slow paths since the start. The hit path counts nothing.
//
// Each thread cache has a block of counters that only its thread writes (plain relaxed load and
// store, no read-modify-write); code under a lock writes the block of the lock's owner; threads
// without a cache share one block and pay for an atomic addition.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "hz3/hz3.h"

namespace hz3 {

enum class Counter : unsigned {
  kBinMiss,
  kBinOverflow,
  kTransferPush,
  kTransferFull,
  kTransferHit,
  kTransferSteal,
  kStashPush,
  kStashOverflow,
  kStashDrain,
  kStashFastpop,
  kStashSpillHit,
  kRemoteStashGather,
  kRemoteStashSend,
  kRemoteStashEvict,
  kPageQueuePush,
  kPageQueueLink,
  kPageQueueDrain,
  kPageQueueSpans,
  kPageQueueSkip,
  kCentralRefill,
  kCentralReturn,
  kCentralSteal,
  kSpansNew,
  kSpansReleased,
  kSegmentsNew,
  kPackHit,
  kPackMiss,
  kPackTries,
  kActiveHit,
  kActiveMiss,
  kActiveEvict,
  kSegmentsReleased,
  kQuarantined,
  kQuarantineDrained,
  kQuarantinePinned,
  kQuarantineLifted,
  kReclaimCalls,
  kReclaimPages,
  kReclaimFocusBlocks,
  kReclaimSummons,
  kReclaimUpgrades,
  kReclaimOutside,
  kPurgeCalls,
  kPurgeBytes,
  kPurgeCollapses,
  kRetentionFrozenPages,
  kRetentionThawedPages,
  kRetentionDebtPages,
  kRetentionPauses,
  kSubreleaseBytes,
  kLargeAlloc,
  kLargeCacheHit,
  kLargeCacheHitBytes,
  kLargeMoved,
  kLargeStitched,
  kLargeStitchedBytes,
  kTickByEvents,
  kTickByClock,
  kDecayedBins,
  kTrimmedBlocks,
  kCalmedBins,
  kAllocFailed,
  kThreadsStarted,
  kInvalidFrees,
  kCount
};

inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);

const hz3_counter_info* counter_info(std::size_t index);

class CounterBlock {
 public:
  // Only the one writer of this block.
  void add(Counter which, std::uint64_t amount = 1) {
    std::atomic<std::uint64_t>& value = values_[static_cast<std::size_t>(which)];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  // Any thread.
  void add_shared(Counter which, std::uint64_t amount = 1) {
    values_[static_cast<std::size_t>(which)].fetch_add(amount, std::memory_order_relaxed);
  }
  void add_to(std::uint64_t* totals, std::size_t count) const {
    for (std::size_t i = 0; i < count && i < kCounterCount; ++i) {
      totals[i] += values_[i].load(std::memory_order_relaxed);
    }
  }

 private:
  std::atomic<std::uint64_t> values_[kCounterCount] = {};
};

// For whoever has no block of its own; use add_shared.
extern CounterBlock shared_counters;

// Written by threads without a cache, one at a time.
extern CounterBlock direct_counters;

inline void count_shared(Counter which, std::uint64_t amount = 1) {
  shared_counters.add_shared(which, amount);
}

}  // namespace hz3
