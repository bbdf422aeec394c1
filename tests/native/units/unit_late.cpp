// What free leaves to the next free: the store into the array of the bin.
#include <algorithm>
#include <iterator>

#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "span/shard.h"
#include "support/check.hpp"

namespace {

using namespace hz3;

constexpr std::size_t kSize = 320;

ThreadCache& cache() {
  CHECK(current_cache != &empty_cache);
  return static_cast<ThreadCache&>(*current_cache);
}

Bin& bin() { return cache().bins[code_of(class_of_size(kSize), cache().user.shard)]; }

// Three blocks of a bin that is empty otherwise; slow paths leave nothing late.
void take(void* (&blocks)[3]) {
  for (void*& block : blocks) block = hz3_malloc(kSize);
  for (void* block : blocks) CHECK(block != nullptr);
  cache().flush_all();
  CHECK(cache().late_slot == &cache().nowhere);
}

TEST(the_slot_is_written_by_the_next_free) {
  void* blocks[3];
  take(blocks);
  hz3_free(blocks[0]);
  CHECK(bin().newest == blocks[0]);
  CHECK(cache().late_slot == bin().floor);
  hz3_free(blocks[1]);
  CHECK(bin().floor[0] == blocks[0]);
  CHECK(cache().late_slot == bin().floor + 1);
  cache().catch_up();
  CHECK(bin().floor[1] == blocks[1]);
  hz3_free(blocks[2]);
}

TEST(malloc_needs_nothing_that_is_late) {
  void* blocks[3];
  take(blocks);
  for (void* block : blocks) hz3_free(block);
  for (unsigned i = 3; i-- != 0;) CHECK(hz3_malloc(kSize) == blocks[i]);
  CHECK(bin().newest == nullptr);
  // The slot that is late by now belongs to no block; what is freed next does not suffer from it.
  hz3_free(blocks[2]);
  hz3_free(blocks[0]);
  cache().catch_up();
  CHECK(bin().floor[0] == blocks[2]);
  CHECK(bin().floor[1] == blocks[0]);
  hz3_free(blocks[1]);
}

TEST(an_array_that_grows_takes_the_late_block_along) {
  constexpr unsigned kMany = 100;
  void* blocks[kMany];
  for (void*& block : blocks) block = hz3_malloc(kSize);
  cache().flush_all();
  for (void* block : blocks) {
    hz3_free(block);
    CHECK(bin().newest == block);
  }
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  for (unsigned i = bin().count(); i-- != 0;) CHECK(hz3_malloc(kSize) != nullptr);
  CHECK(bin().newest == nullptr);
}

// The stores of a push in their order, as if the thread vanished behind the `steps`th.
void push_partly(void* block, unsigned steps) {
  void** slot = bin().top;
  if (steps >= 1) *cache().late_slot = cache().late_block;
  if (steps >= 2) cache().late_slot = slot;
  if (steps >= 3) cache().late_block = block;
  if (steps >= 4) bin().newest = block;
  if (steps >= 5) bin().top = slot + 1;
}

TEST(a_thread_may_vanish_between_any_two_stores) {
  for (unsigned steps = 0; steps <= 5; ++steps) {
    void* blocks[3];
    take(blocks);
    hz3_free(blocks[0]);
    hz3_free(blocks[1]);
    push_partly(blocks[2], steps);
    CHECK(cache().settle());
    CHECK(cache().late_slot == &cache().nowhere);
    const unsigned count = bin().count();
    CHECK_EQ(count, steps == 5 ? 3U : 2U);
    CHECK(bin().newest == bin().top[-1]);
    void* found[3];
    std::copy_n(bin().floor, count, found);
    std::sort(found, found + count);
    CHECK(std::adjacent_find(found, found + count) == found + count);
    for (unsigned i = 0; i < count; ++i) {
      CHECK(std::find(std::begin(blocks), std::end(blocks), found[i]) != std::end(blocks));
    }
    cache().flush_all();
  }
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
