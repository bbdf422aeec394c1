// Threads started by a constructor, before main; and main leaving by pthread_exit while others
// still allocate.
#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr int kThreads = 8;
std::atomic<int> finished{0};
std::atomic<bool> main_is_leaving{false};

void allocate_for_a_while(std::size_t rounds) {
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::size_t size = round * 37 % 9000 + 1;
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    hz3test::fill_pattern(block, size, round);
    CHECK(hz3test::has_pattern(block, size, round));
    heap::free(block);
  }
}

void* early_main(void*) {
  allocate_for_a_while(20000);
  while (!main_is_leaving.load(std::memory_order_acquire)) ::usleep(100);
  allocate_for_a_while(20000);
  if (finished.fetch_add(1, std::memory_order_acq_rel) + 1 == kThreads) {
    hz3test::say(1, "%d threads\n", kThreads);
    ::exit(0);
  }
  return nullptr;
}

__attribute__((constructor)) void start_threads() {
  for (int index = 0; index < kThreads; ++index) {
    pthread_t thread{};
    CHECK_EQ(pthread_create(&thread, nullptr, early_main, nullptr), 0);
    CHECK_EQ(pthread_detach(thread), 0);
  }
}

}  // namespace

int main() {
  allocate_for_a_while(1000);
  main_is_leaving.store(true, std::memory_order_release);
  pthread_exit(nullptr);
}
