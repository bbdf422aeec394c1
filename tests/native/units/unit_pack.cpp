// The pack pool: how many segments a request looks at, and which one it takes.
#include "support/check.hpp"
#include "units/full_segments.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

// Five segments with room for eight pages each, the later the emptier.
void make_five() {
  fill_segments(5);
  for (unsigned segment = 0; segment < 5; ++segment) {
    release_pages(segment, 0, 8 + 8 * segment);
  }
}

std::uint64_t tries_of_one_request() {
  const std::uint64_t before = heap_counter(Counter::kPackTries);
  CHECK(take_pages(8) != kNoPage);
  return heap_counter(Counter::kPackTries) - before;
}

TEST(best_fit_stops_at_k_candidates) {
  make_five();
  for (const std::int64_t k : {4, 3, 2, 1}) {
    set("pack_bestfit_k", k);
    CHECK_EQ(tries_of_one_request(), static_cast<std::uint64_t>(k));
  }
}

TEST(k_of_zero_is_first_fit) {
  make_five();
  set("pack_bestfit_k", 0);
  CHECK_EQ(tries_of_one_request(), std::uint64_t{1});
}

TEST(the_fullest_that_fits_wins) {
  make_five();
  CHECK_EQ(segment_of(take_pages(16)), 1U);
  CHECK_EQ(segment_of(take_pages(8)), 0U);
}

// Equally full: the one whose longest run is least above the wanted length keeps long runs whole.
TEST(the_tighter_run_wins_a_tie) {
  fill_segments(2);
  release_pages(0, 0, 24);
  for (const unsigned first : {0U, 16U, 32U}) release_pages(1, first, 8);
  CHECK_EQ(segment_of(take_pages(8)), 1U);
}

TEST(the_lower_address_wins_between_equals) {
  fill_segments(3);
  for (const unsigned segment : {2U, 1U}) release_pages(segment, 100, 8);
  CHECK_EQ(segment_of(take_pages(8)), 1U);
}

// Fragmented segments cost tries; when these run out only the emptiest bucket is looked at.
TEST(tries_bound_the_search) {
  fill_segments(20);
  for (unsigned segment = 0; segment < 19; ++segment) {
    for (unsigned first = 0; first < 32; first += 4) release_pages(segment, first, 2);
  }
  release_pages(19, 0, 64);
  set("pack_tries", 4);
  const std::uint64_t before = heap_counter(Counter::kPackTries);
  CHECK_EQ(segment_of(take_pages(8)), 19U);
  CHECK_EQ(heap_counter(Counter::kPackTries) - before, std::uint64_t{5});
}

// The bound saves time where a new segment can be opened instead. Where none can, no run is missed.
TEST(a_full_arena_is_searched_to_the_end) {
  fill_segments(32);
  for (unsigned segment = 0; segment < 10; ++segment) {
    for (unsigned first = 0; first < 32; first += 4) release_pages(segment, first, 2);
  }
  release_pages(10, 0, 24);  // in neither the buckets before the tries run out nor the emptiest
  for (unsigned first = 0; first < 64; first += 4) release_pages(11, first, 2);
  set("pack_tries", 4);
  CHECK_EQ(take_pages(8), kNoPage);
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(8, 1, PageHeap::Opening::kAllowed, &zeroed);
  CHECK(page != kNoPage);
  CHECK_EQ(segment_of(page), 10U);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
