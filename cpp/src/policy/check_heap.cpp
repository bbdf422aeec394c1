// Which audits there are, and how often they run. See check_heap.h.
#include "policy/check_heap.h"

#include <atomic>
#include <cstdlib>

#include "arena/page_heap.h"
#include "base/fatal.h"
#include "large/large_heap.h"
#include "remote/audit_parked.h"
#include "span/shard.h"

namespace hz3 {
namespace {

// A look costs tens of microseconds, a tick's worth of work about as much.
constexpr std::uint32_t kTicksPerLook = 32;

// relaxed: only spreads the looks over the heap
constinit std::atomic<std::uint32_t> ticks{0};

void audit_shard(unsigned index, Audit* audit) {
  const LockGuard guard(shards[index].lock);
  shards[index].central.audit(audit);
  for (unsigned class_index = 0; class_index < kClassCount; ++class_index) {
    audit_stash(index, class_index, audit);
  }
}

}  // namespace

void check_heap(ThreadCache* cache, const RouteUser& user, Audit* audit) {
  page_heap.audit(audit);
  large_heap.audit(audit);
  for (unsigned index = 0; index < shard_count; ++index) audit_shard(index, audit);
  for (unsigned code = 1; code < kCodeCount; ++code) {
    audit_transfer(user, static_cast<Code>(code), audit);
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
  audit_transfer(cache->user, static_cast<Code>(1 + look % (kCodeCount - 1)), &audit);
  const std::size_t segments = page_heap.figures().open_segments;
  if (segments != 0) page_heap.audit_segment(static_cast<unsigned>(look % segments), &audit);
  if (audit.violations() == 0) return;
  report_violations(audit);
  std::abort();
}

}  // namespace hz3
