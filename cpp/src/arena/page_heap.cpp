// Placement of runs in segments, and giving pages back. All state under the page heap's lock.
#include "arena/page_heap.h"

#include "base/bits.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

unsigned bucket_of(const Segment& segment) { return segment.free_pages / 8u; }

unsigned index_of(const Segment* segment) {
  return static_cast<unsigned>(segment - arena.segments);
}

// Below this a collapse is not worth a system call: 4 MiB.
constexpr std::size_t kCollapseFloorPages = 512;

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
  if (bucket_of(*segment) == segment->bucket) return;
  unlink(segment);
  link(segment);
}

unsigned PageHeap::run_in(const Segment& segment, unsigned pages, unsigned alignment_pages) const {
  if (segment.dirty_pages >= pages) {
    const unsigned dirty = segment.dirty.find_run(pages, alignment_pages);
    if (dirty != Bitmap<kPagesPerSegment>::kNone) return dirty;
  }
  return segment.free.find_run(pages, alignment_pages);
}

// Fullest first: buckets in rising order of free pages. A segment whose longest run is known to be
// too short costs a look but no search.
Segment* PageHeap::find(unsigned pages, unsigned alignment_pages, unsigned* run) {
  const auto tries_allowed = static_cast<unsigned>(knob(Knob::kPackTries));
  const auto candidates_wanted = static_cast<unsigned>(knob(Knob::kPackBestfitK));
  Segment* best = nullptr;
  std::uint64_t best_score = ~std::uint64_t{0};
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
      const std::uint64_t score = (std::uint64_t{segment->free_pages} << 32) | index_of(segment);
      if (score < best_score) {
        best_score = score;
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

Segment* PageHeap::open_segment() {
  if (opened_ == arena.segment_count()) return nullptr;
  if (opened_ == accessible_) {
    const unsigned wanted = min_of(kOpenAhead, arena.segment_count() - opened_);
    void* address = arena.address_of_page(std::size_t{opened_} * kPagesPerSegment);
    if (os::commit(address, wanted * kSegmentBytes)) {
      accessible_ += wanted;
    } else if (os::commit(address, kSegmentBytes)) {
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
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages - pages);
  segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages - dirty);
  dirty_pages_ -= dirty;
  used_pages_ += pages;
  peak_pages_ = max_of(peak_pages_, used_pages_ + dirty_pages_);
  recent_peak_ = max_of(recent_peak_, used_pages_);
  rebucket(segment);
  return std::size_t{index_of(segment)} * kPagesPerSegment + first;
}

std::size_t PageHeap::allocate(unsigned pages, unsigned alignment_pages, Opening opening,
                               bool* zeroed) {
  const LockGuard guard(lock_);
  unsigned run = 0;
  Segment* segment = find(pages, alignment_pages, &run);
  if (segment == nullptr) {
    if (opening == Opening::kNever) return kNoPage;
    segment = open_segment();
    if (segment == nullptr) return kNoPage;
    run = 0;
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
  rebucket(segment);
}

// Called with the lock held; lets go of it during the system call, with the run marked as used so
// that nobody else touches it. False when the kernel refused.
bool PageHeap::purge_run(Segment* segment, unsigned first, unsigned pages) {
  segment->free.clear(first, pages);
  segment->dirty.clear(first, pages);
  segment->aged.clear(first, pages);
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages - pages);
  segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages - pages);
  dirty_pages_ -= pages;
  rebucket(segment);
  void* address = arena.address_of_page(std::size_t{index_of(segment)} * kPagesPerSegment + first);
  lock_.unlock();
  const bool purged = os::purge(address, std::size_t{pages} << kPageShift);
  lock_.lock();
  segment->free.set(first, pages);
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages + pages);
  segment->longest_run = segment->free_pages;
  if (!purged) {
    segment->dirty.set(first, pages);
    segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages + pages);
    dirty_pages_ += pages;
  } else {
    counters_.add(Counter::kPurgeCalls);
    counters_.add(Counter::kPurgeBytes, std::size_t{pages} << kPageShift);
  }
  rebucket(segment);
  return purged;
}

std::size_t PageHeap::purge(std::size_t budget_bytes, bool only_aged) {
  // Pages of the kernel may be larger than ours: only whole ones can be given back.
  const auto granule =
      static_cast<unsigned>(max_of<std::size_t>(os::system_page_bytes() >> kPageShift, 1));
  std::size_t purged_bytes = 0;
  for (unsigned index = opened_; index-- != 0 && purged_bytes < budget_bytes;) {
    Segment* segment = &arena.segments[index];
    unsigned from = 0;
    while (segment->dirty_pages != 0 && purged_bytes < budget_bytes) {
      const Bitmap<kPagesPerSegment>& wanted = only_aged ? segment->aged : segment->dirty;
      const unsigned start = wanted.next_set(from);
      if (start == Bitmap<kPagesPerSegment>::kNone) break;
      const unsigned end = wanted.next_clear(start);
      const auto first = static_cast<unsigned>(align_up(start, granule));
      const auto last = static_cast<unsigned>(align_down(end, granule));
      from = end;
      if (last <= first) continue;
      if (!purge_run(segment, first, last - first)) return purged_bytes;
      purged_bytes += std::size_t{last - first} << kPageShift;
    }
  }
  return purged_bytes;
}

std::size_t PageHeap::purge_aged(std::size_t budget_bytes) {
  const LockGuard guard(lock_);
  const std::size_t purged = purge(budget_bytes, true);
  for (unsigned index = 0; index < opened_; ++index) {
    Segment& segment = arena.segments[index];
    if (segment.dirty_pages != 0) segment.aged = segment.dirty;
  }
  return purged;
}

std::size_t PageHeap::purge_all() {
  const LockGuard guard(lock_);
  return purge(SIZE_MAX, false);
}

PageHeap::Figures PageHeap::figures() {
  const LockGuard guard(lock_);
  return {used_pages_, dirty_pages_, peak_pages_, opened_};
}

bool PageHeap::take_collapse() {
  const LockGuard guard(lock_);
  if (recent_peak_ < kCollapseFloorPages || used_pages_ >= recent_peak_ / 4) return false;
  recent_peak_ = used_pages_;
  return true;
}

}  // namespace hz3
