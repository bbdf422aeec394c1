// Ticks and generations.
//
// A tick belongs to one thread and adapts its bins. A generation belongs to the process: half a
// purge delay long, so that a page purged at its end has been idle for at least that and at most
// the whole delay. Whoever notices first that one is over does its work.
#include "policy/tick.h"

#include <atomic>

#include "arena/page_heap.h"
#include "base/bits.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr std::uint32_t kEventsPerClockRead = 32;
constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kTickNs = 100 * kNsPerMs;

// relaxed: whoever wins the exchange does the work; nothing else is published through it
constinit std::atomic<std::uint64_t> generation_ends_ns{0};

constexpr std::uint64_t kSmallestParking = std::uint64_t{1} << 20;
constexpr std::uint64_t kSmallestShare = 64 * 1024;

// What all thread caches together may park: an eighth of what is in use, at least a mebibyte.
void share_parking() {
  const std::uint64_t used_bytes = (std::uint64_t{page_heap.figures().used_pages} << kPageShift) +
                                   large_heap.figures().used_bytes;
  const std::uint64_t parking = max_of(used_bytes / 8, kSmallestParking);
  const std::uint64_t threads = max_of<std::uint64_t>(thread_cache_figures().threads, 1);
  cache_share_bytes.store(max_of(parking / threads, kSmallestShare), std::memory_order_relaxed);
}

void end_generation(ThreadCache* cache, std::uint64_t now_ns, std::uint64_t delay_ns) {
  share_parking();
  decay_routes(cache->user, false);
  const std::size_t budget = knob_size(Knob::kPurgeBudgetBytes);
  page_heap.purge_aged(page_heap.take_collapse() ? SIZE_MAX : budget);
  large_heap.purge_older(now_ns - min_of(now_ns, delay_ns), budget);
}

void read_clock(ThreadCache* cache) {
  const std::uint64_t now_ns = os::coarse_clock_ns();
  if (now_ns - cache->ticked_ns > kTickNs) {
    cache->ticked_ns = now_ns;
    cache->events = 0;
    cache->counters.add(Counter::kTickByClock);
    cache->tick();
  }
  const std::uint64_t delay_ns = static_cast<std::uint64_t>(knob(Knob::kPurgeDelayMs)) * kNsPerMs;
  std::uint64_t due_ns = generation_ends_ns.load(std::memory_order_relaxed);
  if (now_ns < due_ns) return;
  if (!generation_ends_ns.compare_exchange_strong(due_ns, now_ns + delay_ns / 2,
                                                  std::memory_order_relaxed)) {
    return;
  }
  end_generation(cache, now_ns, delay_ns);
}

}  // namespace

void on_slow_event(ThreadCache* cache) {
  if (++cache->events >= static_cast<std::uint64_t>(knob(Knob::kEpochEvents))) {
    cache->events = 0;
    cache->counters.add(Counter::kTickByEvents);
    cache->tick();
  }
  if (cache->clock_countdown-- == 0) {
    cache->clock_countdown = kEventsPerClockRead - 1;
    read_clock(cache);
  }
}

void reclaim(ThreadCache* cache, const RouteUser& user) {
  if (cache != nullptr) cache->flush_all();
  decay_routes(user, true);
  large_heap.purge_all();
}

std::size_t trim(ThreadCache* cache, const RouteUser& user) {
  if (cache != nullptr) cache->flush_all();
  decay_routes(user, true);
  return page_heap.purge_all() + large_heap.purge_all();
}

}  // namespace hz3
