// Freed large blocks that nobody wants for a moment go back when the next one is freed, within a
// budget that grows with time.
#include "large/large_heap.h"
#include "large/return_budget.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/pattern.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::uint64_t kMs = 1'000'000;

void boot() { large_heap.boot(256 * kMiB); }

void set_rate(std::int64_t bytes_per_second) {
  CHECK_EQ(set_knob("large_return_rate", bytes_per_second), HZ3_OK);
}

void pass(std::uint64_t ms) { fake_os.clock_ns += ms * kMs; }

void* filled(std::size_t size) {
  std::size_t stale = 0;
  void* block = large_heap.allocate(size, 16, &stale);
  CHECK(block != nullptr);
  hz3test::fill_pattern(block, size, size);
  return block;
}

// Two blocks with one in use between them, so that they stay two. The first one's release begins
// the budget; after that it has rested for `ms` and grown as long.
struct Resting {
  void* first = filled(2 * kMiB);
  void* between = filled(kMiB);
  void* second = filled(3 * kMiB);

  void rest(std::uint64_t ms) {
    CHECK(large_heap.release(first));
    CHECK_EQ(large_heap.figures().dirty_bytes, 2 * kMiB);
    pass(ms);
    CHECK(large_heap.release(second));
  }
};

TEST(what_rested_goes_back_with_the_next_free) {
  boot();
  set_rate(64 * kMiB);
  Resting blocks;
  blocks.rest(100);
  CHECK_EQ(large_heap.figures().dirty_bytes, 3 * kMiB);  // the second is fresh
  CHECK_EQ(fake_os.purged_bytes, 2 * kMiB);
  pass(100);
  void* small = filled(kMiB);  // takes a part of it; the rest may be wanted as well
  CHECK_EQ(large_heap.figures().dirty_bytes, 2 * kMiB);
  CHECK(hz3test::has_pattern(small, kMiB, kMiB));
}

TEST(what_is_taken_again_at_once_stays) {
  boot();
  set_rate(64 * kMiB);
  for (int round = 0; round < 200; ++round) {
    void* block = filled(5 * kMiB);
    pass(9);
    CHECK(large_heap.release(block));
    pass(9);
  }
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
}

TEST(beyond_the_budget_blocks_are_kept) {
  boot();
  set_rate(16 * kMiB);  // 2 MiB need 125 ms
  Resting early;
  Resting late;
  early.rest(120);
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
  pass(10);
  CHECK(large_heap.release(late.second));
  CHECK_EQ(fake_os.purged_bytes, 2 * kMiB);
}

TEST(a_rate_of_zero_returns_nothing) {
  boot();
  set_rate(0);
  CHECK_EQ(set_knob("purge_collapse", 0), HZ3_OK);  // after a rest that long a fall counts at once
  Resting blocks;
  blocks.rest(100'000);
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
  CHECK_EQ(large_heap.figures().dirty_bytes, 5 * kMiB);
}

TEST(a_refusal_ends_it_until_the_next_free) {
  boot();
  set_rate(64 * kMiB);
  fake_os.refuse(OsCall::kPurge);
  Resting blocks;
  blocks.rest(100);
  CHECK_EQ(large_heap.figures().dirty_bytes, 5 * kMiB);
}

TEST(the_budget_starts_empty_and_holds_half_a_second) {
  constexpr std::size_t kRate = 100'000;
  ReturnBudget budget;
  budget.grow(77 * kMs, kRate);
  CHECK(!budget.spend(1));
  budget.grow(87 * kMs, kRate);
  CHECK(!budget.spend(1001));
  CHECK(budget.spend(1000));
  CHECK(!budget.spend(1));
  budget.grow(100'000 * kMs, kRate);
  CHECK(!budget.spend(50'001));
  CHECK(budget.spend(50'000));
  // Steps shorter than a millisecond add up.
  for (std::uint64_t us = 0; us < 10'000; us += 100) budget.grow(100'000 * kMs + us * 1000, kRate);
  CHECK(budget.spend(900));
  CHECK(!budget.spend(1));
  budget.grow(200'000 * kMs, 0);
  CHECK(!budget.spend(1));
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
