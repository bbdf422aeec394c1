// Upkeep of the page heap: purging by generations, retention, quarantine. All state under its lock.
#include "arena/page_heap.h"
#include "base/bits.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
// Free pages that the rest of the heap must have besides room for what the drained segment holds.
constexpr std::size_t kDrainSlackPages = 64;

constexpr unsigned kNoRun = Bitmap<kPagesPerSegment>::kNone;

}  // namespace

const Bitmap<kPagesPerSegment>& PageHeap::stale_pages(const Segment& segment, Stale stale) {
  switch (stale) {
    case Stale::kAged:
      return segment.aged;
    case Stale::kFrozen:
      return segment.frozen;
    case Stale::kAll:
      break;
  }
  return segment.dirty;
}

void PageHeap::recount_frozen(Segment* segment) {
  const unsigned now = segment->frozen.count();
  frozen_pages_ = frozen_pages_ - segment->frozen_pages + now;
  segment->frozen_pages = static_cast<std::uint16_t>(now);
}

// Called with the lock held; lets go of it during the system call, with the run marked as used so
// that nobody else touches it. False when the kernel refused.
bool PageHeap::purge_run(Segment* segment, unsigned first, unsigned pages) {
  segment->free.clear(first, pages);
  segment->dirty.clear(first, pages);
  segment->aged.clear(first, pages);
  if (segment->frozen_pages != 0) {
    segment->frozen.clear(first, pages);
    recount_frozen(segment);
  }
  segment->free_pages = static_cast<std::uint16_t>(segment->free_pages - pages);
  segment->dirty_pages = static_cast<std::uint16_t>(segment->dirty_pages - pages);
  dirty_pages_ -= pages;
  rebucket(segment);
  void* address =
      arena.address_of_page(std::size_t{index_of_segment(segment)} * kPagesPerSegment + first);
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
    segment->given_back.set(first, pages);
    gave_back_ = true;
    counters_.add(Counter::kPurgeCalls);
    counters_.add(Counter::kPurgeBytes, std::size_t{pages} << kPageShift);
  }
  rebucket(segment);
  return purged;
}

std::size_t PageHeap::purge_segment(Segment* segment, std::size_t budget_bytes, Stale stale,
                                    bool* refused) {
  // Pages of the kernel may be larger than ours: only whole ones can be given back.
  const auto granule =
      static_cast<unsigned>(max_of<std::size_t>(os::system_page_bytes() >> kPageShift, 1));
  const Bitmap<kPagesPerSegment>& wanted = stale_pages(*segment, stale);
  std::size_t purged_bytes = 0;
  for (unsigned from = 0; segment->dirty_pages != 0 && purged_bytes < budget_bytes;) {
    const unsigned start = wanted.next_set(from);
    if (start == kNoRun) break;
    const unsigned end = wanted.next_clear(start);
    const auto first = static_cast<unsigned>(align_up(start, granule));
    const auto last = static_cast<unsigned>(align_down(end, granule));
    from = end;
    if (last <= first) continue;
    if (!purge_run(segment, first, last - first)) {
      *refused = true;
      break;
    }
    purged_bytes += std::size_t{last - first} << kPageShift;
  }
  if (purged_bytes == 0) return 0;
  if (segment->free_pages != kPagesPerSegment) {
    counters_.add(Counter::kSubreleaseBytes, purged_bytes);
  } else if (segment->dirty_pages == 0) {
    counters_.add(Counter::kSegmentsReleased);
  }
  return purged_bytes;
}

std::size_t PageHeap::purge(std::size_t budget_bytes, Stale stale) {
  const bool parts = stale == Stale::kAll || knob(Knob::kRetentionSubrelease) != 0;
  std::size_t purged_bytes = 0;
  bool refused = false;
  for (unsigned index = opened_; index-- != 0 && purged_bytes < budget_bytes && !refused;) {
    Segment* segment = &arena.segments[index];
    if (!parts && (segment->free_pages != kPagesPerSegment ||
                   stale_pages(*segment, stale).count() != segment->dirty_pages)) {
      continue;
    }
    purged_bytes += purge_segment(segment, budget_bytes - purged_bytes, stale, &refused);
  }
  return purged_bytes;
}

// Emptiest segments first: they are the last that requests go to.
void PageHeap::freeze_excess(std::size_t pages) {
  std::uint64_t left = nonempty_;
  while (left != 0 && pages != 0) {
    const unsigned bucket = log2_floor(left);
    left &= ~(std::uint64_t{1} << bucket);
    for (Segment* segment = buckets_[bucket]; segment != nullptr && pages != 0;
         segment = segment->next) {
      for (unsigned from = 0; pages != 0;) {
        const unsigned start = segment->dirty.next_set(from);
        if (start == kNoRun) break;
        from = segment->dirty.next_clear(start);
        const auto count = static_cast<unsigned>(min_of<std::size_t>(from - start, pages));
        segment->frozen.set(start, count);
        counters_.add(Counter::kRetentionFrozenPages, count);
        pages -= count;
      }
      recount_frozen(segment);
    }
  }
}

void PageHeap::thaw_all() {
  for (unsigned index = 0; index < opened_ && frozen_pages_ != 0; ++index) {
    arena.segments[index].frozen = Bitmap<kPagesPerSegment>();
    recount_frozen(&arena.segments[index]);
  }
}

std::size_t PageHeap::purge_aged(std::size_t budget_bytes) {
  const LockGuard guard(lock_);
  const std::size_t percent = knob_size(Knob::kRetentionFrozenPercent);
  for (unsigned index = 0; gave_back_ && index < opened_; ++index) {
    arena.segments[index].given_back = Bitmap<kPagesPerSegment>();
  }
  gave_back_ = false;
  std::size_t purged = 0;
  if (retention_.is_in_debt(knob_size(Knob::kRetentionDebtBytes))) {
    counters_.add(Counter::kRetentionPauses);
  } else {
    purged = purge(budget_bytes, percent != 0 ? Stale::kFrozen : Stale::kAged);
  }
  for (unsigned index = 0; index < opened_; ++index) {
    Segment& segment = arena.segments[index];
    if (segment.dirty_pages != 0) segment.aged = segment.dirty;
  }
  retention_.end_generation(used_pages_);
  thaw_all();
  if (percent != 0) {
    freeze_excess(retention_.excess_pages(used_pages_, dirty_pages_, percent));
  }
  return purged;
}

std::size_t PageHeap::purge_all() {
  const LockGuard guard(lock_);
  return purge(SIZE_MAX, Stale::kAll);
}

bool PageHeap::take_fall(std::size_t percent) {
  const LockGuard guard(lock_);
  if (!has_fallen_below(percent)) return false;
  recent_peak_ = used_pages_;
  return true;
}

// Puts every draining segment back where requests find it. True when there was one.
bool PageHeap::lift_quarantine() {
  bool any = false;
  while (Segment* segment = quarantine_.take_any()) {
    link(segment);
    counters_.add(Counter::kQuarantineLifted);
    any = true;
  }
  return any;
}

// The nearly empty segment with the fewest used pages that the rest of the heap has room for.
Segment* PageHeap::drain_candidate(std::uint64_t now_ns) const {
  const auto most_used = static_cast<unsigned>(knob(Knob::kQuarantine));
  Segment* best = nullptr;
  std::size_t free_pages = 0;
  for (unsigned index = 0; index < opened_; ++index) {
    Segment* segment = &arena.segments[index];
    if (segment->draining) continue;
    free_pages += segment->free_pages;
    const unsigned used = kPagesPerSegment - segment->free_pages;
    if (used == 0 || used > most_used || quarantine_.avoids(segment, now_ns)) continue;
    // Of equals the highest address, as everywhere when something is to be given up.
    if (best == nullptr || segment->free_pages >= best->free_pages) best = segment;
  }
  if (best == nullptr) return nullptr;
  const std::size_t needed = kPagesPerSegment - best->free_pages + kDrainSlackPages;
  return free_pages - best->free_pages >= needed ? best : nullptr;
}

void PageHeap::tend_quarantine(std::uint64_t now_ns) {
  const LockGuard guard(lock_);
  if (knob(Knob::kQuarantine) == 0) {
    if (!quarantine_.is_empty()) lift_quarantine();
    return;
  }
  const std::uint64_t ttl_ns = knob_size(Knob::kQuarantineTtlMs) * kNsPerMs;
  while (Segment* segment = quarantine_.take_settled(now_ns)) {
    link(segment);
    if (segment->free_pages != kPagesPerSegment) {
      counters_.add(Counter::kQuarantinePinned);
      quarantine_.avoid(segment, now_ns + ttl_ns);
      continue;
    }
    counters_.add(Counter::kQuarantineDrained);
    bool refused = false;
    purge_segment(segment, SIZE_MAX, Stale::kAll, &refused);
  }
  while (quarantine_.has_room()) {
    Segment* segment = drain_candidate(now_ns);
    if (segment == nullptr) return;
    unlink(segment);
    quarantine_.admit(segment, now_ns + ttl_ns);
    counters_.add(Counter::kQuarantined);
  }
}

std::size_t PageHeap::emptiest_segment() {
  const LockGuard guard(lock_);
  const Segment* best = nullptr;
  for (unsigned index = 0; index < opened_; ++index) {
    const Segment* segment = &arena.segments[index];
    if (segment->free_pages == kPagesPerSegment) continue;
    if (best == nullptr || segment->free_pages > best->free_pages) best = segment;
  }
  return best != nullptr ? index_of_segment(best) : kNoPage;
}

}  // namespace hz3
