// Telling collapses and regretting them; see collapse.h.
#include "arena/collapse.h"

namespace hz3 {

// Slots that nobody noticed had the use of before.
void Collapse::pass(std::size_t used, std::uint64_t now_ns) {
  const std::uint64_t slot = now_ns >> kSlotShift;
  const std::uint64_t missed = slot - min_of(slot, slot_);
  for (std::uint64_t i = min_of<std::uint64_t>(missed, kSlots); i-- != 0;) {
    lows_[(slot - i) % kSlots] = used_;
  }
  if (slot_ == 0) first_slot_ = slot;
  if (missed != 0) slot_ = slot;
  used_ = used;
  std::size_t& low = lows_[slot_ % kSlots];
  low = min_of(low, used);
}

// In the slots before this one.
bool Collapse::stayed_above(std::size_t share, unsigned slots) const {
  for (unsigned i = 1; i <= slots; ++i) {
    if (lows_[(slot_ - i) % kSlots] < share) return false;
  }
  return true;
}

bool Collapse::counts(std::size_t share, std::size_t fallen) const {
  const bool is_affordable = fallen / kBytesPerSlot <= slot_ - first_slot_;
  return stayed_above(share, is_affordable ? kShortSlots : kLongSlots);
}

void Collapse::note_rise(std::size_t used, std::uint64_t now_ns) {
  pass(used, now_ns);
  peak_ = max_of(peak_, used);
  if (watch_ != 0 && used >= regret_level_) regret();
}

bool Collapse::note_fall(std::size_t used, std::size_t percent, std::uint64_t now_ns) {
  pass(used, now_ns);
  // One fall is often told in steps: the first one knows the peak, and the last ones are worth
  // most, because only then whole pages come free.
  const bool goes_on = watch_ != 0 && percent != 0;
  const std::size_t share = peak_ / 100 * (goes_on ? max_of(percent, kStepPercent) : percent);
  if (used >= share || wait_ != 0 || peak_ < floor_ || !counts(share, peak_ - used)) {
    return false;
  }
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

void Collapse::end_generation(std::uint64_t passed) {
  wait_ -= min_of(wait_, passed);
  if (watch_ != 0 && watch_ <= passed) regrets_ = 0;
  watch_ -= min_of(watch_, passed);
}

}  // namespace hz3
