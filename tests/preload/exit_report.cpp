// Ends in many ways, for the tests of atexit_report and atexit_purge.
//
//   exit_report plain | threads | fork | underscore | handler | ask | replaced FILE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "hz3/hz3.h"
#include "support/check.hpp"
#include "support/heap.hpp"
#include "support/process.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr std::size_t kBlocks = 2000;

// Leaves 20 MB free.
void use_memory() {
  static void* blocks[kBlocks];
  for (void*& block : blocks) {
    block = heap::malloc(10000);
    std::memset(block, 1, 10000);
  }
  for (void* block : blocks) heap::free(block);
}

pthread_barrier_t all_run;

[[noreturn]] void* never_stop(void*) {
  heap::free(heap::malloc(100));
  pthread_barrier_wait(&all_run);
  for (;;) {
    void* blocks[200];
    for (void*& block : blocks) block = heap::malloc(3000);
    for (void* block : blocks) heap::free(block);
  }
}

void start_threads() {
  CHECK_EQ(pthread_barrier_init(&all_run, nullptr, 5), 0);
  for (int index = 0; index < 4; ++index) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, nullptr, never_stop, nullptr), 0);
  }
  pthread_barrier_wait(&all_run);
}

void exit_in_child() {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    use_memory();
    std::exit(0);
  }
  int status = 1;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

// Sooner or later the signal interrupts the allocator while it holds a lock.
void exit_in_handler() {
  struct sigaction action = {};
  action.sa_handler = [](int) { std::exit(0); };
  CHECK_EQ(::sigaction(SIGALRM, &action, nullptr), 0);
  const itimerval timer = {{0, 0}, {0, 3000}};
  CHECK_EQ(::setitimer(ITIMER_REAL, &timer, nullptr), 0);
  for (;;) heap::free(heap::malloc(300000));
}

void ask() {
  auto* set_knob = hz3test::find_function<decltype(hz3_knob_set)>("hz3_knob_set");
  CHECK(set_knob != nullptr);
  CHECK_EQ(set_knob("atexit_report", 1), static_cast<int>(HZ3_OK));
}

// What the program opened in the place of standard error is not for reports.
void replace_standard_error(const char* path) {
  ::close(2);
  CHECK_EQ(::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc >= 2);
  const auto is = [argv](const char* name) { return std::strcmp(argv[1], name) == 0; };
  use_memory();
  if (is("threads")) start_threads();
  if (is("fork")) exit_in_child();
  if (is("underscore")) ::_exit(0);
  if (is("handler")) exit_in_handler();
  if (is("ask")) ask();
  if (is("replaced")) replace_standard_error(argv[2]);
  return 0;
}
