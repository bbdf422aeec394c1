// First use and end of threads; first use of the process. See thread_state.h.
#include "entry/thread_state.h"

#include <pthread.h>

#include <atomic>

#include "arena/arena.h"
#include "base/futex_lock.h"
#include "large/large_heap.h"
#include "observe/live_page.h"
#include "observe/requests.h"
#include "os/image.h"
#include "os/standard_error.h"
#include "policy/tick.h"
#include "settings/knobs.h"
#include "span/shard.h"

namespace hz3 {
namespace {

enum class ThreadState : std::uint8_t { kNew, kLive, kEnded };

constinit HZ3_TLS ThreadState thread_state = ThreadState::kNew;

constinit FutexLock booting;
constinit std::atomic<bool> booted{false};
constinit pthread_key_t end_of_thread = 0;

constinit FutexLock direct;
constinit RouteUser direct_user = {0, &direct_counters};

// Runs among the destructors of thread-specific data. Blocks freed after it take the direct path:
// the cache is not created again, since nobody would be left to flush it.
void end_thread(void* argument) {
  current_cache = &empty_cache;
  thread_state = ThreadState::kEnded;
  auto* cache = static_cast<ThreadCache*>(argument);
  on_thread_end(cache);
  release_thread_cache(cache);
}

bool boot() {
  const LockGuard guard(booting);
  if (booted.load(std::memory_order_relaxed)) return true;
  read_knobs_from_environment();
  os::remember_standard_error();
  // Every request tries again: what there is by then serves the next attempt.
  if (arena.bytes == 0 && !boot_arena(knob_size(Knob::kArenaBytes))) return false;
  if (!boot_magazines(arena.bytes)) return false;
  if (pthread_key_create(&end_of_thread, end_thread) != 0) return false;
  boot_shards(static_cast<unsigned>(knob(Knob::kShards)));
  large_heap.boot(4 * arena.bytes);
  start_observing();
  start_live_page();
  os::drop_cold_image(&kClasses);
  // release: who sees the flag sees the tables [boot]
  booted.store(true, std::memory_order_release);
  return true;
}

}  // namespace

bool ensure_booted() {
  // acquire: pairs with the release in boot() [boot]
  return HZ3_LIKELY(booted.load(std::memory_order_acquire)) || boot();
}

ThreadCache* first_thread_cache() {
  if (thread_state == ThreadState::kEnded || !ensure_booted()) return nullptr;
  ThreadCache* cache = acquire_thread_cache();
  if (cache == nullptr) return nullptr;
  // Set first: pthread_setspecific may allocate, and then finds the cache in place.
  current_cache = cache;
  thread_state = ThreadState::kLive;
  if (pthread_setspecific(end_of_thread, cache) != 0) {
    end_thread(cache);
    return nullptr;
  }
  return cache;
}

DirectUser::DirectUser() : user_(direct_user) { direct.lock(); }
DirectUser::~DirectUser() { direct.unlock(); }

bool is_booted() { return booted.load(std::memory_order_acquire); }  // [boot]

FutexLock& boot_lock() { return booting; }
FutexLock& direct_lock() { return direct; }

}  // namespace hz3
