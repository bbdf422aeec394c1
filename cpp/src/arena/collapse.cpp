// Telling collapses and regretting them; see collapse.h.
#include "arena/collapse.h"

namespace hz3 {

bool Collapse::note_fall(std::size_t used, std::size_t percent) {
  lowest_ = min_of(lowest_, used);
  if (!is_collapse(used, percent)) return false;
  // One fall is often told in steps: the first one knows the peak.
  if (watch_ == 0) regret_level_ = peak_ / 2;
  watch_ = kWatched;
  peak_ = used;
  return true;
}

void Collapse::regret() {
  watch_ = 0;
  wait_ = kWatched << regrets_;
  regrets_ = min_of(regrets_ + 1, kMostRegrets);
}

void Collapse::end_generation(std::size_t used, std::uint64_t passed) {
  wait_ -= min_of(wait_, passed);
  if (watch_ != 0 && watch_ <= passed) regrets_ = 0;
  watch_ -= min_of(watch_, passed);
  lowest_before_ = lowest_;
  lowest_ = used;
}

}  // namespace hz3
