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
#include "policy/check_heap.h"
#include "policy/live.h"
#include "policy/reclaim.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

constexpr std::uint32_t kEventsPerClockRead = 32;
constexpr std::uint64_t kNsPerMs = 1'000'000;
// The time in which turns of bins are counted, see cache/thread_cache.cpp.
constexpr std::uint64_t kSpellNs = 10 * kNsPerMs;
// Pages in use below this share of their recent peak lift the budget of a purge.
constexpr std::size_t kBudgetFallPercent = 25;

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

// `passed`: it may be more than one since anybody looked.
void end_generation(ThreadCache* cache, std::uint64_t now_ns, std::uint64_t delay_ns,
                    std::uint64_t passed) {
  share_parking();
  decay_routes(cache->user, false);
  const std::size_t budget = knob_size(Knob::kPurgeBudgetBytes);
  page_heap.purge_aged(page_heap.take_fall(kBudgetFallPercent) ? SIZE_MAX : budget);
  page_heap.tend_quarantine(now_ns);
  end_live_generation(passed);
  large_heap.end_generation(now_ns - min_of(now_ns, delay_ns), budget, passed);
}

void look_for_collapse(ThreadCache* cache, std::uint64_t now_ns) {
  if (HZ3_LIKELY(!report_live(cache, now_ns))) return;
  cache->counters.add(Counter::kPurgeCollapses);
  trim(cache, cache->user);
}

void tick(ThreadCache* cache) {
  cache->tick();
  if constexpr (kChecked) check_some(cache);
}

}  // namespace

// relaxed: it is set while the process boots
constinit std::atomic<ClockListener> clock_listener{nullptr};

void read_clock(ThreadCache* cache) {
  cache->clock_countdown = kEventsPerClockRead - 1;
  const std::uint64_t now_ns = os::coarse_clock_ns();
  look_for_collapse(cache, now_ns);
  const ClockListener listener = clock_listener.load(std::memory_order_relaxed);
  if (listener != nullptr) listener(now_ns);
  large_heap.tend();
  if (now_ns - cache->spell_began_ns > kSpellNs) {
    cache->spell_began_ns = now_ns;
    ++cache->spell;
  }
  const std::uint64_t tick_ns = static_cast<std::uint64_t>(knob(Knob::kEpochMs)) * kNsPerMs;
  if (now_ns - cache->ticked_ns > tick_ns) {
    cache->ticked_ns = now_ns;
    cache->events = 0;
    cache->counters.add(Counter::kTickByClock);
    cache->calm();
    tick(cache);
  }
  const std::uint64_t delay_ns = static_cast<std::uint64_t>(knob(Knob::kPurgeDelayMs)) * kNsPerMs;
  std::uint64_t due_ns = generation_ends_ns.load(std::memory_order_relaxed);
  if (now_ns < due_ns) return;
  const std::uint64_t length_ns = delay_ns / 2;
  if (!generation_ends_ns.compare_exchange_strong(due_ns, now_ns + length_ns,
                                                  std::memory_order_relaxed)) {
    return;
  }
  end_generation(cache, now_ns, delay_ns, length_ns != 0 ? 1 + (now_ns - due_ns) / length_ns : 1);
}

void tick_by_events(ThreadCache* cache) {
  cache->events = 0;
  cache->counters.add(Counter::kTickByEvents);
  tick(cache);
}

void on_thread_end(ThreadCache* cache) {
  cache->flush_all();
  look_for_collapse(cache, os::coarse_clock_ns());
}

}  // namespace hz3
