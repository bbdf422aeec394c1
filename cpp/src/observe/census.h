// Who holds which block, and which pages are free: one walk over all spans, bins and magazines.
#pragma once

#include "geometry/size_classes.h"
#include "hz3/hz3.h"
#include "observe/residency.h"
#include "settings/counters.h"

namespace hz3 {

inline constexpr unsigned kFreePageBuckets = 33;  // eight pages wide; the last one: all free
inline constexpr unsigned kPagesPerBucket = 8;
inline constexpr unsigned kTopClasses = 5;

struct Observation {
  hz3_observation whole;
  hz3_class_observation classes[kClassCount];
  std::uint64_t segments_by_free_pages[kFreePageBuckets];
  std::uint64_t counters[kCounterCount];
};

// Resident bytes of a class that no application uses.
std::uint64_t waste_bytes(const hz3_class_observation& one);

// Fills the classes, the figures of segments, and the parts of `whole` that come from them. Needs
// all locks; `map` covers the open segments.
void take_census(const ResidencyMap& map, Observation* result);

}  // namespace hz3
