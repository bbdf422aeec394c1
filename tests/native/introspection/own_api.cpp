// The functions of hz3.h beside the malloc family, and C23's sized frees, in a preloaded process.
//
//   own_api CASE      `--list` names the cases
#include <dlfcn.h>
#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>

#include "hz3/hz3.h"
#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// A function of hz3.h by its own name and type: HZ3(hz3_trim)().
template <typename Function>
Function* need(const char* name) {
  auto* function = hz3test::find_function<Function>(name);
  CHECKF(function != nullptr, "%s is not there", name);
  return function;
}
#define HZ3(name) need<decltype(name)>(#name)

hz3_stats read_stats() {
  hz3_stats stats{};
  stats.struct_bytes = sizeof stats;
  CHECK_EQ(HZ3(hz3_stats_read)(&stats), static_cast<int>(HZ3_OK));
  return stats;
}

void case_good_size() {
  auto* good_size = HZ3(hz3_good_size);
  for (std::size_t size = 1; size <= 600000; size += size < 40000 ? 1 : 997) {
    void* block = heap::malloc(size);
    CHECKF(heap::usable_size(block) == good_size(size), "size %zu", size);
    heap::free(block);
  }
  CHECK_EQ(good_size(SIZE_MAX), std::size_t{0});
  CHECK_EQ(good_size(SIZE_MAX / 2 + 1), std::size_t{0});
}

void case_same_family() {
  void* block = HZ3(hz3_malloc)(1000);
  block = heap::realloc(block, 5000);
  CHECK(HZ3(hz3_usable_size)(block) == heap::usable_size(block));
  heap::free(block);
  block = heap::malloc(1000);
  block = HZ3(hz3_realloc)(block, 3 * kMiB);
  HZ3(hz3_free)(block);
  block = HZ3(hz3_calloc)(10, 100);
  CHECK(hz3test::is_zeroed(block, 1000));
  std::free(block);
  block = HZ3(hz3_aligned_alloc)(4096, 100);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % 4096, std::uintptr_t{0});
  heap::free(block);
}

void case_owns() {
  auto* owns = HZ3(hz3_owns);
  int local = 0;
  CHECK_EQ(owns(nullptr), 0);
  CHECK_EQ(owns(&local), 0);
  CHECK_EQ(owns(reinterpret_cast<void*>(UINTPTR_MAX)), 0);
  CHECK_EQ(owns(reinterpret_cast<void*>(std::uintptr_t{1} << 62)), 0);
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{5000}, std::size_t{200000}, 2 * kMiB}) {
    auto* block = static_cast<char*>(heap::malloc(size));
    CHECK_EQ(owns(block), 1);
    CHECK_EQ(owns(block + 1), 0);
    CHECK_EQ(owns(block + size / 2), size == 1 ? 1 : 0);
    heap::free(block);
    HZ3(hz3_trim)();
    CHECK_EQ(owns(block), 0);
  }
}

void case_sized_free() {
  auto* free_sized = need<void(void*, std::size_t)>("free_sized");
  auto* free_aligned_sized = need<void(void*, std::size_t, std::size_t)>("free_aligned_sized");
  for (std::size_t size = 1; size < 3 * kMiB; size = size * 2 + 1) {
    errno = 55;
    free_sized(heap::malloc(size), size);
    free_aligned_sized(heap::aligned_alloc(64, size), 64, size);
    CHECK_EQ(errno, 55);
  }
  free_sized(nullptr, 0);
  free_aligned_sized(nullptr, 16, 0);
}

void case_stats() {
  constexpr std::size_t kSmall = 100000;
  constexpr std::size_t kSize = 240;
  auto** blocks = hz3test::map_zeroed<void*>(kSmall);
  const hz3_stats before = read_stats();
  for (std::size_t index = 0; index < kSmall; ++index) {
    blocks[index] = heap::malloc(kSize);
    std::memset(blocks[index], 1, kSize);
  }
  void* large = heap::malloc(32 * kMiB);
  const hz3_stats during = read_stats();
  CHECK(during.live_bytes >= before.live_bytes + kSmall * kSize);
  CHECK(during.large_bytes >= before.large_bytes + 32 * kMiB);
  CHECK(during.committed_bytes >= during.live_bytes - during.cached_bytes);
  CHECK(during.peak_committed_bytes >= during.committed_bytes);
  CHECK(during.mapped_bytes >= during.committed_bytes);
  CHECK(during.spans > before.spans && during.segments > before.segments);
  CHECK(during.threads >= 1 && during.shards >= 1 && during.metadata_bytes > 0);
  for (std::size_t index = 0; index < kSmall; ++index) heap::free(blocks[index]);
  heap::free(large);
  CHECK(HZ3(hz3_trim)() > 32 * kMiB);
  const hz3_stats after = read_stats();
  CHECK(after.live_bytes < during.live_bytes / 10);
  CHECK(after.large_bytes == before.large_bytes);
  CHECK(after.dirty_free_bytes < kMiB);
  CHECK(after.peak_committed_bytes >= during.committed_bytes);
}

// An older caller knows a shorter structure, a newer one a longer one.
void case_struct_sizes() {
  heap::free(heap::malloc(1));
  hz3_stats stats{};
  stats.struct_bytes = offsetof(hz3_stats, live_bytes);
  stats.live_bytes = 12345;
  CHECK_EQ(HZ3(hz3_stats_read)(&stats), static_cast<int>(HZ3_OK));
  CHECK(stats.mapped_bytes > 0);
  CHECK_EQ(stats.live_bytes, std::uint64_t{12345});
  stats.struct_bytes = 1;
  CHECK_EQ(HZ3(hz3_stats_read)(&stats), static_cast<int>(HZ3_NOT_A_VALUE));
  struct {
    hz3_stats known;
    std::uint64_t unknown;
  } newer{};
  newer.known.struct_bytes = sizeof newer;
  newer.unknown = 777;
  const int code = HZ3(hz3_stats_read)(&newer.known);
  CHECK(code == HZ3_OK || code == HZ3_NOT_A_VALUE);
  CHECK(newer.unknown == 777 || newer.unknown == 0);
}

void case_observe() {
  constexpr std::size_t kBlocks = 1000;
  static void* blocks[kBlocks];
  for (void*& block : blocks) {
    block = heap::malloc(1000);
    std::memset(block, 1, 1000);
  }
  const std::size_t count = HZ3(hz3_class_count)();
  auto* classes = hz3test::map_zeroed<hz3_class_observation>(count + 1);
  hz3_observation whole{};
  whole.struct_bytes = sizeof whole;
  classes[0].struct_bytes = sizeof classes[0];
  CHECK_EQ(HZ3(hz3_observe)(&whole, classes, count + 1), static_cast<int>(HZ3_OK));
  CHECK(whole.live_bytes >= kBlocks * 1000);
  CHECK(whole.resident_bytes > whole.heap_resident_bytes);
  CHECK(whole.threads >= 1 && whole.segments >= 1 && whole.locks_missed == 0);
  CHECK_EQ(classes[count].block_bytes, std::uint64_t{0});
  std::uint64_t live = 0;
  for (std::size_t i = 0; i < count; ++i) live += classes[i].live_bytes;
  CHECK_EQ(live, whole.live_bytes);
  CHECK_EQ(HZ3(hz3_observe)(&whole, nullptr, 0), static_cast<int>(HZ3_OK));
  CHECK_EQ(HZ3(hz3_observe)(nullptr, nullptr, 0), static_cast<int>(HZ3_NOT_A_VALUE));
  classes[0].struct_bytes = 1;
  CHECK_EQ(HZ3(hz3_observe)(&whole, classes, count), static_cast<int>(HZ3_NOT_A_VALUE));
  whole.struct_bytes = 0;
  CHECK_EQ(HZ3(hz3_observe)(&whole, nullptr, 0), static_cast<int>(HZ3_NOT_A_VALUE));
  errno = 77;
  CHECK_EQ(HZ3(hz3_observe_write)(-1), static_cast<int>(HZ3_NOT_WRITTEN));
  CHECK_EQ(errno, 77);
  for (void* block : blocks) heap::free(block);
}

void case_classes() {
  auto* read = HZ3(hz3_class_stats_read);
  const std::size_t count = HZ3(hz3_class_count)();
  void* block = heap::malloc(5000);
  std::uint64_t last = 0;
  bool seen = false;
  for (std::size_t index = 0; index < count; ++index) {
    hz3_class_stats stats{};
    stats.struct_bytes = sizeof stats;
    CHECK_EQ(read(index, &stats), static_cast<int>(HZ3_OK));
    CHECK(stats.block_bytes > last && stats.span_bytes >= stats.block_bytes);
    const std::uint64_t room = stats.span_bytes / stats.block_bytes * stats.spans;
    CHECK_EQ(stats.blocks_out + stats.blocks_free, room);
    seen = seen || (stats.block_bytes == heap::usable_size(block) && stats.blocks_out > 0);
    last = stats.block_bytes;
  }
  CHECK(seen);
  hz3_class_stats stats{};
  stats.struct_bytes = sizeof stats;
  CHECK(read(count, &stats) != HZ3_OK);
  heap::free(block);
}

void* churn(void*) {
  void* blocks[200] = {};
  for (std::size_t round = 0; round < 100000; ++round) {
    void*& block = blocks[round * 7 % 200];
    heap::free(block);
    block = heap::malloc(round * 13 % 9000 + 1);
  }
  for (void* block : blocks) heap::free(block);
  return nullptr;
}

// Counters only rise, whoever reads them while others allocate.
void case_counters() {
  const std::size_t count = HZ3(hz3_counter_count)();
  CHECK(count > 10 && count <= 128);
  for (std::size_t index = 0; index < count; ++index) {
    const hz3_counter_info* info = HZ3(hz3_counter_at)(index);
    CHECK(info->name[0] != '\0' && info->unit[0] != '\0' && info->doc[0] != '\0');
  }
  CHECK(HZ3(hz3_counter_at)(count) == nullptr);
  std::uint64_t last[128] = {};
  std::uint64_t now[128] = {};
  pthread_t threads[4];
  for (pthread_t& thread : threads) {
    CHECK_EQ(pthread_create(&thread, nullptr, churn, nullptr), 0);
  }
  for (int round = 0; round < 2000; ++round) {
    CHECK_EQ(HZ3(hz3_counters_read)(now, 128), count);
    for (std::size_t index = 0; index < count; ++index) {
      CHECKF(now[index] >= last[index], "%s fell", HZ3(hz3_counter_at)(index)->name);
      last[index] = now[index];
    }
    read_stats();
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(HZ3(hz3_counters_read)(now, 3), std::size_t{3});
}

void case_errno() {
  errno = 99;
  read_stats();
  HZ3(hz3_trim)();
  HZ3(hz3_owns)(&errno);
  HZ3(hz3_good_size)(SIZE_MAX);
  CHECK(HZ3(hz3_version)()[0] != '\0');
  CHECK_EQ(errno, 99);
}

// While other threads are at it, and when all is quiet.
void case_check_heap() {
  auto* check_heap = HZ3(hz3_check_heap);
  pthread_t threads[3]{};
  for (pthread_t& thread : threads) {
    CHECK_EQ(pthread_create(&thread, nullptr, churn, nullptr), 0);
  }
  for (int i = 0; i < 200; ++i) {
    CHECK_EQ(check_heap(), std::size_t{0});
    heap::free(heap::malloc(static_cast<std::size_t>(i) * 10'000));
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(check_heap(), std::size_t{0});
}

struct Case {
  const char* name;
  void (*run)();
};
constexpr Case kCases[] = {
    {"good_size", case_good_size},
    {"same_family", case_same_family},
    {"owns", case_owns},
    {"sized_free", case_sized_free},
    {"stats", case_stats},
    {"struct_sizes", case_struct_sizes},
    {"classes", case_classes},
    {"counters", case_counters},
    {"errno", case_errno},
    {"observe", case_observe},
    {"check_heap", case_check_heap},
};

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const bool listing = std::strcmp(argv[1], "--list") == 0;
  for (const Case& one : kCases) {
    if (listing) hz3test::say(1, "%s\n", one.name);
    if (std::strcmp(one.name, argv[1]) != 0) continue;
    one.run();
    hz3test::say(1, "done\n");
    return 0;
  }
  return listing ? 0 : 2;
}
