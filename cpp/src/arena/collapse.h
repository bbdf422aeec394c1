// Collapse: a heap has let most of what it held go. The moment to give pages back at once, because
// a program that rests from now on has no slow events in which that could happen later.
//
// A program that builds up again soon would only pay for it, so a collapse counts when the use had
// stayed high for a whole generation, and after one that was regretted (the use was back at half
// its peak within kWatched generations) none counts for a while, each time twice as long.
// Plain arithmetic in pages or bytes, protected by the lock of the heap that owns it.
#pragma once

#include <cstddef>

#include "base/bits.h"

namespace hz3 {

class Collapse {
 public:
  // Peaks below `floor` are not worth a system call.
  explicit constexpr Collapse(std::size_t floor) : floor_(floor) {}

  void note_rise(std::size_t used) {
    peak_ = max_of(peak_, used);
    if (watch_ != 0 && used >= regret_level_) regret();
  }

  // True when this fall is a collapse: below `percent` of the recent peak.
  bool note_fall(std::size_t used, std::size_t percent) {
    lowest_ = min_of(lowest_, used);
    return is_collapse(used, percent);
  }

  // True once for each collapse.
  bool take(std::size_t used, std::size_t percent);

  // The same without patience: True once when the use lies below `percent` of its recent peak.
  bool take_fall(std::size_t used, std::size_t percent);

  void end_generation(std::size_t used);

 private:
  static constexpr unsigned kWatched = 8;      // generations
  static constexpr unsigned kMostRegrets = 5;  // then the wait does not double any more

  bool has_fallen(std::size_t used, std::size_t percent) const {
    return peak_ >= floor_ && used < share(percent);
  }
  bool is_collapse(std::size_t used, std::size_t percent) const {
    return has_fallen(used, percent) && wait_ == 0 && lowest_before_ >= share(percent);
  }
  std::size_t share(std::size_t percent) const { return peak_ / 100 * percent; }
  void regret();

  std::size_t floor_;
  std::size_t peak_ = 0;           // since the last fall that was taken
  std::size_t lowest_ = 0;         // in this generation
  std::size_t lowest_before_ = 0;  // in the one before
  std::size_t regret_level_ = 0;
  unsigned watch_ = 0;  // generations in which a return to that level is still regretted
  unsigned wait_ = 0;   // generations until a collapse counts again
  unsigned regrets_ = 0;
};

}  // namespace hz3
