// The routes as a whole on the fake system: whatever the knobs say, every block comes home, and
// each knob changes what its counter shows. "Owner" takes blocks from one shard, "stranger" gives
// them back for another.
#include "remote/route.h"

#include "arena/page_heap.h"
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "remote/remote_stash.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/shard.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

using namespace hz3;
using hz3test::Random;

constexpr std::size_t kArenaBytes = std::size_t{256} << 20;

CounterBlock owner_counters;
CounterBlock stranger_counters;
RouteUser owner = {0, &owner_counters};
RouteUser stranger = {1, &stranger_counters};

void boot() {
  CHECK(boot_arena(kArenaBytes));
  CHECK(boot_magazines(kArenaBytes));
  boot_shards(4);
  for (unsigned shard = 0; shard < 4; ++shard) open_shard(shard);
}

void set(const char* name, std::int64_t value) { CHECK_EQ(set_knob(name, value), HZ3_OK); }

void choose(const char* name, const char* value) {
  CHECK_EQ(set_knob_from_text(name, value, nullptr, 0), HZ3_OK);
}

void gather_for_stranger() {
  stranger.gathered = new_remote_stash();
  CHECK(stranger.gathered != nullptr);
}

std::uint64_t count(Counter which) {
  std::uint64_t totals[kCounterCount] = {};
  owner_counters.add_to(totals, kCounterCount);
  stranger_counters.add_to(totals, kCounterCount);
  shared_counters.add_to(totals, kCounterCount);
  for (unsigned i = 0; i < shard_count; ++i) {
    shards[i].central.counters().add_to(totals, kCounterCount);
  }
  return totals[static_cast<std::size_t>(which)];
}

std::uint64_t blocks_out() {
  std::uint64_t total = 0;
  for (unsigned i = 0; i < shard_count; ++i) {
    for (unsigned index = 0; index < kClassCount; ++index) {
      total += shards[i].central.figures(index).blocks_out;
    }
  }
  return total;
}

// Blocks of the owner's shard, taken as a bin takes them: a batch that was parked comes whole.
class Blocks {
 public:
  Blocks(unsigned class_index, unsigned wanted)
      : code_(code_of(class_index, owner.shard)), all_(hz3test::map_zeroed<void*>(wanted + 64)) {
    while (count_ < wanted) {
      const unsigned want = min_of(wanted - count_, Magazine::kSlots);
      const unsigned taken = take_blocks(owner, code_, all_ + count_, want);
      CHECK(taken != 0);
      count_ += taken;
    }
  }
  // In batches of at most `most`, all of them.
  void give(const RouteUser& user, unsigned most = Magazine::kSlots) {
    while (count_ != 0) {
      const unsigned batch = count_ < most ? count_ : most;
      count_ -= batch;
      give_blocks(user, code_, all_ + count_, batch);
    }
  }
  void give_one(const RouteUser& user) { give_blocks(user, code_, all_ + --count_, 1); }
  // A random draw of the blocks, so that batches mix spans.
  void shuffle(Random& random) {
    for (unsigned i = count_; i > 1; --i) std::swap(all_[i - 1], all_[random.below(i)]);
  }
  unsigned left() const { return count_; }

 private:
  Code code_;
  void** all_;
  unsigned count_ = 0;
};

void bring_all_home() {
  return_gathered(stranger, Gathered::kAll);
  decay_routes(owner, true);
  CHECK_EQ(blocks_out(), std::uint64_t{0});
  CHECK_EQ(page_heap.figures().used_pages, std::size_t{0});
  CHECK_EQ(count(Counter::kInvalidFrees), std::uint64_t{0});
}

TEST(every_block_comes_home_on_every_route) {
  boot();
  set("remote_batch", 1);
  gather_for_stranger();
  Random random(3);
  for (const char* route : {"owner_stash", "transfer", "page_queue"}) {
    choose("remote_route", route);
    for (const int gathered : {0, 2, 17, 62}) {
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

TEST(a_full_stash_hands_on_to_transfer_and_that_to_central) {
  boot();
  choose("remote_route", "owner_stash");
  const unsigned index = class_of_size(128);
  set("stash_max_objs", 100);
  set("transfer_slots", 2);
  Blocks blocks(index, 620);
  blocks.give(stranger);
  CHECK_EQ(count(Counter::kStashPush), std::uint64_t{2});
  CHECK(count(Counter::kStashOverflow) >= 8);
  CHECK_EQ(count(Counter::kTransferPush), std::uint64_t{2});
  CHECK(count(Counter::kTransferFull) >= 6);
  CHECK(count(Counter::kCentralReturn) >= 6 * 62);
  bring_all_home();
}

// The lane of the owner, whoever frees; its own shard finds the batch first.
TEST(a_parked_batch_comes_back_to_its_owner) {
  boot();
  choose("remote_route", "transfer");
  const unsigned index = class_of_size(128);
  Blocks blocks(index, Magazine::kSlots);
  blocks.give(stranger);
  CHECK(!transfer_cache.is_empty(TransferCache::lane_of(owner.shard, index)));
  CHECK(transfer_cache.is_empty(TransferCache::lane_of(stranger.shard, index)));
  Blocks again(index, Magazine::kSlots);
  CHECK_EQ(count(Counter::kTransferHit), std::uint64_t{1});
  CHECK_EQ(count(Counter::kTransferSteal), std::uint64_t{0});
  again.give(owner);
  bring_all_home();
}

// Of a mixed batch the newest block decides.
TEST(the_newest_block_names_the_owner_of_a_batch) {
  boot();
  choose("remote_route", "transfer");
  const unsigned index = class_of_size(128);
  const Code code = code_of(index, 0);
  void* blocks[2 * Magazine::kSlots];
  const unsigned mine = take_blocks(owner, code, blocks, 1);
  const unsigned theirs = take_blocks(stranger, code, blocks + mine, 1);
  give_blocks(owner, code, blocks, mine + theirs);
  CHECK(!transfer_cache.is_empty(TransferCache::lane_of(stranger.shard, index)));
  CHECK(transfer_cache.is_empty(TransferCache::lane_of(owner.shard, index)));
  bring_all_home();
}

// Before a span is cut, what others have parked is used; but never of a class whose blocks share
// cache lines.
TEST(parked_batches_of_others_come_before_a_new_span) {
  boot();
  choose("remote_route", "transfer");
  void* taken[Magazine::kSlots];
  for (const std::size_t size : {128, 16}) {
    const unsigned index = class_of_size(size);
    Blocks blocks(index, Magazine::kSlots);
    blocks.give(owner);
    const std::uint64_t cut = count(Counter::kSpansNew);
    const std::uint64_t stolen = count(Counter::kTransferSteal);
    const Code code = code_of(index, stranger.shard);
    const unsigned got = take_blocks(stranger, code, taken, 1);
    CHECK(got != 0);
    const bool is_tiny = size == 16;
    CHECK_EQ(count(Counter::kTransferSteal) - stolen, std::uint64_t{is_tiny ? 0U : 1U});
    CHECK_EQ(count(Counter::kSpansNew) - cut, std::uint64_t{is_tiny ? 1U : 0U});
    give_blocks(stranger, code, taken, got);
  }
  bring_all_home();
}

TEST(a_full_page_queue_hands_on_to_transfer) {
  boot();
  choose("remote_route", "page_queue");
  set("stash_max_objs", 100);
  Blocks blocks(class_of_size(128), 620);
  blocks.give(stranger);
  CHECK_EQ(count(Counter::kPageQueuePush), std::uint64_t{124});
  CHECK(count(Counter::kTransferPush) >= 8);
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
  Blocks blocks(class_of_size(128), 620);
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
  for (const char* route : {"owner_stash", "page_queue"}) {
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
  set("remote_batch", 62);
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
