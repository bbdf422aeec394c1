// Large blocks on the fake system: placement, growth, the cache and its bounds, blocks with
// mappings of their own, refusals. Every block carries a pattern.
#include "large/large_heap.h"

#include "os/memory.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;
using hz3test::Random;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kRegionBytes = 256 * kMiB;

void boot() { large_heap.boot(kRegionBytes); }

void* allocate(std::size_t size, std::size_t alignment = 16) {
  std::size_t stale = 0;
  void* block = large_heap.allocate(size, alignment, &stale);
  if (block == nullptr) return nullptr;
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, std::uintptr_t{0});
  CHECK(large_heap.usable_size(block) >= size);
  if (stale < size) CHECK(hz3test::is_zeroed(static_cast<char*>(block) + stale, size - stale));
  hz3test::fill_pattern(block, size, size);
  return block;
}

void check_and_release(void* block, std::size_t size) {
  CHECK(hz3test::has_pattern(block, size, size));
  CHECK(large_heap.release(block));
}

void run_random(std::uint64_t seed, std::size_t most_bytes) {
  Random random(seed);
  struct Held {
    void* block;
    std::size_t size;
  } held[60] = {};
  for (int step = 0; step < 4000; ++step) {
    Held& slot = held[random.below(60)];
    fake_os.clock_ns += random.below(20'000'000);
    if (slot.block == nullptr) {
      slot.size = kMaxClassBytes + 1 + random.log_uniform(most_bytes);
      slot.block = allocate(slot.size, random.chance(10) ? std::size_t{1} << random.below(25) : 16);
      if (slot.block == nullptr) slot.size = 0;
    } else if (random.chance(30)) {
      const std::size_t size = kMaxClassBytes + 1 + random.log_uniform(most_bytes);
      const std::size_t common = size < slot.size ? size : slot.size;
      void* moved = large_heap.resize(slot.block, size);
      void* now = moved != nullptr ? moved : slot.block;
      CHECK_EQ(hz3test::find_difference(now, slot.size, common, slot.size), hz3test::kNoDifference);
      if (moved != nullptr) {
        slot = Held{moved, size};
        hz3test::fill_pattern(moved, size, size);
      }
    } else {
      check_and_release(slot.block, slot.size);
      slot = Held{};
    }
    if (random.chance(3)) {
      large_heap.purge_older(fake_os.clock_ns - random.below(200'000'000), 16 * kMiB);
    }
  }
  for (const Held& slot : held) {
    if (slot.block != nullptr) check_and_release(slot.block, slot.size);
  }
  CHECK_EQ(large_heap.figures().used_bytes, std::size_t{0});
}

TEST(random_blocks_in_the_region) {
  boot();
  run_random(1, 2 * kMiB);
}

TEST(random_blocks_that_outgrow_the_region) {
  boot();
  run_random(2, 24 * kMiB);
}

TEST(random_blocks_without_a_region) {
  fake_os.refuse(OsCall::kReserve);
  boot();
  fake_os.allow_all();
  run_random(3, 2 * kMiB);
}

TEST(a_freed_block_is_used_again) {
  boot();
  void* first = allocate(kMiB);
  check_and_release(first, kMiB);
  CHECK_EQ(large_heap.figures().dirty_bytes, kMiB);
  const std::uint64_t calls = fake_os.all_calls;
  CHECK(allocate(kMiB) == first);
  CHECK_EQ(fake_os.all_calls, calls);
}

TEST(free_neighbours_become_one) {
  boot();
  void* blocks[4];
  for (void*& block : blocks) block = allocate(kMiB);
  void* guard = allocate(kMiB);
  for (const unsigned index : {0U, 2U, 1U, 3U}) check_and_release(blocks[index], kMiB);
  CHECK(allocate(4 * kMiB) == blocks[0]);
  check_and_release(guard, kMiB);
}

TEST(growth_in_place_into_a_free_neighbour) {
  boot();
  void* block = allocate(kMiB);
  void* next = allocate(kMiB);
  void* guard = allocate(kMiB);
  check_and_release(next, kMiB);
  CHECK(large_heap.resize(block, 2 * kMiB) == block);
  CHECK_EQ(hz3test::find_difference(block, kMiB, kMiB, kMiB), hz3test::kNoDifference);
  check_and_release(guard, kMiB);
}

TEST(shrinking_frees_the_tail) {
  boot();
  void* block = allocate(8 * kMiB);
  void* guard = allocate(kMiB);
  CHECK(large_heap.resize(block, kMiB) == block);
  CHECK(large_heap.figures().used_bytes <= 2 * kMiB + kChunkBytes);
  void* tail = allocate(7 * kMiB);
  CHECK(tail == static_cast<char*>(block) + kMiB);
  check_and_release(guard, kMiB);
}

TEST(old_blocks_are_purged_and_read_as_zero) {
  boot();
  void* block = allocate(4 * kMiB);
  check_and_release(block, 4 * kMiB);
  const std::uint64_t freed = fake_os.clock_ns;
  CHECK_EQ(large_heap.purge_older(freed, SIZE_MAX), std::size_t{0});
  CHECK_EQ(large_heap.purge_older(freed + 1, SIZE_MAX), 4 * kMiB);
  CHECK_EQ(large_heap.figures().dirty_bytes, std::size_t{0});
  std::size_t stale = 0;
  CHECK(large_heap.allocate(4 * kMiB, 16, &stale) == block);
  CHECK_EQ(stale, std::size_t{0});
  CHECK(hz3test::is_zeroed(block, 4 * kMiB));
}

TEST(the_cache_is_bounded) {
  boot();
  CHECK_EQ(set_knob("large_cache_soft", 8 * kMiB), HZ3_OK);
  void* blocks[10];
  for (void*& block : blocks) block = allocate(2 * kMiB);
  for (void* block : blocks) check_and_release(block, 2 * kMiB);
  CHECK(large_heap.figures().dirty_bytes <= 8 * kMiB);
}

std::uint64_t count(Counter which) {
  std::uint64_t totals[kCounterCount] = {};
  large_heap.add_counters(totals, kCounterCount);
  return totals[static_cast<std::size_t>(which)];
}

// Six blocks of 2 MiB with guards between them, every one freed: none holds 8 MiB, together they
// do.
void free_six_apart() {
  void* blocks[6];
  for (void*& block : blocks) {
    block = allocate(2 * kMiB);
    CHECK(allocate(kMiB) != nullptr);
  }
  for (void* block : blocks) check_and_release(block, 2 * kMiB);
}

// So that the newest block cannot grow in place.
void keep_the_frontier_away() {
  CHECK_EQ(set_knob("large_stitch", 0), HZ3_OK);
  CHECK(allocate(3 * kMiB) != nullptr);
  CHECK_EQ(set_knob("large_stitch", 1), HZ3_OK);
}

TEST(a_long_block_is_stitched_from_short_ones) {
  boot();
  free_six_apart();
  std::size_t stale = 0;
  void* block = large_heap.allocate(8 * kMiB, 16, &stale);
  CHECK_EQ(stale, 8 * kMiB);
  CHECK_EQ(large_heap.figures().dirty_bytes, 4 * kMiB);
  CHECK_EQ(count(Counter::kLargeStitchedBytes), 8 * kMiB);
  // The pages really came along: the first piece still holds what its old owner wrote.
  CHECK_EQ(hz3test::find_difference(block, 2 * kMiB, 2 * kMiB, 2 * kMiB), hz3test::kNoDifference);
  hz3test::fill_pattern(block, 8 * kMiB, 1);
  keep_the_frontier_away();
  // Growing moves all pieces again, and keeps the content.
  void* moved = large_heap.resize(block, 40 * kMiB);
  CHECK(moved != nullptr && moved != block);
  CHECK_EQ(hz3test::find_difference(moved, 8 * kMiB, 8 * kMiB, 1), hz3test::kNoDifference);
  CHECK(hz3test::is_zeroed(static_cast<char*>(moved) + 8 * kMiB, 32 * kMiB));
  CHECK(large_heap.release(moved));
}

TEST(stitching_fills_the_front_and_leaves_the_rest_zero) {
  boot();
  free_six_apart();
  std::size_t stale = 0;
  void* block = large_heap.allocate(20 * kMiB, 16, &stale);
  CHECK_EQ(stale, 12 * kMiB);
  CHECK(hz3test::is_zeroed(static_cast<char*>(block) + stale, 20 * kMiB - stale));
  CHECK_EQ(large_heap.figures().dirty_bytes, std::size_t{0});
  // What was moved away reads as zero: it may be handed out as such.
  void* clean = large_heap.allocate(2 * kMiB, 16, &stale);
  CHECK_EQ(stale, std::size_t{0});
  CHECK(hz3test::is_zeroed(clean, 2 * kMiB));
}

TEST(without_stitching_short_blocks_stay_where_they_are) {
  boot();
  CHECK_EQ(set_knob("large_stitch", 0), HZ3_OK);
  free_six_apart();
  std::size_t stale = 1;
  CHECK(large_heap.allocate(8 * kMiB, 16, &stale) != nullptr);
  CHECK_EQ(stale, std::size_t{0});
  CHECK_EQ(large_heap.figures().dirty_bytes, 12 * kMiB);
  CHECK_EQ(count(Counter::kLargeStitched), std::uint64_t{0});
}

TEST(a_kernel_that_moves_nothing_costs_two_tries) {
  boot();
  free_six_apart();
  fake_os.refuse(OsCall::kMovePages);
  std::size_t stale = 1;
  CHECK(large_heap.allocate(8 * kMiB, 16, &stale) != nullptr);
  CHECK_EQ(stale, std::size_t{0});
  CHECK_EQ(fake_os.count(OsCall::kMovePages), std::uint64_t{2});
  CHECK_EQ(large_heap.figures().dirty_bytes, 12 * kMiB);
}

TEST(a_move_that_stops_half_way_is_finished_by_copying) {
  boot();
  free_six_apart();
  void* block = allocate(8 * kMiB);
  keep_the_frontier_away();
  // Four pieces; the kernel moves one and then no more.
  fake_os.fail_kind[static_cast<unsigned>(OsCall::kMovePages)] = true;
  fake_os.fail_from = fake_os.all_calls + 3;  // after a commit and the first piece
  fake_os.fail_to = UINT64_MAX;
  void* moved = large_heap.resize(block, 40 * kMiB);
  CHECK(moved != nullptr);
  CHECK(fake_os.failures > 0);
  CHECK_EQ(hz3test::find_difference(moved, 8 * kMiB, 8 * kMiB, 8 * kMiB), hz3test::kNoDifference);
  // The old place was copied from, so it may not be taken for zero.
  CHECK_EQ(large_heap.figures().dirty_bytes, 12 * kMiB);
}

TEST(a_range_with_seams_becomes_one_mapping_again_when_given_back) {
  boot();
  free_six_apart();
  check_and_release(allocate(8 * kMiB), 8 * kMiB);
  large_heap.purge_all();
  CHECK(fake_os.count(OsCall::kRenew) > 0);
  CHECK_EQ(large_heap.figures().dirty_bytes, std::size_t{0});
  const std::uint64_t renewed = fake_os.count(OsCall::kRenew);
  check_and_release(allocate(8 * kMiB), 8 * kMiB);
  large_heap.purge_all();
  CHECK_EQ(fake_os.count(OsCall::kRenew), renewed);
}

TEST(a_refused_renewal_leaves_no_false_zeros) {
  boot();
  free_six_apart();
  check_and_release(allocate(8 * kMiB), 8 * kMiB);
  fake_os.refuse(OsCall::kRenew);
  large_heap.purge_all();
  CHECK(fake_os.failures > 0);
  CHECK(large_heap.figures().dirty_bytes >= 8 * kMiB);
  std::size_t stale = 0;
  CHECK(large_heap.allocate(8 * kMiB, 16, &stale) != nullptr);
  CHECK_EQ(stale, 8 * kMiB);
}

TEST(every_alignment_is_kept) {
  boot();
  for (std::size_t alignment = 16; alignment <= 512 * kMiB; alignment *= 2) {
    void* block = allocate(300000, alignment);
    CHECKF(block != nullptr, "alignment %zu", alignment);
    check_and_release(block, 300000);
  }
}

TEST(refused_memory_is_told_and_survived) {
  boot();
  void* block = allocate(kMiB);
  for (const OsCall call :
       {OsCall::kCommit, OsCall::kMap, OsCall::kReserve, OsCall::kRemap, OsCall::kMovePages}) {
    fake_os.refuse(call);
  }
  std::size_t stale = 0;
  CHECK(large_heap.allocate(kRegionBytes / 2, 16, &stale) == nullptr);
  CHECK(large_heap.resize(block, kRegionBytes / 2) == nullptr);
  CHECK(hz3test::has_pattern(block, kMiB, kMiB));
  fake_os.allow_all();
  void* later = allocate(kRegionBytes / 2);
  CHECK(later != nullptr);
  check_and_release(later, kRegionBytes / 2);
  check_and_release(block, kMiB);
}

TEST(refused_unmap_and_purge_lose_nothing) {
  fake_os.refuse(OsCall::kReserve);
  boot();
  fake_os.allow_all();
  fake_os.refuse(OsCall::kUnmap);
  fake_os.refuse(OsCall::kPurge);
  for (int round = 0; round < 10; ++round) check_and_release(allocate(kMiB), kMiB);
  CHECK_EQ(large_heap.figures().used_bytes, std::size_t{0});
}

TEST(sizes_beyond_everything) {
  boot();
  std::size_t stale = 0;
  for (const std::size_t size :
       {SIZE_MAX, SIZE_MAX - kChunkBytes, SIZE_MAX / 2, SIZE_MAX / 2 + 1, std::size_t{1} << 60}) {
    CHECK(large_heap.allocate(size, 16, &stale) == nullptr);
    CHECK(large_heap.allocate(size, std::size_t{1} << 30, &stale) == nullptr);
  }
  for (std::size_t alignment = std::size_t{1} << 48; alignment != 0; alignment <<= 1) {
    CHECK(large_heap.allocate(kMiB, alignment, &stale) == nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
