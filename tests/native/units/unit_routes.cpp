// The routes as a whole: whatever the knobs say, every block comes home, and each knob changes what
// its counter shows.
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "units/route_users.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

TEST(every_block_comes_home_on_every_route) {
  boot();
  set("remote_batch", 1);
  gather_for_stranger();
  Random random(3);
  for (const char* route : {"owner_stash", "transfer", "page_queue"}) {
    choose("remote_route", route);
    for (const int gathered : {0, 2, 17, 126}) {
      for (const char* knob : {"remote_batch", "page_packet_k"}) {
        set("remote_batch", 0);
        set("page_packet_k", 0);
        set(knob, gathered);
        for (const std::size_t size : {16, 100, 5000, 100'000}) {
          Blocks blocks(class_of_size(size), 500);
          blocks.shuffle(random);
          blocks.give(stranger, static_cast<unsigned>(random.between(1, Magazine::kSlots)));
        }
      }
    }
  }
  bring_all_home();
}

TEST(what_waits_on_one_route_is_found_from_another) {
  boot();
  const unsigned index = class_of_size(128);
  set("stash_max_objs", 65536);
  Blocks first(index, 300);
  Blocks second(index, 300);
  Blocks third(index, 300);
  const unsigned all = first.left() + second.left() + third.left();
  const std::uint64_t cut = count(Counter::kSpansNew);
  choose("remote_route", "owner_stash");
  first.give(stranger);
  choose("remote_route", "page_queue");
  second.give(stranger);
  choose("remote_route", "transfer");
  third.give(stranger);
  Blocks again(index, all - 62);
  CHECK_EQ(count(Counter::kSpansNew), cut);
  again.give(stranger);
  bring_all_home();
}

// After a drain of five batches with room for one.
void drain_five() {
  choose("remote_route", "owner_stash");
  const unsigned index = class_of_size(128);
  Blocks blocks(index, 5 * Magazine::kSlots);
  blocks.give(stranger);
  Blocks taken(index, 1);
  taken.give(owner);
}

TEST(a_drain_leaves_spill) {
  boot();
  drain_five();
  CHECK_EQ(count(Counter::kStashDrain), std::uint64_t{1});
  CHECK_EQ(blocks_out(), std::uint64_t{5} * Magazine::kSlots);
  Blocks taken(class_of_size(128), 1);  // of the transfer cache
  Blocks more(class_of_size(128), 1);
  CHECK_EQ(count(Counter::kStashSpillHit), std::uint64_t{1});
  taken.give(owner);
  more.give(owner);
  bring_all_home();
}

TEST(without_spill_the_rest_goes_into_the_spans) {
  boot();
  set("stash_spill", 0);
  drain_five();
  CHECK_EQ(count(Counter::kStashDrain), std::uint64_t{1});
  CHECK_EQ(count(Counter::kStashSpillHit), std::uint64_t{0});
  CHECK_EQ(blocks_out(), std::uint64_t{Magazine::kSlots});  // what the drain took
  bring_all_home();
}

TEST(a_fast_pop_leaves_the_rest_in_the_stash) {
  boot();
  set("stash_fastpop", 1);
  set("drain_limit", 20);
  drain_five();
  CHECK_EQ(count(Counter::kStashDrain), std::uint64_t{0});
  CHECK_EQ(count(Counter::kStashFastpop), std::uint64_t{1});
  const unsigned index = class_of_size(128);
  CHECK(owner_stash.has_blocks(0, index));
  Magazine* spilled = owner_stash.pop_spill(0, index);  // the part of one batch
  CHECK(spilled != nullptr);
  CHECK_EQ(spilled->count.load(), Magazine::kSlots - 20);
  CHECK(owner_stash.pop_spill(0, index) == nullptr);
  owner_stash.put_back(0, index, spilled);
  bring_all_home();
}

TEST(an_uncounted_stash_has_no_limit) {
  boot();
  choose("remote_route", "owner_stash");
  set("stash_max_objs", 100);
  set("stash_count", 0);
  Blocks blocks(class_of_size(128), 10 * Magazine::kSlots);
  blocks.give(stranger);
  CHECK_EQ(count(Counter::kStashPush), std::uint64_t{10});
  CHECK_EQ(count(Counter::kStashOverflow), std::uint64_t{0});
  bring_all_home();
}

TEST(a_shard_opens_for_its_first_thread) {
  CHECK(boot_arena(kArenaBytes));
  boot_shards(4);
  for (unsigned shard = 0; shard < 4; ++shard) drain_shard(shard);
  CHECK(is_open(0) && !is_open(1));  // the first also for threads without a cache
  for (unsigned i = 0; i < 3; ++i) CHECK(is_open(acquire_shard()));
  CHECK(is_open(1) && is_open(2) && !is_open(3));
  CHECK_EQ(opened_shard_count(), 3U);
  Blocks blocks(class_of_size(128), 1);  // does not look for blocks in shards without threads
  CHECK(!is_open(3));
  blocks.give(owner);
  bring_all_home();
}

TEST(the_last_thread_of_a_shard_leaves_nothing_waiting) {
  boot();
  for (const char* route : {"owner_stash", "page_queue", "transfer"}) {
    choose("remote_route", route);
    const unsigned other = acquire_shard();
    shards[owner.shard].threads.store(2, std::memory_order_relaxed);
    Blocks blocks(class_of_size(128), 300);
    blocks.give(stranger);
    Blocks spilling(class_of_size(128), 1);
    const std::uint64_t before = blocks_out();
    leave_shard(owner);
    CHECK_EQ(blocks_out(), before);  // there is another one
    leave_shard(owner);
    CHECK_EQ(blocks_out(), std::uint64_t{spilling.left()});
    spilling.give(owner);
    bring_all_home();
    release_shard(other);
  }
}

TEST(a_remote_stash_sends_whole_batches) {
  boot();
  choose("remote_route", "owner_stash");
  set("remote_batch", 30);
  gather_for_stranger();
  const unsigned index = class_of_size(128);
  Blocks blocks(index, 62);
  for (int i = 0; i < 29; ++i) blocks.give_one(stranger);
  CHECK_EQ(count(Counter::kRemoteStashSend), std::uint64_t{0});
  CHECK_EQ(stranger.gathered->parked_bytes(), std::uint64_t{29 * 128});
  blocks.give_one(stranger);
  CHECK_EQ(count(Counter::kRemoteStashGather), std::uint64_t{30});
  CHECK_EQ(count(Counter::kRemoteStashSend), std::uint64_t{1});
  CHECK_EQ(count(Counter::kStashPush), std::uint64_t{1});
  CHECK(stranger.gathered->is_empty());
  blocks.give(owner);  // what is at home is not gathered
  CHECK_EQ(count(Counter::kRemoteStashGather), std::uint64_t{30});
  bring_all_home();
}

TEST(a_remote_stash_lets_go_of_what_is_idle) {
  boot();
  choose("remote_route", "owner_stash");
  set("remote_batch", 30);
  gather_for_stranger();
  Blocks blocks(class_of_size(128), 62);
  blocks.give_one(stranger);
  return_gathered(stranger, Gathered::kIdle);
  CHECK(!stranger.gathered->is_empty());
  blocks.give_one(stranger);
  return_gathered(stranger, Gathered::kIdle);
  CHECK(!stranger.gathered->is_empty());
  return_gathered(stranger, Gathered::kIdle);
  CHECK(stranger.gathered->is_empty());
  blocks.give(stranger);
  set("remote_batch", 0);  // what was gathered before still goes when it is idle
  return_gathered(stranger, Gathered::kIdle);
  return_gathered(stranger, Gathered::kIdle);
  CHECK(stranger.gathered->is_empty());
  bring_all_home();
}

TEST(batches_of_different_owners_share_few_slots) {
  boot();
  choose("remote_route", "owner_stash");
  set("remote_batch", 126);
  gather_for_stranger();
  for (unsigned index = 0; index < kClassCount; ++index) {
    Blocks blocks(index, 3);
    blocks.give(stranger, 1);
  }
  // More classes than slots: some had to make room. Large blocks are not gathered at all.
  CHECK(count(Counter::kRemoteStashEvict) > 0);
  CHECK(stranger.gathered->parked_bytes() <= RemoteStash::kSlots * 64 * 1024);
  bring_all_home();
}

TEST(packets_hold_blocks_of_one_span) {
  boot();
  choose("remote_route", "page_queue");
  const unsigned index = class_of_size(1000);
  const unsigned per_span = kClasses[index].blocks;
  set("page_packet_k", per_span);
  gather_for_stranger();
  Random random(9);
  Blocks blocks(index, 4 * per_span);
  const std::uint64_t all = blocks.left();
  blocks.shuffle(random);
  blocks.give(stranger, 5);
  return_gathered(stranger, Gathered::kAll);
  // Each span was marked in one go, by its last block.
  CHECK(count(Counter::kPageQueueLink) >= 4);
  CHECK_EQ(count(Counter::kPageQueueLink), count(Counter::kRemoteStashSend));
  CHECK_EQ(count(Counter::kPageQueuePush), count(Counter::kRemoteStashSend) * per_span);
  CHECK_EQ(count(Counter::kRemoteStashGather), all);
  bring_all_home();
}

TEST(a_queue_may_be_looked_at_less_often) {
  boot();
  choose("remote_route", "page_queue");
  set("transfer_slots", 0);
  set("drain_limit", 1);
  const unsigned index = class_of_size(128);
  for (const int period : {0, 3}) {
    set("collect_every", period);
    Blocks spare(index, 620);
    spare.give(owner);  // partly used spans to serve refills from
    Blocks keep(index, 1);
    const std::uint64_t skipped = count(Counter::kPageQueueSkip);
    const std::uint64_t drained = count(Counter::kPageQueueDrain);
    for (int i = 0; i < 12; ++i) {
      Blocks one(index, 1);
      one.give(stranger, 1);
    }
    // The first refill finds an empty queue.
    const std::uint64_t skips = count(Counter::kPageQueueSkip) - skipped;
    const std::uint64_t drains = count(Counter::kPageQueueDrain) - drained;
    CHECK_EQ(skips + drains, std::uint64_t{11});
    CHECK(period == 0 ? skips == 0 : skips >= 6);
    keep.give(owner);
  }
  bring_all_home();
}

TEST(a_shard_without_spans_looks_before_it_cuts_one) {
  boot();
  choose("remote_route", "page_queue");
  set("collect_every", 1024);
  const unsigned index = class_of_size(128);
  Blocks blocks(index, 62);
  while (count(Counter::kSpansNew) * kClasses[index].blocks > blocks_out()) {
    Blocks rest(index, 1);  // empties what is partly used; lost on purpose
    CHECK(rest.left() != 0);
  }
  const std::uint64_t cut = count(Counter::kSpansNew);
  blocks.give(stranger);
  Blocks again(index, 1);
  CHECK_EQ(count(Counter::kSpansNew), cut);
  CHECK_EQ(count(Counter::kPageQueueDrain), std::uint64_t{1});
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
