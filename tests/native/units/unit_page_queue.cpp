// The page queue on the fake system: pending blocks come home once, spans are linked once and stay
// while somebody marks blocks in them, bad frees are seen, and the books balance between threads.
#include "remote/page_queue.h"

#include <pthread.h>

#include "arena/metadata.h"
#include "arena/page_heap.h"
#include "settings/knobs.h"
#include "span/pending.h"
#include "span/shard.h"
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
using hz3test::value_of;

constexpr std::size_t kArenaBytes = std::size_t{256} << 20;
constexpr unsigned kShard = 2;
constexpr unsigned kBatch = 62;
constexpr unsigned kNoLimit = 1u << 30;

CounterBlock counters;

void boot() {
  CHECK(boot_arena(kArenaBytes));
  boot_shards(4);
  for (unsigned shard = 0; shard < 4; ++shard) open_shard(shard);
}

Central& central() { return shards[kShard].central; }

unsigned take(unsigned class_index, void** out, unsigned want) {
  return hz3test::take_blocks(central(), class_index, out, want);
}

bool push(unsigned class_index, void** blocks, unsigned count, unsigned limit = kNoLimit) {
  return page_queue.push(kShard, class_index, blocks, count, limit, &counters);
}

void collect(unsigned class_index) { page_queue.collect(kShard, class_index, &central()); }

std::uint64_t reports() { return value_of(shared_counters, Counter::kInvalidFrees); }

Span* span_of(void* block) { return arena.spans[arena.page_of(block)]; }

TEST(blocks_of_every_class_come_home) {
  boot();
  for (unsigned index = 0; index < kClassCount; ++index) {
    void* blocks[kBatch];
    CHECK_EQ(take(index, blocks, kBatch), kBatch);
    CHECK(!page_queue.has_blocks(kShard, index));
    CHECK(push(index, blocks, kBatch));
    CHECK(page_queue.has_blocks(kShard, index));
    CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{kBatch});
    CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{kBatch});
    collect(index);
    CHECK(!page_queue.has_blocks(kShard, index));
    CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
    CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{0});
    CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
  }
  CHECK_EQ(page_heap.figures().used_pages, std::size_t{0});
}

TEST(a_span_is_linked_once_until_it_is_looked_at) {
  boot();
  const unsigned index = class_of_size(100);
  void* blocks[40];
  CHECK_EQ(take(index, blocks, 40), 40U);
  for (int i = 0; i < 20; ++i) CHECK(push(index, blocks + i, 1));
  CHECK_EQ(value_of(counters, Counter::kPageQueueLink), std::uint64_t{1});
  collect(index);
  CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{20});
  for (int i = 20; i < 40; ++i) CHECK(push(index, blocks + i, 1));
  CHECK_EQ(value_of(counters, Counter::kPageQueueLink), std::uint64_t{2});
  CHECK_EQ(value_of(counters, Counter::kPageQueuePush), std::uint64_t{40});
  collect(index);
  CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
  CHECK_EQ(value_of(central().counters(), Counter::kPageQueueSpans), std::uint64_t{2});
}

TEST(a_queue_has_a_limit) {
  boot();
  const unsigned index = class_of_size(64);
  void* blocks[kBatch];
  CHECK_EQ(take(index, blocks, kBatch), kBatch);
  CHECK(!push(index, blocks, 1, 0));
  CHECK(push(index, blocks, 30, 40));
  CHECK(push(index, blocks + 30, 30, 40));  // below the limit before the push
  CHECK(!push(index, blocks + 60, 2, 40));
  collect(index);
  CHECK(push(index, blocks + 60, 2, 40));
}

TEST(looks_become_due) {
  boot();
  for (int i = 0; i < 5; ++i) CHECK(page_queue.is_due(kShard, 3, 0));
  for (int i = 0; i < 5; ++i) CHECK(page_queue.is_due(kShard, 3, 1));
  unsigned due = 0;
  for (int i = 0; i < 12; ++i) due += page_queue.is_due(kShard, 3, 4) ? 1 : 0;
  CHECK_EQ(due, 3U);
}

TEST(double_and_interior_frees_are_reported) {
  boot();
  CHECK_EQ(set_knob_from_text("on_invalid_free", "warn", nullptr, 0), HZ3_OK);
  const unsigned index = class_of_size(100);
  void* blocks[20];
  CHECK_EQ(take(index, blocks, 20), 20U);
  void* twice[] = {blocks[0], blocks[1], blocks[0]};
  CHECK(push(index, twice, 3));  // twice in one batch
  CHECK_EQ(reports(), std::uint64_t{1});
  CHECK(push(index, blocks + 1, 1));  // pending already
  CHECK_EQ(reports(), std::uint64_t{2});
  void* inside = static_cast<char*>(blocks[2]) + 16;
  CHECK(push(index, &inside, 1));
  CHECK_EQ(reports(), std::uint64_t{3});
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{2});
  collect(index);
  CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{18});
  CHECK(push(index, blocks, 1));  // home already: seen when the bits are merged
  CHECK_EQ(reports(), std::uint64_t{3});
  collect(index);
  CHECK_EQ(reports(), std::uint64_t{4});
  CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{18});
  CHECK(push(index, blocks + 2, 18));
  collect(index);
  CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
  CHECK(!push(index, blocks + 5, 1));  // the span is gone: return_blocks will say so
}

// The pages of a block that was freed twice serve another class or shard by now.
TEST(a_block_of_a_span_that_serves_others_is_refused) {
  boot();
  CHECK_EQ(set_knob_from_text("on_invalid_free", "warn", nullptr, 0), HZ3_OK);
  const unsigned index = class_of_size(100);
  void* block = nullptr;
  CHECK_EQ(take(index, &block, 1), 1U);
  CHECK(pending_of(span_of(block)) != nullptr);
  CHECK(push(index, &block, 1));
  collect(index);
  void* other = nullptr;
  const unsigned other_class = class_of_size(200);
  CHECK_EQ(take(other_class, &other, 1), 1U);
  CHECK(span_of(block) == span_of(other));
  CHECK(push(index, &block, 1));
  CHECK_EQ(reports(), std::uint64_t{1});
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
  CHECK(push(other_class, &other, 1));
  collect(other_class);
  CHECK_EQ(reports(), std::uint64_t{1});
  CHECK_EQ(central().figures(other_class).spans, std::uint64_t{0});
}

// Between its marks and its announcement a producer may be put to sleep for long.
TEST(an_empty_span_stays_while_a_producer_is_in_it) {
  boot();
  const unsigned index = class_of_size(1000);
  void* blocks[8];
  CHECK_EQ(take(index, blocks, 8), 8U);
  Span* span = span_of(blocks[0]);
  Pending* pending = pending_of(span);
  CHECK(pending != nullptr);
  pending->control.fetch_add(Pending::kProducer);  // one that sleeps
  CHECK_EQ(central().put(blocks, 8), 0U);
  CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{0});
  CHECK_EQ(central().figures(index).spans, std::uint64_t{1});
  CHECK(span_of(blocks[0]) == span);
  // It may even serve again.
  CHECK_EQ(central().take_partial(index, blocks, 8), 8U);
  CHECK(push(index, blocks, 8));
  collect(index);
  CHECK_EQ(central().figures(index).spans, std::uint64_t{1});
  pending->control.fetch_sub(Pending::kProducer);
  CHECK_EQ(central().take_partial(index, blocks, 1), 1U);
  CHECK_EQ(central().put(blocks, 1), 0U);
  CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
}

TEST(without_memory_for_marks_nothing_is_done) {
  boot();
  const unsigned index = class_of_size(64);
  void* blocks[10];
  CHECK_EQ(take(index, blocks, 10), 10U);
  fake_os.refuse(OsCall::kMap);
  while (metadata_allocate(64) != nullptr) {
  }
  CHECK(!push(index, blocks, 10));
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
  fake_os.allow_all();
  CHECK(push(index, blocks, 10));
  collect(index);
  CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
}

// What fork leaves of threads that were marking (one span), had announced but not linked (another)
// and had linked (a third).
TEST(a_child_finds_all_marks) {
  boot();
  const unsigned index = class_of_size(4096);
  const unsigned per_span = kClasses[index].blocks;
  void* blocks[kBatch];
  CHECK(3 * per_span <= kBatch);
  CHECK_EQ(take(index, blocks, 3 * per_span), 3 * per_span);
  Pending* marks[3];
  for (unsigned i = 0; i < 3; ++i) {
    CHECK(push(index, blocks + i * per_span, per_span));
    marks[i] = span_of(blocks[i * per_span])->pending.load();
  }
  marks[0]->control.store(Pending::kProducer);
  for (unsigned i = 0; i < 2; ++i) marks[i]->next.store(nullptr);
  page_queue.rebuild_in_child();
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{3} * per_span);
  collect(index);
  CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
  CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
  for (const Pending* mark : marks) CHECK_EQ(mark->control.load(), Pending::kClosed);
}

// Owners take blocks and hand them to threads that push them; the queues are collected meanwhile.
// Every block is with nobody twice, and in the end all are home.
constexpr unsigned kPushers = 4;
constexpr unsigned kOwners = 2;
constexpr unsigned kBoxes = 64;
constexpr unsigned kRounds = 4000;

std::atomic<void*> boxes[kBoxes];
std::atomic<unsigned> owners_left{kOwners};
std::atomic<unsigned char>* held;  // per smallest block of the arena: out of its span

std::atomic<unsigned char>& holder_of(void* block) {
  return held[(reinterpret_cast<std::uintptr_t>(block) - arena.base) >> kMinBlockShift];
}

constexpr std::size_t kSizes[] = {8, 48, 400, 2048, 40'000};

void own(unsigned self) {
  Random random(5, self);
  for (unsigned round = 0; round < kRounds; ++round) {
    const unsigned index = class_of_size(kSizes[random.below(5)]);
    void* blocks[8];
    const auto want = static_cast<unsigned>(random.between(1, 8));
    unsigned taken = 0;
    {
      const LockGuard guard(shards[kShard].lock);
      if (random.chance(50)) collect(index);
      taken = take(index, blocks, want);
    }
    CHECK_EQ(taken, want);
    for (void* block : blocks) {
      if (taken-- == 0) break;
      CHECK_EQ(int{holder_of(block).exchange(1, std::memory_order_relaxed)}, 0);
      for (;;) {
        void* none = nullptr;
        std::atomic<void*>& box = boxes[random.below(kBoxes)];
        if (box.compare_exchange_strong(none, block, std::memory_order_release)) break;
        sched_yield();
      }
    }
  }
  owners_left.fetch_sub(1, std::memory_order_release);
}

void push_all(unsigned self) {
  Random random(6, self);
  CounterBlock mine;
  void* kept[5][8];
  unsigned count[5] = {};
  for (;;) {
    const bool last = owners_left.load(std::memory_order_acquire) == 0;
    for (std::atomic<void*>& box : boxes) {
      void* block = box.exchange(nullptr, std::memory_order_acquire);
      if (block == nullptr) continue;
      unsigned which = 0;
      while (class_of_size(kSizes[which]) != span_of(block)->class_index) ++which;
      CHECK_EQ(int{holder_of(block).exchange(0, std::memory_order_relaxed)}, 1);
      kept[which][count[which]++] = block;
      if (count[which] == 8 || random.chance(40)) {
        CHECK(page_queue.push(kShard, class_of_size(kSizes[which]), kept[which], count[which],
                              kNoLimit, &mine));
        count[which] = 0;
      }
    }
    if (last) break;
  }
  for (unsigned which = 0; which < 5; ++which) {
    CHECK(page_queue.push(kShard, class_of_size(kSizes[which]), kept[which], count[which], kNoLimit,
                          &mine));
  }
}

// The line on stderr about a pointer that is pushed.
void expect_line(void* pointer, const char* part) {
  int ends[2];
  CHECK_EQ(::pipe(ends), 0);
  const int present = ::dup(2);
  ::dup2(ends[1], 2);
  CHECK(push(class_of_size(400), &pointer, 1));
  ::dup2(present, 2);
  char line[600] = {};
  CHECK(::read(ends[0], line, sizeof line - 1) > 0);
  CHECKF(std::strstr(line, part) != nullptr, "no '%s' in '%s'", part, line);
}

TEST(inner_pointers_are_named_as_on_the_other_routes) {
  boot();
  CHECK_EQ(set_knob("on_invalid_free", 1), HZ3_OK);
  void* block = nullptr;
  CHECK_EQ(take(class_of_size(400), &block, 1), 1U);
  auto* bytes = static_cast<char*>(block);
  expect_line(bytes + 48, "interior free: pointer");
  expect_line(bytes + 48, "(48 bytes into a block of ");
  expect_line(bytes + 1, "misaligned free: pointer");
  expect_line(bytes + 1, "(1 bytes into a block of ");
}

TEST(no_block_is_lost_or_doubled_between_threads) {
  boot();
  held = hz3test::map_zeroed<std::atomic<unsigned char>>(kArenaBytes >> kMinBlockShift);
  pthread_t threads[kOwners + kPushers];
  for (std::uintptr_t i = 0; i < kOwners + kPushers; ++i) {
    CHECK_EQ(pthread_create(
                 &threads[i], nullptr,
                 [](void* argument) -> void* {
                   const auto self =
                       static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(argument));
                   if (self < kOwners) {
                     own(self);
                   } else {
                     push_all(self);
                   }
                   return nullptr;
                 },
                 reinterpret_cast<void*>(i)),
             0);
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  for (const std::size_t size : kSizes) {
    const unsigned index = class_of_size(size);
    collect(index);
    CHECK_EQ(page_queue.parked_blocks(index), std::uint64_t{0});
    CHECK_EQ(central().figures(index).blocks_out, std::uint64_t{0});
    // An empty span is kept only for a producer, whose link then came before the last look.
    CHECK_EQ(central().figures(index).spans, std::uint64_t{0});
  }
  CHECK_EQ(reports(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
