// The page heap on the fake system: runs against a map of pages, the law of the bitmaps, purging by
// generations, refusals of the system, and kernels with larger pages.
#include "arena/page_heap.h"
#include "os/memory.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;
using hz3test::Random;
using Opening = PageHeap::Opening;

constexpr std::size_t kArenaBytes = std::size_t{64} << 20;
constexpr std::size_t kArenaPages = kArenaBytes >> kPageShift;

void boot() {
  CHECK(boot_arena(kArenaBytes));
  CHECK_EQ(arena.bytes, kArenaBytes);
}

// The law in arena/segment.h, for every segment, and the sums of the heap.
void check_law() {
  std::size_t used = 0;
  std::size_t dirty = 0;
  const PageHeap::Figures figures = page_heap.figures();
  for (std::size_t index = 0; index < figures.open_segments; ++index) {
    const Segment& segment = arena.segments[index];
    CHECK(segment.open);
    CHECK_EQ(segment.free.count(), unsigned{segment.free_pages});
    CHECK_EQ(segment.dirty.count(), unsigned{segment.dirty_pages});
    CHECK(segment.free.longest_run() <= segment.longest_run);
    CHECK_EQ(unsigned{segment.bucket}, segment.free_pages / 8U);
    for (unsigned word = 0; word < Bitmap<kPagesPerSegment>::kWords; ++word) {
      CHECK((segment.dirty.word(word) & ~segment.free.word(word)) == 0);
      CHECK((segment.aged.word(word) & ~segment.dirty.word(word)) == 0);
    }
    used += kPagesPerSegment - segment.free_pages;
    dirty += segment.dirty_pages;
  }
  CHECK_EQ(figures.used_pages, used);
  CHECK_EQ(figures.dirty_pages, dirty);
  CHECK(figures.peak_pages >= used + dirty);
}

struct Run {
  std::size_t page;
  unsigned pages;
};

char* bytes_of(std::size_t page) { return static_cast<char*>(arena.address_of_page(page)); }

// Random requests and releases against a map of owners; "zeroed" is believed only after a look.
TEST(runs_never_overlap) {
  boot();
  Random random(7);
  auto* owners = hz3test::map_zeroed<std::uint32_t>(kArenaPages);
  Run runs[400] = {};
  for (unsigned step = 1; step < 60000; ++step) {
    Run& run = runs[random.below(400)];
    if (run.pages != 0) {
      for (unsigned page = 0; page < run.pages; ++page) owners[run.page + page] = 0;
      page_heap.release(run.page, run.pages);
      run.pages = 0;
      continue;
    }
    const auto pages = static_cast<unsigned>(random.log_uniform(32));
    const unsigned alignment = 1U << random.below(6);
    bool zeroed = false;
    const std::size_t page = page_heap.allocate(pages, alignment, Opening::kAllowed, &zeroed);
    if (page == kNoPage) continue;
    CHECK_EQ(page % alignment, std::size_t{0});
    for (unsigned each = 0; each < pages; ++each) {
      CHECK_EQ(owners[page + each], 0U);
      owners[page + each] = step;
      if (zeroed) CHECK_EQ(int{bytes_of(page + each)[step % kPageBytes]}, 0);
      std::memset(bytes_of(page + each), 1, kPageBytes);
    }
    run = Run{page, pages};
    if (random.below(50) == 0) page_heap.purge_aged(random.below(1 << 20));
    if (step % 500 == 0) check_law();
  }
  for (const Run& run : runs) {
    if (run.pages != 0) page_heap.release(run.page, run.pages);
  }
  check_law();
  CHECK_EQ(page_heap.figures().used_pages, std::size_t{0});
}

TEST(low_addresses_and_dirty_pages_come_first) {
  boot();
  bool zeroed = false;
  const std::size_t first = page_heap.allocate(4, 1, Opening::kAllowed, &zeroed);
  CHECK(zeroed);
  const std::size_t second = page_heap.allocate(4, 1, Opening::kAllowed, &zeroed);
  CHECK_EQ(second, first + 4);
  page_heap.release(first, 4);
  CHECK_EQ(page_heap.allocate(4, 1, Opening::kAllowed, &zeroed), first);
  CHECK(!zeroed);
}

TEST(a_full_arena_says_so_and_recovers) {
  boot();
  bool zeroed = false;
  std::size_t count = 0;
  while (page_heap.allocate(16, 1, Opening::kAllowed, &zeroed) != kNoPage) ++count;
  CHECK_EQ(count, kArenaPages / 16);
  CHECK_EQ(page_heap.allocate(1, 1, Opening::kAllowed, &zeroed), kNoPage);
  page_heap.release(32, 16);
  CHECK_EQ(page_heap.allocate(16, 1, Opening::kNever, &zeroed), std::size_t{32});
}

TEST(no_segment_is_opened_without_leave) {
  boot();
  bool zeroed = false;
  CHECK_EQ(page_heap.allocate(1, 1, Opening::kNever, &zeroed), kNoPage);
  CHECK_EQ(page_heap.figures().open_segments, std::size_t{0});
}

TEST(a_refused_commit_is_no_memory) {
  boot();
  bool zeroed = false;
  fake_os.refuse(OsCall::kCommit);
  CHECK_EQ(page_heap.allocate(1, 1, Opening::kAllowed, &zeroed), kNoPage);
  check_law();
  fake_os.allow_all();
  CHECK(page_heap.allocate(1, 1, Opening::kAllowed, &zeroed) != kNoPage);
  check_law();
}

TEST(pages_are_purged_after_two_generations) {
  boot();
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(32, 1, Opening::kAllowed, &zeroed);
  std::memset(bytes_of(page), 1, 32 * kPageBytes);
  page_heap.release(page, 32);
  CHECK_EQ(page_heap.purge_aged(SIZE_MAX), std::size_t{0});
  CHECK_EQ(page_heap.purge_aged(SIZE_MAX), 32 * kPageBytes);
  check_law();
  CHECK_EQ(page_heap.allocate(32, 1, Opening::kAllowed, &zeroed), page);
  CHECK(zeroed);
  CHECK_EQ(int{bytes_of(page)[5]}, 0);
}

TEST(reuse_makes_pages_young_again) {
  boot();
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(8, 1, Opening::kAllowed, &zeroed);
  page_heap.release(page, 8);
  page_heap.purge_aged(SIZE_MAX);
  CHECK_EQ(page_heap.allocate(8, 1, Opening::kAllowed, &zeroed), page);
  page_heap.release(page, 8);
  CHECK_EQ(page_heap.purge_aged(SIZE_MAX), std::size_t{0});
}

TEST(the_budget_bounds_a_purge) {
  boot();
  bool zeroed = false;
  std::size_t pages[40];
  for (std::size_t& page : pages) page = page_heap.allocate(8, 1, Opening::kAllowed, &zeroed);
  // Every other run: forty separate dirty pieces would merge otherwise.
  for (std::size_t index = 0; index < 40; index += 2) page_heap.release(pages[index], 8);
  page_heap.purge_aged(SIZE_MAX);
  const std::size_t purged = page_heap.purge_aged(10 * kPageBytes);
  CHECK(purged >= 10 * kPageBytes && purged <= 18 * kPageBytes);
  check_law();
  CHECK_EQ(page_heap.purge_all(), 20 * 8 * kPageBytes - purged);
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{0});
}

TEST(a_refused_purge_changes_nothing) {
  boot();
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(8, 1, Opening::kAllowed, &zeroed);
  std::memset(bytes_of(page), 3, 8 * kPageBytes);
  page_heap.release(page, 8);
  fake_os.refuse(OsCall::kPurge);
  CHECK_EQ(page_heap.purge_all(), std::size_t{0});
  check_law();
  CHECK_EQ(page_heap.figures().dirty_pages, std::size_t{8});
  CHECK_EQ(page_heap.allocate(8, 1, Opening::kAllowed, &zeroed), page);
  CHECK(!zeroed);
}

TEST(larger_kernel_pages_are_purged_whole) {
  fake_os.page_bytes = 65536;
  boot();
  bool zeroed = false;
  constexpr unsigned kGranule = 65536 >> kPageShift;
  const std::size_t page = page_heap.allocate(5 * kGranule, kGranule, Opening::kAllowed, &zeroed);
  // Frees all but one page in the middle: its whole kernel page must stay.
  const unsigned middle = 2 * kGranule + 3;
  page_heap.release(page, middle);
  page_heap.release(page + middle + 1, 5 * kGranule - middle - 1);
  CHECK_EQ(page_heap.purge_all(), std::size_t{4 * 65536});
  check_law();
}

TEST(a_fall_is_told_once) {
  boot();
  bool zeroed = false;
  const std::size_t page = page_heap.allocate(32, 1, Opening::kAllowed, &zeroed);
  for (int more = 0; more < 40; ++more) page_heap.allocate(32, 1, Opening::kAllowed, &zeroed);
  CHECK(!page_heap.take_fall(25));
  for (unsigned run = 1; run <= 36; ++run) page_heap.release(page + run * 32, 32);
  CHECK(page_heap.take_fall(25));
  CHECK(!page_heap.take_fall(25));
}

TEST(arenas_shrink_until_they_fit) {
  fake_os.address_space_bytes = std::size_t{512} << 20;
  CHECK(boot_arena(std::size_t{1} << 40));
  CHECK(arena.bytes <= fake_os.address_space_bytes / 2);  // the program needs room as well
  CHECK(arena.bytes >= std::size_t{32} << 20);
}

TEST(no_address_space_at_all_is_an_answer) {
  fake_os.refuse(OsCall::kReserve);
  CHECK(!boot_arena(kArenaBytes));
  fake_os.allow_all();
  CHECK(boot_arena(kArenaBytes));
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
