// The waiting half of FutexLock: any thread, never on the hit path.
#include "base/futex_lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace hz3 {
namespace {

constexpr int kSpins = 64;

}  // namespace

void FutexLock::lock_slow() {
  const int saved_errno = errno;
  for (int i = 0; i < kSpins; ++i) {
    if (try_lock()) return;
    cpu_relax();
  }
  // From here on we may sleep, so whoever releases must wake: take the lock as kContended.
  while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
    syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, kContended, nullptr, nullptr, 0);
  }
  errno = saved_errno;
}

void FutexLock::wake() {
  const int saved_errno = errno;
  syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  errno = saved_errno;
}

}  // namespace hz3
