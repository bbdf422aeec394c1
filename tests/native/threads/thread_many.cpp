// Many threads alive at once: all hold blocks, then each frees the blocks of another one.
//
//   thread_many [--threads N] [--limit-kib-per-thread N]
#include <pthread.h>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kBlocks = 24;
constexpr std::size_t kStackBytes = std::size_t{64} << 10;

unsigned thread_count = 0;
void** blocks = nullptr;  // kBlocks per thread
pthread_barrier_t all_have_allocated;
pthread_barrier_t may_free;

std::size_t size_of_block(std::size_t index) { return 16 + index * 40; }

void* thread_main(void* argument) {
  const auto self = reinterpret_cast<std::uintptr_t>(argument);
  for (std::size_t index = 0; index < kBlocks; ++index) {
    void* block = heap::malloc(size_of_block(index));
    CHECK(block != nullptr);
    hz3test::fill_pattern(block, size_of_block(index), self);
    blocks[self * kBlocks + index] = block;
  }
  pthread_barrier_wait(&all_have_allocated);
  pthread_barrier_wait(&may_free);
  const std::uintptr_t other = (self + thread_count / 2 + 1) % thread_count;
  for (std::size_t index = 0; index < kBlocks; ++index) {
    void* block = blocks[other * kBlocks + index];
    CHECK(hz3test::has_pattern(block, size_of_block(index), other));
    heap::free(block);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  thread_count = static_cast<unsigned>(options.number("--threads", 200));
  const std::size_t limit = options.number("--limit-kib-per-thread", 128) << 10;
  blocks = hz3test::map_zeroed<void*>(thread_count * kBlocks);
  auto* threads = hz3test::map_zeroed<pthread_t>(thread_count);
  CHECK_EQ(pthread_barrier_init(&all_have_allocated, nullptr, thread_count + 1), 0);
  CHECK_EQ(pthread_barrier_init(&may_free, nullptr, thread_count + 1), 0);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);

  const std::size_t before = hz3test::resident_bytes();
  for (unsigned index = 0; index < thread_count; ++index) {
    void* argument = reinterpret_cast<void*>(std::uintptr_t{index});
    CHECK_EQ(pthread_create(&threads[index], &attributes, thread_main, argument), 0);
  }
  pthread_barrier_wait(&all_have_allocated);
  const std::size_t per_thread = (hz3test::resident_bytes() - before) / thread_count;
  pthread_barrier_wait(&may_free);
  for (unsigned index = 0; index < thread_count; ++index) {
    CHECK_EQ(pthread_join(threads[index], nullptr), 0);
  }
  hz3test::say(1, "%u live threads, %zu KiB each (stack included)\n", thread_count,
               per_thread >> 10);
  CHECKF(per_thread <= limit, "%zu KiB per thread", per_thread >> 10);
  return 0;
}
