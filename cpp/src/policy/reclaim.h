// Reclaim: taking memory back from caches when a request finds none, and trim.
//
// Any thread, no lock held. A thread can empty its own cache and the shared ones; the caches of
// other threads are summoned: each flushes itself at its next slow event.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/thread_cache.h"

namespace hz3 {

// One attempt: this thread's cache, then at most reclaim_budget_pages from the transfer cache and
// the stashes, those of one nearly empty segment first. `cache` may be nullptr (a thread without
// one). Returns how many pages came free.
std::size_t reclaim(ThreadCache* cache, const RouteUser& user);

// How often a request without memory is worth another attempt. Other threads have to run until
// their caches answer the summons: attempts that free nothing wait for that, a quarter of a second
// in all, because on a busy machine it takes that long. Once that was in vain nobody waits again
// before some run of pages has come back.
class Attempts {
 public:
  // False when it is time to give up. `pages`: what the last attempt freed.
  bool another(std::size_t pages);

  // The last attempt ended because it had freed its budget: the next one finds more at once.
  bool has_more_at_once(std::size_t pages) const;

 private:
  unsigned made_ = 0;
  unsigned idle_ = 0;
};

// relaxed: raised by reclaim, compared on slow events; a cache that sees it late flushes late
extern std::atomic<std::uint32_t> summons;

// The cache's thread has seen the summons.
void answer_summons(ThreadCache* cache);

// Gives everything idle back to the system. Returns the bytes.
std::size_t trim(ThreadCache* cache, const RouteUser& user);

}  // namespace hz3
