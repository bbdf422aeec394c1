// The transfer cache among the routes: whose lane a batch goes to, and who finds it there.
#include "remote/transfer_cache.h"

#include "units/route_users.hpp"

namespace {

using namespace hz3;
using namespace hz3test;

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

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
