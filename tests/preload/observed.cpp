// A program that is observed in awkward moments. It knows nothing of hz3.
//   observed CASE
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "support/check.hpp"

namespace {

using hz3test::say;

// Traffic of all kinds: misses, overflows, blocks of other threads, large blocks.
std::atomic<void*> mailbox[64];

void* allocate_for_ever(void* seed) {
  auto state = reinterpret_cast<std::uintptr_t>(seed) * 2654435761u + 1;
  for (;;) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::size_t size = (state >> 40) % 50 == 0 ? 400'000 : (state >> 33) % 3000 + 1;
    auto* block = static_cast<char*>(std::malloc(size));
    CHECK(block != nullptr);
    block[0] = 1;
    std::free(mailbox[(state >> 20) % 64].exchange(block));
  }
}

void start_traffic(unsigned threads) {
  for (unsigned i = 1; i <= threads; ++i) {
    pthread_t thread;
    CHECK_EQ(::pthread_create(&thread, nullptr, allocate_for_ever, reinterpret_cast<void*>(i)), 0);
    ::pthread_detach(thread);
  }
}

void exit_at_once(int) { std::exit(0); }

// exit() in a handler that interrupts malloc or free, sooner or later under one of its locks.
void exit_in_handler() {
  start_traffic(2);
  ::signal(SIGALRM, exit_at_once);
  const itimerval soon = {{0, 0}, {0, 2000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  allocate_for_ever(nullptr);
}

// Children that end by exit(), of a parent whose threads are in the middle of something.
void fork_and_exit() {
  start_traffic(3);
  for (int i = 0; i < 30; ++i) {
    const pid_t child = ::fork();
    CHECK(child >= 0);
    if (child == 0) std::exit(7);
    int status = 0;
    CHECK_EQ(::waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
}

void answer(int) { say(1, "mine\n"); }

void own_handler() {
  std::free(std::malloc(1));
  struct sigaction action = {};
  action.sa_handler = answer;
  CHECK_EQ(::sigaction(SIGUSR2, &action, nullptr), 0);
  ::raise(SIGUSR2);
}

// Memory in all states, then silence until the reader of stdout has seen enough.
void idle() {
  static void* blocks[40000];
  for (std::size_t i = 0; i < 40000; ++i) {
    const std::size_t size = i % 100 == 0 ? 300'000 + i : i % 2000 + 1;
    blocks[i] = std::malloc(size);
    std::memset(blocks[i], 1, size / (i % 3 + 1));
  }
  for (std::size_t i = 0; i < 40000; i += 3) std::free(blocks[i]);
  say(1, "ready\n");
  char c = 0;
  while (::read(0, &c, 1) == 1) {
  }
}

void traffic() {
  start_traffic(3);
  say(1, "ready\n");
  char c = 0;
  while (::read(0, &c, 1) == 1) {
  }
}

constexpr struct {
  const char* name;
  void (*body)();
} kCases[] = {
    {"exit_in_handler", exit_in_handler},
    {"fork_and_exit", fork_and_exit},
    {"own_handler", own_handler},
    {"idle", idle},
    {"traffic", traffic},
};

}  // namespace

int main(int argc, char** argv) {
  for (const auto& one : kCases) {
    if (argc == 2 && std::strcmp(argv[1], one.name) == 0) {
      one.body();
      return 0;
    }
  }
  say(2, "usage: observed CASE\n");
  return 2;
}
