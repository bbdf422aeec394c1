// Central on the fake system: blocks of one shard against a set of addresses, spans by fullness,
// reports of bad blocks, and memory going back when spans empty.
#include "span/central.h"

#include "settings/knobs.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "support/random.hpp"
#include "units/central_blocks.hpp"
#include "units/counter_value.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;
using hz3test::Random;
using Opening = PageHeap::Opening;

constexpr std::size_t kArenaBytes = std::size_t{256} << 20;
constexpr unsigned kBatch = 62;
constexpr unsigned kShard = 3;

Central central;

void boot() {
  CHECK(boot_arena(kArenaBytes));
  central.boot(kShard);
}

unsigned take(unsigned class_index, void** out, unsigned want) {
  return hz3test::take_blocks(central, class_index, out, want);
}

TEST(blocks_of_every_class_are_distinct_and_tagged) {
  boot();
  for (unsigned index = 0; index < kClassCount; ++index) {
    const SizeClass& shape = kClasses[index];
    void* blocks[kBatch];
    CHECK_EQ(take(index, blocks, kBatch), kBatch);
    for (unsigned i = 0; i < kBatch; ++i) {
      const std::size_t page = arena.page_of(blocks[i]);
      CHECK_EQ(unsigned{arena.code_at(blocks[i])}, unsigned{code_of(index, kShard)});
      const Span* span = arena.spans[page];
      CHECK(span != nullptr && span->shard == kShard && span->class_index == index);
      CHECK(span->index_of(blocks[i]) != Span::kNoBlock);
      CHECK(!span->is_free(span->index_of(blocks[i])));
      const std::size_t natural = shape.block_bytes & (~shape.block_bytes + 1);
      CHECK_EQ(reinterpret_cast<std::uintptr_t>(blocks[i]) % natural, std::uintptr_t{0});
      std::memset(blocks[i], static_cast<int>(i), shape.block_bytes);
    }
    for (unsigned i = 0; i < kBatch; ++i) {
      CHECK_EQ(unsigned{static_cast<unsigned char*>(blocks[i])[shape.block_bytes - 1]}, i);
    }
    CHECK_EQ(central.figures(index).blocks_out, std::uint64_t{kBatch});
    CHECK_EQ(central.put(blocks, kBatch), 0U);
    CHECK_EQ(central.figures(index).blocks_out, std::uint64_t{0});
    CHECK_EQ(central.figures(index).spans, std::uint64_t{0});
  }
  CHECK_EQ(page_heap.figures().used_pages, std::size_t{0});
}

TEST(random_traffic_keeps_the_books) {
  boot();
  Random random(11);
  constexpr std::size_t kHeld = 20000;
  auto** held = hz3test::map_zeroed<void*>(kHeld);
  std::size_t count = 0;
  const unsigned index = class_of_size(48);
  for (int round = 0; round < 3000; ++round) {
    void* batch[kBatch];
    const auto want = static_cast<unsigned>(random.between(1, kBatch));
    if (random.chance(51) && count + want <= kHeld) {
      CHECK_EQ(take(index, batch, want), want);
      for (unsigned i = 0; i < want; ++i) {
        *static_cast<void**>(batch[i]) = batch[i];
        held[count++] = batch[i];
      }
    } else if (count >= want) {
      for (unsigned i = 0; i < want; ++i) {
        const std::size_t pick = random.below(count);
        batch[i] = held[pick];
        CHECK(*static_cast<void**>(batch[i]) == batch[i]);
        held[pick] = held[--count];
      }
      CHECK_EQ(central.put(batch, want), 0U);
    }
    CHECK_EQ(central.figures(index).blocks_out, std::uint64_t{count});
  }
  while (count > 0) {
    const auto want = static_cast<unsigned>(count < kBatch ? count : kBatch);
    count -= want;
    CHECK_EQ(central.put(held + count, want), 0U);
  }
  CHECK_EQ(central.figures(index).spans, std::uint64_t{0});
}

TEST(a_bin_hands_out_low_addresses_first) {
  boot();
  void* blocks[8];
  CHECK_EQ(take(5, blocks, 8), 8U);
  for (unsigned i = 0; i + 1 < 8; ++i) CHECK(blocks[i] > blocks[i + 1]);
}

TEST(nearly_full_spans_are_used_before_nearly_empty_ones) {
  boot();
  const unsigned index = class_of_size(1024);
  const unsigned per_span = kClasses[index].blocks;
  void* blocks[64];
  CHECK(2 * per_span <= 64);
  CHECK_EQ(take(index, blocks, per_span), per_span);
  CHECK_EQ(take(index, blocks + per_span, per_span), per_span);
  // One block back into the second span, all but one into the first.
  CHECK_EQ(central.put(blocks, per_span - 1), 0U);
  void* single = blocks[per_span];
  CHECK_EQ(central.put(&single, 1), 0U);
  void* next = nullptr;
  CHECK_EQ(central.take_partial(index, &next, 1), 1U);
  CHECK(next == blocks[per_span]);
}

TEST(blocks_of_other_shards_are_handed_back) {
  boot();
  static Central other;
  other.boot(kShard + 1);
  void* mine[10];
  void* theirs[10];
  CHECK_EQ(take(20, mine, 10), 10U);
  CHECK(other.add_span(20, Opening::kAllowed));
  CHECK_EQ(other.take_partial(20, theirs, 10), 10U);
  void* mixed[20];
  for (unsigned i = 0; i < 10; ++i) {
    mixed[2 * i] = mine[i];
    mixed[2 * i + 1] = theirs[i];
  }
  CHECK_EQ(central.put(mixed, 20), 10U);
  for (unsigned i = 0; i < 10; ++i) CHECK(mixed[i] == theirs[i]);
  CHECK_EQ(other.put(mixed, 10), 0U);
}

std::uint64_t reports() { return hz3test::value_of(shared_counters, Counter::kInvalidFrees); }

TEST(bad_blocks_are_reported_and_left_alone) {
  boot();
  CHECK_EQ(set_knob_from_text("on_invalid_free", "warn", nullptr, 0), HZ3_OK);
  const unsigned index = class_of_size(100);
  void* blocks[10];
  CHECK_EQ(take(index, blocks, 10), 10U);
  void* twice[] = {blocks[0], blocks[0]};
  CHECK_EQ(central.put(twice, 2), 0U);
  CHECK_EQ(reports(), std::uint64_t{1});
  void* inside = static_cast<char*>(blocks[1]) + 16;
  CHECK_EQ(central.put(&inside, 1), 0U);
  CHECK_EQ(reports(), std::uint64_t{2});
  CHECK_EQ(central.figures(index).blocks_out, std::uint64_t{9});
  CHECK_EQ(central.put(blocks + 1, 9), 0U);
  CHECK_EQ(reports(), std::uint64_t{2});
  CHECK_EQ(central.put(blocks + 1, 1), 0U);  // the span is gone
  CHECK_EQ(reports(), std::uint64_t{3});
}

TEST(no_memory_for_pages_or_descriptors) {
  boot();
  fake_os.refuse(OsCall::kCommit);
  CHECK(!central.add_span(10, Opening::kAllowed));
  CHECK_EQ(central.figures(10).spans, std::uint64_t{0});
  fake_os.allow_all();
  CHECK(central.add_span(10, Opening::kAllowed));
  CHECK(!central.add_span(kClassCount - 1, Opening::kNever) ||
        central.figures(kClassCount - 1).spans == 1);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
