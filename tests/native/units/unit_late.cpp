// What free leaves to the next free: the way of the block into its bin.
#include <algorithm>
#include <iterator>
#include <utility>

#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "span/shard.h"
#include "support/check.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;

constexpr std::size_t kSize = 320;
constexpr std::size_t kOtherSize = 640;
constexpr std::size_t kWideSize = 12 * 1024;

Bin& bin_of(std::size_t size) {
  return cache().bins[code_of(class_of_size(size), cache().user.shard)];
}

Bin& bin() { return bin_of(kSize); }

bool nothing_is_late() {
  const Bin& none = cache().bins[kNoCode];
  return cache().late_bin == &none && cache().late_block == nullptr && none.top == &cache().nowhere;
}

// Three blocks of a bin that is empty otherwise; slow paths leave nothing late.
void take(void* (&blocks)[3], std::size_t size = kSize) {
  for (void*& block : blocks) block = hz3_malloc(size);
  for (void* block : blocks) CHECK(block != nullptr);
  cache().flush_all();
  CHECK(nothing_is_late());
}

TEST(a_block_reaches_its_bin_with_the_next_free) {
  void* blocks[3];
  take(blocks);
  hz3_free(blocks[0]);
  CHECK_EQ(bin().count(), 0U);
  CHECK(cache().late_block == blocks[0]);
  CHECK(cache().late_bin == &bin());
  void* other = hz3_malloc(kOtherSize);  // a miss, and so a slow path
  CHECK(nothing_is_late());
  CHECK(bin().newest == blocks[0]);
  hz3_free(blocks[1]);
  hz3_free(other);
  CHECK(bin().newest == blocks[1]);
  CHECK(cache().late_block == other);
  hz3_free(blocks[2]);
  CHECK(bin_of(kOtherSize).newest == other);
  cache().catch_up();
  CHECK(nothing_is_late());
  CHECK(bin().newest == blocks[2]);
  CHECK_EQ(bin().count(), 3U);
  cache().catch_up();
  CHECK(nothing_is_late());
  CHECK_EQ(bin().count(), 3U);
}

TEST(a_miss_gets_the_late_block_and_more_for_later) {
  void* blocks[3];
  take(blocks);
  hz3_free(blocks[0]);
  CHECK(hz3_malloc(kSize) == blocks[0]);
  CHECK(bin().newest != nullptr);
  for (void* block : blocks) hz3_free(block);
}

TEST(a_late_wide_block_is_used_again_without_another) {
  void* blocks[3];
  take(blocks, kWideSize);
  hz3_free(blocks[0]);
  CHECK(hz3_malloc(kWideSize) == blocks[0]);
  CHECK(bin_of(kWideSize).newest == nullptr);
  for (void* block : blocks) hz3_free(block);
}

TEST(malloc_takes_the_blocks_freed_before) {
  void* blocks[3];
  take(blocks);
  for (void* block : blocks) hz3_free(block);
  CHECK(hz3_malloc(kSize) == blocks[1]);
  CHECK(hz3_malloc(kSize) == blocks[0]);
  CHECK(hz3_malloc(kSize) == blocks[2]);
  for (void* block : blocks) hz3_free(block);
}

// The late block may be on its way to the bin whose bound the next free looks at.
TEST(a_bin_never_exceeds_its_bound) {
  constexpr unsigned kMany = 900;
  hz3_free(hz3_malloc(kSize));  // the first one makes the cache
  const BinState& state = cache().states[code_of(class_of_size(kSize), cache().user.shard)];
  for (const int bound : {511, 127, 5, 4, 128, 31, 30, 7, 6}) {
    CHECK_EQ(hz3_knob_set("bin_blocks", bound), int{HZ3_OK});
    void* blocks[kMany];
    void* others[kMany];
    for (void*& block : blocks) block = hz3_malloc(kSize);
    for (void*& block : others) block = hz3_malloc(kOtherSize);
    cache().flush_all();
    cache().tick();
    CHECK(state.capacity <= bound);
    for (unsigned i = 0; i < kMany; ++i) {
      hz3_free(blocks[i]);
      CHECK(cache().late_block == blocks[i]);
      CHECK(bin().count() < state.capacity);
      CHECK(state.capacity <= min_of<unsigned>(state.room, bound));
      if (i % 3 == 0) hz3_free(others[i]);
    }
    CHECK_EQ(hz3_check_heap(), std::size_t{0});
    for (unsigned i = 0; i < kMany; ++i) {
      if (i % 3 != 0) hz3_free(others[i]);
    }
    cache().flush_all();
  }
}

// The stores of a push in their order, as if the thread vanished behind the `steps`th.
constexpr unsigned kSteps = 5;
void push_partly(void* block, unsigned steps) {
  Bin& to = *cache().late_bin;
  void** slot = to.top;
  if (steps >= 1) *slot = cache().late_block;
  if (steps >= 2) to.newest = cache().late_block;
  if (steps >= 3) to.top = slot + 1;
  if (steps >= 4) cache().late_block = block;
  if (steps >= 5) cache().late_bin = &bin_of(kOtherSize);
}

TEST(a_thread_may_vanish_between_any_two_stores) {
  for (unsigned steps = 0; steps <= kSteps; ++steps) {
    void* blocks[3];
    take(blocks);
    void* other = hz3_malloc(kOtherSize);
    cache().flush_all();
    hz3_free(blocks[0]);
    hz3_free(blocks[1]);
    push_partly(other, steps);
    void* neighbour[1] = {};  // of the one slot for what is no late block
    void** spare = std::exchange(cache().spare[0], neighbour);
    CHECK(cache().settle());
    CHECK(std::exchange(cache().spare[0], spare) == neighbour);
    CHECK(nothing_is_late());
    CHECK_EQ(bin().count(), 2U);
    CHECK(bin().floor[0] == blocks[0]);
    CHECK(bin().floor[1] == blocks[1]);
    CHECK(bin().newest == blocks[1]);
    CHECK_EQ(bin_of(kOtherSize).count(), steps >= 4 ? 1U : 0U);
    if (steps >= 4) CHECK(bin_of(kOtherSize).newest == other);
    CHECK_EQ(hz3_check_heap(), std::size_t{0});
    hz3_free(blocks[2]);
    if (steps < 4) hz3_free(other);
    cache().flush_all();
  }
}

// Between the two stores of pop the block is lost, and nothing else.
TEST(a_thread_may_vanish_within_malloc) {
  void* blocks[3];
  take(blocks);
  for (void* block : blocks) hz3_free(block);
  --bin().top;
  CHECK(cache().settle());
  CHECK_EQ(bin().count(), 2U);
  CHECK(bin().floor[0] == blocks[0]);
  CHECK(bin().newest == blocks[2]);
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  cache().flush_all();
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
