// Boot of the process and life of a thread's cache.
//
// Thread: no cache -> (first miss) -> cache -> (TLS destructor) -> ended. An ended thread, or one
// that cannot get a cache, uses the direct path: one shared user under a lock.
#pragma once

#include "cache/thread_cache.h"

namespace hz3 {

// Reserves the arena and reads the knobs, once. False when there is no address space.
bool ensure_booted();

// Without doing it.
bool is_booted();

// What a thread without a cache gets: a new one, or nullptr for the direct path.
HZ3_NOINLINE ThreadCache* first_thread_cache();

// The calling thread's cache, created on demand; nullptr for the direct path.
inline ThreadCache* thread_cache() {
  HitPath* present = current_cache;
  if (HZ3_LIKELY(present != &empty_cache)) return static_cast<ThreadCache*>(present);
  return first_thread_cache();
}

// The direct path: exclusive use of the shared RouteUser.
class DirectUser {
 public:
  DirectUser();
  ~DirectUser();
  DirectUser(const DirectUser&) = delete;
  DirectUser& operator=(const DirectUser&) = delete;
  const RouteUser& user() const { return user_; }

 private:
  const RouteUser& user_;
};

FutexLock& boot_lock();  // both for fork
FutexLock& direct_lock();

// In a signal handler that interrupted a section under one of the allocator's locks.
bool caller_holds_a_lock();

}  // namespace hz3
