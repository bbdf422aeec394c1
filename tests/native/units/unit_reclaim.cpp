// Reclaim: a full arena is survived as long as caches hold what is wanted, within a budget, one
// segment first; other threads' caches follow a summons; blocks above 8 KiB leave the arena.
#include <pthread.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "arena/page_heap.h"
#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "policy/reclaim.h"
#include "policy/tick.h"
#include "remote/parked.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "units/fake_os.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;
using hz3test::fake_os;
using hz3test::OsCall;

constexpr std::size_t kArenaBytes = std::size_t{64} << 20;
constexpr std::size_t kMost = kArenaBytes / 64;

void** blocks = nullptr;

void set(const char* name, std::int64_t value) { CHECK_EQ(hz3_knob_set(name, value), HZ3_OK); }

std::uint64_t counter(const char* name) {
  std::uint64_t values[kCounterCount];
  hz3_counters_read(values, kCounterCount);
  for (std::size_t i = 0; i < kCounterCount; ++i) {
    if (std::strcmp(hz3_counter_at(i)->name, name) == 0) return values[i];
  }
  CHECKF(false, "no counter %s", name);
  return 0;
}

void boot_small() {
  ::setenv("HZ3_ARENA_BYTES", "64M", 1);
  blocks = hz3test::map_zeroed<void*>(kMost);
  hz3_free(hz3_malloc(1));
  CHECK_EQ(arena.bytes, kArenaBytes);
}

void refuse_more_memory() {
  for (const OsCall call : {OsCall::kReserve, OsCall::kMap, OsCall::kCommit}) fake_os.refuse(call);
}

// Takes blocks of `size` until there are none, in the arena or, with no more from the system once
// it is full, outside; returns how many there were.
std::size_t exhaust(std::size_t size) {
  std::size_t count = 0;
  while (count < kMost && (blocks[count] = hz3_malloc(size)) != nullptr) {
    if (!arena.contains(blocks[count++])) refuse_more_memory();
  }
  fake_os.allow_all();
  return count;
}

void free_first(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) hz3_free(blocks[i]);
}

TEST(exhaustion_says_so_and_everything_comes_back) {
  boot_small();
  for (const std::size_t size : {16384U, 1024U, 100000U, 96U, 40000U}) {
    errno = 0;
    const std::size_t count = exhaust(size);
    CHECK_EQ(errno, ENOMEM);
    CHECKF(count * size >= kArenaBytes / 10 * 8, "only %zu blocks of %zu", count, size);
    free_first(count);
  }
  CHECK(counter("alloc_failed") == 5);
  CHECK(counter("reclaim_calls") >= 5);
  CHECK(counter("reclaim_pages") > 0);
}

// A class after the other, each up to three quarters of the arena: what the last one left in caches
// must be found.
TEST(no_request_fails_while_caches_hold_the_memory) {
  boot_small();
  set("transfer_bytes", 64 << 20);
  set("bin_bytes", 1 << 20);
  for (int round = 0; round < 10; ++round) {
    for (const std::size_t size : {64U, 2048U, 32768U, 200U, 131072U, 8192U}) {
      const std::size_t count = kArenaBytes / 4 * 3 / hz3_good_size(size);
      for (std::size_t i = 0; i < count; ++i) {
        blocks[i] = hz3_malloc(size);
        CHECKF(blocks[i] != nullptr, "block %zu of %zu bytes in round %d", i, size, round);
      }
      free_first(count);
    }
  }
  CHECK_EQ(counter("alloc_failed"), std::uint64_t{0});
  CHECK(counter("reclaim_calls") > 0);
}

// Two batches of 16 KiB blocks in the transfer cache, one block of each span with the program.
void park(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    blocks[i] = hz3_malloc(16384);
    CHECK(blocks[i] != nullptr);
  }
  const Code code = code_of(class_of_size(16384), cache().user.shard);
  set("remote_route", 1);
  for (std::size_t done = 0; done < count; done += 32) {
    give_blocks(cache().user, code, blocks + done, 32);
  }
  CHECK(transfer_cache.parked_bytes() >= count * 16384);
}

TEST(one_segment_is_emptied_before_the_others) {
  boot_small();
  set("transfer_bytes", 64 << 20);
  park(512);  // four segments
  cache().flush_all();
  const std::size_t parked = transfer_cache.parked_bytes();
  const std::size_t home = return_parked_of(cache().user, 1);
  CHECK(home >= 100 && home <= 128);
  CHECK_EQ(transfer_cache.parked_bytes(), parked - home * 16384);
  CHECK_EQ(unsigned{arena.segments[1].free_pages}, kPagesPerSegment);
  CHECK(arena.segments[0].free_pages < kPagesPerSegment / 2);
}

TEST(the_budget_leaves_the_rest_parked) {
  boot_small();
  set("transfer_bytes", 64 << 20);
  set("reclaim_budget_pages", 8);
  park(512);
  const std::size_t parked = transfer_cache.parked_bytes();
  const std::size_t pages = reclaim(&cache(), cache().user);
  CHECK(pages >= 8);
  CHECK(transfer_cache.parked_bytes() >= parked / 2);
  CHECK(counter("reclaim_focus_blocks") > 0);
  set("reclaim_budget_pages", 1'000'000);
  reclaim(&cache(), cache().user);
  CHECK_EQ(transfer_cache.parked_bytes(), std::size_t{0});
}

pthread_barrier_t step;

// Parks in its own cache, then has one slow event after the summons.
void* other_thread(void*) {
  static void* mine[400];
  for (void*& block : mine) block = hz3_malloc(1000);
  for (void* block : mine) hz3_free(block);
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step);
  ThreadCache& own = cache();
  const Code code = code_of(class_of_size(1000), own.user.shard);
  CHECK(own.bins[code].count() != 0);
  on_slow_event(&own);
  CHECK_EQ(own.bins[code].count(), 0U);
  on_slow_event(&own);
  return nullptr;
}

TEST(other_caches_are_summoned_once) {
  boot_small();
  pthread_barrier_init(&step, nullptr, 2);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, nullptr, other_thread, nullptr), 0);
  pthread_barrier_wait(&step);
  reclaim(&cache(), cache().user);
  pthread_barrier_wait(&step);
  pthread_join(thread, nullptr);
  CHECK_EQ(counter("reclaim_summons"), std::uint64_t{1});
}

TEST(attempts_end) {
  boot_small();
  Attempts fruitful;
  unsigned made = 0;
  while (fruitful.another(1)) ++made;
  CHECK(made > 10 && made < 1000);
  Attempts alone;
  CHECK(!alone.another(0));  // nobody else could free anything
  CHECK_EQ(fake_os.waits, std::uint64_t{0});
}

// No pages for a span of the class, but spans of a larger one that are partly used.
TEST(a_larger_class_helps_out) {
  boot_small();
  const std::size_t count = exhaust(8192);
  for (std::size_t i = 0; i < count; i += 2) hz3_free(blocks[i]);
  const std::uint64_t failed = counter("alloc_failed");
  void* block = hz3_malloc(5000);
  CHECK(block != nullptr);
  CHECK(hz3_usable_size(block) >= 8192);
  void* aligned = hz3_aligned_alloc(4096, 4096);
  CHECK(aligned != nullptr);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(aligned) % 4096, std::uintptr_t{0});
  CHECK_EQ(counter("alloc_failed"), failed);
  CHECK(counter("reclaim_upgrades") >= 2);
  hz3_free(block);
  hz3_free(aligned);
}

// Sizes that no run of pages is left for; the last one of a class.
constexpr std::size_t kWideSizes[] = {9000, 16384, 30000, 65536, 65537, 200'000, 262'144};

TEST(wide_blocks_leave_a_full_arena) {
  boot_small();
  const std::size_t count = exhaust(8192);
  const std::uint64_t failed = counter("alloc_failed");
  for (const std::size_t size : kWideSizes) {
    auto* block = static_cast<unsigned char*>(hz3_calloc(1, size));
    CHECKF(block != nullptr, "no memory for %zu bytes", size);
    CHECK(!arena.contains(block));
    CHECK(hz3_usable_size(block) >= size);
    CHECK_EQ(hz3_owns(block), 1);
    for (std::size_t i = 0; i < size; ++i) CHECK_EQ(unsigned{block[i]}, 0U);
    block[size - 1] = 1;
    void* aligned = hz3_aligned_alloc(size & (~size + 1), size);
    CHECK(aligned != nullptr);
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(aligned) & ((size & (~size + 1)) - 1), 0U);
    CHECK_EQ(hz3_check_heap(), std::size_t{0});
    hz3_free(block);
    hz3_free(aligned);
  }
  CHECK_EQ(counter("alloc_failed"), failed);
  CHECK_EQ(counter("reclaim_outside"), std::uint64_t{2 * std::size(kWideSizes)});
  CHECK(hz3_malloc(5000) == nullptr);  // below 8 KiB a block would waste most of a chunk
  free_first(count);
  CHECK(arena.contains(hz3_malloc(30000)));
}

// In both directions, and in place as long as it fits.
TEST(blocks_outside_are_resized) {
  boot_small();
  const std::size_t count = exhaust(8192);
  auto* block = static_cast<char*>(hz3_malloc(40000));
  std::strcpy(block, "kept");
  CHECK(hz3_realloc(block, 60000) == block);
  const std::size_t room = hz3_usable_size(block);
  CHECK(hz3_realloc(block, room / 2) == block);
  for (const std::size_t size : {100'000U, 250'000U, 2'000'000U, 90'000U, 10'000U}) {
    block = static_cast<char*>(hz3_realloc(block, size));
    CHECKF(block != nullptr, "no memory for %zu bytes", size);
    CHECK(std::strcmp(block, "kept") == 0);
    CHECK(!arena.contains(block));
  }
  free_first(count);
  block = static_cast<char*>(hz3_realloc(block, 200));
  CHECK(arena.contains(block));
  CHECK(std::strcmp(block, "kept") == 0);
  hz3_free(block);
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
}

// With a budget the arena is searched on, attempt by attempt, before anything leaves it.
TEST(nothing_leaves_the_arena_while_reclaim_finds_more) {
  boot_small();
  set("transfer_bytes", 64 << 20);
  set("reclaim_budget_pages", 1);
  const std::size_t count = exhaust(16384);
  const std::uint64_t outside = counter("reclaim_outside");
  free_first(count);
  for (int i = 0; i < 100; ++i) CHECK(arena.contains(hz3_malloc(200'000)));
  CHECK_EQ(counter("reclaim_outside"), outside);
}

// Tiny blocks of another shard are a last resort, not a failure.
TEST(tiny_blocks_of_other_shards_are_used_at_the_end) {
  boot_small();
  const std::size_t count = exhaust(32);
  CHECK(count > 100000);
  const std::size_t kept = hz3_usable_size(blocks[0]);
  CHECK_EQ(kept, std::size_t{32});
  static std::size_t total;
  total = count;
  pthread_t thread;
  const auto body = [](void*) -> void* {
    // Every span stays partly used: nothing can go back to the page heap.
    for (std::size_t i = 0; i < total; i += 2) hz3_free(blocks[i]);
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, nullptr, body, nullptr), 0);
  pthread_join(thread, nullptr);
  const auto taker = [](void*) -> void* {
    for (std::size_t i = 0; i < total / 4; ++i) CHECK(hz3_malloc(32) != nullptr);
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, nullptr, taker, nullptr), 0);
  pthread_join(thread, nullptr);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
