// The cache of large blocks: its two bounds, purging before anybody can find a block, pages known
// to be zero, and growth without copying.
#include "large/large_heap.h"
#include "settings/counters.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/pattern.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;

constexpr std::size_t kMiB = std::size_t{1} << 20;

void boot() { large_heap.boot(256 * kMiB); }

void set(const char* name, std::int64_t value) { CHECK_EQ(set_knob(name, value), HZ3_OK); }

std::uint64_t counter(Counter which) {
  std::uint64_t totals[kCounterCount] = {};
  large_heap.add_counters(totals, kCounterCount);
  return totals[static_cast<std::size_t>(which)];
}

void* allocate(std::size_t size, std::size_t* stale_bytes) {
  void* block = large_heap.allocate(size, 16, stale_bytes);
  CHECK(block != nullptr);
  return block;
}

void* filled(std::size_t size) {
  std::size_t stale = 0;
  void* block = allocate(size, &stale);
  hz3test::fill_pattern(block, size, size);
  return block;
}

TEST(above_the_soft_bound_a_block_goes_back_when_it_is_freed) {
  boot();
  set("large_cache_soft", 4 * kMiB);
  void* blocks[4];
  for (void*& block : blocks) block = filled(2 * kMiB);
  for (void* block : blocks) CHECK(large_heap.release(block));
  CHECK_EQ(large_heap.figures().dirty_bytes, 4 * kMiB);
  CHECK_EQ(fake_os.purged_bytes, 4 * kMiB);
}

// Young as they are, blocks above the hard bound go with the next purge; the oldest first.
TEST(above_the_hard_bound_age_does_not_matter) {
  boot();
  void* blocks[4];
  for (void*& block : blocks) block = filled(2 * kMiB);
  for (void* block : blocks) {
    fake_os.clock_ns += 1000;
    CHECK(large_heap.release(block));
  }
  CHECK_EQ(large_heap.purge_older(0, SIZE_MAX), std::size_t{0});
  set("large_cache_hard", 0);
  CHECK(large_heap.purge_older(0, SIZE_MAX) >= 2 * kMiB);
  CHECK_EQ(large_heap.figures().dirty_bytes, std::size_t{0});
}

TEST(madvise_keeps_nothing) {
  boot();
  set("large_madvise", 1);
  void* block = filled(3 * kMiB);
  CHECK(large_heap.release(block));
  CHECK_EQ(large_heap.figures().dirty_bytes, std::size_t{0});
  CHECK_EQ(counter(Counter::kPurgeBytes), std::uint64_t{3 * kMiB});
  std::size_t stale = 1;
  CHECK(allocate(3 * kMiB, &stale) == block);
  CHECK_EQ(stale, std::size_t{0});
  CHECK(hz3test::is_zeroed(block, 3 * kMiB));
}

// While the pages go back nobody may be given the block, or its new content would go with them.
TEST(a_block_is_purged_before_it_can_be_found) {
  boot();
  set("large_madvise", 1);
  static void* inside = nullptr;
  void* block = filled(2 * kMiB);
  fake_os.on_purge = [](void*, std::size_t) {
    fake_os.on_purge = nullptr;
    inside = filled(2 * kMiB);
  };
  CHECK(large_heap.release(block));
  CHECK(inside != nullptr);
  CHECK(inside != block);
  CHECK(hz3test::has_pattern(inside, 2 * kMiB, 2 * kMiB));
}

TEST(a_refused_purge_leaves_no_false_zeros) {
  boot();
  set("large_madvise", 1);
  void* block = filled(kMiB);
  fake_os.refuse(OsCall::kPurge);
  CHECK(large_heap.release(block));
  std::size_t stale = 0;
  CHECK(allocate(kMiB, &stale) == block);
  CHECK(stale >= kMiB);
}

TEST(fresh_pages_are_known_to_be_zero) {
  boot();
  std::size_t stale = 1;
  void* block = allocate(5 * kMiB, &stale);
  CHECK_EQ(stale, std::size_t{0});
  CHECK(hz3test::is_zeroed(block, 5 * kMiB));
}

TEST(the_last_block_grows_at_the_frontier) {
  boot();
  void* block = filled(kMiB);
  CHECK(large_heap.resize(block, 32 * kMiB) == block);
  CHECK_EQ(hz3test::find_difference(block, kMiB, kMiB, kMiB), hz3test::kNoDifference);
  CHECK_EQ(fake_os.count(OsCall::kMovePages), std::uint64_t{0});
}

TEST(a_block_that_cannot_grow_moves_without_a_copy) {
  boot();
  void* block = filled(4 * kMiB);
  filled(kMiB);  // in the way
  void* moved = large_heap.resize(block, 8 * kMiB);
  CHECK(moved != nullptr && moved != block);
  CHECK_EQ(hz3test::find_difference(moved, 4 * kMiB, 4 * kMiB, 4 * kMiB), hz3test::kNoDifference);
  CHECK(fake_os.count(OsCall::kMovePages) >= 1);
  CHECK_EQ(counter(Counter::kLargeMoved), std::uint64_t{1});
}

// The part with huge pages and the rest are two mappings, which older kernels do not move together.
TEST(a_block_with_huge_pages_moves_in_parts) {
  boot();
  set("huge_pages", 1);
  void* block = filled(5 * kMiB);
  filled(kMiB);  // in the way
  void* moved = large_heap.resize(block, 10 * kMiB);
  CHECK(moved != nullptr && moved != block);
  CHECK_EQ(hz3test::find_difference(moved, 5 * kMiB, 5 * kMiB, 5 * kMiB), hz3test::kNoDifference);
  CHECK_EQ(fake_os.count(OsCall::kMovePages), std::uint64_t{2});
}

TEST(a_mapping_of_its_own_is_remapped) {
  fake_os.refuse(OsCall::kReserve);
  boot();
  fake_os.allow_all();
  void* block = filled(kMiB);
  void* moved = large_heap.resize(block, 16 * kMiB);
  CHECK(moved != nullptr);
  CHECK_EQ(fake_os.count(OsCall::kRemap), std::uint64_t{1});
  CHECK_EQ(hz3test::find_difference(moved, kMiB, kMiB, kMiB), hz3test::kNoDifference);
  CHECK(large_heap.release(moved));
}

TEST(served_from_the_cache_is_counted) {
  boot();
  CHECK(large_heap.release(filled(kMiB)));
  filled(kMiB);
  CHECK_EQ(counter(Counter::kLargeCacheHit), std::uint64_t{1});
  CHECK(counter(Counter::kLargeCacheHitBytes) >= kMiB);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
