// The page heap against itself: bitmaps against counts, tags against bitmaps.
#include "arena/page_heap.h"

namespace hz3 {
namespace {

bool contains(const Bitmap<kPagesPerSegment>& outer, const Bitmap<kPagesPerSegment>& inner) {
  for (unsigned i = 0; i < Bitmap<kPagesPerSegment>::kWords; ++i) {
    if ((inner.word(i) & ~outer.word(i)) != 0) return false;
  }
  return true;
}

bool overlap(const Bitmap<kPagesPerSegment>& one, const Bitmap<kPagesPerSegment>& other) {
  for (unsigned i = 0; i < Bitmap<kPagesPerSegment>::kWords; ++i) {
    if ((one.word(i) & other.word(i)) != 0) return true;
  }
  return false;
}

}  // namespace

void PageHeap::audit_segment_locked(unsigned index, Audit* audit) const {
  const Segment& segment = arena.segments[index];
  const std::size_t first_page = std::size_t{index} * kPagesPerSegment;
  const void* where = arena.address_of_page(first_page);
  audit->expect(segment.open, "an open segment is marked so", where);
  audit->expect(segment.free.count() == segment.free_pages, "free pages are counted", where);
  audit->expect(segment.dirty.count() == segment.dirty_pages, "dirty pages are counted", where);
  audit->expect(segment.frozen.count() == segment.frozen_pages, "frozen pages are counted", where);
  audit->expect(contains(segment.free, segment.dirty), "dirty pages are free", where);
  audit->expect(contains(segment.dirty, segment.aged), "aged pages are dirty", where);
  audit->expect(contains(segment.dirty, segment.frozen), "frozen pages are dirty", where);
  audit->expect(!overlap(segment.dirty, segment.given_back), "given back pages are clean", where);
  audit->expect(segment.longest_run >= segment.free.longest_run(), "no run is overlooked", where);
  audit->expect(segment.draining || segment.bucket == segment.free_pages / 8u,
                "a segment is in its bucket", where);
  for (unsigned page = segment.free.next_set(0); page < kPagesPerSegment;
       page = segment.free.next_set(page + 1)) {
    const void* address = arena.address_of_page(first_page + page);
    audit->expect(arena.tag_at(address) == 0, "a free page has no tag", address);
    audit->expect(arena.spans[first_page + page] == nullptr, "a free page has no span", address);
  }
}

void PageHeap::audit_segment(unsigned index, Audit* audit) {
  const LockGuard guard(lock_);
  if (index < opened_) audit_segment_locked(index, audit);
}

void PageHeap::audit(Audit* audit) {
  const LockGuard guard(lock_);
  std::size_t free_pages = 0;
  std::size_t dirty_pages = 0;
  std::size_t frozen_pages = 0;
  for (unsigned index = 0; index < opened_; ++index) {
    audit_segment_locked(index, audit);
    free_pages += arena.segments[index].free_pages;
    dirty_pages += arena.segments[index].dirty_pages;
    frozen_pages += arena.segments[index].frozen_pages;
  }
  // Pages that are being given back at this moment are neither free nor used.
  const std::size_t not_free = std::size_t{opened_} * kPagesPerSegment - free_pages;
  audit->expect(used_pages_ <= not_free, "used and free pages make up the segments", used_pages_);
  audit->expect(dirty_pages_ == dirty_pages, "dirty pages add up", dirty_pages_);
  audit->expect(frozen_pages_ == frozen_pages, "frozen pages add up", frozen_pages_);
}

}  // namespace hz3
