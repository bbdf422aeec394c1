// The book of draining and avoided segments; under the lock of the page heap.
#include "arena/quarantine.h"

namespace hz3 {

void Quarantine::admit(Segment* segment, std::uint64_t until_ns) {
  segment->draining = true;
  draining_[draining_count_++] = {segment, until_ns};
}

Segment* Quarantine::remove(unsigned index) {
  Segment* segment = draining_[index].segment;
  draining_[index] = draining_[--draining_count_];
  segment->draining = false;
  return segment;
}

Segment* Quarantine::take_settled(std::uint64_t now_ns) {
  for (unsigned i = 0; i < draining_count_; ++i) {
    const Entry& entry = draining_[i];
    if (entry.segment->free_pages == kPagesPerSegment || now_ns >= entry.until_ns) return remove(i);
  }
  return nullptr;
}

Segment* Quarantine::take_any() { return draining_count_ != 0 ? remove(0) : nullptr; }

void Quarantine::avoid(Segment* segment, std::uint64_t until_ns) {
  avoided_[next_avoided_] = {segment, until_ns};
  next_avoided_ = (next_avoided_ + 1) % kAvoided;
}

bool Quarantine::avoids(const Segment* segment, std::uint64_t now_ns) const {
  for (const Entry& entry : avoided_) {
    if (entry.segment == segment && now_ns < entry.until_ns) return true;
  }
  return false;
}

}  // namespace hz3
