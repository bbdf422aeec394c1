// Allocation while a thread is taken down: in destructors of thread_local objects and in all four
// rounds of pthread key destructors, some of which run after the allocator's own. Blocks stay
// intact, frees are accepted, and nothing is lost per thread.
//
//   thread_teardown [--threads N] [--limit-kib N]
#include <limits.h>
#include <pthread.h>

#include <atomic>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kKeys = 3;
constexpr std::size_t kBlocks = 40;

pthread_key_t keys[kKeys];
std::atomic<unsigned> rounds_run{0};
std::atomic<unsigned> objects_destroyed{0};

// What a destructor is handed: blocks of the round before, and how many rounds are left.
struct Bag {
  std::size_t key;
  int rounds_left;
  void* blocks[kBlocks];
};

std::size_t size_of_block(std::size_t index) { return index == 0 ? 70000 : index * index * 3 + 1; }

void fill(Bag* bag) {
  for (std::size_t index = 0; index < kBlocks; ++index) {
    bag->blocks[index] = heap::malloc(size_of_block(index));
    CHECK(bag->blocks[index] != nullptr);
    hz3test::fill_pattern(bag->blocks[index], size_of_block(index), index);
  }
}

void empty(Bag* bag) {
  for (std::size_t index = 0; index < kBlocks; ++index) {
    CHECK(hz3test::has_pattern(bag->blocks[index], size_of_block(index), index));
    heap::free(bag->blocks[index]);
  }
}

// Frees the old blocks, allocates new ones and asks to be called again while rounds are left.
void destroy_bag(void* argument) {
  auto* bag = static_cast<Bag*>(argument);
  rounds_run.fetch_add(1, std::memory_order_relaxed);
  empty(bag);
  void* scratch = heap::calloc(3, 100);
  CHECK(hz3test::is_zeroed(scratch, 300));
  scratch = heap::realloc(scratch, 5000);
  heap::free(scratch);
  if (--bag->rounds_left == 0) {
    heap::free(bag);
    return;
  }
  fill(bag);
  CHECK_EQ(pthread_setspecific(keys[bag->key], bag), 0);
}

void attach_bag(std::size_t key) {
  auto* bag = static_cast<Bag*>(heap::malloc(sizeof(Bag)));
  CHECK(bag != nullptr);
  bag->key = key;
  bag->rounds_left = PTHREAD_DESTRUCTOR_ITERATIONS;
  fill(bag);
  CHECK_EQ(pthread_setspecific(keys[key], bag), 0);
}

// A C++ object of the thread: destroyed before the keys' destructors run.
class Resident {
 public:
  Resident() { fill(&bag_); }
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;
  ~Resident() {
    empty(&bag_);
    fill(&bag_);
    empty(&bag_);
    objects_destroyed.fetch_add(1, std::memory_order_relaxed);
  }
  void touch() {
    empty(&bag_);
    fill(&bag_);
  }

 private:
  Bag bag_{};
};

thread_local Resident resident;

void* thread_main(void* argument) {
  // Odd threads allocate before they set keys, even ones the other way round: the allocator's own
  // key, if it has one, is then set at different times.
  const bool early = reinterpret_cast<std::uintptr_t>(argument) % 2 == 1;
  if (early) resident.touch();
  for (std::size_t key = 0; key < kKeys; ++key) attach_bag(key);
  if (!early) resident.touch();
  return nullptr;
}

void run_threads(unsigned first, unsigned count) {
  for (unsigned index = first; index < first + count; ++index) {
    pthread_t thread{};
    void* argument = reinterpret_cast<void*>(std::uintptr_t{index});
    CHECK_EQ(pthread_create(&thread, nullptr, thread_main, argument), 0);
    CHECK_EQ(pthread_join(thread, nullptr), 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const auto threads = static_cast<unsigned>(options.number("--threads", 1000));
  const std::size_t limit = options.number("--limit-kib", 1024) << 10;
  // Two keys before the first allocation of the program's own, one after.
  CHECK_EQ(pthread_key_create(&keys[0], destroy_bag), 0);
  CHECK_EQ(pthread_key_create(&keys[1], destroy_bag), 0);
  heap::free(heap::malloc(1));
  CHECK_EQ(pthread_key_create(&keys[2], destroy_bag), 0);
  run_threads(0, threads / 4);
  const std::size_t warm = hz3test::resident_bytes();
  run_threads(threads / 4, threads - threads / 4);
  const std::size_t last = hz3test::resident_bytes();
  const unsigned rounds = rounds_run.load(std::memory_order_relaxed);
  hz3test::say(1, "%u threads, %u destructor rounds, resident %zu -> %zu KiB\n", threads, rounds,
               warm >> 10, last >> 10);
  CHECK_EQ(rounds, static_cast<unsigned>(threads * kKeys * PTHREAD_DESTRUCTOR_ITERATIONS));
  CHECK_EQ(objects_destroyed.load(std::memory_order_relaxed), threads);
  const std::size_t growth = last > warm ? last - warm : 0;
  CHECKF(growth <= limit, "resident memory grew by %zu KiB", growth >> 10);
  return 0;
}
