// Life in an arena that is too small for what caches would like to keep; hz3 alone, started with
// HZ3_ARENA_BYTES=64M.
//
//   small_arena churn [--threads N] [--rounds N] [--share-kib N] [--seed N]
//       every thread goes through phases of very different sizes and hands blocks to the others;
//       no request may fail
//   small_arena crowd [--rounds N] [--seed N]
//       a hundred threads with three blocks of 30 to 200 kB each, of which they replace one after
//       the other: half the arena is live, the rest lies in caches; no request may fail
//   small_arena full
//       NULL and ENOMEM for blocks up to 8 KiB when nothing is left, from every thread, and full
//       recovery
//   small_arena large
//       blocks above 8 KiB need not live in the arena: they go on while it is full
#include <pthread.h>
#include <sched.h>

#include <cerrno>
#include <initializer_list>

#include "hz3/hz3.h"
#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kArenaBytes = std::size_t{64} << 20;
constexpr std::size_t kMostBlocks = kArenaBytes / 16;
constexpr std::size_t kMailSlots = 64;

std::uint64_t counter(const char* name) {
  auto* info = hz3test::find_function<decltype(hz3_counter_at)>("hz3_counter_at");
  auto* read = hz3test::find_function<decltype(hz3_counters_read)>("hz3_counters_read");
  CHECK(info != nullptr && read != nullptr);
  std::uint64_t values[512] = {};
  const std::size_t count = read(values, 512);
  for (std::size_t index = 0; index < count; ++index) {
    if (std::strcmp(info(index)->name, name) == 0) return values[index];
  }
  hz3test::fail(__FILE__, __LINE__, "no counter %s", name);
}

// What the arena holds when a request fails, for whoever has to find out why.
[[noreturn]] void tell_failure(std::size_t size) {
  auto* read = hz3test::find_function<decltype(hz3_stats_read)>("hz3_stats_read");
  hz3_stats stats = {};
  stats.struct_bytes = sizeof stats;
  read(&stats);
  const auto kib = [](std::uint64_t bytes) { return static_cast<unsigned long long>(bytes >> 10); };
  hz3test::fail(__FILE__, __LINE__, "no memory for %zu bytes; KiB: live %llu cached %llu free %llu",
                size, kib(stats.live_bytes), kib(stats.cached_bytes), kib(stats.dirty_free_bytes));
}

struct Block {
  void* address;
  std::size_t size;
};

// Sizes of a phase: one to the next differs by so much that no span serves both. None is so long
// that scattered free pages would not do: nothing moves blocks to make room.
struct Phase {
  std::size_t low;
  std::size_t high;
};
constexpr Phase kPhases[] = {{16, 64},     {20000, 28000}, {300, 900},
                             {4200, 8000}, {40000, 60000}, {1100, 2000}};

std::uint64_t seed = 0;
std::uint64_t rounds = 0;
std::size_t share_bytes = 0;
pthread_mutex_t mail_lock = PTHREAD_MUTEX_INITIALIZER;
Block mail[kMailSlots];

Block swap_mail(std::size_t slot, Block letter) {
  pthread_mutex_lock(&mail_lock);
  const Block taken = mail[slot];
  mail[slot] = letter;
  pthread_mutex_unlock(&mail_lock);
  return taken;
}

Block make(hz3test::Random& random, const Phase& phase) {
  const std::size_t size = random.between(phase.low, phase.high);
  void* address = heap::malloc(size);
  if (address == nullptr) tell_failure(size);
  hz3test::fill_pattern(address, size, size);
  return {address, size};
}

void check_and_free(Block block) {
  if (block.address == nullptr) return;
  CHECK(hz3test::has_pattern(block.address, block.size, block.size));
  heap::free(block.address);
}

// Fills this thread's share, replaces half of it, in part with blocks of other threads, and frees
// all.
void run_phase(hz3test::Random& random, Block* blocks, const Phase& phase) {
  std::size_t count = 0;
  for (std::size_t bytes = 0; bytes < share_bytes; bytes += blocks[count++].size) {
    blocks[count] = make(random, phase);
  }
  for (std::size_t done = 0; done < count / 2; ++done) {
    Block& block = blocks[random.below(count)];
    check_and_free(block);
    block = make(random, phase);
    // Small ones only: what waits in the mail does not count towards the share.
    if (block.size < 1000) block = swap_mail(random.below(kMailSlots), block);
  }
  for (std::size_t index = 0; index < count; ++index) check_and_free(blocks[index]);
}

void* churn_thread(void* argument) {
  const auto self = reinterpret_cast<std::uintptr_t>(argument);
  hz3test::Random random(seed, self);
  auto* blocks = hz3test::map_zeroed<Block>(kMostBlocks);
  constexpr std::size_t kCount = sizeof kPhases / sizeof kPhases[0];
  for (std::uint64_t round = 0; round < rounds; ++round) {
    // All threads are in different phases most of the time.
    run_phase(random, blocks, kPhases[(round + self) % kCount]);
  }
  return nullptr;
}

void churn(const hz3test::Options& options) {
  const std::uint64_t threads = options.number("--threads", 4);
  rounds = options.number("--rounds", 40);
  share_bytes = options.number("--share-kib", 9 * 1024) << 10;
  seed = options.seed();
  CHECK(threads <= 64);
  pthread_t handles[64];
  for (std::uintptr_t index = 0; index < threads; ++index) {
    void* argument = reinterpret_cast<void*>(index);
    CHECK_EQ(pthread_create(&handles[index], nullptr, churn_thread, argument), 0);
  }
  for (std::uintptr_t index = 0; index < threads; ++index) pthread_join(handles[index], nullptr);
  for (std::size_t slot = 0; slot < kMailSlots; ++slot) check_and_free(swap_mail(slot, Block{}));
  for (const char* name :
       {"reclaim_calls", "reclaim_pages", "reclaim_summons", "reclaim_upgrades"}) {
    hz3test::say(1, "%s %llu\n", name, static_cast<unsigned long long>(counter(name)));
  }
  CHECK_EQ(counter("alloc_failed"), std::uint64_t{0});
  CHECK(counter("reclaim_calls") > 0);
  CHECK(counter("reclaim_pages") > 0);
}

constexpr unsigned kCrowd = 100;
pthread_barrier_t crowd_is_there;

void* crowd_thread(void* argument) {
  hz3test::Random random(seed, reinterpret_cast<std::uintptr_t>(argument));
  Block held[3] = {};
  pthread_barrier_wait(&crowd_is_there);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Block& block = held[random.below(3)];
    check_and_free(block);
    block = make(random, {30000, 200000});
    if (round % 8 == 0) sched_yield();
  }
  for (const Block& block : held) check_and_free(block);
  return nullptr;
}

void crowd(const hz3test::Options& options) {
  rounds = options.number("--rounds", 1000);
  seed = options.seed();
  pthread_t handles[kCrowd];
  CHECK_EQ(pthread_barrier_init(&crowd_is_there, nullptr, kCrowd), 0);
  for (std::uintptr_t index = 0; index < kCrowd; ++index) {
    void* argument = reinterpret_cast<void*>(index);
    CHECK_EQ(pthread_create(&handles[index], nullptr, crowd_thread, argument), 0);
  }
  for (const pthread_t handle : handles) CHECK_EQ(pthread_join(handle, nullptr), 0);
  for (const char* name : {"reclaim_calls", "reclaim_summons", "reclaim_outside"}) {
    hz3test::say(1, "%s %llu\n", name, static_cast<unsigned long long>(counter(name)));
  }
  CHECK_EQ(counter("alloc_failed"), std::uint64_t{0});
  CHECK(counter("reclaim_calls") > 0);
}

std::size_t exhaust(void** blocks, std::size_t size) {
  std::size_t count = 0;
  errno = 0;
  while (count < kMostBlocks && (blocks[count] = heap::malloc(size)) != nullptr) ++count;
  CHECK_EQ(errno, ENOMEM);
  return count;
}

pthread_barrier_t arena_is_full;

void* fails_as_well(void* argument) {
  pthread_barrier_wait(&arena_is_full);
  const auto size = reinterpret_cast<std::uintptr_t>(argument);
  errno = 0;
  // A block or two may be left in this thread's shard.
  for (int block = 0; block < 1000; ++block) {
    if (heap::malloc(size) == nullptr) {
      CHECK_EQ(errno, ENOMEM);
      return argument;
    }
  }
  return nullptr;
}

void full() {
  auto** blocks = hz3test::map_zeroed<void*>(kMostBlocks);
  std::size_t first[4] = {};
  CHECK_EQ(pthread_barrier_init(&arena_is_full, nullptr, 2), 0);
  constexpr std::size_t kSizes[] = {48, 700, 5000, 8192};
  for (int round = 0; round < 3; ++round) {
    for (unsigned index = 0; index < 4; ++index) {
      const std::size_t size = kSizes[index];
      const std::uint64_t failed = counter("alloc_failed");
      // Threads need memory themselves: they start before it is gone.
      pthread_t thread;
      void* argument = reinterpret_cast<void*>(size);
      CHECK_EQ(pthread_create(&thread, nullptr, fails_as_well, argument), 0);
      const std::size_t count = exhaust(blocks, size);
      CHECKF(count * size >= kArenaBytes / 100 * 75, "%zu blocks of %zu", count, size);
      CHECK(counter("alloc_failed") > failed);
      pthread_barrier_wait(&arena_is_full);
      void* outcome = nullptr;
      pthread_join(thread, &outcome);
      CHECK(outcome == argument);
      for (std::size_t block = 0; block < count; ++block) heap::free(blocks[block]);
      // Recovery is full: no round gets less than the first.
      if (round == 0) first[index] = count;
      CHECKF(count >= first[index] - first[index] / 50, "%zu blocks of %zu, %zu at first", count,
             size, first[index]);
    }
  }
}

// Blocks outside count among the large ones, to the byte.
void check_observation(std::size_t large_bytes) {
  auto* look = hz3test::find_function<decltype(hz3_observe)>("hz3_observe");
  hz3_observation seen = {};
  seen.struct_bytes = sizeof seen;
  CHECK_EQ(look(&seen, nullptr, 0), HZ3_OK);
  CHECK(seen.large_live_bytes >= large_bytes);
  CHECK_EQ(seen.live_bytes + seen.thread_cache_bytes + seen.remote_stash_bytes + seen.stash_bytes +
               seen.spill_bytes + seen.transfer_bytes + seen.central_bytes + seen.tail_waste_bytes +
               seen.free_pages_bytes + seen.large_live_bytes + seen.large_cache_bytes +
               seen.metadata_bytes + seen.page_queue_bytes,
           seen.heap_resident_bytes);
}

void large() {
  auto** blocks = hz3test::map_zeroed<void*>(kMostBlocks);
  const std::size_t count = exhaust(blocks, 8192);
  constexpr std::size_t kSizes[] = {9000, 30000, 200000, std::size_t{1} << 20};
  Block held[400];
  for (std::size_t index = 0; index < 400; ++index) {
    const std::size_t size = kSizes[index % 4];
    held[index] = {heap::malloc(size), size};
    CHECKF(held[index].address != nullptr, "no memory for block %zu of %zu bytes", index, size);
    hz3test::fill_pattern(held[index].address, size, size);
  }
  CHECK(heap::malloc(8000) == nullptr);
  CHECK_EQ(counter("reclaim_outside"), std::uint64_t{300});
  check_observation(100 * (kSizes[0] + kSizes[1] + kSizes[2] + kSizes[3]));
  for (const Block& block : held) check_and_free(block);
  auto* check = hz3test::find_function<decltype(hz3_check_heap)>("hz3_check_heap");
  CHECK_EQ(check(), std::size_t{0});
  for (std::size_t block = 0; block < count; ++block) heap::free(blocks[block]);
  CHECK(heap::malloc(8000) != nullptr);
  CHECK(heap::malloc(30000) != nullptr);
  CHECK_EQ(counter("reclaim_outside"), std::uint64_t{300});
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const char* what = argc > 1 ? argv[1] : "";
  if (std::strcmp(what, "churn") == 0) {
    churn(options);
  } else if (std::strcmp(what, "crowd") == 0) {
    crowd(options);
  } else if (std::strcmp(what, "full") == 0) {
    full();
  } else if (std::strcmp(what, "large") == 0) {
    large();
  } else {
    hz3test::fail(__FILE__, __LINE__, "small_arena churn | crowd | full | large");
  }
  return 0;
}
