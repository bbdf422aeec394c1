// Bins of larger blocks hold much only while they turn often: empty, full, empty.
#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;
using hz3test::own_count;

constexpr std::size_t kSize = 4096;
constexpr unsigned kCalm = 32;      // blocks in bin_calm_bytes
constexpr unsigned kLargest = 127;  // in bin_bytes, and in a bin that is not long
constexpr unsigned kMany = 400;
void* blocks[kMany];

Code code() { return code_of(class_of_size(kSize), cache().user.shard); }
unsigned bound() { return cache().states[code()].capacity; }

void boot() {
  CHECK_EQ(hz3_knob_set("epoch_events", 1'000'000), int{HZ3_OK});  // no tick of its own
  CHECK_EQ(hz3_knob_set("epoch_ms", 3'600'000), int{HZ3_OK});
  hz3_free(hz3_malloc(kSize));
}

// Takes `count` blocks and frees them: two turns, however long the way is.
void take_and_free(unsigned count) {
  for (unsigned i = 0; i < count; ++i) blocks[i] = hz3_malloc(kSize);
  for (unsigned i = 0; i < count; ++i) hz3_free(blocks[i]);
}

// Turns of one spell; the clock may begin another one meanwhile.
void turn_often() {
  for (unsigned i = 0; i < 100; ++i) {
    const std::uint8_t spell = cache().spell;
    take_and_free(bound() + 40);
    cache().spell = spell;
  }
}

TEST(what_goes_in_one_way_at_a_time_stays_calm) {
  boot();
  for (unsigned spell = 0; spell < 20; ++spell) {
    for (unsigned round = 0; round < 20; ++round) take_and_free(kMany);
    ++cache().spell;
    CHECK_EQ(bound(), kCalm);
  }
}

TEST(many_turns_in_a_spell_let_it_grow) {
  boot();
  turn_often();
  CHECK_EQ(bound(), kLargest);
}

TEST(several_turns_keep_what_it_has) {
  boot();
  turn_often();
  for (unsigned spell = 0; spell < 5; ++spell) {
    cache().calm();
    ++cache().spell;
    for (unsigned round = 0; round < 4; ++round) take_and_free(kMany);
  }
  CHECK_EQ(bound(), kLargest);
}

TEST(without_turns_it_comes_down_to_calm) {
  boot();
  turn_often();
  cache().calm();  // of the spell before
  CHECK_EQ(bound(), kLargest);
  ++cache().spell;
  take_and_free(kMany);  // two turns and a full bin
  const std::uint64_t trimmed = own_count(Counter::kTrimmedBlocks);
  const std::uint64_t calmed = own_count(Counter::kCalmedBins);
  cache().calm();
  CHECK_EQ(bound(), kLargest / 2);
  CHECK(cache().bins[code()].count() <= kLargest / 2);
  CHECK(own_count(Counter::kTrimmedBlocks) > trimmed);
  cache().calm();
  CHECK_EQ(bound(), kCalm);
  cache().calm();
  CHECK_EQ(bound(), kCalm);
  CHECK_EQ(own_count(Counter::kCalmedBins), calmed + 2);
}

unsigned bound_without_turns(std::size_t size) {
  for (unsigned round = 0; round < 4; ++round) {
    static void* many[4000];
    for (void*& block : many) block = hz3_malloc(size);
    for (void* block : many) hz3_free(block);
    ++cache().spell;
  }
  return cache().states[code_of(class_of_size(size), cache().user.shard)].capacity;
}

TEST(small_blocks_are_never_held_back) {
  boot();
  CHECK_EQ(bound_without_turns(64), kMostSlots);
}

TEST(a_few_blocks_of_any_size_may_stay) {
  boot();
  CHECK_EQ(bound_without_turns(16384), 16U);
  CHECK_EQ(bound_without_turns(32768), 16U);
  CHECK_EQ(hz3_knob_set("bin_bytes", 65536), int{HZ3_OK});
  cache().tick();
  CHECK_EQ(bound_without_turns(32768), 4U);
  CHECK_EQ(hz3_knob_set("bin_bytes", 512 * 1024), int{HZ3_OK});
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
