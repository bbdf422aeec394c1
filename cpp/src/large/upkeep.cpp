// Upkeep of the large blocks: giving pages back, in time and at once, and what is told about them.
//
// Any thread. Apart from the rest of the large heap, because every process comes here now and then,
// and one without large blocks shall not keep the others' code in memory (src/CMakeLists.txt).
#include "base/bits.h"
#include "large/large_heap.h"
#include "os/memory.h"
#include "settings/knobs.h"

namespace hz3 {
namespace {

// Blocks that are taken again sooner belong to a loop, and their pages to its next round.
constexpr std::uint64_t kShortRestNs = 20'000'000;

}  // namespace

// The system call of purge_range; `range` is used, so nobody else touches it.
bool LargeHeap::give_back(const Range* range, bool seams) {
  void* address = address_of(range->first_chunk);
  const std::size_t bytes = range->chunks << kChunkShift;
  return seams ? os::renew(address, bytes) : os::purge(address, bytes);
}

// Gives the pages of a used range back before anybody else can find it; the lock is let go during
// the system call.
void LargeHeap::purge_range(Range* range) {
  const std::size_t bytes = range->chunks << kChunkShift;
  const bool seams = has_seams(range);
  range->state = RangeState::kLeaving;  // a second free in the meantime is found out
  lock_.unlock();
  const bool purged = give_back(range, seams);
  lock_.lock();
  if (purged) {
    if (seams) forget_seams(range->first_chunk, range->chunks);
    counters_.add(Counter::kPurgeCalls);
    counters_.add(Counter::kPurgeBytes, bytes);
    offer_huge_pages(range->first_chunk, range->chunks, false);
  }
  free_range(range, purged ? RangeState::kClean : RangeState::kDirty);
}

// False when that makes no headway: refused by the kernel, or somebody frees faster than we purge.
bool LargeHeap::purge_oldest() {
  Range* range = oldest_;
  remove_free(range);
  used_bytes_ += range->chunks << kChunkShift;
  const std::size_t left = dirty_bytes_;
  purge_range(range);
  return dirty_bytes_ <= left;
}

// Gives back what nobody has wanted for a moment, as far as the budget goes. Not when a block is
// taken: others may be wanted in the same breath. Needs the lock.
void LargeHeap::return_idle() {
  if (oldest_ == nullptr) return;
  const std::uint64_t now_ns = os::coarse_clock_ns();
  return_budget_.grow(now_ns, knob_size(Knob::kLargeReturnRate));
  while (oldest_ != nullptr && oldest_->freed_ns + kShortRestNs <= now_ns &&
         return_budget_.spend(oldest_->chunks << kChunkShift) && purge_oldest()) {
  }
}

void LargeHeap::tend() {
  // Who finds it taken leaves the look to the next one.
  if (!lock_.try_lock()) return;
  return_idle();
  lock_.unlock();
}

std::size_t LargeHeap::purge_older(std::uint64_t deadline_ns, std::size_t budget_bytes) {
  const LockGuard guard(lock_);
  const std::size_t hard = knob_size(Knob::kLargeCacheHard);
  std::size_t purged = 0;
  while (oldest_ != nullptr && purged < budget_bytes) {
    if (oldest_->freed_ns >= deadline_ns && dirty_bytes_ <= hard) break;
    purged += oldest_->chunks << kChunkShift;
    if (!purge_oldest()) break;
  }
  return purged;
}

void LargeHeap::end_generation(std::uint64_t deadline_ns, std::size_t budget_bytes,
                               std::uint64_t passed) {
  purge_older(deadline_ns, budget_bytes);
  const LockGuard guard(lock_);
  collapse_.end_generation(passed);
}

LargeHeap::Figures LargeHeap::figures() {
  const LockGuard guard(lock_);
  return figures_locked();
}

}  // namespace hz3
