// Placement of runs in segments. All state under the page heap's lock.
#include "arena/page_heap.h"

#include "arena/ledger.h"
#include "base/bits.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

unsigned bucket_of(const Segment& segment) { return segment.free_pages / 8u; }

// Makes segments accessible, with their part of the ledger. What was committed of a refused one is
// committed again the next time.
bool commit_segments(unsigned first, unsigned count) {
  if (kChecked && !ledger.commit(first, count)) return false;
  return os::commit(arena.address_of_page(std::size_t{first} * kPagesPerSegment),
                    count * kSegmentBytes);
}

}  // namespace

constinit PageHeap page_heap;

void PageHeap::link(Segment* segment) {
  const unsigned bucket = bucket_of(*segment);
  segment->bucket = static_cast<std::uint8_t>(bucket);
  segment->previous = nullptr;
  segment->next = buckets_[bucket];
  if (segment->next != nullptr) segment->next->previous = segment;
  buckets_[bucket] = segment;
  nonempty_ |= std::uint64_t{1} << bucket;
}

void PageHeap::unlink(Segment* segment) {
  if (segment->next != nullptr) segment->next->previous = segment->previous;
  if (segment->previous != nullptr) {
    segment->previous->next = segment->next;
  } else {
    buckets_[segment->bucket] = segment->next;
    if (segment->next == nullptr) nonempty_ &= ~(std::uint64_t{1} << segment->bucket);
  }
}

void PageHeap::rebucket(Segment* segment) {
  if (segment->draining) return;
  if (bucket_of(*segment) == segment->bucket) return;
  unlink(segment);
  link(segment);
}

// Dirty pages are resident already; frozen ones are to go back, so they come last.
unsigned PageHeap::run_in(const Segment& segment, unsigned pages, unsigned alignment_pages) {
  constexpr unsigned kNone = Bitmap<kPagesPerSegment>::kNone;
  if (segment.frozen_pages != 0) {
    const unsigned warm = segment.dirty.without(segment.frozen).find_run(pages, alignment_pages);
    if (warm != kNone) return warm;
    const unsigned other = segment.free.without(segment.frozen).find_run(pages, alignment_pages);
    if (other != kNone) return other;
  } else if (segment.dirty_pages >= pages) {
    const unsigned dirty = segment.dirty.find_run(pages, alignment_pages);
    if (dirty != kNone) return dirty;
  }
  return segment.free.find_run(pages, alignment_pages);
}

// Fewest free pages; among equals the one whose longest run is least above what is wanted, then the
// lower address. This is the order of (free_pages << 8) + (longest_run - pages), in two steps,
// because the exact longest run costs a search that only a tie is worth.
bool PageHeap::fits_better(const Segment& candidate, const Segment* best, unsigned pages) {
  if (best == nullptr) return true;
  if (candidate.free_pages != best->free_pages) return candidate.free_pages < best->free_pages;
  const unsigned over = candidate.free.longest_run() - pages;
  const unsigned best_over = best->free.longest_run() - pages;
  return over != best_over ? over < best_over : &candidate < best;
}

// Fullest first: buckets in rising order of free pages. A segment whose longest run is known to be
// too short costs a look but no search.
Segment* PageHeap::find(unsigned pages, unsigned alignment_pages, unsigned tries_allowed,
                        unsigned* run) {
  const auto candidates_wanted = static_cast<unsigned>(knob(Knob::kPackBestfitK));
  Segment* best = nullptr;
  unsigned tries = 0;
  unsigned candidates = 0;
  std::uint64_t left = nonempty_ & (~std::uint64_t{0} << (pages / 8));
  while (left != 0) {
    const unsigned bucket = lowest_bit(left);
    left &= left - 1;
    Segment* next = nullptr;
    for (Segment* segment = buckets_[bucket]; segment != nullptr; segment = next) {
      next = segment->next;
      if (segment->longest_run < pages) continue;
      // When the tries run out, only the emptiest segments are still worth a look.
      if (tries >= tries_allowed && left != 0 && best == nullptr) break;
      ++tries;
      const unsigned found = run_in(*segment, pages, alignment_pages);
      if (found == Bitmap<kPagesPerSegment>::kNone) {
        segment->longest_run = static_cast<std::uint16_t>(segment->free.longest_run());
        continue;
      }
      if (fits_better(*segment, best, pages)) {
        best = segment;
        *run = found;
      }
      if (++candidates >= candidates_wanted || tries >= tries_allowed) {
        left = 0;
        break;
      }
    }
  }
  counters_.add(Counter::kPackTries, tries);
  counters_.add(best != nullptr ? Counter::kPackHit : Counter::kPackMiss);
  return best;
}

Segment* PageHeap::find_active(unsigned shard, unsigned pages, unsigned alignment_pages,
                               unsigned* run) {
  const auto size = static_cast<unsigned>(knob(Knob::kActiveSetK));
  Segment* best = nullptr;
  Segment* segment = nullptr;
  for (unsigned i = 0; (segment = active_sets_[shard].member(i, size)) != nullptr; ++i) {
    if (segment->draining || segment->longest_run < pages) continue;
    const unsigned found = run_in(*segment, pages, alignment_pages);
    if (found == Bitmap<kPagesPerSegment>::kNone || !fits_better(*segment, best, pages)) continue;
    best = segment;
    *run = found;
  }
  counters_.add(best != nullptr ? Counter::kActiveHit : Counter::kActiveMiss);
  return best;
}

void PageHeap::join_active_set(unsigned shard, Segment* segment) {
  const auto size = static_cast<unsigned>(knob(Knob::kActiveSetK));
  if (size != 0 && active_sets_[shard].join(segment, size)) counters_.add(Counter::kActiveEvict);
}

// The active set of the shard, then the pack pool; the segment found there joins the set.
Segment* PageHeap::find_anywhere(unsigned shard, unsigned pages, unsigned alignment_pages,
                                 unsigned* run) {
  if (knob(Knob::kActiveSetK) != 0) {
    Segment* segment = find_active(shard, pages, alignment_pages, run);
    if (segment != nullptr) return segment;
  }
  const auto tries_allowed = static_cast<unsigned>(knob(Knob::kPackTries));
  Segment* segment = find(pages, alignment_pages, tries_allowed, run);
  if (segment != nullptr) join_active_set(shard, segment);
  return segment;
}

Segment* PageHeap::open_segment() {
  if (opened_ == arena.segment_count()) return nullptr;
  if (opened_ == accessible_) {
    const unsigned wanted = min_of(kOpenAhead, arena.segment_count() - opened_);
    if (commit_segments(opened_, wanted)) {
      accessible_ += wanted;
    } else if (commit_segments(opened_, 1)) {
      accessible_ += 1;
    } else {
      return nullptr;
    }
  }
  Segment* segment = &arena.segments[opened_++];
  segment->free.set(0, kPagesPerSegment);
  segment->free_pages = kPagesPerSegment;
  segment->longest_run = kPagesPerSegment;
  segment->open = true;
  link(segment);
  counters_.add(Counter::kSegmentsNew);
  return segment;
}

std::size_t PageHeap::take(Segment* segment, unsigned first, unsigned pages, bool* zeroed) {
  const unsigned dirty = segment->dirty.count(first, pages);
  *zeroed = dirty == 0;
  segment->free.clear(first, pages);
  segment->dirty.clear(first, pages);
  segment->aged.clear(first, pages);
  if (segment->frozen_pages != 0) {
    counters_.add(Counter::kRetentionThawedPages, segment->frozen.count(first, pages));
    segment->frozen.clear(first, pages);
    recount_frozen(segment);
  }
  if (const unsigned retaken = segment->given_back.count(first, pages); retaken != 0) {
    segment->given_back.clear(first, pages);
    counters_.add(Counter::kRetentionDebtPages, retaken);
    retention_.note_retaken(retaken);
  }
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages - pages);
  segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages - dirty);
  dirty_pages_ -= dirty;
  used_pages_ += pages;
  retention_.note_use(used_pages_);
  peak_pages_ = max_of(peak_pages_, used_pages_ + dirty_pages_);
  recent_peak_ = max_of(recent_peak_, used_pages_);
  rebucket(segment);
  return std::size_t{index_of_segment(segment)} * kPagesPerSegment + first;
}

std::size_t PageHeap::allocate(unsigned pages, unsigned alignment_pages, Opening opening,
                               bool* zeroed, unsigned shard) {
  const LockGuard guard(lock_);
  unsigned run = 0;
  Segment* segment = find_anywhere(shard, pages, alignment_pages, &run);
  if (segment == nullptr) {
    if (opening == Opening::kNever) return kNoPage;
    // Draining a segment is not worth opening another one.
    if (lift_quarantine()) segment = find_anywhere(shard, pages, alignment_pages, &run);
  }
  if (segment == nullptr) {
    segment = open_segment();
    run = 0;
    // The bound of the search is there to save time, not to refuse memory.
    if (segment == nullptr) segment = find(pages, alignment_pages, kAllSegments, &run);
    if (segment == nullptr) return kNoPage;
    join_active_set(shard, segment);
  }
  return take(segment, run, pages, zeroed);
}

void PageHeap::release(std::size_t first_page, unsigned pages) {
  const LockGuard guard(lock_);
  Segment* segment = &arena.segments[first_page / kPagesPerSegment];
  const auto first = static_cast<unsigned>(first_page % kPagesPerSegment);
  segment->free.set(first, pages);
  segment->dirty.set(first, pages);
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages + pages);
  segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages + pages);
  segment->longest_run = segment->free_pages;
  used_pages_ -= pages;
  dirty_pages_ += pages;
  ++releases_;
  rebucket(segment);
}

PageHeap::Figures PageHeap::figures() {
  const LockGuard guard(lock_);
  return figures_locked();
}

}  // namespace hz3
