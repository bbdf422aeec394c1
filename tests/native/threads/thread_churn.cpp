// Threads that come and go: each allocates, frees what its predecessors left behind, leaves blocks
// to its successors and exits. What a vanished thread held must come back: after a warm-up the
// resident memory does not grow.
//
//   thread_churn [--cycles N] [--width N] [--limit-kib N] [--seed N]
#include <pthread.h>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kMailSlots = 256;
constexpr int kBlocksPerThread = 60;

struct Mail {
  void* address;
  std::size_t size;
};

pthread_mutex_t mail_lock = PTHREAD_MUTEX_INITIALIZER;
Mail mail[kMailSlots];
std::uint64_t seed = 0;

Mail swap_mail(std::size_t slot, Mail letter) {
  pthread_mutex_lock(&mail_lock);
  const Mail taken = mail[slot];
  mail[slot] = letter;
  pthread_mutex_unlock(&mail_lock);
  return taken;
}

void check_and_free(Mail letter) {
  if (letter.address == nullptr) return;
  CHECK(hz3test::has_pattern(letter.address, letter.size, letter.size));
  heap::free(letter.address);
}

void* thread_main(void* argument) {
  hz3test::Random random(seed, reinterpret_cast<std::uintptr_t>(argument));
  for (int index = 0; index < kBlocksPerThread; ++index) {
    const std::size_t size = random.log_uniform(index % 20 == 0 ? 100000 : 2000);
    const Mail own{heap::malloc(size), size};
    CHECK(own.address != nullptr);
    hz3test::fill_pattern(own.address, size, size);
    check_and_free(random.chance(50) ? swap_mail(random.below(kMailSlots), own) : own);
  }
  return nullptr;
}

void run_wave(std::uint64_t first, unsigned width) {
  pthread_t threads[64];
  for (unsigned index = 0; index < width; ++index) {
    void* argument = reinterpret_cast<void*>(first + index);
    CHECK_EQ(pthread_create(&threads[index], nullptr, thread_main, argument), 0);
  }
  for (unsigned index = 0; index < width; ++index) {
    CHECK_EQ(pthread_join(threads[index], nullptr), 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const std::uint64_t cycles = options.number("--cycles", 8000);
  const auto width = static_cast<unsigned>(options.number("--width", 4));
  const std::size_t limit = options.number("--limit-kib", 1024) << 10;
  CHECK(width <= 64);
  seed = options.seed();
  const std::uint64_t warm_up = cycles / 2;
  std::size_t warm = 0;
  for (std::uint64_t cycle = 0; cycle < cycles; cycle += width) {
    if (warm == 0 && cycle >= warm_up) warm = hz3test::resident_bytes();
    run_wave(cycle, width);
  }
  const std::size_t last = hz3test::resident_bytes();
  const std::size_t growth = last > warm ? last - warm : 0;
  hz3test::say(1, "%llu threads, resident %zu KiB after %llu, %zu KiB at the end\n",
               static_cast<unsigned long long>(cycles), warm >> 10,
               static_cast<unsigned long long>(warm_up), last >> 10);
  CHECKF(growth <= limit, "resident memory grew by %zu KiB", growth >> 10);
  for (std::size_t slot = 0; slot < kMailSlots; ++slot) check_and_free(swap_mail(slot, Mail{}));
  return 0;
}
