// Collapse: a program has let most of what it held go. The moment to give pages back at once,
// because a program that rests from now on has no slow events in which that could happen later.
//
// A program that builds up again soon would only pay for it, with a page fault for each page. So a
// collapse counts when the use had stayed high for half a second, or for a tenth when touching it
// all anew would take at most 2 % of the time that the process has lived. After one that was
// regretted (the use was back at half its peak within kWatched generations) none counts for a
// while, each time twice as long. Plain arithmetic in bytes and coarse time, protected by the lock
// of whoever counts them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace hz3 {

class Collapse {
 public:
  // Peaks below `floor` are not worth a system call.
  explicit constexpr Collapse(std::size_t floor = std::size_t{4} << 20) : floor_(floor) {}

  void note_rise(std::size_t used, std::uint64_t now_ns);

  // True once for each collapse: when this fall to below `percent` of the recent peak is one.
  bool note_fall(std::size_t used, std::size_t percent, std::uint64_t now_ns);

  // `passed`: how many generations ended at once; the clock is read on slow events only.
  void end_generation(std::uint64_t passed);

 private:
  static constexpr std::uint64_t kWatched = 8;     // generations
  static constexpr unsigned kMostRegrets = 5;      // then the wait does not double any more
  static constexpr std::size_t kStepPercent = 50;  // of the last step, while a fall goes on

  // The lowest use in each of the last half second's slots of 34 ms.
  static constexpr unsigned kSlots = 16;
  static constexpr unsigned kSlotShift = 25;
  static constexpr unsigned kLongSlots = kSlots - 1;
  static constexpr unsigned kShortSlots = 3;
  // How much may be touched anew per slot of the process's life: 1 MiB, which takes 0.4 to 0.6 ms.
  static constexpr std::size_t kBytesPerSlot = std::size_t{1} << 20;

  void pass(std::size_t used, std::uint64_t now_ns);
  bool stayed_above(std::size_t share, unsigned slots) const;
  bool counts(std::size_t share, std::size_t fallen) const;
  void regret();

  std::size_t floor_;
  std::size_t peak_ = 0;          // since the last collapse
  std::size_t used_ = 0;          // as last told
  std::uint64_t slot_ = 0;        // of the clock, when it was told
  std::uint64_t first_slot_ = 0;  // when anything was told first
  std::size_t lows_[kSlots] = {};
  std::size_t regret_level_ = 0;
  std::uint64_t watch_ = 0;  // generations in which a return to that level is still regretted
  std::uint64_t wait_ = 0;   // generations until a collapse counts again
  unsigned regrets_ = 0;
};

}  // namespace hz3
