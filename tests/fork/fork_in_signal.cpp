// fork in a signal handler that interrupted whatever the program did, allocation included. POSIX
// no longer promises that, but glibc's malloc supports it in a process of one thread: the child
// comes up and can exit, and the parent goes on allocating.
//
//   fork_in_signal [--forks N]
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "support/heap.hpp"
#include "support/options.hpp"
#include "support/random.hpp"

namespace {

namespace heap = hz3test::heap;

constexpr unsigned kPollMicros = 50;
constexpr unsigned kPatienceSeconds = 10;

std::atomic<unsigned>* forks_done = nullptr;  // shared with the process that sends the signals

void on_signal(int) {
  const int saved = errno;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(7);
  CHECK(child > 0);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECKF(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %#x",
         static_cast<unsigned>(status));
  forks_done->fetch_add(1, std::memory_order_relaxed);
  errno = saved;
}

// Interrupts `target` `forks` times, each time after its last fork is done and a little later.
[[noreturn]] void send_signals(pid_t target, unsigned forks) {
  for (unsigned sent = 0; sent < forks; ++sent) {
    CHECK_EQ(::kill(target, SIGUSR1), 0);
    unsigned waited = 0;
    while (forks_done->load(std::memory_order_relaxed) <= sent) {
      ::usleep(kPollMicros);
      if (++waited * kPollMicros > kPatienceSeconds * 1'000'000) {
        ::kill(target, SIGKILL);
        hz3test::fail(__FILE__, __LINE__, "hung in fork %u", sent);
      }
    }
    ::usleep(sent * 37 % 300);
  }
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const hz3test::Options options(argc, argv);
  const auto forks = static_cast<unsigned>(options.number("--forks", 300));
  void* shared = ::mmap(nullptr, sizeof *forks_done, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  forks_done = static_cast<std::atomic<unsigned>*>(shared);
  struct sigaction action {};
  action.sa_handler = on_signal;
  CHECK_EQ(::sigaction(SIGUSR1, &action, nullptr), 0);
  const pid_t parent = ::getpid();
  const pid_t sender = ::fork();
  CHECK(sender >= 0);
  if (sender == 0) send_signals(parent, forks);

  hz3test::Random random(99);
  void* blocks[256] = {};
  while (forks_done->load(std::memory_order_relaxed) < forks) {
    void*& block = blocks[random.below(256)];
    heap::free(block);
    block = heap::malloc(random.log_uniform(random.chance(3) ? 3000000 : 3000));
    CHECK(block != nullptr);
    *static_cast<volatile char*>(block) = 1;
  }
  for (void* block : blocks) heap::free(block);
  int status = 0;
  CHECK_EQ(::waitpid(sender, &status, 0), sender);
  CHECK_EQ(status, 0);
  hz3test::say(1, "%u forks from a signal handler\n", forks);
  return 0;
}
