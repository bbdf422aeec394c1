// posix_spawn and vfork run no fork handlers and share the parent's memory until exec: the
// allocator must not notice. Threads allocate all the time.
//
//   spawn_loop [--rounds N]
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

extern char** environ;

namespace {

namespace heap = hz3test::heap;

std::atomic<bool> done{false};

void* worker_main(void* argument) {
  std::size_t size = reinterpret_cast<std::uintptr_t>(argument);
  while (!done.load(std::memory_order_relaxed)) {
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    hz3test::fill_pattern(block, size, size);
    CHECK(hz3test::has_pattern(block, size, size));
    heap::free(block);
    size = size * 5 % 30011 + 1;
  }
  return nullptr;
}

void expect_success(pid_t child) {
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECKF(status == 0, "wait status %#x", static_cast<unsigned>(status));
}

void spawn_once(char* const* argv) {
  pid_t child = -1;
  CHECK_EQ(::posix_spawn(&child, argv[0], nullptr, nullptr, argv, environ), 0);
  expect_success(child);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void vfork_once(char* const* argv) {
  const pid_t child = ::vfork();
  if (child == 0) {
    ::execv(argv[0], argv);
    ::_exit(127);
  }
  CHECK(child > 0);
  expect_success(child);
}
#pragma GCC diagnostic pop

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  if (options.flag("--child")) return 0;
  const std::uint64_t rounds = options.number("--rounds", 100);
  char flag[] = "--child";
  char* const child_argv[] = {argv[0], flag, nullptr};
  pthread_t workers[3];
  for (std::uintptr_t index = 0; index < 3; ++index) {
    CHECK_EQ(
        pthread_create(&workers[index], nullptr, worker_main, reinterpret_cast<void*>(index + 1)),
        0);
  }
  for (std::uint64_t round = 0; round < rounds; ++round) {
    spawn_once(child_argv);
    vfork_once(child_argv);
  }
  done.store(true, std::memory_order_relaxed);
  for (const pthread_t worker : workers) CHECK_EQ(pthread_join(worker, nullptr), 0);
  hz3test::say(1, "%llu spawns and as many vforks\n", static_cast<unsigned long long>(rounds));
  return 0;
}
