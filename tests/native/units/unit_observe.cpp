// Observation on the fake system: parts of a heap whose state is known to the byte, locks that
// cannot be had, no memory, and the document.
#include <sys/mman.h>

#include <pthread.h>

#include "arena/page_heap.h"
#include "cache/thread_cache.h"
#include "entry/allocate.h"
#include "entry/thread_state.h"
#include "large/large_heap.h"
#include "observe/all_locks.h"
#include "observe/json_writer.h"
#include "observe/observe.h"
#include "observe/residency.h"
#include "remote/owner_stash.h"
#include "remote/page_queue.h"
#include "remote/remote_stash.h"
#include "settings/knobs.h"
#include "span/shard.h"
#include "support/check.hpp"
#include "support/process.hpp"
#include "units/fake_os.hpp"

namespace {

using namespace hz3;
using hz3test::fake_os;
using hz3test::OsCall;

struct Seen {
  hz3_observation whole;
  hz3_class_observation classes[kClassCount];
};

Seen* look() {
  static Seen* seen = hz3test::map_zeroed<Seen>(1);
  seen->whole.struct_bytes = sizeof seen->whole;
  seen->classes[0].struct_bytes = sizeof seen->classes[0];
  CHECK_EQ(observe(&seen->whole, seen->classes, kClassCount), HZ3_OK);
  const hz3_observation& whole = seen->whole;
  CHECK_EQ(whole.live_bytes + whole.thread_cache_bytes + whole.stash_bytes + whole.spill_bytes +
               whole.transfer_bytes + whole.remote_stash_bytes + whole.page_queue_bytes +
               whole.central_bytes + whole.tail_waste_bytes + whole.free_pages_bytes +
               whole.large_live_bytes + whole.large_cache_bytes + whole.metadata_bytes,
           whole.heap_resident_bytes);
  return seen;
}

std::uint64_t in_spans(const hz3_class_observation& one) {
  return one.live_bytes + one.thread_cache_bytes + one.stash_bytes + one.spill_bytes +
         one.transfer_bytes + one.remote_stash_bytes + one.page_queue_bytes + one.central_bytes +
         one.tail_waste_bytes;
}

TEST(blocks_that_nobody_wrote_to_are_not_resident) {
  CHECK(ensure_booted());
  const unsigned index = class_of_size(4096);
  void* block = allocate(4096);
  const Seen* seen = look();
  CHECK_EQ(seen->classes[index].live_blocks, std::uint64_t{1});
  CHECK_EQ(in_spans(seen->classes[index]), std::uint64_t{0});
  std::memset(block, 1, 4096);
  seen = look();
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{4096});
  CHECK_EQ(in_spans(seen->classes[index]), std::uint64_t{4096});
  release(block);
  seen = look();
  CHECK_EQ(seen->classes[index].live_blocks, std::uint64_t{0});
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{0});
  CHECK_EQ(seen->classes[index].thread_cache_bytes, std::uint64_t{4096});
  CHECK_EQ(seen->whole.thread_cache_bytes, std::uint64_t{4096});
  thread_cache()->flush_all();
  seen = look();
  CHECK_EQ(seen->whole.free_pages_bytes, std::uint64_t{4096});
  CHECK_EQ(seen->classes[index].partial_spans + seen->classes[index].full_spans, std::uint64_t{0});
  CHECK_EQ(page_heap.purge_all() != 0, true);
  CHECK_EQ(look()->whole.free_pages_bytes, std::uint64_t{0});
}

TEST(a_span_is_cut_into_what_is_live_free_and_left_over) {
  CHECK(ensure_booted());
  const unsigned index = class_of_size(320);
  const SizeClass& shape = kClasses[index];
  const std::size_t span_bytes = std::size_t{shape.pages} << kPageShift;
  const std::size_t tail = span_bytes - std::size_t{shape.blocks} * shape.block_bytes;
  CHECK(tail != 0);
  void* blocks[1024];
  CHECK(shape.blocks <= 1024);
  for (unsigned i = 0; i < shape.blocks; ++i) {
    blocks[i] = allocate(320);
    std::memset(blocks[i], 1, 320);
  }
  const Span* span = arena.spans[arena.page_of(blocks[0])];
  thread_cache()->flush_all();
  std::memset(reinterpret_cast<void*>(span->start), 1, span_bytes);  // the tail as well
  const Seen* seen = look();
  CHECK_EQ(seen->classes[index].full_spans, std::uint64_t{1});
  CHECK_EQ(seen->classes[index].live_blocks, std::uint64_t{shape.blocks});
  CHECK_EQ(seen->classes[index].tail_waste_bytes, std::uint64_t{tail});
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{span_bytes - tail});
  CHECK_EQ(seen->whole.full_span_bytes, std::uint64_t{span_bytes});
  for (unsigned i = 0; i < 10; ++i) release(blocks[i]);
  thread_cache()->flush_all();
  seen = look();
  CHECK_EQ(seen->classes[index].partial_spans, std::uint64_t{1});
  CHECK_EQ(seen->classes[index].free_blocks, std::uint64_t{10});
  CHECK_EQ(seen->classes[index].central_bytes, std::uint64_t{10 * 320});
  CHECK_EQ(in_spans(seen->classes[index]), std::uint64_t{span_bytes});
  CHECK_EQ(seen->whole.partial_span_bytes, std::uint64_t{span_bytes});
}

TEST(parked_batches_are_found_where_they_are) {
  CHECK(ensure_booted());
  const unsigned index = class_of_size(1024);
  ThreadCache* cache = thread_cache();
  const unsigned shard = cache->user.shard;
  void* blocks[8];
  for (void*& block : blocks) {
    block = allocate(1024);
    std::memset(block, 1, 1024);
  }
  cache->flush_all();
  Magazine* stashed = acquire_magazine(shard);
  std::memcpy(stashed->slots, blocks, 3 * sizeof(void*));
  stashed->count.store(3, std::memory_order_relaxed);
  CHECK(owner_stash.push(shard, index, stashed, 100));
  Magazine* spilled = acquire_magazine(shard);
  std::memcpy(spilled->slots, blocks + 3, 2 * sizeof(void*));
  spilled->count.store(2, std::memory_order_relaxed);
  owner_stash.put_back(shard, index, spilled);
  const RouteUser user = cache->user;
  CHECK_EQ(set_knob_from_text("remote_route", "transfer", nullptr, 0), HZ3_OK);
  give_blocks(user, code_of(index, shard), blocks + 5, 2);
  const Seen* seen = look();
  CHECK_EQ(seen->classes[index].stash_bytes, std::uint64_t{3 * 1024});
  CHECK_EQ(seen->classes[index].spill_bytes, std::uint64_t{2 * 1024});
  CHECK_EQ(seen->classes[index].transfer_bytes, std::uint64_t{2 * 1024});
  CHECK_EQ(seen->classes[index].live_blocks, std::uint64_t{1});
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{1024});
  CHECK_EQ(seen->classes[index].parked_blocks, std::uint64_t{7});
  // The last one waits beside its span, until the lock holder merges it.
  CHECK(page_queue.push(shard, index, blocks + 7, 1, 100, user.counters));
  seen = look();
  CHECK_EQ(seen->classes[index].page_queue_bytes, std::uint64_t{1024});
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{0});
  CHECK_EQ(seen->classes[index].parked_blocks, std::uint64_t{8});
  {
    const LockGuard guard(shards[shard].lock);
    page_queue.collect(shard, index, &shards[shard].central);
  }
  seen = look();
  CHECK_EQ(seen->classes[index].page_queue_bytes, std::uint64_t{0});
  CHECK_EQ(seen->classes[index].parked_blocks, std::uint64_t{7});
}

TEST(what_a_thread_gathers_for_others_is_found) {
  CHECK(ensure_booted());
  const unsigned index = class_of_size(2048);
  ThreadCache* cache = thread_cache();
  void* blocks[5];
  for (void*& block : blocks) {
    block = allocate(2048);
    std::memset(block, 1, 2048);
  }
  cache->flush_all();
  CHECK_EQ(set_knob_from_text("remote_batch", "8", nullptr, 0), HZ3_OK);
  cache->user.gathered = new_remote_stash();
  CHECK(cache->user.gathered != nullptr);
  Magazine* batch = acquire_magazine(0);
  std::memcpy(batch->slots, blocks, 4 * sizeof(void*));
  batch->count.store(4, std::memory_order_relaxed);
  cache->user.gathered->put(&cache->user.gathered->slot_of(9), 9, code_of(index, 1), batch);
  const Seen* seen = look();
  CHECK_EQ(seen->classes[index].remote_stash_bytes, std::uint64_t{4 * 2048});
  CHECK_EQ(seen->classes[index].live_bytes, std::uint64_t{2048});
}

TEST(large_blocks_are_live_or_cached_as_far_as_they_were_touched) {
  CHECK(ensure_booted());
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  void* block = allocate(kBytes);
  CHECK_EQ(look()->whole.large_live_bytes, std::uint64_t{0});
  std::memset(block, 1, kBytes / 2);
  CHECK_EQ(look()->whole.large_live_bytes, std::uint64_t{kBytes / 2});
  release(block);
  const Seen* seen = look();
  CHECK_EQ(seen->whole.large_live_bytes, std::uint64_t{0});
  CHECK_EQ(seen->whole.large_cache_bytes, std::uint64_t{kBytes / 2});
}

TEST(segments_are_counted_by_their_free_pages) {
  CHECK(ensure_booted());
  void* block = allocate(kMaxClassBytes);
  const Seen* seen = look();
  CHECK_EQ(seen->whole.segments, std::uint64_t{1});
  CHECK_EQ(seen->whole.used_pages + seen->whole.free_pages, std::uint64_t{kPagesPerSegment});
  CHECK_EQ(seen->whole.locks_missed, std::uint64_t{0});
  release(block);
}

// The caller's own lock cannot be waited for: the account is made all the same, at once.
TEST(a_lock_of_the_caller_is_left) {
  CHECK(ensure_booted());
  void* block = allocate(100);
  std::memset(block, 1, 100);
  const LockGuard heap(page_heap.lock());
  const LockGuard shard(shards[0].lock);
  const LockGuard caches(thread_cache_lock());
  const Seen* seen = look();
  CHECK_EQ(seen->whole.locks_missed, std::uint64_t{3});
  CHECK(seen->whole.live_bytes >= 112);
}

void* hold_a_lock(void* ready) {
  page_heap.lock().lock();
  static_cast<std::atomic<bool>*>(ready)->store(true);
  for (;;) ::pause();
}

TEST(a_lock_that_never_comes_back_is_left_after_a_while) {
  CHECK(ensure_booted());
  std::atomic<bool> ready{false};
  pthread_t thread;
  CHECK_EQ(::pthread_create(&thread, nullptr, hold_a_lock, &ready), 0);
  while (!ready.load()) ::usleep(100);
  CHECK_EQ(look()->whole.locks_missed, std::uint64_t{1});
  const AllLocks locks(AllLocks::Patience::kNone);
  CHECK_EQ(locks.missed(), 1U);
  ::_exit(0);  // the other thread does not end
}

TEST(refusals_of_the_system) {
  CHECK(ensure_booted());
  hz3_observation whole = {};
  fake_os.refuse(OsCall::kMap);
  CHECK_EQ(observe(&whole, nullptr, 0), HZ3_NO_MEMORY);
  fake_os.allow_all();
  void* block = allocate(4096);
  std::memset(block, 1, 4096);
  fake_os.refuse(OsCall::kLookUpResidency);
  CHECK_EQ(look()->whole.heap_resident_bytes, std::uint64_t{0});
  fake_os.allow_all();
  CHECK_EQ(observe_to(-1), HZ3_NOT_WRITTEN);
  // Nothing stays behind.
  const std::size_t before = fake_os.committed_bytes;
  look();
  CHECK_EQ(fake_os.committed_bytes, before);
}

TEST(structures_of_other_sizes) {
  CHECK(ensure_booted());
  void* block = allocate(16);
  std::memset(block, 1, 16);
  // A caller that knows more fields, and one that knows only two.
  struct Longer {
    hz3_class_observation known;
    std::uint64_t more;
  };
  static Longer longer[kClassCount];
  longer[0].known.struct_bytes = sizeof longer[0];
  hz3_observation whole = {};
  CHECK_EQ(observe(&whole, &longer[0].known, kClassCount), HZ3_OK);
  CHECK_EQ(longer[1].known.block_bytes, std::uint64_t{16});
  CHECK_EQ(longer[kClassCount - 1].known.block_bytes, std::uint64_t{kMaxClassBytes});
  struct Shorter {
    std::size_t struct_bytes;
    std::uint64_t block_bytes;
  };
  static Shorter shorter[3];
  shorter[0].struct_bytes = sizeof shorter[0];
  shorter[2].block_bytes = 77;
  CHECK_EQ(observe(&whole, reinterpret_cast<hz3_class_observation*>(shorter), 2), HZ3_OK);
  CHECK_EQ(shorter[1].block_bytes, std::uint64_t{16});
  CHECK_EQ(shorter[2].block_bytes, std::uint64_t{77});
}

TEST(a_map_of_pages_counts_parts_of_them) {
  constexpr std::size_t kPages = 3000;
  auto* memory = static_cast<char*>(
      ::mmap(nullptr, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(memory != MAP_FAILED);
  for (const std::size_t page : {0U, 5U, 6U, 2048U, 2999U}) memory[page * 4096] = 1;
  const auto base = reinterpret_cast<std::uintptr_t>(memory);
  static std::uint64_t words[(kPages + 63) / 64];
  CHECK_EQ(ResidencyMap::words_for(kPages * 4096), sizeof words / sizeof words[0]);
  ResidencyMap map;
  map.look_up(base, kPages * 4096, words);
  CHECK_EQ(map.resident_bytes(base, kPages * 4096), std::size_t{5 * 4096});
  CHECK_EQ(map.resident_bytes(base + 100, 50), std::size_t{50});
  CHECK_EQ(map.resident_bytes(base + 4090, 20), std::size_t{6});
  CHECK_EQ(map.resident_bytes(base + 4096 * 4, 4096 * 3), std::size_t{2 * 4096});
  CHECK_EQ(map.resident_bytes(base + 2999 * 4096 + 4095, 1), std::size_t{1});
  CHECK_EQ(map.resident_bytes(base + 7 * 4096, 0), std::size_t{0});
  CHECK_EQ(resident_bytes(memory + 1, 4096 * 6), std::size_t{3 * 4096});
}

TEST(json_of_every_shape) {
  const int file = ::memfd_create("json", 0);
  CHECK(file >= 0);
  char buffer[7];  // smaller than most of what goes through
  JsonWriter writer(file, buffer, sizeof buffer);
  writer.open_object();
  writer.field("zero", 0);
  writer.field("most", UINT64_MAX);
  writer.key("list").open_array();
  writer.number(1);
  writer.number(2);
  writer.open_object();
  writer.close_object();
  writer.close_array();
  writer.key("yes").truth(true);
  writer.key("word").text("owner_stash|", 11);
  writer.close_object();
  CHECK(writer.finish());
  char text[200] = {};
  CHECK(::pread(file, text, sizeof text - 1, 0) > 0);
  CHECK_EQ(std::strcmp(text,
                       "{\"zero\":0,\"most\":18446744073709551615,\"list\":[1,2,{}],"
                       "\"yes\":true,\"word\":\"owner_stash\"}\n"),
           0);
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
