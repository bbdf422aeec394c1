// Publishing. All state under the lock, which is only ever tried but for fork and exit.
#include "observe/live_page.h"

#include "base/bits.h"
#include "base/fatal.h"
#include "observe/all_locks.h"
#include "observe/gauges.h"
#include "os/files.h"
#include "os/standard_error.h"
#include "policy/tick.h"
#include "settings/counters.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// Short, so that little is missing when a process falls idle after a burst; an update takes some
// microseconds.
constexpr std::uint64_t kUpdateNs = 10'000'000;

constexpr struct {
  const char* name;
  std::uint64_t hz3_stats::*field;
} kGauges[] = {
    {"mapped_bytes", &hz3_stats::mapped_bytes},
    {"committed_bytes", &hz3_stats::committed_bytes},
    {"live_bytes", &hz3_stats::live_bytes},
    {"cached_bytes", &hz3_stats::cached_bytes},
    {"dirty_free_bytes", &hz3_stats::dirty_free_bytes},
    {"large_bytes", &hz3_stats::large_bytes},
    {"large_cached_bytes", &hz3_stats::large_cached_bytes},
    {"metadata_bytes", &hz3_stats::metadata_bytes},
    {"peak_committed_bytes", &hz3_stats::peak_committed_bytes},
    {"threads", &hz3_stats::threads},
    {"shards", &hz3_stats::shards},
    {"segments", &hz3_stats::segments},
    {"spans", &hz3_stats::spans},
};
constexpr unsigned kGaugeCount = sizeof kGauges / sizeof kGauges[0];
static_assert(kGaugeCount + kCounterCount <= LivePage::kMostEntries);

constinit FutexLock lock;
constinit LivePage* page = nullptr;
constinit bool wanted = false;
constinit char path[64] = {};
// relaxed: who comes too early or too late only updates a little more or less often
constinit std::atomic<std::uint64_t> due_ns{0};

void set_name(LiveEntry* entry, const char* name) {
  const std::size_t length = min_of(__builtin_strlen(name), sizeof entry->name - 1);
  __builtin_memcpy(entry->name, name, length);
}

// The file is zeroed. The magic comes last: a reader that finds it finds the rest.
void open_page() {
  Line line;
  const char* text =
      line.text("/dev/shm/hz3-").number(os::user_id()).text("-").number(os::process_id()).c_str();
  __builtin_memcpy(path, text, min_of(__builtin_strlen(text) + 1, sizeof path));
  page = static_cast<LivePage*>(os::publish(path, LivePage::kBytes));
  if (page == nullptr) {
    wanted = false;
    Line why;
    why.text("hz3: no live page: ").text(path).text(" cannot be made (/dev/shm missing or full)");
    if (os::standard_error_is_usable()) why.write_to_stderr();  // in a child it may be another file
    return;
  }
  page->version = LivePage::kVersion;
  page->process = os::process_id();
  page->entries_offset = offsetof(LivePage, entries);
  page->entry_bytes = sizeof(LiveEntry);
  page->gauges = kGaugeCount;
  page->counters = kCounterCount;
  page->started_ns = os::boot_clock_ns();
  page->updated_ns.store(page->started_ns, std::memory_order_relaxed);
  LiveEntry* entry = page->entries;
  for (const auto& gauge : kGauges) set_name(entry++, gauge.name);
  for (std::size_t i = 0; i < kCounterCount; ++i) set_name(entry++, counter_info(i)->name);
  std::atomic_thread_fence(std::memory_order_release);
  __builtin_memcpy(page->magic, "hz3live", sizeof page->magic);
}

void write_page(const hz3_stats& stats, const std::uint64_t* counters) {
  const std::uint64_t sequence = page->sequence.load(std::memory_order_relaxed);
  page->sequence.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);  // odd before the values [live-page]
  page->updated_ns.store(os::boot_clock_ns(), std::memory_order_relaxed);
  LiveEntry* entry = page->entries;
  for (const auto& gauge : kGauges) {
    (entry++)->value.store(stats.*gauge.field, std::memory_order_relaxed);
  }
  for (std::size_t i = 0; i < kCounterCount; ++i) {
    (entry++)->value.store(counters[i], std::memory_order_relaxed);
  }
  page->sequence.store(sequence + 2, std::memory_order_release);  // even after them [live-page]
}

// False when a lock could not be had.
bool try_update() {
  hz3_stats stats;
  std::uint64_t counters[kCounterCount];
  {
    const AllLocks locks(AllLocks::Patience::kNone);
    if (locks.missed() != 0) return false;
    read_stats_locked(&stats);
    read_counters_locked(counters, kCounterCount);
  }
  // A process that was made without fork's handlers has its parent's page.
  if (page != nullptr && page->process != os::process_id()) {
    os::unmap_published(page, LivePage::kBytes);
    page = nullptr;
  }
  if (page == nullptr) open_page();
  if (page != nullptr) write_page(stats, counters);
  return true;
}

}  // namespace

void start_live_page() {
  if (knob(Knob::kLivePage) == 0) return;
  const LockGuard guard(lock);
  wanted = true;
  open_page();
  if (page != nullptr) clock_listener.store(update_live_page, std::memory_order_relaxed);
}

void update_live_page(std::uint64_t now_ns) {
  if (now_ns < due_ns.load(std::memory_order_relaxed)) return;
  if (!lock.try_lock()) return;
  if (!wanted || try_update()) due_ns.store(now_ns + kUpdateNs, std::memory_order_relaxed);
  lock.unlock();
}

void end_live_page() {
  if (!wanted) return;
  clock_listener.store(nullptr, std::memory_order_relaxed);
  // Without the lock in the worst case: an exit must not wait for a thread that is stuck.
  const bool locked = lock.try_lock();
  if (page != nullptr && page->process == os::process_id()) os::remove_file(path);
  wanted = false;
  if (locked) lock.unlock();
}

void leave_live_page_in_child() {
  if (page != nullptr) os::unmap_published(page, LivePage::kBytes);
  page = nullptr;
  due_ns.store(0, std::memory_order_relaxed);
}

FutexLock& live_page_lock() { return lock; }

}  // namespace hz3
