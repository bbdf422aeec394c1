// Audits, observations, trims and turning knobs while other threads allocate and free each other's
// blocks, on one route: a sound heap must never be called inconsistent, and nothing of it may be
// read or written without order (ThreadSanitizer watches).
//
//   thread_audits [--route 0|1|2] [--threads N] [--rounds N] [--seed N]
#include <pthread.h>
#include <sched.h>

#include <atomic>

#include "hz3/hz3.h"
#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;
using hz3test::Random;

constexpr unsigned kMaxThreads = 64;
constexpr std::size_t kBoxes = 256;
constexpr std::uint64_t kRoundsPerLook = 500;

std::atomic<void*> boxes[kBoxes];
std::atomic<bool> done{false};
std::uint64_t rounds = 0;
std::uint64_t seed = 0;
std::int64_t route = 0;

struct Functions {
  decltype(hz3_check_heap)* check_heap;
  decltype(hz3_observe)* observe;
  decltype(hz3_knob_set)* set_knob;
  decltype(hz3_trim)* trim;
  decltype(hz3_stats_read)* read_stats;
  decltype(hz3_class_stats_read)* read_class_stats;
  decltype(hz3_counters_read)* read_counters;
};

Functions functions() {
#ifdef HZ3_TEST_DIRECT
  return {hz3_check_heap, hz3_observe,          hz3_knob_set,     hz3_trim,
          hz3_stats_read, hz3_class_stats_read, hz3_counters_read};
#else
  using hz3test::find_function;
  return {find_function<decltype(hz3_check_heap)>("hz3_check_heap"),
          find_function<decltype(hz3_observe)>("hz3_observe"),
          find_function<decltype(hz3_knob_set)>("hz3_knob_set"),
          find_function<decltype(hz3_trim)>("hz3_trim"),
          find_function<decltype(hz3_stats_read)>("hz3_stats_read"),
          find_function<decltype(hz3_class_stats_read)>("hz3_class_stats_read"),
          find_function<decltype(hz3_counters_read)>("hz3_counters_read")};
#endif
}

Functions hz3_functions;

void check() { CHECK_EQ(hz3_functions.check_heap(), std::size_t{0}); }

std::size_t draw_size(Random& random) {
  constexpr std::size_t kCommon[] = {16, 32, 112, 400, 5000};
  if (random.chance(90)) return kCommon[random.below(5)];
  return random.between(1, random.chance(10) ? 1'500'000 : 40'000);
}

// What lay in the box comes from anybody: most frees are remote.
void* work(void* argument) {
  Random random(seed, reinterpret_cast<std::uintptr_t>(argument));
  for (std::uint64_t round = 0; round < rounds; ++round) {
    auto* block = static_cast<char*>(heap::malloc(draw_size(random)));
    CHECK(block != nullptr);
    block[0] = 1;
    heap::free(boxes[random.below(kBoxes)].exchange(block, std::memory_order_acq_rel));
    if (round % kRoundsPerLook == 0) check();
  }
  return nullptr;
}

void* check_again(void*) {
  while (!done.load(std::memory_order_relaxed)) {
    check();
    sched_yield();
  }
  return nullptr;
}

void* observe_again(void*) {
  while (!done.load(std::memory_order_relaxed)) {
    hz3_observation whole = {};
    whole.struct_bytes = sizeof whole;
    CHECK_EQ(hz3_functions.observe(&whole, nullptr, 0), static_cast<int>(HZ3_OK));
    CHECK(whole.resident_bytes != 0);
    hz3_stats stats = {};
    stats.struct_bytes = sizeof stats;
    CHECK_EQ(hz3_functions.read_stats(&stats), static_cast<int>(HZ3_OK));
    hz3_class_stats one = {};
    one.struct_bytes = sizeof one;
    CHECK_EQ(hz3_functions.read_class_stats(5, &one), static_cast<int>(HZ3_OK));
    std::uint64_t counters[8] = {};
    CHECK_EQ(hz3_functions.read_counters(counters, 8), std::size_t{8});
    sched_yield();
  }
  return nullptr;
}

struct Turn {
  const char* knob;
  std::int64_t values[4];
};

constexpr Turn kTurns[] = {
    {"remote_batch", {0, 0, 8, 126}},
    {"page_packet_k", {0, 0, 3, 126}},
    {"collect_every", {0, 1, 7, 1024}},
    {"stash_max_objs", {0, 126, 2048, 65536}},
    {"stash_fastpop", {0, 1, 0, 1}},
    {"stash_spill", {0, 1, 0, 1}},
    {"transfer_slots", {0, 0, 1, 64}},
    {"purge_delay_ms", {1, 10, 500, 1}},
    {"quarantine", {0, 1, 1, 0}},
    {"active_set_k", {0, 2, 4, 0}},
    {"large_madvise", {0, 0, 1, 0}},
    {"epoch_events", {16, 256, 1024, 64}},
    {"large_return_rate", {0, 1 << 20, 1 << 26, 1 << 30}},
};

void* turn_knobs(void*) {
  Random random(seed, 1000);
  while (!done.load(std::memory_order_relaxed)) {
    const Turn& turn = kTurns[random.below(sizeof kTurns / sizeof kTurns[0])];
    CHECK_EQ(hz3_functions.set_knob(turn.knob, turn.values[random.below(4)]),
             static_cast<int>(HZ3_OK));
    if (random.chance(5)) hz3_functions.trim();
    for (int i = 0; i < 20; ++i) sched_yield();
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  hz3_functions = functions();
  CHECK(hz3_functions.check_heap != nullptr);
  const hz3test::Options options(argc, argv);
  const auto threads = static_cast<unsigned>(options.number("--threads", 4));
  rounds = options.number("--rounds", 20'000);
  route = static_cast<std::int64_t>(options.number("--route", 0));
  CHECK(threads <= kMaxThreads);
  seed = options.seed();
  CHECK_EQ(hz3_functions.set_knob("remote_route", route), static_cast<int>(HZ3_OK));
  pthread_t workers[kMaxThreads];
  for (std::uintptr_t i = 0; i < threads; ++i) {
    CHECK_EQ(pthread_create(&workers[i], nullptr, work, reinterpret_cast<void*>(i)), 0);
  }
  pthread_t others[3];
  void* (*const bodies[])(void*) = {check_again, observe_again, turn_knobs};
  for (unsigned i = 0; i < 3; ++i) {
    CHECK_EQ(pthread_create(&others[i], nullptr, bodies[i], nullptr), 0);
  }
  for (unsigned i = 0; i < threads; ++i) CHECK_EQ(pthread_join(workers[i], nullptr), 0);
  done.store(true, std::memory_order_relaxed);
  for (const pthread_t other : others) CHECK_EQ(pthread_join(other, nullptr), 0);
  for (std::atomic<void*>& box : boxes) {
    heap::free(box.exchange(nullptr, std::memory_order_acquire));
  }
  check();
  hz3_functions.trim();
  check();
  hz3test::say(1, "%u threads, %llu rounds each, sound all the time\n", threads,
               static_cast<unsigned long long>(rounds));
  return 0;
}
