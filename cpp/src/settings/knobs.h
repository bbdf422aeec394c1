// The knob table and the current values.
//
// One row per knob in knob_table.cpp feeds the HZ3_* variables, the C API, the Python module and
// the tuner. Values are read on slow paths only, with relaxed loads: a knob is a number on its own,
// nothing is published through it. Any thread may set one at any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hz3/hz3.h"

namespace hz3 {

enum class Knob : unsigned {
  kArenaBytes,
  kShards,
  kThreadCacheBytes,
  kBinBytes,
  kBinBlocks,
  kBinLongBytes,
  kBinCalmBytes,
  kRemoteBatch,
  kRemoteRoute,
  kPagePacketK,
  kCollectEvery,
  kDrainLimit,
  kStashMaxObjs,
  kStashFastpop,
  kStashCount,
  kStashSpill,
  kTransferSlots,
  kTransferBytes,
  kPackTries,
  kPackBestfitK,
  kActiveSetK,
  kQuarantine,
  kQuarantineTtlMs,
  kReclaimBudgetPages,
  kLargeCacheSoft,
  kLargeCacheHard,
  kLargeMadvise,
  kLargeReturnRate,
  kLargeStitch,
  kHugePages,
  kPurgeDelayMs,
  kPurgeBudgetBytes,
  kPurgeCollapse,
  kRetentionFrozenPercent,
  kRetentionDebtBytes,
  kRetentionSubrelease,
  kEpochEvents,
  kEpochMs,
  kDecayPercent,
  kDecayIdleTicks,
  kAtexitPurge,
  kAtexitReport,
  kOnInvalidFree,
  kObserve,
  kLivePage,
  kCount
};

enum class RemoteRoute : std::int64_t { kOwnerStash = 0, kTransfer = 1, kPageQueue = 2 };
enum class OnInvalidFree : std::int64_t { kAbort = 0, kWarn = 1 };
enum class ObserveMode : std::int64_t { kOff = 0, kExit = 1, kSignal = 2 };
enum class HugePages : std::int64_t { kOff = 0, kLarge = 1 };

inline constexpr std::size_t kKnobCount = static_cast<std::size_t>(Knob::kCount);

// In the order of the enumeration.
extern const hz3_knob_info knob_table[kKnobCount];

namespace detail {
struct KnobValues {
  template <std::size_t... kIndex>
  explicit constexpr KnobValues(std::index_sequence<kIndex...>);

  std::atomic<std::int64_t> of[kKnobCount];
};
extern KnobValues knob_values;
}  // namespace detail

inline std::int64_t knob(Knob which) {
  return detail::knob_values.of[static_cast<std::size_t>(which)].load(std::memory_order_relaxed);
}

inline std::size_t knob_size(Knob which) { return static_cast<std::size_t>(knob(which)); }

const hz3_knob_info* knob_info(std::size_t index);

// HZ3_OK or the reason of the refusal (see hz3.h).
int set_knob(const char* name, std::int64_t value);
int set_knob_from_text(const char* name, const char* text, char* message,
                       std::size_t message_bytes);
int find_knob(const char* name, std::size_t* index);

// Reads HZ3_* from the environment; a refused value gets one line on stderr and leaves the default,
// a name that is no knob gets one, too (unknown_variables.h). Called by the thread that boots the
// allocator, under the lock of booting, before any other use; later calls do nothing.
void read_knobs_from_environment();

}  // namespace hz3
