// Collapse: a program has let most of what it held go. The moment to give pages back at once,
// because a program that rests from now on has no slow events in which that could happen later.
//
// A program that builds up again soon would only pay for it, so a collapse counts when the use had
// stayed high for a whole generation, and after one that was regretted (the use was back at half
// its peak within kWatched generations) none counts for a while, each time twice as long.
// Plain arithmetic in bytes, protected by the lock of whoever counts them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace hz3 {

class Collapse {
 public:
  // Peaks below `floor` are not worth a system call.
  explicit constexpr Collapse(std::size_t floor = std::size_t{4} << 20) : floor_(floor) {}

  void note_rise(std::size_t used) {
    peak_ = max_of(peak_, used);
    if (watch_ != 0 && used >= regret_level_) regret();
  }

  // True once for each collapse: when this fall to below `percent` of the recent peak is one.
  bool note_fall(std::size_t used, std::size_t percent);

  // `passed`: how many generations ended at once; the clock is read on slow events only.
  void end_generation(std::size_t used, std::uint64_t passed);

 private:
  static constexpr std::uint64_t kWatched = 8;  // generations
  static constexpr unsigned kMostRegrets = 5;   // then the wait does not double any more

  bool is_collapse(std::size_t used, std::size_t percent) const {
    const std::size_t share = peak_ / 100 * percent;
    return used < share && wait_ == 0 && peak_ >= floor_ && lowest_before_ >= share;
  }
  void regret();

  std::size_t floor_;
  std::size_t peak_ = 0;           // since the last collapse
  std::size_t lowest_ = 0;         // in this generation
  std::size_t lowest_before_ = 0;  // in the one before
  std::size_t regret_level_ = 0;
  std::uint64_t watch_ = 0;  // generations in which a return to that level is still regretted
  std::uint64_t wait_ = 0;   // generations until a collapse counts again
  unsigned regrets_ = 0;
};

}  // namespace hz3
