// The transfer cache among the routes: whose lane a batch goes to, and who finds it there.
#include "remote/transfer_cache.h"

#include "policy/check_heap.h"
#include "remote/parked.h"
#include "units/route_users.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

const RouteUser last = {3, &owner_counters};  // of the last shard

constexpr std::int64_t kRoomForTwo = 3 * Magazine::kSlots / 2;  // batches, the second overlaps

void boot_with_transfer() {
  boot();
  choose("remote_route", "transfer");
}

TEST(a_full_stash_hands_on_to_transfer_and_that_to_central) {
  boot();
  choose("remote_route", "owner_stash");
  const unsigned index = class_of_size(128);
  set("stash_max_objs", kRoomForTwo);
  set("transfer_slots", 2);
  Blocks blocks(index, 10 * Magazine::kSlots);
  blocks.give(stranger);
  CHECK_EQ(count(Counter::kStashPush), std::uint64_t{2});
  CHECK(count(Counter::kStashOverflow) >= 8);
  CHECK_EQ(count(Counter::kTransferPush), std::uint64_t{2});
  CHECK(count(Counter::kTransferFull) >= 6);
  CHECK(count(Counter::kCentralReturn) >= 6 * Magazine::kSlots);
  bring_all_home();
}

// The lane of the owner, whoever frees; its own shard finds the batch first.
TEST(a_parked_batch_comes_back_to_its_owner) {
  boot_with_transfer();
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
  boot_with_transfer();
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
  boot_with_transfer();
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

// Own spans are nearer than what others have parked.
TEST(own_spans_come_before_parked_batches_of_others) {
  boot_with_transfer();
  const unsigned index = class_of_size(128);
  Blocks theirs(index, Magazine::kSlots);
  theirs.give(owner);
  void* mine[Magazine::kSlots];
  const Code code = code_of(index, stranger.shard);
  unsigned got = take_blocks(stranger, code, mine, 1);  // what the owner had parked
  CHECK_EQ(count(Counter::kTransferSteal), std::uint64_t{1});
  void* more[Magazine::kSlots];
  const unsigned cut = take_blocks(stranger, code, more, 1);  // of a span of its own
  give_blocks(owner, code_of(index, owner.shard), mine, got);
  got = take_blocks(stranger, code, mine, 1);  // of the same span
  CHECK_EQ(count(Counter::kTransferSteal), std::uint64_t{1});
  CHECK(!transfer_cache.is_empty(TransferCache::lane_of(owner.shard, index)));
  give_blocks(stranger, code, more, cut);
  give_blocks(stranger, code, mine, got);
  bring_all_home();
}

// Reclaim, audit and figures know the lanes of all shards.
TEST(every_lane_is_looked_at) {
  boot_with_transfer();
  const unsigned index = class_of_size(128);
  void* blocks[Magazine::kSlots];
  const unsigned taken = take_blocks(last, code_of(index, last.shard), blocks, 1);
  const std::size_t segment = arena.page_of(blocks[0]) / kPagesPerSegment;
  give_blocks(stranger, code_of(index, stranger.shard), blocks, taken);
  CHECK_EQ(transfer_cache.parked_bytes(), std::size_t{taken} * 128);
  CHECK_EQ(return_parked_of(stranger, segment + 1), std::size_t{0});
  CHECK_EQ(return_parked_of(stranger, segment), std::size_t{taken});
  CHECK_EQ(transfer_cache.parked_bytes(), std::size_t{0});

  CHECK(take_blocks(last, code_of(index, last.shard), blocks, 1) == taken);
  give_blocks(stranger, code_of(index, stranger.shard), blocks, taken);
  CHECK_EQ(return_parked(stranger, 0), std::size_t{taken});
  bring_all_home();
}

TEST(an_audit_finds_a_bad_batch_in_any_lane) {
  boot();
  const unsigned index = class_of_size(128);
  void* blocks[Magazine::kSlots];
  take_blocks(last, code_of(index, last.shard), blocks, 1);
  Magazine* magazine = acquire_magazine(0);
  magazine->slots[0] = magazine->slots[1] = blocks[0];
  magazine->count.store(2, std::memory_order_relaxed);
  CHECK(transfer_cache.push(TransferCache::lane_of(last.shard, index), magazine));
  Audit audit;
  check_heap(nullptr, owner, &audit);
  CHECK(audit.violations() != 0);
}

TEST(a_full_page_queue_hands_on_to_transfer) {
  boot();
  choose("remote_route", "page_queue");
  set("stash_max_objs", kRoomForTwo);
  Blocks blocks(class_of_size(128), 10 * Magazine::kSlots);
  blocks.give(stranger);
  CHECK_EQ(count(Counter::kPageQueuePush), std::uint64_t{2 * Magazine::kSlots});
  CHECK(count(Counter::kTransferPush) >= 8);
  bring_all_home();
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
