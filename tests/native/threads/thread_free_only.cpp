// Threads that only ever free: one thread allocates, the others take the blocks and free them. The
// memory must find its way back to the thread that allocates; consumers need no heap of their own.
//
//   thread_free_only [--rounds N] [--consumers N] [--limit-kib N]
#include <pthread.h>

#include <atomic>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kBatch = 2000;
constexpr unsigned kMaxConsumers = 16;

struct Parcel {
  void* address;
  std::size_t size;
};

unsigned consumers = 0;
Parcel batch[kBatch];
std::atomic<bool> done{false};
pthread_barrier_t filled;
pthread_barrier_t emptied;

void* consumer_main(void* argument) {
  const auto self = reinterpret_cast<std::uintptr_t>(argument);
  for (;;) {
    pthread_barrier_wait(&filled);
    if (done.load(std::memory_order_relaxed)) return nullptr;
    for (std::size_t index = self; index < kBatch; index += consumers) {
      CHECK(hz3test::has_pattern(batch[index].address, batch[index].size, index));
      heap::free(batch[index].address);
    }
    pthread_barrier_wait(&emptied);
  }
}

void fill_batch(hz3test::Random& random) {
  for (std::size_t index = 0; index < kBatch; ++index) {
    const std::size_t size = random.log_uniform(index % 50 == 0 ? 300000 : 3000);
    batch[index] = Parcel{heap::malloc(size), size};
    CHECK(batch[index].address != nullptr);
    hz3test::fill_pattern(batch[index].address, size, index);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const std::uint64_t rounds = options.number("--rounds", 300);
  const std::size_t limit = options.number("--limit-kib", 16384) << 10;
  consumers = static_cast<unsigned>(options.number("--consumers", 3));
  CHECK(consumers <= kMaxConsumers);
  hz3test::Random random(options.seed());
  pthread_t threads[kMaxConsumers];
  CHECK_EQ(pthread_barrier_init(&filled, nullptr, consumers + 1), 0);
  CHECK_EQ(pthread_barrier_init(&emptied, nullptr, consumers + 1), 0);
  for (unsigned index = 0; index < consumers; ++index) {
    void* argument = reinterpret_cast<void*>(std::uintptr_t{index});
    CHECK_EQ(pthread_create(&threads[index], nullptr, consumer_main, argument), 0);
  }
  std::size_t warm = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    if (round == rounds / 4) warm = hz3test::resident_bytes();
    fill_batch(random);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&emptied);
  }
  const std::size_t last = hz3test::resident_bytes();
  done.store(true, std::memory_order_relaxed);
  pthread_barrier_wait(&filled);
  for (unsigned index = 0; index < consumers; ++index) {
    CHECK_EQ(pthread_join(threads[index], nullptr), 0);
  }
  hz3test::say(1, "%llu blocks freed by others, resident %zu KiB after a quarter, %zu at the end\n",
               static_cast<unsigned long long>(rounds * kBatch), warm >> 10, last >> 10);
  const std::size_t growth = last > warm ? last - warm : 0;
  CHECKF(growth <= limit, "resident memory grew by %zu KiB", growth >> 10);
  return 0;
}
