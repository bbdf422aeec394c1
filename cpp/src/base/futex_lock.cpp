// The waiting half of FutexLock, and its part of fork. Any thread, never on the hit path.
#include "base/futex_lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace hz3 {
namespace {

constexpr int kSpins = 64;

}  // namespace

constinit HZ3_TLS char FutexLock::here_ = 0;
constinit std::atomic<std::uint32_t> FutexLock::fork_owner_{0};

void FutexLock::lock_slow() {
  if (forking()) return;
  const int saved_errno = errno;
  for (int i = 0; i < kSpins; ++i) {
    if (try_lock()) return;
    cpu_relax();
  }
  // From here on we may sleep, so whoever releases must wake. A sleeper only adds its mark to the
  // owner's word, and takes the lock as contended, since others may sleep as well.
  std::uint32_t seen = state_.load(std::memory_order_relaxed);
  for (;;) {
    if (seen == kFree) {
      if (state_.compare_exchange_weak(seen, identity() | kContended, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        break;
      }
      continue;
    }
    if ((seen & kContended) == 0 &&
        !state_.compare_exchange_weak(seen, seen | kContended, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
      continue;
    }
    syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, seen | kContended, nullptr, nullptr, 0);
    seen = state_.load(std::memory_order_relaxed);
  }
  errno = saved_errno;
}

void FutexLock::wake() {
  const int saved_errno = errno;
  syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  errno = saved_errno;
}

void FutexLock::lock_for_fork() {
  held_by_interrupted_ = is_held_by_caller();
  if (!held_by_interrupted_) lock();
}

void FutexLock::unlock_after_fork() {
  if (!held_by_interrupted_) unlock();
  held_by_interrupted_ = false;
}

void begin_fork() {
  FutexLock::fork_owner_.store(FutexLock::identity(), std::memory_order_relaxed);
}

void pass_locks_to_the_end() { begin_fork(); }

void end_fork() { FutexLock::fork_owner_.store(0, std::memory_order_relaxed); }

}  // namespace hz3
