// Quarantine: a nearly empty segment drains and goes back whole; one that does not is left alone.
#include "arena/quarantine.h"

#include "support/check.hpp"
#include "units/fake_os.hpp"
#include "units/full_segments.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

constexpr std::uint64_t kMs = 1'000'000;

// Segment 1 has four used pages left, segment 0 has room for them and more.
void make_nearly_empty() {
  set("quarantine", 8);
  set("quarantine_ttl_ms", 100);
  fill_segments(2);
  release_pages(1, 4, 252);
  release_pages(0, 0, 128);
}

TEST(off_touches_nothing) {
  make_nearly_empty();
  set("quarantine", 0);
  page_heap.tend_quarantine(kMs);
  CHECK(!arena.segments[1].draining);
  CHECK_EQ(heap_counter(Counter::kQuarantined), std::uint64_t{0});
}

TEST(a_draining_segment_gets_no_new_runs) {
  make_nearly_empty();
  page_heap.tend_quarantine(kMs);
  CHECK(arena.segments[1].draining);
  CHECK(!arena.segments[0].draining);
  for (int run = 0; run < 8; ++run) CHECK_EQ(segment_of(take_pages(16)), 0U);
  CHECK_EQ(take_pages(16), kNoPage);
}

TEST(an_empty_one_is_released_whole) {
  make_nearly_empty();
  page_heap.tend_quarantine(kMs);
  release_pages(1, 0, 4);
  const std::uint64_t calls = fake_os.count(OsCall::kPurge);
  page_heap.tend_quarantine(2 * kMs);
  CHECK_EQ(fake_os.count(OsCall::kPurge), calls + 1);  // one piece: the segment
  CHECK_EQ(fake_os.purged_bytes, kSegmentBytes);
  CHECK_EQ(heap_counter(Counter::kSegmentsReleased), std::uint64_t{1});
  CHECK_EQ(heap_counter(Counter::kQuarantineDrained), std::uint64_t{1});
  CHECK(!arena.segments[1].draining);
  bool zeroed = false;
  CHECK_EQ(segment_of(page_heap.allocate(200, 1, PageHeap::Opening::kNever, &zeroed)), 1U);
  CHECK(zeroed);
}

TEST(a_pinned_one_serves_again_and_is_avoided_for_a_while) {
  make_nearly_empty();
  page_heap.tend_quarantine(kMs);
  page_heap.tend_quarantine(50 * kMs);
  CHECK(arena.segments[1].draining);
  page_heap.tend_quarantine(101 * kMs);
  CHECK(!arena.segments[1].draining);
  CHECK_EQ(heap_counter(Counter::kQuarantinePinned), std::uint64_t{1});
  CHECK_EQ(segment_of(take_pages(200)), 1U);
  release_pages(1, 4, 200);
  page_heap.tend_quarantine(200 * kMs);
  CHECK_EQ(heap_counter(Counter::kQuarantined), std::uint64_t{1});
  page_heap.tend_quarantine(202 * kMs);
  CHECK_EQ(heap_counter(Counter::kQuarantined), std::uint64_t{2});
}

TEST(a_fuller_segment_than_the_threshold_is_not_drained) {
  make_nearly_empty();
  set("quarantine", 3);
  page_heap.tend_quarantine(kMs);
  CHECK_EQ(heap_counter(Counter::kQuarantined), std::uint64_t{0});
}

TEST(nothing_drains_without_room_elsewhere) {
  set("quarantine", 8);
  fill_segments(2);
  release_pages(1, 4, 252);
  release_pages(0, 0, 32);
  page_heap.tend_quarantine(kMs);
  CHECK_EQ(heap_counter(Counter::kQuarantined), std::uint64_t{0});
}

TEST(it_is_lifted_before_a_segment_is_opened) {
  make_nearly_empty();
  page_heap.tend_quarantine(kMs);
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(200, 1, PageHeap::Opening::kAllowed, &zeroed);
  CHECK_EQ(segment_of(page), 1U);
  CHECK_EQ(page_heap.figures().open_segments, std::size_t{2});
  CHECK_EQ(heap_counter(Counter::kQuarantineLifted), std::uint64_t{1});
}

TEST(turning_it_off_lifts_it) {
  make_nearly_empty();
  page_heap.tend_quarantine(kMs);
  set("quarantine", 0);
  page_heap.tend_quarantine(2 * kMs);
  CHECK(!arena.segments[1].draining);
  CHECK_EQ(segment_of(take_pages(200)), 1U);
}

TEST(an_active_set_does_not_reach_into_it) {
  set("active_set_k", 2);
  make_nearly_empty();
  CHECK_EQ(segment_of(take_pages(200)), 1U);
  release_pages(1, 4, 200);
  page_heap.tend_quarantine(kMs);
  CHECK(arena.segments[1].draining);
  CHECK_EQ(segment_of(take_pages(16)), 0U);
}

// The book itself: as many as fit, the oldest avoided ones forgotten.
TEST(the_book_is_bounded) {
  static Segment segments[Quarantine::kAvoided + 1];
  static Quarantine book;
  for (unsigned i = 0; i < Quarantine::kDraining; ++i) {
    CHECK(book.has_room());
    book.admit(&segments[i], 100);
  }
  CHECK(!book.has_room());
  CHECK(book.take_settled(99) == nullptr);
  segments[2].free_pages = kPagesPerSegment;
  CHECK(book.take_settled(99) == &segments[2]);
  CHECK(book.has_room());
  for (Segment& segment : segments) book.avoid(&segment, 200);
  CHECK(!book.avoids(&segments[0], 150));
  CHECK(book.avoids(&segments[1], 150));
  CHECK(!book.avoids(&segments[1], 200));
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
