// The lock: exclusion, hand-over to sleepers, and what happens to it around fork.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/futex_lock.h"
#include "support/check.hpp"

namespace {

hz3::FutexLock lock;
unsigned long guarded = 0;  // plain on purpose: only the lock makes this right

constexpr unsigned long kRounds = 200000;

void* add_locked(void*) {
  for (unsigned long round = 0; round < kRounds; ++round) {
    const hz3::LockGuard guard(lock);
    ++guarded;
  }
  return nullptr;
}

void* add_tried(void*) {
  for (unsigned long done = 0; done < kRounds;) {
    if (!lock.try_lock()) continue;
    ++guarded;
    ++done;
    lock.unlock();
  }
  return nullptr;
}

void* try_once(void* result) {
  *static_cast<bool*>(result) = lock.try_lock();
  return nullptr;
}

bool other_thread_gets_it() {
  bool got = false;
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, try_once, &got), 0);
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  return got;
}

TEST(threads_exclude_each_other) {
  pthread_t threads[8];
  for (int index = 0; index < 8; ++index) {
    CHECK_EQ(
        pthread_create(&threads[index], nullptr, index % 4 == 3 ? add_tried : add_locked, nullptr),
        0);
  }
  for (const pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(guarded, 8 * kRounds);
}

TEST(a_held_lock_is_not_given_to_others) {
  lock.lock();
  CHECK(!other_thread_gets_it());
  lock.unlock();
  CHECK(other_thread_gets_it());
}

void* wait_for_it(void*) {
  lock.lock();
  guarded = 42;
  lock.unlock();
  return nullptr;
}

TEST(a_sleeper_is_woken) {
  lock.lock();
  pthread_t thread{};
  CHECK_EQ(pthread_create(&thread, nullptr, wait_for_it, nullptr), 0);
  ::usleep(50000);
  CHECK_EQ(guarded, 0UL);
  lock.unlock();
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  CHECK_EQ(guarded, 42UL);
}

// The protocol of the fork handlers, in parent and child.
TEST(the_forking_thread_passes_and_nobody_else) {
  lock.lock_for_fork();
  hz3::begin_fork();
  lock.lock();  // a handler of the program allocates
  lock.unlock();
  CHECK(lock.try_lock());
  lock.unlock();
  CHECK(!other_thread_gets_it());
  const pid_t child = ::fork();
  CHECK(child >= 0);
  hz3::end_fork();
  lock.unlock_after_fork();
  CHECK(lock.try_lock());
  lock.unlock();
  if (child == 0) ::_exit(0);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  CHECK(other_thread_gets_it());
}

// fork in a signal handler that interrupted a section of the same thread.
TEST(an_interrupted_section_keeps_its_lock) {
  lock.lock();
  lock.lock_for_fork();
  hz3::begin_fork();
  hz3::end_fork();
  lock.unlock_after_fork();
  CHECK(!other_thread_gets_it());
  lock.unlock();
  CHECK(other_thread_gets_it());
}

}  // namespace

int main(int argc, char** argv) { return hz3test::run_tests(argc, argv); }
