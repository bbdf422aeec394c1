// A page heap whose first segments are full, so that a test decides which pages are free.
#ifndef HZ3_TESTS_FULL_SEGMENTS_HPP
#define HZ3_TESTS_FULL_SEGMENTS_HPP

#include "arena/page_heap.h"
#include "settings/counters.h"
#include "settings/knobs.h"
#include "support/check.hpp"

namespace hz3test {

// Boots an arena of 64 MiB and takes every page of its first `count` segments.
inline void fill_segments(unsigned count) {
  CHECK(hz3::boot_arena(std::size_t{64} << 20));
  constexpr unsigned kRun = 32;
  for (unsigned run = 0; run < count * (hz3::kPagesPerSegment / kRun); ++run) {
    bool zeroed = false;
    const std::size_t page =
        hz3::page_heap.allocate(kRun, 1, hz3::PageHeap::Opening::kAllowed, &zeroed);
    CHECK_EQ(page, std::size_t{run} * kRun);
  }
  CHECK_EQ(hz3::page_heap.figures().open_segments, std::size_t{count});
}

inline void release_pages(unsigned segment, unsigned first, unsigned pages) {
  hz3::page_heap.release(std::size_t{segment} * hz3::kPagesPerSegment + first, pages);
}

// A run of `pages` for a shard; the heap must have one in an open segment.
inline std::size_t take_pages(unsigned pages, unsigned shard = 0) {
  bool zeroed = false;
  return hz3::page_heap.allocate(pages, 1, hz3::PageHeap::Opening::kNever, &zeroed, shard);
}

inline unsigned segment_of(std::size_t page) {
  return static_cast<unsigned>(page / hz3::kPagesPerSegment);
}

inline std::uint64_t heap_counter(hz3::Counter which) {
  std::uint64_t totals[hz3::kCounterCount] = {};
  hz3::page_heap.add_counters(totals, hz3::kCounterCount);
  return totals[static_cast<std::size_t>(which)];
}

inline void set(const char* name, std::int64_t value) {
  CHECK_EQ(hz3::set_knob(name, value), static_cast<int>(HZ3_OK));
}

}  // namespace hz3test

#endif  // HZ3_TESTS_FULL_SEGMENTS_HPP
