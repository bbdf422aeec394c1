// The audits of the heap on the fake system: a sound heap passes while it is used, and every kind
// of damage is found.
#include <cstring>

#include "arena/segment.h"
#include "cache/thread_cache.h"
#include "hz3/hz3.h"
#include "large/large_heap.h"
#include "policy/check_heap.h"
#include "remote/transfer_cache.h"
#include "settings/knobs.h"
#include "span/span.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "units/own_cache.hpp"

namespace {

using namespace hz3;
using hz3test::cache;

constexpr std::size_t kSize = 100;
constexpr unsigned kBlocks = 300;

// Half of them free: some in the bin, some in their spans.
void** busy_heap() {
  static void* blocks[kBlocks];
  for (void*& block : blocks) block = hz3_malloc(kSize);
  for (unsigned i = 0; i < kBlocks; i += 2) {
    hz3_free(blocks[i]);
    blocks[i] = nullptr;
  }
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  return blocks;
}

Span& span_of(const void* block) { return *arena.spans[arena.page_of(block)]; }

Segment& segment_of(const void* block) {
  return arena.segments[arena.page_of(block) / kPagesPerSegment];
}

Bin& bin_of(const void* block) { return cache().bins[arena.code_at(block)]; }

void expect_damage(const char* what) {
  Audit audit;
  check_heap(&cache(), cache().user, &audit);
  CHECKF(audit.violations() != 0, "overlooked: %s", what);
  CHECKF(std::strcmp(audit.what(), what) == 0, "'%s' in place of '%s'", audit.what(), what);
}

TEST(a_sound_heap_passes_all_the_time) {
  hz3test::Random random(7);
  constexpr unsigned kSlots = 500;
  static void* slots[kSlots];
  for (unsigned step = 0; step < 60'000; ++step) {
    void*& slot = slots[random.below(kSlots)];
    hz3_free(slot);
    const bool large = random.below(200) == 0;
    slot = random.below(3) == 0 ? nullptr : hz3_malloc(random.below(large ? 3'000'000 : 40'000));
    if (step % 500 == 0) CHECK_EQ(hz3_check_heap(), std::size_t{0});
    if (step % 10'000 == 9'999) hz3_trim();
  }
}

TEST(a_wrong_count_of_free_blocks_is_found) {
  ++span_of(busy_heap()[1]).free_blocks;
  expect_damage("free blocks are counted");
}

TEST(a_lost_free_bit_is_found) {
  Span& span = span_of(busy_heap()[1]);
  hz3_trim();
  CHECK(span.free_blocks != 0);
  for (unsigned i = 0; i < span.words(); ++i) span.free_bits[i] &= span.free_bits[i] - 1;
  expect_damage("free blocks are counted");
}

TEST(a_bit_behind_the_last_block_is_found) {
  Span& span = span_of(busy_heap()[1]);
  span.free_bits[span.words() - 1] |= std::uint64_t{1} << 63;
  expect_damage("no bit stands behind the last block");
}

TEST(a_wrong_tag_is_found) {
  arena.tag_at(busy_heap()[1]) = tag_of(code_of(class_of_size(5000), 0));
  expect_damage("the pages of a span have its tag");
}

TEST(a_page_without_its_span_is_found) {
  const Span& span = span_of(busy_heap()[1]);
  arena.spans[span.first_page + 1] = nullptr;
  expect_damage("the pages of a span name it");
}

TEST(an_unlinked_span_is_found) {
  Span& span = span_of(busy_heap()[1]);
  hz3_trim();
  CHECK(span.listed);
  span.listed = false;
  expect_damage("partly used spans are listed");
}

TEST(a_wrong_count_of_free_pages_is_found) {
  ++segment_of(busy_heap()[1]).free_pages;
  expect_damage("free pages are counted");
}

TEST(a_used_page_marked_as_dirty_is_found) {
  void** blocks = busy_heap();
  Segment& segment = segment_of(blocks[1]);
  segment.dirty.set(static_cast<unsigned>(arena.page_of(blocks[1]) % kPagesPerSegment), 1);
  ++segment.dirty_pages;
  expect_damage("dirty pages are free");
}

TEST(a_used_page_marked_as_free_is_found) {
  void** blocks = busy_heap();
  Segment& segment = segment_of(blocks[1]);
  segment.free.set(static_cast<unsigned>(arena.page_of(blocks[1]) % kPagesPerSegment), 1);
  ++segment.free_pages;
  segment.longest_run = kPagesPerSegment;
  expect_damage("a free page has no tag");
}

TEST(a_block_twice_in_a_bin_is_found) {
  Bin& bin = bin_of(busy_heap()[1]);
  CHECK(bin.count() >= 3);
  bin.floor[0] = bin.floor[1];
  expect_damage("a parked block is there only once");
}

TEST(an_inner_pointer_in_a_bin_is_found) {
  Bin& bin = bin_of(busy_heap()[1]);
  bin.floor[0] = static_cast<char*>(bin.floor[0]) + 16;
  expect_damage("a parked pointer is the start of a block");
}

TEST(a_block_of_another_class_in_a_bin_is_found) {
  void* stranger = hz3_malloc(5000);
  Bin& bin = bin_of(busy_heap()[1]);
  bin.floor[0] = stranger;
  expect_damage("a parked block is of its bin's class");
}

TEST(a_block_both_free_and_parked_is_found) {
  Bin& bin = bin_of(busy_heap()[1]);
  Span& span = span_of(bin.floor[0]);
  const unsigned index = span.index_of(bin.floor[0]);
  span.free_bits[index / 64] |= std::uint64_t{1} << (index % 64);
  Audit audit;
  cache().audit(&audit);
  CHECK_EQ(audit.violations(), 1U);
  CHECK(std::strcmp(audit.what(), "a parked block is not free in its span") == 0);
}

TEST(a_block_twice_in_a_batch_is_found) {
  void** blocks = busy_heap();
  const unsigned class_index = class_of_code(arena.code_at(blocks[1]));
  Magazine* magazine = acquire_magazine(0);
  magazine->slots[0] = magazine->slots[1] = blocks[1];
  magazine->count.store(2, std::memory_order_relaxed);
  CHECK(transfer_cache.push(TransferCache::lane_of(0, class_index), magazine));
  expect_damage("a parked block is there only once");
}

TEST(a_large_block_smaller_than_asked_for_is_found) {
  void* block = hz3_malloc(1'000'000);
  CHECK_EQ(hz3_check_heap(), std::size_t{0});
  large_heap.set_asked_bytes(block, 2'000'000);
  expect_damage("a block holds what was asked for");
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
