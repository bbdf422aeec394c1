// The audits of what lies between the threads on the fake system: pending blocks beside their
// spans, the page queues that list those, and the remote stash. Every kind of damage is found.
#include <cstring>

#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "policy/check_heap.h"
#include "remote/page_queue.h"
#include "remote/remote_stash.h"
#include "settings/knobs.h"
#include "span/pending.h"
#include "span/shard.h"
#include "span/span.h"
#include "support/check.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;

constexpr std::size_t kSize = 5000;
constexpr unsigned kBlocks = 40;
constexpr unsigned kNoLimit = 1u << 30;

CounterBlock counters;

Span& span_of(const void* block) { return *arena.spans[arena.page_of(block)]; }
unsigned index_of(const void* block) { return span_of(block).index_of(block); }
Pending& marks_of(const void* block) { return *pending_of(&span_of(block)); }

void mark(const void* block) {
  const unsigned index = index_of(block);
  marks_of(block).bits[index / 64].fetch_or(std::uint64_t{1} << (index % 64));
}

void push(void* block) {
  const Span& span = span_of(block);
  CHECK(page_queue.push(span.shard, span.class_index, &block, 1, kNoLimit, &counters));
}

void expect_damage(const char* what) {
  Audit audit;
  check_heap(&cache(), cache().user, &audit);
  CHECKF(audit.violations() != 0, "overlooked: %s", what);
  CHECKF(std::strcmp(audit.what(), what) == 0, "'%s' in place of '%s'", audit.what(), what);
}

// Blocks of two spans at least; the first one is pending.
void** blocks_with_one_pending() {
  static void* blocks[kBlocks];
  for (void*& block : blocks) block = hz3_malloc(kSize);
  CHECK(&span_of(blocks[0]) != &span_of(blocks[kBlocks - 1]));
  push(blocks[0]);
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  return blocks;
}

TEST(pending_blocks_of_many_spans_pass) {
  void** blocks = blocks_with_one_pending();
  for (unsigned i = 1; i < kBlocks; ++i) {
    push(blocks[i]);
    CHECK_EQ(hz3_check_heap(), std::size_t{0});
  }
  hz3_trim();
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  const Span& span = span_of(hz3_malloc(kSize));
  CHECK(!page_queue.has_blocks(span.shard, span.class_index));
}

TEST(a_block_both_free_and_pending_is_found) {
  void** blocks = blocks_with_one_pending();
  Span& span = span_of(blocks[0]);
  CHECK(&span == &span_of(blocks[1]) && &span == &span_of(blocks[2]));
  hz3_free(blocks[1]);
  hz3_trim();  // the pending one comes home as well
  CHECK_EQ(span.free_blocks, 2);
  push(blocks[2]);
  mark(blocks[1]);
  expect_damage("a pending block is not free in its span");
}

TEST(a_mark_behind_the_last_block_is_found) {
  marks_of(blocks_with_one_pending()[0]).bits[Span::kMostWords - 1] |= std::uint64_t{1} << 63;
  expect_damage("no mark stands behind the last block");
}

TEST(marks_that_nobody_announced_are_found) {
  void** blocks = blocks_with_one_pending();
  mark(blocks[kBlocks - 1]);
  expect_damage("pending blocks are announced");
}

TEST(marks_of_another_span_are_found) {
  void** blocks = blocks_with_one_pending();
  marks_of(blocks[kBlocks - 1]).span = &span_of(blocks[0]);
  expect_damage("the marks of a span name it");
}

TEST(a_used_span_closed_for_marks_is_found) {
  marks_of(blocks_with_one_pending()[0]).control |= Pending::kClosed;
  expect_damage("a span in use is open for marks");
}

TEST(a_span_that_only_says_it_is_queued_is_found) {
  void** blocks = blocks_with_one_pending();
  marks_of(blocks[kBlocks - 1]).control |= Pending::kQueued;
  expect_damage("a queued span is in a queue");
}

TEST(a_span_that_is_queued_and_does_not_know_it_is_found) {
  Pending& pending = marks_of(blocks_with_one_pending()[0]);
  for (auto& word : pending.bits) word = 0;
  pending.control = 0;
  expect_damage("a span in a queue knows it");
}

TEST(a_span_queued_twice_is_found) {
  Pending& pending = marks_of(blocks_with_one_pending()[0]);
  pending.next = &pending;
  expect_damage("a span is queued once");
}

TEST(a_span_in_the_queue_of_another_class_is_found) {
  Pending& pending = marks_of(blocks_with_one_pending()[0]);
  void* stranger = hz3_malloc(100);
  Pending& other = marks_of(stranger);
  pending.next = &other;
  other.control |= Pending::kQueued;
  // The class of smaller blocks is looked at first, and misses its span.
  push(hz3_malloc(100));
  expect_damage("a queued span is in the queue of its class");
}

TEST(a_lost_mark_is_found) {
  for (auto& word : marks_of(blocks_with_one_pending()[0]).bits) word = 0;
  expect_damage("pending blocks are counted");
}

TEST(a_mark_too_many_is_found) {
  void** blocks = blocks_with_one_pending();
  CHECK(&span_of(blocks[0]) == &span_of(blocks[1]));
  mark(blocks[1]);
  expect_damage("pending blocks are counted");
}

TEST(a_block_both_pending_and_in_a_bin_is_found) {
  void** blocks = blocks_with_one_pending();
  hz3_free(blocks[1]);
  push(blocks[1]);
  expect_damage("a parked block is not pending beside its span");
}

// A batch of blocks of another shard in the remote stash.
RemoteStash::Slot& gathered_batch() {
  void** own = blocks_with_one_pending();
  CHECK_EQ(set_knob("remote_route", static_cast<int>(RemoteRoute::kOwnerStash)), HZ3_OK);
  CHECK_EQ(set_knob("remote_batch", 10), HZ3_OK);
  RouteUser& user = cache().user;
  const Code code = arena.code_at(own[0]);
  const RouteUser neighbour = {(user.shard + 1) % shard_count, &counters};
  open_shard(neighbour.shard);
  void* blocks[Magazine::kSlots];
  const unsigned taken = take_blocks(neighbour, code, blocks, 5);
  CHECK(taken >= 5 && taken < 10);
  user.gathered = new_remote_stash();
  CHECK(user.gathered != nullptr);
  give_blocks(user, code, blocks, taken);
  CHECK_EQ(user.gathered->used_slots(), 1U);
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  for (RemoteStash::Slot& slot : *user.gathered) {
    if (slot.batch != nullptr) return slot;
  }
  hz3test::fail(__FILE__, __LINE__, "nothing was gathered");
}

TEST(a_gathered_batch_in_a_wrong_slot_is_found) {
  RemoteStash::Slot& slot = gathered_batch();
  ++slot.key;
  expect_damage("a gathered batch is in its slot");
}

TEST(a_gathered_block_of_another_owner_is_found) {
  RemoteStash::Slot& slot = gathered_batch();
  slot.batch->slots[0] = hz3_malloc(kSize);
  expect_damage("a gathered block is for its batch's owner");
}

TEST(a_block_gathered_twice_is_found) {
  RemoteStash::Slot& slot = gathered_batch();
  slot.batch->slots[0] = slot.batch->slots[1];
  expect_damage("a parked block is there only once");
}

TEST(a_gathered_block_that_is_pending_is_found) {
  push(gathered_batch().batch->slots[0]);
  expect_damage("a parked block is not pending beside its span");
}

TEST(an_empty_gathered_batch_is_found) {
  gathered_batch().batch->count = 0;
  expect_damage("a gathered batch is not empty");
}

TEST(an_overlong_gathered_batch_is_found) {
  gathered_batch().batch->count = Magazine::kSlots + 1;
  expect_damage("a batch holds what fits into it");
}

TEST(a_forgotten_gathered_batch_is_found) {
  RemoteStash::Slot& slot = gathered_batch();
  slot.batch = nullptr;
  expect_damage("gathered batches are counted");
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
