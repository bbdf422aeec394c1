// Allocation at the edges of a process's life: looked-up functions, blocks that outlive main, and
// handlers that run at exit. One case per run, named by the first argument; `--list` names them.
#include <dlfcn.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "support/heap.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kBlocks = 300;

std::size_t size_of_block(std::size_t index) { return index * index + 1; }

// Blocks that are handed from one edge of the process to the other.
struct Stock {
  void* blocks[kBlocks] = {};

  void fill() {
    for (std::size_t index = 0; index < kBlocks; ++index) {
      blocks[index] = heap::malloc(size_of_block(index));
      CHECK(blocks[index] != nullptr);
      hz3test::fill_pattern(blocks[index], size_of_block(index), index);
    }
  }
  void drain() {
    for (std::size_t index = 0; index < kBlocks; ++index) {
      if (blocks[index] == nullptr) continue;
      CHECK(hz3test::has_pattern(blocks[index], size_of_block(index), index));
      heap::free(blocks[index]);
      blocks[index] = nullptr;
    }
  }
};

Stock from_constructor;

__attribute__((constructor)) void allocate_in_constructor() { from_constructor.fill(); }

// Destroyed after main, among other static objects: frees what constructor and main allocated.
class LateFreer {
 public:
  ~LateFreer() {
    stock_.drain();
    from_constructor.drain();
    std::string text(100, 'x');
    text.resize(100000, 'y');
    CHECK(text[50] == 'x' && text[99999] == 'y');
  }
  void fill() { stock_.fill(); }

 private:
  Stock stock_;
};
LateFreer late_freer;

// dlsym allocates inside libc: its error text, and once calloc for the thread's error record.
void case_dlsym() {
  using Malloc = void*(std::size_t);
  auto* next_malloc = reinterpret_cast<Malloc*>(::dlsym(RTLD_NEXT, "malloc"));
  CHECK(next_malloc != nullptr);
  for (int round = 0; round < 200; ++round) {
    CHECK(::dlsym(RTLD_DEFAULT, "no_such_symbol_anywhere") == nullptr);
    CHECK(::dlerror() != nullptr);
  }
  void* self = ::dlopen(nullptr, RTLD_NOW);
  CHECK(self != nullptr);
  CHECK_EQ(::dlclose(self), 0);
}

Stock at_exit_stock;

void drain_at_exit() {
  at_exit_stock.drain();
  heap::free(heap::malloc(5000));
}

void case_atexit() {
  at_exit_stock.fill();
  // More handlers than fit into the table inside libc: it allocates further ones.
  for (int index = 0; index < 500; ++index) CHECK_EQ(std::atexit(drain_at_exit), 0);
}

void case_static_destructor() { late_freer.fill(); }

void case_quick_exit() {
  CHECK_EQ(::at_quick_exit(drain_at_exit), 0);
  at_exit_stock.fill();
  hz3test::say(1, "done\n");
  ::quick_exit(0);
}

void* exiting_thread(void*) {
  late_freer.fill();
  hz3test::say(1, "done\n");
  std::exit(0);
}

// exit from another thread while main still allocates.
void case_exit_from_thread() {
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, exiting_thread, nullptr), 0);
  for (;;) heap::free(heap::malloc(777));
}

void case_errno() {
  for (std::size_t size = 1; size < (std::size_t{64} << 20); size = size * 3 + 1) {
    errno = 77;
    void* block = heap::malloc(size);
    CHECK_EQ(errno, 77);
    *static_cast<volatile char*>(block) = 1;
    heap::free(block);
    CHECK_EQ(errno, 77);
  }
  errno = 0;
  CHECK(heap::malloc(SIZE_MAX) == nullptr);
  CHECK_EQ(errno, ENOMEM);
}

volatile sig_atomic_t handled = 0;
void* handler_blocks[8];

// Legal where the signal interrupts no allocation: the program below is waiting at that time.
void allocating_handler(int) {
  const int index = handled % 8;
  heap::free(handler_blocks[index]);
  handler_blocks[index] = heap::malloc(static_cast<std::size_t>(handled) * 100 + 1);
  CHECK(handler_blocks[index] != nullptr);
  handled = handled + 1;
}

void case_signal_handler() {
  // On a small alternate stack: the allocator must not need much of it.
  static char stack[16384];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  CHECK_EQ(::sigaltstack(&alternate, nullptr), 0);
  struct sigaction action {};
  action.sa_handler = allocating_handler;
  action.sa_flags = SA_ONSTACK;
  CHECK_EQ(::sigaction(SIGALRM, &action, nullptr), 0);
  for (int round = 0; round < 50; ++round) {
    const int before = handled;
    ::ualarm(500, 0);
    while (handled == before) ::usleep(100);
    heap::free(heap::malloc(100));
  }
  for (void* block : handler_blocks) heap::free(block);
}

// libc frees inside what it allocated inside: locale data, environment, stdio buffers.
void case_libc_state() {
  for (int round = 0; round < 50; ++round) {
    CHECK(::setlocale(LC_ALL, "C.UTF-8") != nullptr || round >= 0);
    CHECK_EQ(::setenv("HZ3_LIFE_CYCLE", "value", 1), 0);
    CHECK_EQ(::unsetenv("HZ3_LIFE_CYCLE"), 0);
    FILE* file = std::fopen("/dev/null", "w");
    CHECK(file != nullptr);
    std::fprintf(file, "%d %f %.400f\n", round, 0.1, 1e300);
    std::fclose(file);
  }
}

struct Case {
  const char* name;
  void (*run)();
};
constexpr Case kCases[] = {
    {"dlsym", case_dlsym},
    {"atexit", case_atexit},
    {"static_destructor", case_static_destructor},
    {"quick_exit", case_quick_exit},
    {"exit_from_thread", case_exit_from_thread},
    {"errno", case_errno},
    {"signal_handler", case_signal_handler},
    {"libc_state", case_libc_state},
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
