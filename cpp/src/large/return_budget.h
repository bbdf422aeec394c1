// How much may be given back early: a budget that grows with time.
//
// Memory that is given back costs page faults when it is wanted again: 0.6 ns per byte on a virtual
// machine (AMD Zen 4, pages of 4 KiB). At 32 MiB per second that is 2 % of the time at worst;
// without a bound, a program that takes and frees large blocks all the time would do little else.
// What lies beyond it is kept for a while.
//
// The budget starts empty and holds half a second: a burst, too, loses 10 ms at most. Guarded by
// the lock of its owner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace hz3 {

class ReturnBudget {
 public:
  // Lets it grow until `now_ns`. `rate`: bytes per second, 0 for none.
  void grow(std::uint64_t now_ns, std::size_t rate) {
    if (grown_ns_ == 0) grown_ns_ = now_ns;
    const std::uint64_t steps = (now_ns - grown_ns_) / kStepNs;
    grown_ns_ += steps * kStepNs;
    const std::size_t full = rate / kFillsPerSecond;
    const std::size_t step = rate / kStepsPerSecond;
    left_ = steps >= kStepsPerSecond ? full : min_of(left_ + steps * step, full);
  }

  // False when there is not so much left.
  bool spend(std::size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  static constexpr std::uint64_t kStepNs = 1'000'000;
  static constexpr std::uint64_t kStepsPerSecond = 1000;
  static constexpr std::size_t kFillsPerSecond = 2;

  std::uint64_t grown_ns_ = 0;
  std::size_t left_ = 0;
};

}  // namespace hz3
