// Fork handlers that allocate, registered before and after the allocator had a chance to register
// its own: by this program's preinit array, by a constructor of a library it is linked with
// (fork_handlers_library.cpp), by its own constructor and by main. Each must find a working heap in
// the parent and in the child, with other threads allocating all the time.
//
//   fork_handlers [--forks N]
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

extern "C" unsigned library_handler_calls();

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kHeld = 50;
constexpr unsigned kChildSeconds = 20;

void* held[kHeld];
unsigned handler_calls = 0;
std::atomic<bool> done{false};

std::size_t size_of_block(std::size_t index) { return index * 777 + 1; }

void allocate_all() {
  ++handler_calls;
  for (std::size_t index = 0; index < kHeld; ++index) {
    held[index] = heap::malloc(size_of_block(index));
    CHECK(held[index] != nullptr);
    hz3test::fill_pattern(held[index], size_of_block(index), index);
  }
}

void free_all() {
  ++handler_calls;
  for (std::size_t index = 0; index < kHeld; ++index) {
    CHECK(hz3test::has_pattern(held[index], size_of_block(index), index));
    heap::free(held[index]);
  }
}

void allocate_and_free() {
  ++handler_calls;
  heap::free(heap::calloc(10, 100));
  heap::free(heap::malloc(std::size_t{1} << 20));
}

// First of all registrations: its prepare handler is the last to run before the fork.
void register_first(int, char**, char**) {
  CHECK_EQ(pthread_atfork(allocate_all, free_all, free_all), 0);
}
__attribute__((section(".preinit_array"), used)) void (*const preinit)(int, char**,
                                                                       char**) = register_first;

__attribute__((constructor)) void register_in_constructor() {
  CHECK_EQ(pthread_atfork(allocate_and_free, allocate_and_free, allocate_and_free), 0);
}

void* worker_main(void*) {
  std::size_t size = 1;
  while (!done.load(std::memory_order_relaxed)) {
    void* block = heap::malloc(size);
    CHECK(block != nullptr);
    *static_cast<volatile char*>(block) = 1;
    heap::free(block);
    size = size * 3 % 50021 + 1;
  }
  return nullptr;
}

void fork_once() {
  handler_calls = 0;
  ::alarm(kChildSeconds);  // a deadlock in a prepare handler hangs the parent
  const pid_t child = ::fork();
  CHECK(child >= 0);
  CHECK_EQ(handler_calls, 6U);
  if (child == 0) {
    ::alarm(kChildSeconds);
    allocate_all();
    free_all();
    ::_exit(0);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECKF(status == 0, "the child's wait status is %#x", static_cast<unsigned>(status));
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const std::uint64_t forks = options.number("--forks", 300);
  CHECK_EQ(pthread_atfork(allocate_and_free, allocate_and_free, allocate_and_free), 0);
  pthread_t workers[4];
  for (pthread_t& worker : workers) {
    CHECK_EQ(pthread_create(&worker, nullptr, worker_main, nullptr), 0);
  }
  for (std::uint64_t number = 0; number < forks; ++number) fork_once();
  done.store(true, std::memory_order_relaxed);
  for (const pthread_t worker : workers) CHECK_EQ(pthread_join(worker, nullptr), 0);
  CHECK_EQ(library_handler_calls(), static_cast<unsigned>(2 * forks));
  hz3test::say(1, "%llu forks with four sets of handlers\n",
               static_cast<unsigned long long>(forks));
  return 0;
}
