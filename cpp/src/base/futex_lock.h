// The one lock of the allocator: futex-backed, constant-initialised, knows its owner.
//
// Sections are short (well under a microsecond for a batch), so a waiter first looks again a few
// times and then sleeps: with more threads than CPUs a spinner would burn the holder's time slice.
// The word is 0 when free, else the owner's identity, plus kContended when somebody may sleep.
//
// Fork. The forking thread takes every lock before fork and gives them back after it. In between it
// may allocate (handlers of the program that were registered before ours run then): its own locks
// let it pass, and unlocking is put off. A lock that the thread holds already, because fork was
// called in a signal handler that interrupted a section, stays with the interrupted section.
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
    return (state_.load(std::memory_order_relaxed) == kFree &&
            state_.compare_exchange_strong(expected, identity(), std::memory_order_acquire,
                                           std::memory_order_relaxed)) ||
           HZ3_UNLIKELY(forking());
  }

  void lock() {
    std::uint32_t expected = kFree;
    if (HZ3_UNLIKELY(!state_.compare_exchange_strong(
            expected, identity(), std::memory_order_acquire, std::memory_order_relaxed))) {
      lock_slow();
    }
  }

  void unlock() {
    if (HZ3_UNLIKELY(forking())) return;
    // release: publishes what the section wrote [lock-handover]
    if (HZ3_UNLIKELY((state_.exchange(kFree, std::memory_order_release) & kContended) != 0)) wake();
  }

  // For code that may run in a signal handler above a section of its own thread.
  bool is_held_by_caller() const {
    return (state_.load(std::memory_order_relaxed) & ~kContended) == identity();
  }

  // Between lock_for_fork() and unlock_after_fork(): whether the thread forks out of a signal
  // handler that interrupted a section of this lock.
  bool is_held_by_interrupted() const { return held_by_interrupted_; }

  // Around fork, in the forking thread; begin_fork() follows when all locks are taken.
  void lock_for_fork();
  void unlock_after_fork();

 private:
  static constexpr std::uint32_t kFree = 0;
  static constexpr std::uint32_t kContended = std::uint32_t{1} << 31;

  // Unique among the threads of a process and kept over fork: the address of a thread-local byte,
  // as far as it fits. Two threads share one only if their storage lies 64 GiB apart.
  static std::uint32_t identity() {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&here_) >> 5 &
                                      (kContended - 1)) |
           1;
  }
  static bool forking() { return fork_owner_.load(std::memory_order_relaxed) == identity(); }

  HZ3_NOINLINE void lock_slow();
  HZ3_NOINLINE void wake();

  friend void begin_fork();
  friend void end_fork();

  static constinit HZ3_TLS char here_;
  // The thread between begin_fork() and end_fork(); only that thread ever finds itself in it.
  static std::atomic<std::uint32_t> fork_owner_;

  std::atomic<std::uint32_t> state_{kFree};
  bool held_by_interrupted_ = false;  // only between lock_for_fork() and unlock_after_fork()
};

// From begin_fork() to end_fork() the calling thread passes all locks, which it must hold.
void begin_fork();
void end_fork();

// The calling thread is about to abort, perhaps in the midst of a section: it passes all locks from
// now on, since a handler of the program may still allocate, and keeps those that it has.
void pass_locks_to_the_end();

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
