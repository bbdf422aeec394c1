// The active set: the order of its members, and what the page heap makes of it.
#include "arena/active_set.h"

#include "support/check.hpp"
#include "units/full_segments.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

TEST(the_newest_member_comes_first_and_the_oldest_leaves) {
  static Segment segments[4];
  ActiveSet set_of_three;
  for (unsigned i = 0; i < 3; ++i) CHECK(!set_of_three.join(&segments[i], 3));
  CHECK(set_of_three.join(&segments[3], 3));
  CHECK(set_of_three.member(0, 3) == &segments[3]);
  CHECK(set_of_three.member(1, 3) == &segments[2]);
  CHECK(set_of_three.member(2, 3) == &segments[1]);
  CHECK(set_of_three.member(3, 3) == nullptr);
}

TEST(a_member_that_joins_again_only_moves) {
  static Segment segments[3];
  ActiveSet active;
  for (Segment& segment : segments) active.join(&segment, 3);
  CHECK(!active.join(&segments[0], 3));
  CHECK(active.member(0, 3) == &segments[0]);
  CHECK(active.member(1, 3) == &segments[2]);
  CHECK(active.member(2, 3) == &segments[1]);
}

TEST(a_smaller_size_counts_the_newest_only) {
  static Segment segments[4];
  ActiveSet active;
  for (Segment& segment : segments) active.join(&segment, 8);
  CHECK(active.member(0, 1) == &segments[3]);
  CHECK(active.member(1, 1) == nullptr);
}

TEST(off_counts_nothing) {
  fill_segments(2);
  release_pages(0, 0, 64);
  take_pages(8);
  CHECK_EQ(heap_counter(Counter::kActiveHit) + heap_counter(Counter::kActiveMiss),
           std::uint64_t{0});
}

// The second request of a shard stays in the segment of the first, even though a fuller one fits.
TEST(a_shard_stays_in_its_segment) {
  set("active_set_k", 1);
  fill_segments(3);
  release_pages(2, 0, 64);
  CHECK_EQ(segment_of(take_pages(8, 1)), 2U);
  release_pages(0, 0, 16);
  const std::uint64_t hits = heap_counter(Counter::kActiveHit);
  const std::uint64_t tries = heap_counter(Counter::kPackTries);
  CHECK_EQ(segment_of(take_pages(8, 1)), 2U);
  CHECK_EQ(heap_counter(Counter::kActiveHit), hits + 1);
  CHECK_EQ(heap_counter(Counter::kPackTries), tries);
  // Another shard has a set of its own and goes to the pack pool.
  CHECK_EQ(segment_of(take_pages(8, 2)), 0U);
}

TEST(the_fullest_member_that_fits_is_taken) {
  set("active_set_k", 2);
  fill_segments(2);
  release_pages(0, 0, 16);
  CHECK_EQ(segment_of(take_pages(8, 0)), 0U);
  release_pages(1, 0, 64);
  CHECK_EQ(segment_of(take_pages(16, 0)), 1U);  // the pack pool's: 0 has no 16 pages any more
  CHECK_EQ(segment_of(take_pages(8, 0)), 0U);   // both fit, 0 is fuller
}

TEST(a_set_of_one_evicts) {
  set("active_set_k", 1);
  fill_segments(2);  // the second segment took the place of the first
  CHECK_EQ(heap_counter(Counter::kActiveEvict), std::uint64_t{1});
  CHECK(heap_counter(Counter::kActiveMiss) >= 2);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
