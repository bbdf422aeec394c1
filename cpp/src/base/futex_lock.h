// The one lock of the allocator: four bytes, futex-backed, constant-initialised.
//
// Sections are short (well under a microsecond for a batch), so a waiter first looks again a few
// times and then sleeps: with more threads than CPUs a spinner would burn the holder's time slice.
// States: 0 free, 1 held, 2 held and somebody may sleep.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/compiler.h"

namespace hz3 {

class FutexLock {
 public:
  constexpr FutexLock() = default;
  FutexLock(const FutexLock&) = delete;
  FutexLock& operator=(const FutexLock&) = delete;

  bool try_lock() {
    std::uint32_t expected = kFree;
    // acquire: pairs with the release in unlock() [lock-handover]
    return state_.load(std::memory_order_relaxed) == kFree &&
           state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void lock() {
    std::uint32_t expected = kFree;
    if (HZ3_UNLIKELY(!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                                     std::memory_order_relaxed))) {
      lock_slow();
    }
  }

  void unlock() {
    // release: publishes what the section wrote [lock-handover]
    if (HZ3_UNLIKELY(state_.exchange(kFree, std::memory_order_release) == kContended)) wake();
  }

  // In the child after fork: the holder may not exist any more.
  void reset_after_fork() { state_.store(kFree, std::memory_order_relaxed); }

  bool is_held() const { return state_.load(std::memory_order_relaxed) != kFree; }

 private:
  static constexpr std::uint32_t kFree = 0;
  static constexpr std::uint32_t kHeld = 1;
  static constexpr std::uint32_t kContended = 2;

  HZ3_COLD void lock_slow();
  HZ3_COLD void wake();

  std::atomic<std::uint32_t> state_{kFree};
};

class LockGuard {
 public:
  explicit LockGuard(FutexLock& lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  FutexLock& lock_;
};

}  // namespace hz3
