// What travels between threads: the lock-free stack of magazines, their pool, the owner stash with
// its spill and the transfer cache. Conservation is checked by marking every block and magazine.
#include <pthread.h>

#include <atomic>

#include "remote/magazine.h"
#include "remote/owner_stash.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/shard.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

using namespace hz3;
using hz3test::Random;

constexpr std::size_t kArenaBytes = std::size_t{1} << 30;
constexpr unsigned kThreads = 6;

void boot() {
  CHECK(boot_magazines(kArenaBytes));
  boot_shards(kThreads);
  for (unsigned shard = 0; shard < kThreads; ++shard) open_shard(shard);
}

Magazine* make(unsigned count, std::uintptr_t first_value) {
  Magazine* magazine = acquire_magazine(0);
  CHECK(magazine != nullptr);
  magazine->count.store(count, std::memory_order_relaxed);
  for (unsigned slot = 0; slot < count; ++slot) {
    magazine->slots[slot] = reinterpret_cast<void*>(first_value + slot);
  }
  return magazine;
}

template <typename Body>
void run_threads(Body body) {
  struct Call {
    Body* body;
    unsigned index;
  };
  pthread_t threads[kThreads];
  Call calls[kThreads];
  for (unsigned index = 0; index < kThreads; ++index) {
    calls[index] = Call{&body, index};
    CHECK_EQ(pthread_create(
                 &threads[index], nullptr,
                 [](void* argument) -> void* {
                   auto* call = static_cast<Call*>(argument);
                   (*call->body)(call->index);
                   return nullptr;
                 },
                 &calls[index]),
             0);
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
}

TEST(a_stack_is_last_in_first_out) {
  boot();
  static MagazineStack stack;
  CHECK(stack.is_empty());
  CHECK(stack.pop() == nullptr);
  Magazine* magazines[10];
  for (unsigned index = 0; index < 10; ++index) {
    magazines[index] = make(index + 1, index * 100);
    CHECK(stack.push(magazines[index], 1000));
  }
  CHECK_EQ(stack.blocks(), 55U);
  for (unsigned index = 10; index-- > 0;) CHECK(stack.pop() == magazines[index]);
  CHECK(stack.is_empty());
  CHECK_EQ(stack.blocks(), 0U);
}

TEST(a_stack_refuses_above_its_limit) {
  boot();
  static MagazineStack stack;
  CHECK(stack.push(make(60, 0), 100));
  CHECK(stack.push(make(60, 0), 100));  // below the limit before the push
  Magazine* refused = make(60, 0);
  CHECK(!stack.push(refused, 100));
  CHECK_EQ(stack.blocks(), 120U);
  CHECK(stack.pop() != nullptr);
  CHECK(stack.push(refused, 100));
}

TEST(the_sum_of_blocks_survives_the_widest_stack) {
  boot();
  static MagazineStack stack;
  unsigned pushed = 0;
  while (stack.push(make(Magazine::kSlots, 0), MagazineStack::kMaxBlocks)) ++pushed;
  CHECK_EQ(stack.blocks(), pushed * Magazine::kSlots);
  CHECK(stack.blocks() < (1U << 16));
  while (stack.pop() != nullptr) --pushed;
  CHECK_EQ(pushed, 0U);
  CHECK_EQ(stack.blocks(), 0U);
}

// Threads push and pop at random; a magazine is never in two hands.
TEST(a_stack_is_safe_between_threads) {
  boot();
  static MagazineStack stack;
  static std::atomic<int> hands[4096];
  for (unsigned index = 0; index < 300; ++index) CHECK(stack.push(make(7, 0), 60000));
  run_threads([](unsigned self) {
    Random random(1, self);
    Magazine* mine[32];
    unsigned count = 0;
    for (int round = 0; round < 200000; ++round) {
      if (count < 32 && (count == 0 || random.chance(50))) {
        Magazine* magazine = stack.pop();
        if (magazine == nullptr) continue;
        CHECK_EQ(hands[magazine_index(magazine)].exchange(1, std::memory_order_relaxed), 0);
        magazine->slots[0] = reinterpret_cast<void*>(std::uintptr_t{self});
        mine[count++] = magazine;
      } else {
        Magazine* magazine = mine[--count];
        CHECK(magazine->slots[0] == reinterpret_cast<void*>(std::uintptr_t{self}));
        hands[magazine_index(magazine)].store(0, std::memory_order_relaxed);
        CHECK(stack.push(magazine, 60000));
      }
    }
    while (count > 0) {
      Magazine* magazine = mine[--count];
      hands[magazine_index(magazine)].store(0, std::memory_order_relaxed);
      CHECK(stack.push(magazine, 60000));
    }
  });
  CHECK_EQ(stack.blocks(), 300U * 7);
  unsigned left = 0;
  while (stack.pop() != nullptr) ++left;
  CHECK_EQ(left, 300U);
}

TEST(the_pool_gives_each_magazine_once) {
  boot();
  static std::atomic<int> hands[1 << 16];
  run_threads([](unsigned self) {
    Random random(2, self);
    Magazine* mine[100] = {};
    for (int round = 0; round < 100000; ++round) {
      Magazine*& slot = mine[random.below(100)];
      if (slot == nullptr) {
        slot = acquire_magazine(self);
        CHECK(slot != nullptr);
        CHECK_EQ(hands[magazine_index(slot)].exchange(1, std::memory_order_relaxed), 0);
        CHECK(magazine_at(magazine_index(slot)) == slot);
        CHECK_EQ(slot->count.load(std::memory_order_relaxed), 0U);
      } else {
        hands[magazine_index(slot)].store(0, std::memory_order_relaxed);
        release_magazine(slot, self % 2);
        slot = nullptr;
      }
    }
  });
  // Every magazine ever made is one of the 600 that were held at once.
  CHECK(magazine_bytes() <= kThreads * 100 * sizeof(Magazine));
}

TEST(a_stash_gives_back_all_it_took) {
  boot();
  CounterBlock counters;
  Magazine* magazines[5];
  for (unsigned index = 0; index < 5; ++index) {
    magazines[index] = make(10, index * 10);
    CHECK(owner_stash.push(2, 7, magazines[index], 1000));
  }
  CHECK(owner_stash.has_blocks(2, 7));
  CHECK(!owner_stash.has_blocks(2, 8) && !owner_stash.has_blocks(1, 7));
  // Newest first; the others are spill, which a later push does not overtake.
  CHECK(owner_stash.pop(2, 7, OwnerStash::Take::kAll, &counters) == magazines[4]);
  Magazine* late = make(10, 500);
  CHECK(owner_stash.push(2, 7, late, 1000));
  CHECK(owner_stash.pop(2, 7, OwnerStash::Take::kAll, &counters) == magazines[3]);
  owner_stash.put_back(2, 7, magazines[3]);
  for (unsigned index = 4; index-- > 0;)
    CHECK(owner_stash.pop(2, 7, OwnerStash::Take::kAll, &counters) == magazines[index]);
  CHECK(owner_stash.pop(2, 7, OwnerStash::Take::kAll, &counters) == late);
  CHECK(owner_stash.pop(2, 7, OwnerStash::Take::kAll, &counters) == nullptr);
  CHECK(!owner_stash.has_blocks(2, 7));
}

TEST(a_stash_has_a_limit) {
  boot();
  CHECK(owner_stash.push(0, 0, make(60, 0), 100));
  CHECK(owner_stash.push(0, 0, make(60, 0), 100));
  CHECK(!owner_stash.push(0, 0, make(60, 0), 100));
  CounterBlock counters;
  CHECK(owner_stash.pop(0, 0, OwnerStash::Take::kAll, &counters) != nullptr);
  CHECK(owner_stash.push(0, 0, make(60, 0), 100));  // what was drained counts no more
}

// Five threads push, one drains under the lock: every block arrives once.
TEST(a_stash_is_safe_between_threads) {
  boot();
  constexpr std::uintptr_t kPerThread = 20000;
  static std::atomic<unsigned char> seen[kThreads * kPerThread * 3];
  static std::atomic<unsigned> finished{0};
  run_threads([](unsigned self) {
    if (self != 0) {
      for (std::uintptr_t round = 0; round < kPerThread; ++round) {
        Magazine* magazine = make(3, (self * kPerThread + round) * 3);
        while (!owner_stash.push(1, 1, magazine, 5000)) sched_yield();
      }
      finished.fetch_add(1, std::memory_order_release);
      return;
    }
    CounterBlock counters;
    for (;;) {
      const bool last = finished.load(std::memory_order_acquire) == kThreads - 1;
      while (Magazine* magazine = owner_stash.pop(1, 1, OwnerStash::Take::kAll, &counters)) {
        CHECK_EQ(magazine->count.load(std::memory_order_relaxed), 3U);
        for (unsigned slot = 0; slot < 3; ++slot) {
          const auto value = reinterpret_cast<std::uintptr_t>(magazine->slots[slot]);
          CHECK_EQ(int{seen[value].exchange(1, std::memory_order_relaxed)}, 0);
        }
        release_magazine(magazine, 0);
      }
      if (last) break;
    }
  });
  for (std::uintptr_t value = 3 * kPerThread; value < kThreads * kPerThread * 3; ++value) {
    CHECK_EQ(int{seen[value].load(std::memory_order_relaxed)}, 1);
  }
}

TEST(a_transfer_lane_has_its_limits) {
  boot();
  CHECK_EQ(set_knob("transfer_slots", 4), HZ3_OK);
  const unsigned lane = TransferCache::lane_of(0, class_of_size(64));
  unsigned pushed = 0;
  while (transfer_cache.push(lane, make(Magazine::kSlots, 0))) ++pushed;
  CHECK_EQ(pushed, 4U);
  CHECK(!transfer_cache.has_room(lane));
  CHECK_EQ(transfer_cache.parked_bytes(), std::size_t{4 * Magazine::kSlots * 64});
  CHECK(transfer_cache.pop(lane) != nullptr);
  CHECK(transfer_cache.has_room(lane));
  CHECK_EQ(set_knob("transfer_slots", 0), HZ3_OK);
  CHECK(!transfer_cache.push(lane, make(1, 0)));
}

TEST(idle_transfer_blocks_decay) {
  boot();
  const unsigned lane = TransferCache::lane_of(0, class_of_size(64));
  for (int index = 0; index < 4; ++index) CHECK(transfer_cache.push(lane, make(10, 0)));
  CHECK_EQ(transfer_cache.take_idle(lane), 0U);  // nothing is known to be idle yet
  CHECK(transfer_cache.take_idle(lane) > 0);     // nobody asked for it since
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
