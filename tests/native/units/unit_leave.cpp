// What is left for a shard while somebody holds its lock: it comes home when the lock is let go,
// and it is bounded.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/bits.h"
#include "remote/home.h"
#include "remote/owner_stash.h"
#include "remote/route.h"
#include "settings/knobs.h"
#include "span/shard.h"
#include "support/check.hpp"

namespace {

using namespace hz3;

constexpr unsigned kBatches = 10;
constexpr unsigned kBlocks = kBatches * Magazine::kSlots;

CounterBlock owner_counters;
CounterBlock stranger_counters;
const RouteUser owner = {0, &owner_counters};
const RouteUser stranger = {1, &stranger_counters};
const unsigned class_index = class_of_size(128);

void* blocks[kBlocks];
std::atomic<unsigned> batches_given;

void boot() {
  CHECK(boot_arena(std::size_t{256} << 20));
  CHECK(boot_magazines(std::size_t{256} << 20));
  boot_shards(2);
  for (unsigned shard = 0; shard < 2; ++shard) open_shard(shard);
}

void set(const char* name, std::int64_t value) { CHECK_EQ(set_knob(name, value), HZ3_OK); }

void take_all() {
  for (unsigned count = 0; count < kBlocks;) {
    const unsigned want = min_of(kBlocks - count, Magazine::kSlots);
    const unsigned taken =
        take_blocks(owner, code_of(class_index, owner.shard), blocks + count, want);
    CHECK(taken != 0);
    std::memmove(blocks + count, blocks + count + want - taken, taken * sizeof(void*));
    count += taken;
  }
}

std::uint64_t blocks_out() { return shards[owner.shard].central.figures(class_index).blocks_out; }

void give_batch(unsigned number) {
  return_blocks(stranger, class_index, blocks + number * Magazine::kSlots, Magazine::kSlots);
}

void* give_all(void*) {
  for (unsigned i = 0; i < kBatches; ++i) {
    give_batch(i);
    batches_given.store(i + 1);
  }
  return nullptr;
}

TEST(what_was_left_comes_home_when_the_lock_is_let_go) {
  boot();
  take_all();
  lock_shard(owner.shard);
  for (unsigned i = 0; i < kBatches; ++i) give_batch(i);
  CHECK_EQ(blocks_out(), std::uint64_t{kBlocks});
  unlock_shard(owner.shard);
  CHECK_EQ(blocks_out(), std::uint64_t{0});
  CHECK(!owner_stash.has_blocks(owner.shard, class_index));
}

// With room for a batch and a half two are left; the third waits for the lock.
TEST(who_holds_the_lock_is_not_buried) {
  boot();
  set("stash_max_objs", Magazine::kSlots * 3 / 2);
  for (const int counted : {1, 0}) {
    set("stash_count", counted);
    take_all();
    batches_given.store(0);
    pthread_t thread;
    lock_shard(owner.shard);
    CHECK_EQ(pthread_create(&thread, nullptr, give_all, nullptr), 0);
    while (batches_given.load() < 2) ::usleep(100);
    ::usleep(50'000);
    CHECK_EQ(batches_given.load(), 2U);
    unlock_shard(owner.shard);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
    CHECK_EQ(blocks_out(), std::uint64_t{0});
  }
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
