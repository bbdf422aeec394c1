// fork from a process whose threads allocate all the time. Each child finds every published block
// intact, frees it, allocates anew, starts threads of its own or forks again, and exits. A child
// that hangs is killed by its alarm and counted as a failure.
//
//   fork_threads [--forks N] [--threads N] [--seed N]
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kSlots = 600;
constexpr unsigned kMaxThreads = 32;
constexpr unsigned kChildSeconds = 20;
constexpr unsigned kNapMicros = 100;  // leaves the processors to the children now and then

// A block describes itself, so that whoever takes it can check it.
struct Header {
  std::size_t size;
  std::uint64_t seed;
};

// A slot is empty or holds a finished block: whatever a fork finds here is whole.
std::atomic<Header*> slots[kSlots];
std::atomic<bool> done{false};
std::uint64_t seed = 0;

Header* make_block(hz3test::Random& random) {
  const bool big = random.chance(2);
  const std::size_t size = sizeof(Header) + random.log_uniform(big ? std::size_t{1} << 20 : 8000);
  auto* block = static_cast<Header*>(heap::malloc(size));
  CHECKF(block != nullptr, "malloc(%zu) was refused", size);
  *block = Header{size, random.next()};
  hz3test::fill_pattern(block + 1, size - sizeof(Header), block->seed);
  return block;
}

void check_and_free(Header* block) {
  if (block == nullptr) return;
  CHECKF(hz3test::has_pattern(block + 1, block->size - sizeof(Header), block->seed),
         "block %p of %zu bytes lost its content", static_cast<void*>(block), block->size);
  heap::free(block);
}

void churn(hz3test::Random& random, unsigned rounds) {
  for (unsigned round = 0; round < rounds; ++round) {
    auto& slot = slots[random.below(kSlots)];
    check_and_free(slot.exchange(nullptr, std::memory_order_acq_rel));
    check_and_free(slot.exchange(make_block(random), std::memory_order_acq_rel));
  }
}

void* worker_main(void* argument) {
  hz3test::Random random(seed, reinterpret_cast<std::uintptr_t>(argument));
  while (!done.load(std::memory_order_relaxed)) {
    churn(random, 64);
    ::usleep(kNapMicros);
  }
  return nullptr;
}

void* child_thread_main(void* argument) {
  hz3test::Random random(seed, reinterpret_cast<std::uintptr_t>(argument));
  churn(random, 100);
  return nullptr;
}

void run_child_threads(std::uint64_t stream) {
  pthread_t threads[2];
  for (std::uintptr_t index = 0; index < 2; ++index) {
    void* argument = reinterpret_cast<void*>(stream * 2 + index);
    CHECK_EQ(pthread_create(&threads[index], nullptr, child_thread_main, argument), 0);
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
}

void expect_clean_exit(pid_t child, const char* who) {
  int status = 0;
  pid_t waited = -1;
  do {
    waited = ::waitpid(child, &status, 0);
  } while (waited < 0 && errno == EINTR);
  CHECK_EQ(waited, child);
  CHECKF(!WIFSIGNALED(status), "%s died by signal %d (14 means it hung)", who, WTERMSIG(status));
  CHECKF(WEXITSTATUS(status) == 0, "%s exited with %d", who, WEXITSTATUS(status));
}

// What a child does depends on its number; every child checks and frees all it inherited.
[[noreturn]] void child_main(std::uint64_t number) {
  ::alarm(kChildSeconds);
  hz3test::Random random(seed, number + 1000);
  if (number % 3 == 0) churn(random, 100);
  for (auto& slot : slots) check_and_free(slot.exchange(nullptr, std::memory_order_acq_rel));
  churn(random, 100);
  if (number % 8 == 1) run_child_threads(number);
  if (number % 8 == 2) {
    const pid_t grandchild = ::fork();
    CHECK(grandchild >= 0);
    if (grandchild == 0) {
      ::alarm(kChildSeconds);
      churn(random, 100);
      ::_exit(0);
    }
    churn(random, 100);
    expect_clean_exit(grandchild, "a grandchild");
  }
  if (number % 8 == 3) heap::trim();
  if (number % 2 == 0) ::_exit(0);
  ::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const std::uint64_t forks = options.number("--forks", 1000);
  const auto threads = static_cast<unsigned>(options.number("--threads", 8));
  CHECK(threads <= kMaxThreads);
  seed = options.seed();
  pthread_t workers[kMaxThreads];
  for (unsigned index = 0; index < threads; ++index) {
    void* argument = reinterpret_cast<void*>(std::uintptr_t{index});
    CHECK_EQ(pthread_create(&workers[index], nullptr, worker_main, argument), 0);
  }
  hz3test::Random random(seed, kMaxThreads);
  for (std::uint64_t number = 0; number < forks; ++number) {
    churn(random, 20);
    const pid_t child = ::fork();
    CHECKF(child >= 0, "fork: errno %d", errno);
    if (child == 0) child_main(number);
    churn(random, 20);
    expect_clean_exit(child, "a child");
  }
  done.store(true, std::memory_order_relaxed);
  for (unsigned index = 0; index < threads; ++index) {
    CHECK_EQ(pthread_join(workers[index], nullptr), 0);
  }
  for (auto& slot : slots) check_and_free(slot.load(std::memory_order_relaxed));
  hz3test::say(1, "%llu forks from %u allocating threads\n", static_cast<unsigned long long>(forks),
               threads);
  return 0;
}
