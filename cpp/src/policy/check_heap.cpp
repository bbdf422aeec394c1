// Which audits there are, and how often they run. See check_heap.h.
#include "policy/check_heap.h"

#include <atomic>
#include "arena/page_heap.h"
#include "base/fatal.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "remote/audit_parked.h"
#include "remote/page_queue.h"
#include "remote/transfer_cache.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// A look costs tens of microseconds, a tick's worth of work about as much.
constexpr std::uint32_t kTicksPerLook = 32;

// relaxed: only spreads the looks over the heap
constinit std::atomic<std::uint32_t> ticks{0};

// How long threads that were met while they marked or linked pending blocks may take to finish.
constexpr unsigned kLooks = 1000;
constexpr std::uint64_t kNapNs = 1'000'000;

// True when the books of every page queue could be compared, in this look or an earlier one.
// Batches that were left in a stash meanwhile stay there until the shard's lock is used again.
bool look_at_shard(unsigned index, bool is_last, bool (&settled)[kClassCount], Audit* audit) {
  const LockGuard guard(shards[index].lock);
  std::uint64_t queued_spans[kClassCount] = {};
  shards[index].central.audit(audit, queued_spans);
  bool all = true;
  for (unsigned i = 0; i < kClassCount; ++i) {
    audit_stash(index, i, audit);
    settled[i] = settled[i] || page_queue.audit(index, i, queued_spans[i], is_last, audit);
    all = all && settled[i];
  }
  return all;
}

void audit_shard(unsigned index, Audit* audit) {
  bool settled[kClassCount] = {};
  for (unsigned look = 1; !look_at_shard(index, look == kLooks, settled, audit); ++look) {
    if (audit->violations() != 0) return;
    os::wait_ns(kNapNs);
  }
}

// The first lane from number `look` on that holds something; most lanes are empty.
void audit_next_lane(const RouteUser& user, std::uint32_t look, Audit* audit) {
  const unsigned lanes = TransferCache::used_lanes();
  for (unsigned i = 0; i < lanes; ++i) {
    const unsigned lane = (look + i) % lanes;
    if (transfer_cache.is_empty(lane)) continue;
    audit_transfer(user, lane, audit);
    return;
  }
}

}  // namespace

void check_heap(ThreadCache* cache, const RouteUser& user, Audit* audit) {
  page_heap.audit(audit);
  large_heap.audit(audit);
  for (unsigned index = 0; index < shard_count; ++index) {
    if (is_open(index)) audit_shard(index, audit);
  }
  for (unsigned lane = 0; lane < TransferCache::used_lanes(); ++lane) {
    audit_transfer(user, lane, audit);
  }
  if (cache != nullptr) cache->audit(audit);
}

void report_violations(const Audit& audit) {
  Line line;
  line.text("hz3: inconsistent heap: ").number(audit.violations());
  line.text(" violations, the first at ").hex(audit.where());
  line.text(" (not true: ").text(audit.what()).text(") [E9]");
  line.write_to_stderr();
}

void check_some(ThreadCache* cache) {
  const std::uint32_t now = ticks.fetch_add(1, std::memory_order_relaxed);
  if (now % kTicksPerLook != 0) return;
  const std::uint32_t look = now / kTicksPerLook;
  Audit audit;
  cache->audit(&audit);
  audit_next_lane(cache->user, look, &audit);
  const std::size_t segments = page_heap.figures().open_segments;
  if (segments != 0) page_heap.audit_segment(static_cast<unsigned>(look % segments), &audit);
  if (audit.violations() == 0) return;
  report_violations(audit);
  stop();
}

}  // namespace hz3
