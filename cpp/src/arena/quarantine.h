// Quarantine: which segments are draining, and which were tried in vain and are left alone.
//
// The page heap decides and does the work; this is the book of it. Few entries, so that the search
// is a glance: draining more segments at once would take too much of the free memory out of use.
// Protected by the lock of the page heap.
#pragma once

#include <cstdint>

#include "arena/segment.h"

namespace hz3 {

class Quarantine {
 public:
  static constexpr unsigned kDraining = 4;
  static constexpr unsigned kAvoided = 8;

  bool has_room() const { return draining_count_ < kDraining; }
  bool is_empty() const { return draining_count_ == 0; }

  // Needs room.
  void admit(Segment* segment, std::uint64_t until_ns);

  // The next draining segment that is empty, or whose time is up at `now_ns`; it leaves the book.
  // nullptr when none is.
  Segment* take_settled(std::uint64_t now_ns);

  // Any draining segment; it leaves the book. nullptr when there is none.
  Segment* take_any();

  // Leaves a segment alone until then; the oldest of too many is forgotten.
  void avoid(Segment* segment, std::uint64_t until_ns);
  bool avoids(const Segment* segment, std::uint64_t now_ns) const;

 private:
  struct Entry {
    Segment* segment;
    std::uint64_t until_ns;
  };

  Segment* remove(unsigned index);

  Entry draining_[kDraining] = {};
  Entry avoided_[kAvoided] = {};
  unsigned draining_count_ = 0;
  unsigned next_avoided_ = 0;
};

}  // namespace hz3
