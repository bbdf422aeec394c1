// The page heap: hands out runs of pages to every shard and takes them back.
//
// One heap for the whole process, so that a run freed by one shard serves the next request of any
// other. A request goes to the fullest of K open segments that fit, dirty pages first, lowest
// address first; only then is a new segment opened. Any thread; own lock, taken after a shard's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena/arena.h"
#include "arena/segment.h"
#include "base/futex_lock.h"
#include "settings/counters.h"

namespace hz3 {

inline constexpr std::size_t kNoPage = SIZE_MAX;

class PageHeap {
 public:
  enum class Opening { kNever, kAllowed };

  // A run of `pages` whose first page is a multiple of `alignment_pages`; kNoPage when no open
  // segment has one and a new one may not or cannot be opened. `zeroed`: the run reads as zero.
  std::size_t allocate(unsigned pages, unsigned alignment_pages, Opening opening, bool* zeroed);

  void release(std::size_t first_page, unsigned pages);

  // Ends a generation: gives back pages that were dirty before the previous one ended, at most
  // `budget_bytes`, highest addresses first. Returns the bytes given back.
  std::size_t purge_aged(std::size_t budget_bytes);

  // Gives all dirty pages back. Returns the bytes.
  std::size_t purge_all();

  struct Figures {
    std::size_t used_pages;
    std::size_t dirty_pages;
    std::size_t peak_pages;  // most of used + dirty
    std::size_t open_segments;
  };
  Figures figures();

  // True once when the used pages have fallen below a quarter of their recent peak: the moment to
  // give everything aged back without regard to the budget.
  bool take_collapse();

  void add_counters(std::uint64_t* totals, std::size_t count) const {
    counters_.add_to(totals, count);
  }

  FutexLock& lock() { return lock_; }  // for fork

 private:
  static constexpr unsigned kBuckets = 33;   // by free pages, eight to a bucket; 32: all free
  static constexpr unsigned kOpenAhead = 4;  // segments made accessible with one system call

  Segment* find(unsigned pages, unsigned alignment_pages, unsigned* run);
  unsigned run_in(const Segment& segment, unsigned pages, unsigned alignment_pages) const;
  Segment* open_segment();
  std::size_t take(Segment* segment, unsigned first, unsigned pages, bool* zeroed);
  void link(Segment* segment);
  void unlink(Segment* segment);
  void rebucket(Segment* segment);
  std::size_t purge(std::size_t budget_bytes, bool only_aged);
  bool purge_run(Segment* segment, unsigned first, unsigned pages);

  FutexLock lock_;
  std::uint64_t nonempty_ = 0;  // bit per bucket
  Segment* buckets_[kBuckets] = {};
  unsigned opened_ = 0;      // segments [0, opened_) are open
  unsigned accessible_ = 0;  // segments [0, accessible_) are committed
  std::size_t used_pages_ = 0;
  std::size_t dirty_pages_ = 0;
  std::size_t peak_pages_ = 0;
  std::size_t recent_peak_ = 0;
  CounterBlock counters_;
};

extern PageHeap page_heap;

}  // namespace hz3
