// The page heap: hands out runs of pages to every shard and takes them back.
//
// One heap for the whole process, so that a run freed by one shard serves the next request of any
// other. A request goes to the active set of the shard, if there is one, then to the pack pool: the
// fullest of K open segments that fit, dirty pages first, lowest address first; only then is a new
// segment opened. When none can be, no open one is left out. Any thread; own lock, taken after a
// shard's.
//
// page_heap.cpp places runs; upkeep.cpp is what happens from time to time: purging, quarantine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arena/active_set.h"
#include "arena/arena.h"
#include "arena/quarantine.h"
#include "arena/retention.h"
#include "arena/segment.h"
#include "base/audit.h"
#include "base/futex_lock.h"
#include "settings/counters.h"

namespace hz3 {

inline constexpr std::size_t kNoPage = SIZE_MAX;

inline unsigned index_of_segment(const Segment* segment) {
  return static_cast<unsigned>(segment - arena.segments);
}

class PageHeap {
 public:
  enum class Opening { kNever, kAllowed };

  // A run of `pages` whose first page is a multiple of `alignment_pages`; kNoPage when no open
  // segment has one and a new one may not or cannot be opened. `zeroed`: the run reads as zero.
  // `shard`: whose active set to try first.
  std::size_t allocate(unsigned pages, unsigned alignment_pages, Opening opening, bool* zeroed,
                       unsigned shard = 0);

  void release(std::size_t first_page, unsigned pages);

  // Ends a generation: gives back pages that were dirty before the previous one ended (with
  // retention: those frozen then), at most `budget_bytes`, highest addresses first. Returns the
  // bytes given back.
  std::size_t purge_aged(std::size_t budget_bytes);

  // Lets empty quarantined segments go, gives up on those whose time is up, and looks for a nearly
  // empty segment to drain next.
  void tend_quarantine(std::uint64_t now_ns);

  // The segment with the fewest used pages but not none, as an index; kNoPage when there is none.
  std::size_t emptiest_segment();

  // Gives all dirty pages back. Returns the bytes.
  std::size_t purge_all();

  struct Figures {
    std::size_t used_pages;
    std::size_t dirty_pages;
    std::size_t peak_pages;  // most of used + dirty
    std::size_t open_segments;
    std::uint64_t releases;  // runs that came back since the start
  };
  Figures figures();
  Figures figures_locked() const {
    return {used_pages_, dirty_pages_, peak_pages_, opened_, releases_};
  }

  // True once when the used pages have fallen below `percent` of their recent peak: the moment to
  // give more back than usual.
  bool take_fall(std::size_t percent);

  void add_counters(std::uint64_t* totals, std::size_t count) const {
    counters_.add_to(totals, count);
  }

  // Bitmaps, counts and tags against each other; of one segment, or of all with the sums.
  void audit_segment(unsigned index, Audit* audit);
  void audit(Audit* audit);

  FutexLock& lock() { return lock_; }  // for fork

 private:
  static constexpr unsigned kBuckets = 33;  // by free pages, eight to a bucket; 32: all free
  // A fall from less is not worth a larger budget: 4 MiB.
  static constexpr std::size_t kFallFloorPages = 512;
  static constexpr unsigned kOpenAhead = 4;  // segments made accessible with one system call
  static constexpr unsigned kAllSegments = ~0u;

  // What to give back at the end of a generation.
  enum class Stale { kAll, kAged, kFrozen };

  Segment* find(unsigned pages, unsigned alignment_pages, unsigned tries_allowed, unsigned* run);
  Segment* find_active(unsigned shard, unsigned pages, unsigned alignment_pages, unsigned* run);
  Segment* find_anywhere(unsigned shard, unsigned pages, unsigned alignment_pages, unsigned* run);
  void join_active_set(unsigned shard, Segment* segment);
  static unsigned run_in(const Segment& segment, unsigned pages, unsigned alignment_pages);
  static bool fits_better(const Segment& candidate, const Segment* best, unsigned pages);
  Segment* open_segment();
  std::size_t take(Segment* segment, unsigned first, unsigned pages, bool* zeroed);
  void link(Segment* segment);
  void unlink(Segment* segment);
  void rebucket(Segment* segment);
  static const Bitmap<kPagesPerSegment>& stale_pages(const Segment& segment, Stale stale);
  void recount_frozen(Segment* segment);

  std::size_t purge(std::size_t budget_bytes, Stale stale);
  std::size_t purge_segment(Segment* segment, std::size_t budget_bytes, Stale stale, bool* refused);
  bool purge_run(Segment* segment, unsigned first, unsigned pages);
  bool has_fallen_below(std::size_t percent) const {
    return recent_peak_ >= kFallFloorPages && used_pages_ < recent_peak_ * percent / 100;
  }
  void freeze_excess(std::size_t pages);
  void thaw_all();
  void audit_segment_locked(unsigned index, Audit* audit) const;
  bool lift_quarantine();
  Segment* drain_candidate(std::uint64_t now_ns) const;

  FutexLock lock_;
  std::uint64_t nonempty_ = 0;  // bit per bucket
  Segment* buckets_[kBuckets] = {};
  unsigned opened_ = 0;      // segments [0, opened_) are open
  unsigned accessible_ = 0;  // segments [0, accessible_) are committed
  std::size_t used_pages_ = 0;
  std::size_t dirty_pages_ = 0;
  std::size_t peak_pages_ = 0;
  std::size_t recent_peak_ = 0;
  std::size_t frozen_pages_ = 0;
  std::uint64_t releases_ = 0;
  bool gave_back_ = false;  // since the last generation ended: some segment has given_back bits
  ActiveSet active_sets_[kMaxShards];
  Quarantine quarantine_;
  Retention retention_;
  CounterBlock counters_;
};

extern PageHeap page_heap;

}  // namespace hz3
