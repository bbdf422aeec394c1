// Attempts to find memory; see reclaim.h.
#include "policy/reclaim.h"

#include "arena/page_heap.h"
#include "base/bits.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "remote/parked.h"
#include "settings/knobs.h"
#include "span/shard.h"

namespace hz3 {
namespace {

constexpr unsigned kMostAttempts = 256;
constexpr unsigned kIdleAttempts = 40;
constexpr std::uint64_t kShortestWaitNs = 20'000;
constexpr std::uint64_t kLongestWaitNs = 8'000'000;

// relaxed: how many runs had come back when waiting was last given up; a stale value costs a wait
constinit std::atomic<std::uint64_t> hopeless_releases{~std::uint64_t{0}};

std::size_t used_pages() { return page_heap.figures().used_pages; }

}  // namespace

constinit std::atomic<std::uint32_t> summons{0};

std::size_t reclaim(ThreadCache* cache, const RouteUser& user) {
  user.counters->add(Counter::kReclaimCalls);
  const std::uint32_t call = summons.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::size_t before = used_pages();
  large_heap.purge_all();
  if (cache != nullptr) {
    cache->summons_seen = call;
    cache->flush_all();
  }
  const std::size_t target = before - min_of(before, knob_size(Knob::kReclaimBudgetPages));
  // One whole segment serves any request, the same pages scattered over many may not.
  const std::size_t focus = page_heap.emptiest_segment();
  if (focus != kNoPage && used_pages() > target) {
    user.counters->add(Counter::kReclaimFocusBlocks, return_parked_of(user, focus));
  }
  if (used_pages() > target) return_parked(user, target);
  for (unsigned shard = 0; shard < shard_count && used_pages() > target; ++shard) {
    drain_shard(shard);
  }
  const std::size_t after = used_pages();
  const std::size_t freed = before > after ? before - after : 0;
  user.counters->add(Counter::kReclaimPages, freed);
  return freed;
}

bool Attempts::another(std::size_t pages) {
  if (++made_ >= kMostAttempts) return false;
  if (pages != 0) return true;
  if (thread_cache_figures().threads <= 1) return false;
  const std::uint64_t releases = page_heap.figures().releases;
  if (releases == hopeless_releases.load(std::memory_order_relaxed)) return false;
  if (++idle_ >= kIdleAttempts) {
    hopeless_releases.store(releases, std::memory_order_relaxed);
    return false;
  }
  os::wait_ns(min_of(kShortestWaitNs << idle_, kLongestWaitNs));
  return true;
}

bool Attempts::has_more_at_once(std::size_t pages) const {
  return pages >= knob_size(Knob::kReclaimBudgetPages) && made_ + 1 < kMostAttempts;
}

void answer_summons(ThreadCache* cache) {
  cache->summons_seen = summons.load(std::memory_order_relaxed);
  cache->counters.add(Counter::kReclaimSummons);
  cache->flush_all();
}

std::size_t trim(ThreadCache* cache, const RouteUser& user) {
  if (cache != nullptr) cache->flush_all();
  decay_routes(user, true);
  return page_heap.purge_all() + large_heap.purge_all();
}

}  // namespace hz3
