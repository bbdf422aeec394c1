// Retention: the watermark, frozen pages, debt, and whether parts of segments are given back.
#include "arena/retention.h"

#include "support/check.hpp"
#include "units/fake_os.hpp"
#include "units/full_segments.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

std::size_t end_generation() { return page_heap.purge_aged(SIZE_MAX); }

TEST(the_watermark_rises_at_once_and_falls_slowly) {
  Retention retention;
  retention.note_use(800);
  retention.note_use(100);
  CHECK_EQ(retention.watermark_pages(), std::size_t{800});
  retention.end_generation(100);
  CHECK_EQ(retention.watermark_pages(), std::size_t{700});
  for (int generation = 0; generation < 100; ++generation) retention.end_generation(3);
  CHECK_EQ(retention.watermark_pages(), std::size_t{3});
}

TEST(excess_is_what_lies_above_the_share) {
  Retention retention;
  retention.note_use(1000);
  CHECK_EQ(retention.excess_pages(200, 700, 100), std::size_t{0});
  CHECK_EQ(retention.excess_pages(200, 900, 100), std::size_t{100});
  CHECK_EQ(retention.excess_pages(200, 700, 50), std::size_t{400});
  CHECK_EQ(retention.excess_pages(800, 100, 50), std::size_t{100});
}

TEST(debt_halves_with_each_generation) {
  Retention retention;
  retention.note_retaken(8);
  CHECK(!retention.is_in_debt(0));
  CHECK(!retention.is_in_debt(8 * kPageBytes));
  CHECK(retention.is_in_debt(7 * kPageBytes));
  retention.end_generation(0);
  CHECK(!retention.is_in_debt(7 * kPageBytes));
  CHECK(retention.is_in_debt(3 * kPageBytes));
}

TEST(free_pages_within_a_multiple_of_the_demand_stay) {
  set("retention_frozen_percent", 120);
  fill_segments(2);
  release_pages(1, 0, 32);  // of 512: 480 in use, 576 allowed
  for (int generation = 0; generation < 10; ++generation) end_generation();
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{32});
  CHECK_EQ(heap_counter(Counter::kRetentionFrozenPages), std::uint64_t{0});
}

TEST(off_gives_every_idle_page_back) {
  fill_segments(2);
  release_pages(1, 0, 32);
  end_generation();
  CHECK_EQ(end_generation(), 32 * kPageBytes);
  CHECK_EQ(heap_counter(Counter::kRetentionFrozenPages), std::uint64_t{0});
}

// The watermark of 512 pages falls to 448, 392, 343 ...: that much may stay, used or free.
TEST(what_stays_follows_the_watermark) {
  set("retention_frozen_percent", 100);
  fill_segments(2);
  release_pages(1, 0, 256);
  end_generation();
  CHECK_EQ(heap_counter(Counter::kRetentionFrozenPages), std::uint64_t{64});
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{256});
  CHECK_EQ(end_generation(), 64 * kPageBytes);
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{192});
  for (int generation = 0; generation < 30; ++generation) end_generation();
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{0});
}

TEST(frozen_pages_are_handed_out_last) {
  set("retention_frozen_percent", 100);
  fill_segments(1);
  release_pages(0, 0, 128);
  end_generation();  // 32 of them are frozen, the lowest
  CHECK_EQ(take_pages(16), std::size_t{32});
  CHECK_EQ(heap_counter(Counter::kRetentionThawedPages), std::uint64_t{0});
  CHECK_EQ(take_pages(80), std::size_t{48});
  CHECK_EQ(take_pages(16), std::size_t{0});
  CHECK_EQ(heap_counter(Counter::kRetentionThawedPages), std::uint64_t{16});
}

TEST(turning_it_off_thaws) {
  set("retention_frozen_percent", 10);
  fill_segments(1);
  release_pages(0, 0, 128);
  end_generation();
  CHECK(arena.segments[0].frozen_pages != 0);
  set("retention_frozen_percent", 0);
  end_generation();
  CHECK_EQ(unsigned{arena.segments[0].frozen_pages}, 0U);
}

TEST(pages_wanted_again_at_once_are_debt_and_stop_the_purge) {
  set("retention_debt_bytes", 4 * kPageBytes);
  fill_segments(1);
  release_pages(0, 0, 64);
  end_generation();
  CHECK_EQ(end_generation(), 64 * kPageBytes);
  CHECK_EQ(take_pages(32), std::size_t{0});
  CHECK_EQ(heap_counter(Counter::kRetentionDebtPages), std::uint64_t{32});
  release_pages(0, 0, 32);
  CHECK_EQ(end_generation(), std::size_t{0});
  CHECK_EQ(end_generation(), std::size_t{0});
  CHECK(heap_counter(Counter::kRetentionPauses) >= 2);
  for (int generation = 0; generation < 4; ++generation) end_generation();
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{0});
}

TEST(pages_wanted_later_are_no_debt) {
  fill_segments(1);
  release_pages(0, 0, 64);
  end_generation();
  end_generation();
  end_generation();
  take_pages(32);
  CHECK_EQ(heap_counter(Counter::kRetentionDebtPages), std::uint64_t{0});
}

TEST(without_subrelease_only_whole_segments_go_back) {
  set("retention_subrelease", 0);
  fill_segments(2);
  release_pages(1, 0, 255);
  end_generation();
  CHECK_EQ(end_generation(), std::size_t{0});
  release_pages(1, 255, 1);
  end_generation();
  CHECK_EQ(end_generation(), kSegmentBytes);
  CHECK_EQ(heap_counter(Counter::kSegmentsReleased), std::uint64_t{1});
  CHECK_EQ(heap_counter(Counter::kSubreleaseBytes), std::uint64_t{0});
}

TEST(subrelease_is_counted) {
  fill_segments(1);
  release_pages(0, 0, 10);
  end_generation();
  end_generation();
  CHECK_EQ(heap_counter(Counter::kSubreleaseBytes), std::uint64_t{10 * kPageBytes});
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
