// Short programs that make one part of the allocator work, so that a knob of that part shows in its
// counters. A library: a native program calls it, and Python through ctypes.
//
//   int hz3_scenario(const char* name)     0: done, 1: no such scenario
#include <pthread.h>
#include <time.h>

#include <cstring>
#include <initializer_list>

#include "support/check.hpp"
#include "support/heap.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kMost = 1 << 18;
constexpr std::size_t kMiB = std::size_t{1} << 20;

struct Blocks {
  void** at = hz3test::map_zeroed<void*>(kMost);
  std::size_t count = 0;

  void add(std::size_t size) {
    CHECK(count < kMost);
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    std::memset(block, 1, size < 64 ? size : 64);
    at[count++] = block;
  }
  void fill(std::size_t size, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes; done += size) add(size);
  }
  // Frees those whose number leaves a rest when divided by `keep_each`; 0 frees all.
  void thin(std::size_t keep_each) {
    std::size_t kept = 0;
    for (std::size_t index = 0; index < count; ++index) {
      if (keep_each != 0 && index % keep_each == 0) {
        at[kept++] = at[index];
      } else {
        heap::free(at[index]);
      }
    }
    count = kept;
  }
};

std::uint64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

// Slow events all the time, so that ticks and generations end: large blocks never hit a bin.
void let_time_pass(std::uint64_t ms) {
  for (const std::uint64_t end = now_ms() + ms; now_ms() < end;) {
    for (int event = 0; event < 40; ++event) heap::free(heap::malloc(300000));
    const timespec pause{0, 500000};
    nanosleep(&pause, nullptr);
  }
}

// Runs of pages of many lengths, from and into partly used segments.
void runs() {
  Blocks blocks;
  hz3test::Random random(1);
  for (int round = 0; round < 6; ++round) {
    for (int index = 0; index < 120; ++index) blocks.add(random.between(20000, 250000));
    blocks.thin(3);
  }
  blocks.thin(0);
}

// Segments that are nearly empty for a while and then empty.
void drain() {
  Blocks blocks;
  blocks.fill(65536, 24 * kMiB);
  blocks.thin(24);
  let_time_pass(150);
  blocks.thin(0);
  let_time_pass(150);
}

// Far more free memory than is in use, and time in which it may go back.
void idle() {
  Blocks blocks;
  blocks.fill(40000, 48 * kMiB);
  Blocks rest;
  rest.fill(40000, 2 * kMiB);
  blocks.thin(0);
  let_time_pass(150);
  rest.thin(0);
}

// Much memory for a while, and then none.
void collapse() {
  Blocks blocks;
  blocks.fill(40000, 48 * kMiB);
  let_time_pass(700);
  blocks.thin(0);
}

// The same memory given up and wanted again, over and over.
void swing() {
  Blocks blocks;
  for (int round = 0; round < 12; ++round) {
    blocks.fill(40000, 12 * kMiB);
    blocks.thin(0);
    let_time_pass(25);
  }
}

// One class after the other, each in most of a small arena.
void pressure() {
  Blocks blocks;
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t size : {2048U, 32768U, 512U, 8192U}) {
      blocks.fill(size, 50 * kMiB);
      blocks.thin(0);
    }
  }
}

// Bins of many classes that are used once and never again.
void once() {
  Blocks blocks;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t size = 100; size < 4000; size += 100) {
      for (int index = 0; index < 150; ++index) blocks.add(size);
    }
    blocks.thin(0);
  }
  let_time_pass(100);
}

struct Handover {
  Blocks blocks;
  pthread_barrier_t turn;
};

void* free_all(void* argument) {
  auto* handover = static_cast<Handover*>(argument);
  for (int round = 0; round < 12; ++round) {
    pthread_barrier_wait(&handover->turn);
    handover->blocks.thin(0);
    pthread_barrier_wait(&handover->turn);
  }
  return nullptr;
}

// One thread allocates what another one frees.
void remote() {
  Handover handover;
  CHECK_EQ(pthread_barrier_init(&handover.turn, nullptr, 2), 0);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, nullptr, free_all, &handover), 0);
  for (int round = 0; round < 12; ++round) {
    handover.blocks.fill(256, 2 * kMiB);
    pthread_barrier_wait(&handover.turn);
    pthread_barrier_wait(&handover.turn);
  }
  pthread_join(thread, nullptr);
}

// Blocks beyond the classes, freed together and wanted again.
void large() {
  Blocks blocks;
  for (int round = 0; round < 4; ++round) {
    blocks.fill(3 * kMiB, 30 * kMiB);
    blocks.thin(0);
    let_time_pass(10);
  }
}

// Large blocks of which every other one is freed and not wanted again.
void rests() {
  Blocks blocks;
  blocks.fill(kMiB, 16 * kMiB);
  blocks.thin(2);
  let_time_pass(100);
  blocks.thin(0);
}

// Long blocks wanted where short ones have left gaps.
void gaps() {
  Blocks shorts;
  shorts.fill(kMiB, 60 * kMiB);
  shorts.thin(2);
  Blocks longs;
  longs.fill(7 * kMiB, 21 * kMiB);
  longs.thin(0);
  shorts.thin(0);
}

// Small blocks in a pattern that empties and fills bins.
void bins() {
  Blocks blocks;
  for (int round = 0; round < 20; ++round) {
    blocks.fill(200, kMiB);
    blocks.thin(0);
  }
}

struct Scenario {
  const char* name;
  void (*run)();
};
constexpr Scenario kScenarios[] = {
    {"runs", runs},         {"drain", drain},       {"idle", idle}, {"swing", swing},
    {"pressure", pressure}, {"collapse", collapse}, {"once", once}, {"remote", remote},
    {"large", large},       {"bins", bins},         {"gaps", gaps}, {"rests", rests},
};

}  // namespace

extern "C" __attribute__((visibility("default"))) int hz3_scenario(const char* name) {
  for (const Scenario& scenario : kScenarios) {
    if (std::strcmp(scenario.name, name) != 0) continue;
    scenario.run();
    return 0;
  }
  return 1;
}
