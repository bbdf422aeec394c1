// Blocks freed by other threads while the routes they take home change all the time. Every block is
// given once and comes back once: a pattern tells whether two threads ever had the same one, and in
// the end nothing may be missing from the books of the allocator.
//
//   thread_routes [--threads N] [--rounds N] [--seed N] [--keep-knobs 1]
#include <pthread.h>
#include <sched.h>

#include <atomic>

#include "hz3/hz3.h"
#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;
using hz3test::Random;

constexpr unsigned kMaxThreads = 64;
constexpr std::size_t kBoxes = 512;
constexpr std::uint64_t kSlackBytes = 64 << 10;  // what libc keeps of threads that ended

struct Parcel {
  std::size_t size;
  std::uint64_t seed;
};

std::atomic<void*> boxes[kBoxes];
unsigned threads = 0;
std::uint64_t rounds = 0;
std::uint64_t seed = 0;
std::atomic<std::uint64_t> sent{0};
std::atomic<std::uint64_t> received{0};
std::atomic<bool> done{false};

// Null under another malloc.
decltype(hz3_knob_set)* set_knob = nullptr;
decltype(hz3_stats_read)* read_stats = nullptr;

void find_functions() {
#ifdef HZ3_TEST_DIRECT
  set_knob = hz3_knob_set;
  read_stats = hz3_stats_read;
#else
  set_knob = hz3test::find_function<decltype(hz3_knob_set)>("hz3_knob_set");
  read_stats = hz3test::find_function<decltype(hz3_stats_read)>("hz3_stats_read");
#endif
}

void receive(void* block) {
  Parcel parcel{};
  std::memcpy(&parcel, block, sizeof parcel);
  CHECK(hz3test::has_pattern(static_cast<char*>(block) + sizeof parcel, parcel.size - sizeof parcel,
                             parcel.seed));
  heap::free(block);
}

std::size_t draw_size(Random& random) {
  // Mostly a few classes, so that their queues and stashes see traffic; sometimes any.
  constexpr std::size_t kCommon[] = {16, 32, 64, 112, 400, 1024, 5000};
  if (random.chance(90)) return kCommon[random.below(7)];
  return random.between(sizeof(Parcel), random.chance(3) ? 200'000 : 3000);
}

void* work(void* argument) {
  const auto self = reinterpret_cast<std::uintptr_t>(argument);
  Random random(seed, self);
  std::uint64_t mine_sent = 0;
  std::uint64_t mine_received = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const Parcel parcel = {draw_size(random), random.next()};
    auto* block = static_cast<char*>(heap::malloc(parcel.size));
    CHECK(block != nullptr);
    std::memcpy(block, &parcel, sizeof parcel);
    hz3test::fill_pattern(block + sizeof parcel, parcel.size - sizeof parcel, parcel.seed);
    // What lay in the box comes from anybody.
    void* other = boxes[random.below(kBoxes)].exchange(block, std::memory_order_acq_rel);
    ++mine_sent;
    if (other == nullptr) continue;
    receive(other);
    ++mine_received;
  }
  sent.fetch_add(mine_sent, std::memory_order_relaxed);
  received.fetch_add(mine_received, std::memory_order_relaxed);
  return nullptr;
}

struct Turn {
  const char* knob;
  std::int64_t values[4];
};

constexpr Turn kTurns[] = {
    {"remote_route", {0, 1, 2, 2}},
    {"remote_batch", {0, 0, 8, 126}},
    {"page_packet_k", {0, 0, 3, 126}},
    {"collect_every", {0, 1, 7, 1024}},
    {"stash_max_objs", {0, 126, 2048, 65536}},
    {"stash_fastpop", {0, 1, 0, 1}},
    {"stash_count", {0, 1, 1, 1}},
    {"stash_spill", {0, 1, 0, 1}},
    {"drain_limit", {1, 20, 126, 4096}},
    {"transfer_slots", {0, 1, 64, 256}},
};

void* turn_knobs(void*) {
  Random random(seed, 1000);
  while (!done.load(std::memory_order_relaxed)) {
    const Turn& turn = kTurns[random.below(sizeof kTurns / sizeof kTurns[0])];
    CHECK_EQ(set_knob(turn.knob, turn.values[random.below(4)]), static_cast<int>(HZ3_OK));
    for (int i = 0; i < 20; ++i) sched_yield();
  }
  return nullptr;
}

std::uint64_t bytes_in_use() {
  heap::trim();
  if (read_stats == nullptr) return 0;
  hz3_stats stats = {};
  stats.struct_bytes = sizeof stats;
  CHECK_EQ(read_stats(&stats), static_cast<int>(HZ3_OK));
  return stats.live_bytes;
}

}  // namespace

int main(int argc, char** argv) {
  find_functions();
  const hz3test::Options options(argc, argv);
  threads = static_cast<unsigned>(options.number("--threads", 4));
  rounds = options.number("--rounds", 100'000);
  const bool turning = options.number("--keep-knobs", 0) == 0 && set_knob != nullptr;
  CHECK(threads <= kMaxThreads);
  seed = options.seed();
  const std::uint64_t before = bytes_in_use();
  pthread_t workers[kMaxThreads];
  pthread_t turner{};
  for (std::uintptr_t i = 0; i < threads; ++i) {
    CHECK_EQ(pthread_create(&workers[i], nullptr, work, reinterpret_cast<void*>(i)), 0);
  }
  if (turning) CHECK_EQ(pthread_create(&turner, nullptr, turn_knobs, nullptr), 0);
  for (unsigned i = 0; i < threads; ++i) CHECK_EQ(pthread_join(workers[i], nullptr), 0);
  done.store(true, std::memory_order_relaxed);
  if (turning) CHECK_EQ(pthread_join(turner, nullptr), 0);
  std::uint64_t left = 0;
  for (std::atomic<void*>& box : boxes) {
    void* block = box.exchange(nullptr, std::memory_order_acquire);
    if (block == nullptr) continue;
    receive(block);
    ++left;
  }
  CHECK_EQ(received.load() + left, sent.load());
  const std::uint64_t after = bytes_in_use();
  CHECKF(after <= before + kSlackBytes, "%llu bytes in use before, %llu after",
         static_cast<unsigned long long>(before), static_cast<unsigned long long>(after));
  hz3test::say(1, "%llu blocks sent, %llu bytes in use before, %llu after\n",
               static_cast<unsigned long long>(sent.load()),
               static_cast<unsigned long long>(before), static_cast<unsigned long long>(after));
  return 0;
}
