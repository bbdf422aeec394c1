// Ticks of a thread cache: when they come, and what an idle bin loses in one.
#include <pthread.h>

#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "policy/reclaim.h"
#include "policy/tick.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "units/fake_os.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;
using hz3test::fake_os;
using hz3test::own_count;

constexpr std::size_t kSize = 512;

void set(const char* name, std::int64_t value) { CHECK_EQ(hz3_knob_set(name, value), HZ3_OK); }

Code code() { return code_of(class_of_size(kSize), cache().user.shard); }

// A bin at its largest bound, full of free blocks, and one tick behind it.
void fill_bin() {
  static void* blocks[2000];
  for (int round = 0; round < 3; ++round) {
    for (void*& block : blocks) block = hz3_malloc(kSize);
    for (void* block : blocks) hz3_free(block);
  }
  cache().tick();
}

unsigned bound() { return cache().states[code()].capacity; }

TEST(an_idle_bin_halves_after_two_ticks) {
  fill_bin();
  const unsigned before = bound();
  CHECK(before > 31);
  cache().tick();
  CHECK_EQ(bound(), before);
  cache().tick();
  CHECK_EQ(bound(), before / 2);
  CHECK(cache().bins[code()].count() <= before / 2);
  CHECK(own_count(Counter::kDecayedBins) >= 1);
  CHECK(own_count(Counter::kTrimmedBlocks) >= 1);
}

TEST(decay_percent_says_how_much) {
  set("decay_percent", 25);
  fill_bin();
  const unsigned before = bound();
  cache().tick();
  cache().tick();
  CHECK_EQ(bound(), before * 75 / 100);
}

TEST(all_of_it_leaves_the_smallest_bound) {
  set("decay_percent", 100);
  fill_bin();
  cache().tick();
  cache().tick();
  CHECK_EQ(bound(), 4U);
}

TEST(nothing_decays_when_it_is_off) {
  set("decay_percent", 0);
  fill_bin();
  const unsigned before = bound();
  const std::uint64_t decayed = own_count(Counter::kDecayedBins);
  for (int tick = 0; tick < 10; ++tick) cache().tick();
  CHECK_EQ(bound(), before);
  CHECK_EQ(own_count(Counter::kDecayedBins), decayed);
}

TEST(idle_ticks_put_it_off) {
  set("decay_idle_ticks", 5);
  fill_bin();
  const unsigned before = bound();
  for (int tick = 0; tick < 4; ++tick) cache().tick();
  CHECK_EQ(bound(), before);
  cache().tick();
  CHECK_EQ(bound(), before / 2);
}

TEST(use_starts_the_count_again) {
  fill_bin();
  const unsigned before = bound();
  for (int round = 0; round < 6; ++round) {
    cache().tick();
    hz3_malloc(kSize);
  }
  CHECK_EQ(bound(), before);
}

// Slow events of any class, none of them needing time to pass.
TEST(events_cause_ticks) {
  hz3_free(hz3_malloc(kSize));
  set("epoch_events", 100);
  const std::uint64_t before = own_count(Counter::kTickByEvents);
  for (int event = 0; event < 1000; ++event) on_slow_event(&cache());
  CHECK_EQ(own_count(Counter::kTickByEvents), before + 10);
}

TEST(the_clock_causes_ticks_after_epoch_ms) {
  hz3_free(hz3_malloc(kSize));
  set("epoch_events", 1'000'000);
  set("epoch_ms", 500);
  for (int event = 0; event < 64; ++event) on_slow_event(&cache());
  const std::uint64_t before = own_count(Counter::kTickByClock);
  fake_os.clock_ns += 400'000'000;
  for (int event = 0; event < 64; ++event) on_slow_event(&cache());
  CHECK_EQ(own_count(Counter::kTickByClock), before);
  set("epoch_ms", 300);
  for (int event = 0; event < 64; ++event) on_slow_event(&cache());
  CHECK_EQ(own_count(Counter::kTickByClock), before + 1);
}

// Frees a lot without any event afterwards that could purge it: only the events of the collapse
// itself can.
void collapse(std::uint64_t held_ns) {
  constexpr std::size_t kBlocks = 400;
  static void* blocks[kBlocks];
  for (void*& block : blocks) {
    block = hz3_malloc(100'000);
    CHECK(block != nullptr);
  }
  for (std::uint64_t held = 0; held < held_ns; held += 100'000'000) {
    fake_os.clock_ns += 100'000'000;
    for (int event = 0; event < 64; ++event) on_slow_event(&cache());
  }
  fake_os.purged_bytes = 0;
  for (void* block : blocks) hz3_free(block);
}

constexpr std::uint64_t kLongNs = 2'000'000'000;
constexpr std::uint64_t kShortNs = 300'000'000;

TEST(a_collapse_purges_at_once) {
  collapse(kLongNs);
  CHECK(fake_os.purged_bytes >= std::size_t{25} << 20);
  CHECK(own_count(Counter::kPurgeCollapses) >= 1);
}

TEST(a_short_burst_is_no_collapse) {
  collapse(kShortNs);
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
}

TEST(a_collapse_waits_if_asked_to) {
  set("purge_collapse", 0);
  collapse(kLongNs);
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
}

TEST(a_regretted_collapse_is_not_repeated_soon) {
  collapse(kLongNs);
  collapse(kLongNs);
  CHECK_EQ(fake_os.purged_bytes, std::size_t{0});
  std::size_t purged = 0;
  for (int round = 0; round < 2; ++round) {  // four seconds later
    collapse(kLongNs);
    purged += fake_os.purged_bytes;
  }
  CHECK(purged >= std::size_t{25} << 20);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
